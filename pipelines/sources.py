"""Where pairs come from: side-by-side files, two folders, arrays. An index in, two uint8 images out.

`direction` is applied here and forgotten afterwards: AtoB makes the left half
(or `input/`, `photos/`) the input image, BtoA the right half (or `target/`, `labels/`).
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import TypeVar

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pipelines import synthetic
from pipelines.command_line import warn
from pipelines.image_files import BadImageError, decode_image
from pipelines.pair_files import MAX_LISTED, Files, Images, decode_pair, find_pairs, join_some, measure_pair

_PROGRESS_AFTER_SEC = 2
_ALIGNMENT_BYTES = 64

Reader = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Source:
    """A fixed, ordered set of pairs.

    Attributes:
      example_ids: one name per pair: the file's stem.
      read: index (int64 scalar tensor) -> (input_image, target_image), both
        uint8 [H, W, C]; TensorFlow ops only. H and W may differ between pairs.
      channels: C of the input images and of the target images.
      skipped: one text per pair that was left out, with file and reason.
      files: the files behind each pair; empty when the pixels are in memory.
    """

    example_ids: tuple[str, ...]
    read: Reader
    channels: tuple[int, int] = (3, 3)
    skipped: tuple[str, ...] = ()
    files: tuple[Files, ...] = ()

    def __len__(self) -> int:
        return len(self.example_ids)

    def describe_failure(self, indices: Iterable[int]) -> str | None:
        """Returns which files of these pairs cannot be read, and why; None if all can."""
        suspects = {self.example_ids[index]: self.files[index] for index in indices} if self.files else {}
        _, reasons = _sift(lambda name: decode_pair(suspects[name]).shape, suspects, "Looking for bad files")
        return "; ".join(reasons) or None


def open_source(
    folder: Path, split: str, direction: str, on_bad_image: str = "stop", cache_mib: int = 2048
) -> Source:
    """Opens the image files of one split and checks them.

    Args:
      folder: holds one folder per split. That one holds side-by-side files, or
        `input/` and `target/`, or `photos/` and `labels/`, with files of the same
        names (suffixes may differ).
      split: `train`, `val` or `test`.
      direction: `AtoB` or `BtoA`.
      on_bad_image: `stop` raises for files that cannot be used, `skip` leaves them
        out. Of a set beyond the budget `stop` reads only the headers, and damage
        farther in shows when it is reached; `skip` decodes it once in full.
      cache_mib: pixels are decoded once and kept if they fit this many MiB; else
        every read decodes its file.

    Returns:
      The pairs in natural order of their names (1, 2, 10).

    Raises:
      UserError: if the folder does not hold such files.
      BadImageError: for files that cannot be used; with `skip`, if none can.
    """
    pairs = find_pairs(folder / split)
    sizes, bad_headers = _sift(lambda name: measure_pair(pairs[name]), pairs, f"Checking {split}")
    ends = np.cumsum([0, *(height * width * 3 for height, width in sizes.values())])
    offsets = dict(zip(sizes, ends[:-1].tolist(), strict=True))
    fits = int(ends[-1]) <= cache_mib * 2**20
    pixels = _new_memory((int(ends[-1]) if fits else 0,))

    def load(name: str) -> tuple[int, int]:
        image, (height, width) = decode_pair(pairs[name]), sizes[name]
        if fits:
            pixels[offsets[name] : offsets[name] + height * width * 3] = image.reshape(-1)
        return height, width

    bad_pixels: list[str] = []
    if fits or on_bad_image == "skip":
        sizes, bad_pixels = _sift(load, sizes, f"Decoding {split}")
    skipped = (*bad_headers, *bad_pixels)
    if skipped:
        _report_bad(skipped, len(pairs), on_bad_image)
    kept = tuple(pairs[name] for name in sizes)
    if fits:
        read = _memory_reader(pixels, [offsets[name] for name in sizes], list(sizes.values()), direction)
    else:
        read = _file_reader(kept, direction)
    return Source(tuple(sizes), read, skipped=skipped, files=() if fits else kept)


def open_synthetic(
    split: str, direction: str, count: int, image_size: tuple[int, int], seed: int = 0
) -> Source:
    """Draws generated facades, photo left and label map right, as in the real dataset.

    Args:
      split: `train`, `val` or `test`; no pair is in two of them.
      direction: `AtoB` for photo -> labels, `BtoA` for labels -> photo.
      count: number of pairs.
      image_size: (height, width) in pixels, each at least 32.
      seed: of the whole dataset.

    Returns:
      The pairs, in memory.
    """

    def draw(name: str) -> tuple[Images, Images]:
        example = int(name.removeprefix(f"{split}_"))
        pair = synthetic.draw_pair(seed, synthetic.pair_index(split, example), image_size)
        return (pair.photo, pair.label_map) if direction == "AtoB" else (pair.label_map, pair.photo)

    pairs, _ = _sift(draw, (f"{split}_{example}" for example in range(count)), f"Drawing {split}")
    input_images, target_images = zip(*pairs.values(), strict=True)
    return from_arrays(np.stack(input_images), np.stack(target_images), tuple(pairs))


def from_arrays(
    input_images: Images, target_images: Images, example_ids: Sequence[str] | None = None
) -> Source:
    """Makes a source of pairs that are in memory already.

    Args:
      input_images: uint8 [N, H, W, C].
      target_images: uint8 [N, H, W, C]; C may differ from that of the input.
      example_ids: N names; default "0", "1", ...

    Returns:
      The pairs in the order given.

    Raises:
      ValueError: if types or shapes do not match.
    """
    dtypes = (input_images.dtype, target_images.dtype)
    shapes = (input_images.shape, target_images.shape)
    if dtypes != (np.uint8, np.uint8):
        raise ValueError(f"Images must be uint8. Received: {dtypes}")
    if len(shapes[0]) != 4 or len(shapes[1]) != 4 or shapes[0][:3] != shapes[1][:3] or 0 in shapes[0]:
        raise ValueError(f"Images must be [N, H, W, C] with equal N, H, W above 0. Received: {shapes}")
    ids = tuple(map(str, range(len(input_images))) if example_ids is None else example_ids)
    if len(ids) != len(input_images):
        raise ValueError(f"example_ids must name {len(input_images)} pairs. Received: {len(ids)} names")
    inputs, targets = _new_memory(shapes[0]), _new_memory(shapes[1])
    inputs[...], targets[...] = input_images, target_images
    tensors = _as_tensor(inputs), _as_tensor(targets)
    return Source(ids, lambda index: (tensors[0][index], tensors[1][index]), (shapes[0][3], shapes[1][3]))


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
        bar = tqdm(outcomes, title, len(names), leave=False, delay=_PROGRESS_AFTER_SEC, disable=None)
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


def _split(side_by_side: tf.Tensor, direction: str) -> tuple[tf.Tensor, tf.Tensor]:
    left, right = tf.split(side_by_side, 2, axis=1)
    return (left, right) if direction == "AtoB" else (right, left)


def _new_memory(shape: tuple[int, ...]) -> Images:
    """Returns an array that begins where TensorFlow wants its tensors to."""
    memory = np.empty(math.prod(shape) + _ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT_BYTES
    return memory[start : start + math.prod(shape)].reshape(shape)


def _as_tensor(memory: Images) -> tf.Tensor:
    # Shares the memory; tf.constant would hold it three times for a while.
    return tf.experimental.dlpack.from_dlpack(memory.__dlpack__())


def _memory_reader(
    pixels: Images, offsets: Sequence[int], sizes: Sequence[tuple[int, int]], direction: str
) -> Reader:
    memory = _as_tensor(pixels)
    with tf.device("CPU:0"):
        starts = tf.constant(offsets, tf.int64)
        shapes = tf.constant([(height, width, 3) for height, width in sizes], tf.int64)

    def read(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        shape = shapes[index]
        image = tf.reshape(tf.slice(memory, [starts[index]], [tf.reduce_prod(shape)]), shape)
        return _split(tf.ensure_shape(image, [None, None, 3]), direction)

    return read


def _file_reader(pairs: Sequence[Files], direction: str) -> Reader:
    with tf.device("CPU:0"):
        paths = tf.constant([[str(file) for file in files] for files in pairs])

    def read(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = [decode_image(tf.io.read_file(path)) for path in tf.unstack(paths[index])]
        return _split(tf.concat(images, axis=1), direction)

    return read
