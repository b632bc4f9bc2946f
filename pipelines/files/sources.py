"""Where pairs come from: side-by-side files, two folders, photos, arrays, or a function that draws them.

A `Source` takes an index and returns the two images of a pair. `direction` is applied here and
forgotten afterwards: with AtoB the left half of a file (or the image in `input/` or `photos/`) is the
input image, and with BtoA the right half (or the image in `target/` or `labels/`). A task that learns
from photos gets the photo alone, or the photo with the drawing that the task makes of it.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.base.paths import show_name
from tfpix2pix.pipelines.catalogue import DIRECTIONS, ON_BAD_IMAGE
from tfpix2pix.pipelines.files.bad_files import report_bad, sift
from tfpix2pix.pipelines.files.image_files import BadImageError, warn_of_orientation
from tfpix2pix.pipelines.files.keeping import Plan, decode_all, plan_keeping, read_kept
from tfpix2pix.pipelines.files.matching import FileList, Files
from tfpix2pix.pipelines.files.measuring import Rows, Table, measure_pairs
from tfpix2pix.pipelines.files.memory import Room, read_copies
from tfpix2pix.pipelines.files.pair_files import Images, decode_pair, warn_of_shapes
from tfpix2pix.pipelines.files.reading import Reader, Reading, TypedReader
from tfpix2pix.pipelines.files.samples import spread_evenly
from tfpix2pix.pipelines.files.value_warnings import LOOKED_AT, warn_of_values
from tfpix2pix.pipelines.meaning import UNKNOWN, Meaning
from tfpix2pix.pipelines.tasks.tasks import Task

Loader = Callable[[Files], tuple[Images, ...]]


@dataclasses.dataclass(frozen=True)
class Source:
    """A fixed, ordered set of pairs.

    Attributes:
      example_ids: the name of each pair, which is the stem of its file.
      read: takes the index of a pair, an int64 scalar tensor, and returns its input image and its
        target image, or the images that the task starts from. Each is uint8, uint16, or float32 in
        [-1, 1], [H, W, C]. Only TensorFlow operations are used. H and W may differ between pairs.
        With `has_instances`, the ids of the input's instances follow, uint16 [H, W, 1].
      channels: C of the network's input images and of its target images.
      skipped: the file and the reason of each pair that was left out, as a text.
      files: the files behind each pair, or what names the pair in their place; `load` takes them. Empty if
        the pixels are in memory.
      task: makes examples of the images.
      load: decodes the files of a pair.
      content: a digest of the files that the pairs come from; empty if there are none.
      origins: the files that each pair comes from, also if the pixels are in memory; empty if there
        are none.
      label_side: which of the two files of a pair is a map of classes, 0 or 1; None if the names of
        the folders do not tell.
      told: one line that says where the pairs were found; empty if they come from no files.
      meaning: what the images stand for; `labels.id_maps.give_meaning` finds out.
      has_instances: whether `read` returns maps of instances too.
      stream: the images of one pair after the other, in the order of an epoch, for training pairs that
        cannot be read by an index; None if `read` reads them.
      table: what the headers of the files say; None if there are none.
      plan: what is kept of them in memory; None if there are none.
    """

    example_ids: tuple[str, ...]
    read: Reader
    channels: tuple[int, int] = (3, 3)
    skipped: tuple[str, ...] = ()
    files: Sequence[Files] = ()
    task: Task = Task()
    load: Loader = decode_pair
    content: str = ""
    origins: Sequence[Files] = ()
    label_side: int | None = None
    told: str = ""
    meaning: Meaning = UNKNOWN
    has_instances: bool = False
    stream: tf.data.Dataset | None = None
    table: Table | None = None
    plan: Plan | None = None

    def __len__(self) -> int:
        return len(self.example_ids)

    def take(self, count: int | None) -> "Source":
        """Returns the first pairs alone; None stands for all of them."""
        if count is None or self.stream is not None:
            return self
        return dataclasses.replace(
            self,
            example_ids=self.example_ids[:count],
            files=self.files[:count],
            origins=self.origins[:count],
        )

    @property
    def dtypes(self) -> tuple[tf.DType, ...]:
        """The types of the images that `read` returns, but for instances; no file is read for that."""
        if isinstance(self.read, TypedReader):
            return self.read.dtypes[:2]
        pairs = self.stream
        if pairs is None:
            # AutoGraph would rewrite `read`, which takes longer than all else here.
            read = tf.autograph.experimental.do_not_convert(lambda index: tuple(self.read(index)))
            pairs = tf.data.Dataset.range(1).map(read)
        return tuple(spec.dtype for spec in pairs.element_spec[:2])

    def describe_failure(self, indices: Iterable[int]) -> str | None:
        """Returns which files of these pairs cannot be read, and why; None if all of them can."""
        suspects = {self.example_ids[index]: self.files[index] for index in indices} if self.files else {}
        _, reasons = sift(lambda name: len(self.load(suspects[name])), suspects, "Looking for bad files")
        return "; ".join(reasons) or None

    @contextlib.contextmanager
    def naming_bad_files(
        self, indices: Iterable[int] | Callable[[], Iterable[int]] | None = None
    ) -> Iterator[None]:
        """Names the bad files behind an error of TensorFlow, which does not say what it was reading.

        Every other error passes as it is: those of pairs whose files are all good, those that do not
        come from TensorFlow, and a lack of memory, which is not the fault of a file.

        Args:
          indices: pairs that the block may have read, or a function that returns them, which is
            called only after a failure. None stands for all pairs.

        Raises:
          BadImageError: in place of the error, if some of the files cannot be read; the text names
            them and the reasons.

        Examples:
          >>> images = np.zeros((2, 8, 8, 3), np.uint8)
          >>> source = from_arrays(images, images)
          >>> with source.naming_bad_files():
          ...     input_image, target_image = source.read(tf.constant(1, tf.int64))
        """
        try:
            yield
        except tf.errors.ResourceExhaustedError:
            raise
        except tf.errors.OpError as error:
            suspects = indices() if callable(indices) else indices
            reason = self.describe_failure(range(len(self)) if suspects is None else suspects)
            if reason is None:
                raise
            raise BadImageError(reason) from error


def open_source(
    folder: Path,
    split: str,
    direction: str,
    on_bad_image: str = "stop",
    cache_mib: float | Room = 2048,
    task: Task | None = None,
    val_percent: int = 0,
    exif: bool = True,
    resize_input_to_target: bool = False,
    keep_size: tuple[int, int] | None = None,
    manifest: Path | None = None,
) -> Source:
    """Opens the image files of one split and checks them.

    Args:
      folder: holds the splits in one of the layouts that `layouts.find_folders` knows: side-by-side
        files, or two folders, such as `input/` and `target/`, with files of the same names (suffixes
        may differ). For a task that learns from photos a split holds photos, or a folder `photos/`
        of them. In place of a folder, it may be a CSV file; see `pair_lists.read_list`.
      split: `train`, `val` or `test`.
      direction: `AtoB` or `BtoA`.
      on_bad_image: `stop` raises an error for files that cannot be used, and `skip` leaves them out.
        If the images do not fit `cache_mib`, or are so many that decoding them would take more than some
        ten seconds, `stop` reads only the headers now, and damage behind a header shows when the file is
        reached; `skip` decodes every file once now.
      cache_mib: images are decoded once and kept if they fit this many MiB; otherwise every read
        decodes its file. A `Room` is shared by all that is opened with it.
      task: what is learned; None for pairs of three channels.
      val_percent: the share of the training pairs, in percent, that validates where the folder holds
        neither `val/` nor `test/`; 0 for an error there.
      exif: whether photos are turned as their EXIF orientation says.
      resize_input_to_target: whether the two images of a pair may have different sizes; they are read as
        they are stored, see `datasets.resize_inputs`.
      keep_size: (height, width) in px of the resized images that `batches.keep_resized` will keep with the
        same room. Memory is set aside for them, before any for decoded images.
      manifest: where `measuring.write_table` has kept the `table` of an earlier start; the headers of files
        that have not changed are then not read. None reads all of them.

    Returns:
      The pairs in natural order of their names (1, 2, 10). All input images have one type, which
      holds the deepest of them, and so have all target images.

    Raises:
      ValueError: for a direction, or a way with bad images, that is not one of those above.
      UserError: if the folder does not hold such files.
      BadImageError: for files that cannot be used; with `skip`, only if none can be used.
    """
    check_choices(direction, on_bad_image)
    task = task or Task()
    reading = Reading.of(task, direction, exif, resize_input_to_target)
    found = reading.find(folder, split, val_percent)
    pairs = found.pairs
    if task.has_instances:
        reading, pairs = reading.join_instances(pairs)
    table, bad_headers = measure_pairs(reading, pairs, f"Checking {split}", manifest)
    if not found.is_told:
        _warn_of_headers(str(folder / split), found.place, reading, pairs, table)
    reading = reading.widened(table.list_dtypes())
    plan = plan_keeping(reading, table, Room.of(cache_mib), keep_size)
    rows: Rows = np.arange(len(table.names))
    bad_pixels: list[str] = []
    if (plan.store and plan.is_quick) or on_bad_image == "skip":
        store = plan.store if plan.is_quick else None
        rows, bad_pixels = decode_all(reading, pairs, table, store, f"Decoding {split}")
    skipped = (*bad_headers, *bad_pixels)
    if skipped:
        report_bad(skipped, len(pairs), on_bad_image)
    good = table.take(rows)
    is_in_memory = plan.store is not None and plan.is_quick
    return Source(
        tuple(map(show_name, good.names)),
        read_kept(reading, kept := FileList(pairs, good.names), bool(good.in_graph.all()), plan, rows),
        task.channels,
        skipped,
        files=() if is_in_memory else kept,
        task=task,
        load=reading.load,
        content=hashlib.sha256(good.digests.tobytes()).hexdigest(),
        origins=FileList(found.pairs, good.names),
        label_side=found.label_side,
        told=found.tell(reading.reverse) + (reading.tell_instances() if task.has_instances else ""),
        has_instances=reading.with_instances,
        table=good,
        plan=plan,
    )


def _warn_of_headers(
    title: str, place: Path, reading: Reading, pairs: Mapping[str, Files], table: Table
) -> None:
    turned = [pairs[table.names[row]] for row in np.flatnonzero(table.turned).tolist()]
    warn_of_orientation(title, reading.list_turned(turned))
    warn_of_shapes(place, pairs, table.names, table.sizes)


def from_arrays(
    input_images: Images, target_images: Images, example_ids: Sequence[str] | None = None
) -> Source:
    """Makes a source of pairs that are in memory already.

    Args:
      input_images: [N, H, W, C]; uint8, uint16, or float32 in [-1, 1].
      target_images: [N, H, W, C] of the same N, H and W; uint8, uint16, or float32 in [-1, 1]. The
        type and C may differ from those of the input images.
      example_ids: N names; None for "0", "1" and so on.

    Returns:
      The pairs in the given order. There is a warning if the values look as if they were in another
      range, such as floats from 0 to 1.

    Raises:
      ValueError: if types, shapes or ranges do not match; the message names the argument.
    """
    shapes = (input_images.shape, target_images.shape)
    for name, images in (("input_images", input_images), ("target_images", target_images)):
        if images.dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError(f"{name} must be uint8, uint16 or float32. Received: {images.dtype}")
        if images.dtype == np.float32 and images.size and not np.abs(images).max() <= 1:
            raise ValueError(
                f"{name} must be in [-1, 1] if they are floats. Received: {images.min()} to {images.max()}"
            )
    if len(shapes[0]) != 4 or len(shapes[1]) != 4 or shapes[0][:3] != shapes[1][:3] or 0 in shapes[0]:
        raise ValueError(
            "input_images and target_images must be [N, H, W, C] with equal N, H, W above 0. "
            f"Received: {shapes[0]} and {shapes[1]}"
        )
    for name, images in (("input_images", input_images), ("target_images", target_images)):
        warn_of_values(name, list(images[spread_evenly(len(images), LOOKED_AT)]))
    ids = tuple(map(str, range(len(input_images))) if example_ids is None else example_ids)
    if len(ids) != len(input_images):
        raise ValueError(f"example_ids must name {len(input_images)} pairs. Received: {len(ids)} names")
    channels = (shapes[0][3], shapes[1][3])
    return Source(ids, read_copies([input_images, target_images]), channels, task=Task(channels))


def check_choices(direction: str, on_bad_image: str = ON_BAD_IMAGE[0]) -> None:
    """Raises ValueError, with the argument's name, for a value that is not one of its choices."""
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be {' or '.join(DIRECTIONS)}. Received: {direction}")
    if on_bad_image not in ON_BAD_IMAGE:
        raise ValueError(f"on_bad_image must be {' or '.join(ON_BAD_IMAGE)}. Received: {on_bad_image}")
