"""Where pairs come from: side-by-side files, two folders, arrays. An index in, two uint8 images out.

`direction` is applied here and forgotten afterwards: AtoB makes the left half
(or `input/`) the input image, BtoA the right half (or `target/`).
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from pipelines import synthetic
from pipelines.command_line import UserError
from pipelines.image_files import BadImageError, decode_image, list_image_files, load_image, read_image_size

_LAYOUTS = "JPEG, PNG or BMP files with the two images side by side, or the folders input/ and target/"
_MAX_LISTED = 10
_PROGRESS_AFTER_SEC = 2

Images = npt.NDArray[np.uint8]
Files = tuple[Path, ...]  # one side-by-side file, or the input/ file and the target/ file
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
        _, reasons = _sift(lambda name: _decode_pair(suspects[name]).shape, suspects, "Looking for bad files")
        return "; ".join(reasons) or None


def open_source(
    folder: Path, split: str, direction: str, on_bad_image: str = "stop", cache_mib: int = 2048
) -> Source:
    """Opens the image files of one split and checks them.

    Args:
      folder: holds one folder per split. That one holds side-by-side files, or
        `input/` and `target/` with files of the same names (suffixes may differ).
      split: `train`, `val` or `test`.
      direction: `AtoB` or `BtoA`.
      on_bad_image: `stop` raises for files that cannot be used, `skip` leaves them
        out. Of a set beyond the budget `stop` reads only the headers, and damage
        farther in shows when it is reached; `skip` decodes it once in full.
      cache_mib: pixels are decoded once and kept if they fit this many MiB (twice
        that for a moment at the start); else every read decodes its file.

    Returns:
      The pairs in natural order of their names (1, 2, 10).

    Raises:
      UserError: if the folder does not hold such files.
      BadImageError: for files that cannot be used; with `skip`, if none can.
    """
    pairs = _find_pairs(folder / split)
    sizes, bad_headers = _sift(lambda name: _measure_pair(pairs[name]), pairs, f"Checking {split}")
    ends = np.cumsum([0, *(height * width * 3 for height, width in sizes.values())])
    offsets = dict(zip(sizes, ends[:-1].tolist(), strict=True))
    fits = int(ends[-1]) <= cache_mib * 2**20
    pixels = np.empty(ends[-1] if fits else 0, np.uint8)

    def load(name: str) -> tuple[int, int]:
        image, (height, width) = _decode_pair(pairs[name]), sizes[name]
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
    with tf.device("CPU:0"):
        inputs, targets = tf.constant(input_images), tf.constant(target_images)
    return Source(ids, lambda index: (inputs[index], targets[index]), (shapes[0][3], shapes[1][3]))


def _find_pairs(split_folder: Path) -> dict[str, Files]:
    """Returns the files of each pair by name, in natural order."""
    if not split_folder.is_dir():
        parent = split_folder.parent
        raise UserError(f"{split_folder}: no such folder; {parent} holds {_describe(parent)}")
    folders = (split_folder / "input", split_folder / "target")
    if any(folder.is_dir() for folder in folders):
        return _match_by_stem(*folders)
    files = _images_in(split_folder)
    stems = collections.Counter(file.stem for file in files)
    return {file.stem if stems[file.stem] == 1 else file.name: (file,) for file in files}


def _match_by_stem(input_folder: Path, target_folder: Path) -> dict[str, Files]:
    inputs, targets = _by_stem(input_folder), _by_stem(target_folder)
    alone = [f"{file.parent.name}/{file.name}" for stem, file in inputs.items() if stem not in targets]
    alone += [f"{file.parent.name}/{file.name}" for stem, file in targets.items() if stem not in inputs]
    if alone:
        raise UserError(
            f"{input_folder.parent}: {len(alone)} files of input/ and target/ have no partner "
            f"of the same name in the other folder: {_some(alone)}"
        )
    return {stem: (file, targets[stem]) for stem, file in inputs.items()}


def _by_stem(folder: Path) -> dict[str, Path]:
    files = _images_in(folder)
    by_stem = {file.stem: file for file in files}
    twice = [file.name for file in files if by_stem[file.stem] != file]
    if twice:
        raise UserError(f"{folder} holds more than one file of these names: {_some(twice)}")
    return by_stem


def _images_in(folder: Path) -> list[Path]:
    files, num_ignored = list_image_files(folder) if folder.is_dir() else ([], 0)
    if not files:
        raise UserError(f"{folder} holds {_describe(folder)}; expected {_LAYOUTS}")
    if num_ignored:
        logging.info("%s: ignored %d files that are not JPEG, PNG or BMP", folder, num_ignored)
    return files


def _describe(folder: Path) -> str:
    names = [entry.name + "/" * entry.is_dir() for entry in folder.iterdir()] if folder.is_dir() else []
    return _some(sorted(names)) or "nothing"


def _some(texts: Sequence[str], separator: str = ", ") -> str:
    more = [f"and {len(texts) - _MAX_LISTED} more"] if len(texts) > _MAX_LISTED else []
    return separator.join([*texts[:_MAX_LISTED], *more])


def _measure_pair(files: Files) -> tuple[int, int]:
    """Returns height and width of the two images laid side by side."""
    sizes = [read_image_size(file) for file in files]
    (height, width), last = sizes[0], sizes[-1]
    if last != (height, width):
        raise BadImageError(
            f"{files[0]} is {width}x{height} and {files[1]} is {last[1]}x{last[0]}: "
            "the two images of a pair must have the same size"
        )
    if len(files) == 1 and width % 2:
        raise BadImageError(f"{files[0]} is {width} pixels wide: two images side by side have an even width")
    return height, width * (1 if len(files) == 1 else 2)


def _decode_pair(files: Files) -> Images:
    """Returns the two images laid side by side, uint8 [H, 2W, 3]."""
    images = [load_image(file) for file in files]
    return images[0] if len(images) == 1 else np.concatenate(images, axis=1)


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
        raise BadImageError(f"{summary} (--on_bad_image=skip leaves them out): {_some(reasons, '; ')}")
    if len(reasons) == num_pairs:
        raise BadImageError(f"{summary}, so none is left: {_some(reasons, '; ')}")
    for reason in reasons[:_MAX_LISTED]:
        logging.warning("Skipped: %s", reason)
    logging.warning("%s and are left out", summary)


def _split(side_by_side: tf.Tensor, direction: str) -> tuple[tf.Tensor, tf.Tensor]:
    left, right = tf.split(side_by_side, 2, axis=1)
    return (left, right) if direction == "AtoB" else (right, left)


def _memory_reader(
    pixels: Images, offsets: Sequence[int], sizes: Sequence[tuple[int, int]], direction: str
) -> Reader:
    with tf.device("CPU:0"):
        memory = tf.constant(pixels)
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
