"""Where pairs come from: side-by-side files, two folders, photos, arrays. An index in, two images out.

`direction` is applied here and forgotten afterwards: AtoB makes the left half
(or `input/`, `photos/`) the input image, BtoA the right half (or `target/`, `labels/`).
Tasks that learn from photos alone get one image, the photo, or it and its drawing.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfpix2pix.pipelines.base.listing import MAX_LISTED, join_some
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.files.image_files import BadImageError, warn_of_orientation
from tfpix2pix.pipelines.files.memory import PROGRESS_AFTER_SEC, PixelStore, new_memory, read_arrays
from tfpix2pix.pipelines.files.pair_files import Files, Images, decode_pair
from tfpix2pix.pipelines.files.reading import Reader, Reading
from tfpix2pix.pipelines.synthetic.facades import draw_pair, pair_index
from tfpix2pix.pipelines.tasks.tasks import Task

Loader = Callable[[Files], tuple[Images, ...]]
Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Source:
    """A fixed, ordered set of pairs.

    Attributes:
      example_ids: one name per pair: the file's stem.
      read: index (int64 scalar tensor) -> (input_image, target_image), or what the
        task starts from; each uint8, uint16, or float32 in [-1, 1], [H, W, C];
        TensorFlow ops only. H and W may differ between pairs.
      channels: C of the network's input images and of its target images.
      skipped: one text per pair that was left out, with file and reason.
      files: the files behind each pair; empty when the pixels are in memory.
      task: what makes examples of the images.
      load: decodes `files`.
      content: a digest of the files that the pairs come from; empty where there are none.
    """

    example_ids: tuple[str, ...]
    read: Reader
    channels: tuple[int, int] = (3, 3)
    skipped: tuple[str, ...] = ()
    files: tuple[Files, ...] = ()
    task: Task = Task()
    load: Loader = decode_pair
    content: str = ""

    def __len__(self) -> int:
        return len(self.example_ids)

    def describe_failure(self, indices: Iterable[int]) -> str | None:
        """Returns which files of these pairs cannot be read, and why; None if all can."""
        suspects = {self.example_ids[index]: self.files[index] for index in indices} if self.files else {}
        _, reasons = _sift(lambda name: len(self.load(suspects[name])), suspects, "Looking for bad files")
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

        Example:
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
    cache_mib: int = 2048,
    task: Task | None = None,
) -> Source:
    """Opens the image files of one split and checks them.

    Args:
      folder: holds one folder per split. That one holds side-by-side files, or
        `input/` and `target/`, or `photos/` and `labels/`, with files of the same
        names (suffixes may differ). For a task of photos it holds these, or `photos/`.
      split: `train`, `val` or `test`.
      direction: `AtoB` or `BtoA`.
      on_bad_image: `stop` raises for files that cannot be used, `skip` leaves them
        out. Of a set beyond the budget `stop` reads only the headers, and damage
        farther in shows when it is reached; `skip` decodes it once in full.
      cache_mib: pixels are decoded once and kept if they fit this many MiB; else
        every read decodes its file.
      task: what is learned; default: pairs of three channels.

    Returns:
      The pairs in natural order of their names (1, 2, 10). All images of a side
      have one type, which holds the deepest of them.

    Raises:
      UserError: if the folder does not hold such files.
      BadImageError: for files that cannot be used; with `skip`, if none can.
    """
    task = task or Task()
    reading = Reading.of(task, direction)
    pairs = reading.find(folder / split)
    headers, bad_headers = _sift(lambda name: reading.measure(pairs[name]), pairs, f"Checking {split}")
    turned = [file for header in headers.values() for file in header.turned]
    warn_of_orientation(str(folder / split), turned)
    reading = reading.widened(header.dtypes for header in headers.values())
    store = PixelStore({name: header.size for name, header in headers.items()}, reading.results)
    fits = store.num_bytes <= cache_mib * 2**20
    if fits:
        store.allocate()

    def load(name: str) -> None:
        images = reading.load(pairs[name])
        if fits:
            store.put(name, images)

    names: tuple[str, ...] = tuple(headers)
    bad_pixels: list[str] = []
    if fits or on_bad_image == "skip":
        decoded, bad_pixels = _sift(load, headers, f"Decoding {split}")
        names = tuple(decoded)
    skipped = (*bad_headers, *bad_pixels)
    if skipped:
        _report_bad(skipped, len(pairs), on_bad_image)
    kept = tuple(pairs[name] for name in names)
    read = store.reader(names) if fits else reading.reader(kept)
    content = hashlib.sha256(b"".join(headers[name].digest for name in names)).hexdigest()
    return Source(names, read, task.channels, skipped, () if fits else kept, task, reading.load, content)


def open_synthetic(
    split: str,
    direction: str,
    count: int,
    image_size: tuple[int, int],
    seed: int = 0,
    task: Task | None = None,
    draw: Callable[..., Any] = draw_pair,
) -> Source:
    """Draws generated pairs, photo left and label map right, as in the real dataset of facades.

    Args:
      split: `train`, `val` or `test`; no pair is in two of them.
      direction: `AtoB` for photo -> labels, `BtoA` for labels -> photo.
      count: number of pairs.
      image_size: (height, width) in pixels, each at least 32.
      seed: of the whole dataset.
      task: what is learned; a task of photos gets the photos alone.
      draw: draws a pair; takes and returns what `facades.draw_pair` does.

    Returns:
      The pairs, in memory.
    """
    task = task or Task()

    def draw_images(name: str) -> tuple[Images, ...]:
        example = int(name.removeprefix(f"{split}_"))
        pair = draw(seed, pair_index(split, example), image_size)
        if task.from_photos:
            return (task.draw_input(pair.photo), pair.photo) if task.draw_input else (pair.photo,)
        return (pair.photo, pair.label_map) if direction == "AtoB" else (pair.label_map, pair.photo)

    pairs, _ = _sift(draw_images, (f"{split}_{example}" for example in range(count)), f"Drawing {split}")
    sides = [np.stack(side) for side in zip(*pairs.values(), strict=True)]
    return Source(tuple(pairs), _read_copies(sides), task.channels, task=task)


def from_arrays(
    input_images: Images, target_images: Images, example_ids: Sequence[str] | None = None
) -> Source:
    """Makes a source of pairs that are in memory already.

    Args:
      input_images: uint8, uint16, or float32 in [-1, 1]; [N, H, W, C].
      target_images: likewise; type and C may differ from those of the input.
      example_ids: N names; default "0", "1", ...

    Returns:
      The pairs in the order given.

    Raises:
      ValueError: if types, shapes or ranges do not match.
    """
    shapes = (input_images.shape, target_images.shape)
    for images in (input_images, target_images):
        if images.dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError(f"Images must be uint8, uint16 or float32. Received: {images.dtype}")
        if images.dtype == np.float32 and images.size and not np.abs(images).max() <= 1:
            raise ValueError(f"Floats must be in [-1, 1]. Received: {images.min()} to {images.max()}")
    if len(shapes[0]) != 4 or len(shapes[1]) != 4 or shapes[0][:3] != shapes[1][:3] or 0 in shapes[0]:
        raise ValueError(f"Images must be [N, H, W, C] with equal N, H, W above 0. Received: {shapes}")
    ids = tuple(map(str, range(len(input_images))) if example_ids is None else example_ids)
    if len(ids) != len(input_images):
        raise ValueError(f"example_ids must name {len(input_images)} pairs. Received: {len(ids)} names")
    channels = (shapes[0][3], shapes[1][3])
    return Source(ids, _read_copies([input_images, target_images]), channels, task=Task(channels))


def _read_copies(sides: Sequence[Images]) -> Reader:
    copies = [new_memory(side.shape, side.dtype) for side in sides]
    for copy, side in zip(copies, sides, strict=True):
        copy[...] = side
    return read_arrays(copies)


def _sift(
    examine: Callable[[str], Result], names: Iterable[str], title: str
) -> tuple[dict[str, Result], list[str]]:
    """Calls `examine` in threads for every name; returns results of the good, reasons of the bad."""

    def attempt(name: str) -> tuple[str, Result | BadImageError]:
        try:
            return name, examine(name)
        except BadImageError as error:
            return name, error

    names = list(names)
    good: dict[str, Result] = {}
    reasons = []
    with ThreadPool() as pool:
        outcomes = pool.imap(attempt, names, chunksize=8)
        bar = tqdm(outcomes, title, len(names), leave=False, delay=PROGRESS_AFTER_SEC, disable=None)
        for name, outcome in bar:
            if isinstance(outcome, BadImageError):
                reasons.append(str(outcome))
            else:
                good[name] = outcome
    return good, reasons


def _report_bad(reasons: Sequence[str], num_pairs: int, on_bad_image: str) -> None:
    summary = f"{len(reasons)} of {num_pairs} pairs cannot be used"
    if on_bad_image == "stop":
        raise BadImageError(f"{summary} (--on_bad_image=skip leaves them out): {join_some(reasons, '; ')}")
    if len(reasons) == num_pairs:
        raise BadImageError(f"{summary}, so none is left: {join_some(reasons, '; ')}")
    for reason in reasons[:MAX_LISTED]:
        warn(f"skipped {reason}")
    warn(f"{summary} and are left out")
