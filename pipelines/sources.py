"""Where pairs come from: side-by-side files, two folders, arrays. An index in, two uint8 images out.

`direction` is applied here and forgotten afterwards: AtoB makes the left half
(or `input/`) the input image, BtoA the right half (or `target/`).
"""

import collections
import dataclasses
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import TypeVar

import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from pipelines.command_line import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
_LAYOUTS = "JPEG, PNG or BMP files that hold the two images side by side, or the folders input/ and target/"
_MAX_LISTED = 10
_PROGRESS_AFTER_SEC = 2

Files = tuple[Path, ...]  # one side-by-side file, or the input/ file and the target/ file
Result = TypeVar("Result")


class BadImageError(UserError):
    """An image cannot be used; the text names the file and the reason."""


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
    read: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    channels: tuple[int, int] = (3, 3)
    skipped: tuple[str, ...] = ()
    files: tuple[Files, ...] = ()

    def __len__(self) -> int:
        return len(self.example_ids)

    def describe_failure(self, indices: Iterable[int]) -> str | None:
        """Returns which files of these pairs cannot be read, one per line; None if all can."""
        suspects = {self.example_ids[index]: self.files[index] for index in indices} if self.files else {}
        _, reasons = _sift(lambda name: _decode_pair(suspects[name]).shape, suspects, "Looking for bad files")
        return "\n".join(reasons) or None


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
        image = _decode_pair(pairs[name])
        if fits:
            pixels[offsets[name] : offsets[name] + image.size] = image.reshape(-1)
        return sizes[name]

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


def from_arrays(
    input_images: np.ndarray, target_images: np.ndarray, example_ids: Sequence[str] | None = None
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
    shapes = (input_images.shape, target_images.shape)
    if input_images.dtype != np.uint8 or target_images.dtype != np.uint8:
        raise ValueError(f"Images must be uint8. Received: {input_images.dtype} and {target_images.dtype}")
    if len(shapes[0]) != 4 or len(shapes[1]) != 4 or shapes[0][:3] != shapes[1][:3] or not len(input_images):
        raise ValueError(f"Images must be [N, H, W, C] with equal N > 0, H, W. Received: {shapes}")
    ids = tuple(example_ids) if example_ids is not None else tuple(map(str, range(len(input_images))))
    if len(ids) != len(input_images):
        raise ValueError(f"example_ids must name {len(input_images)} pairs. Received: {len(ids)} names")
    with tf.device("CPU:0"):
        inputs, targets = tf.constant(input_images), tf.constant(target_images)
    return Source(
        ids, lambda index: (inputs[index], targets[index]), channels=(shapes[0][3], shapes[1][3])
    )


def decode_image(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, PNG or BMP, told apart by its content; for files and for servables.

    Grayscale is repeated to three channels, alpha is dropped (the colours below
    it count), 16-bit PNG keeps its upper 8 bits.

    Args:
      contents: scalar string.

    Returns:
      uint8 [H, W, 3].
    """

    def decode_bmp() -> tf.Tensor:
        image = tf.io.decode_bmp(contents)
        return tf.gather(image, tf.minimum([0, 1, 2], tf.shape(image)[2] - 1), axis=2)

    def decode_jpeg_or_png() -> tf.Tensor:
        # The default DCT is faster and up to 20 of 255 levels off; this one equals other decoders.
        return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")

    is_bmp = tf.equal(tf.strings.substr(contents, 0, 2), b"BM")
    return tf.ensure_shape(tf.cond(is_bmp, decode_bmp, decode_jpeg_or_png), [None, None, 3])


def read_image_size(file: Path) -> tuple[int, int]:
    """Returns (height, width) in pixels from a file's header.

    Raises:
      BadImageError: if it is empty or not a JPEG, PNG or BMP that can be decoded.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(2**16)
            if start.startswith(b"\xff\xd8"):
                height, width = _jpeg_size(start, stream.read)
            elif start.startswith(b"\x89PNG\r\n\x1a\n"):
                width, height = struct.unpack(">II", start[16:24])
            elif start.startswith(b"BM"):
                height, width = _bmp_size(file, start)
            else:
                reason = "is not a JPEG, PNG or BMP file" if start else "is empty (0 bytes)"
                raise BadImageError(f"{file} {reason}")
    except OSError as error:
        raise BadImageError(f"{file} cannot be read: {error.strerror}") from error
    except (struct.error, tf.errors.OpError) as error:
        raise BadImageError(f"{file} has a damaged header") from error
    if not height or not width:
        raise BadImageError(f"{file} has no pixels ({width}x{height})")
    return height, width


def _jpeg_size(start: bytes, read: Callable[[], bytes]) -> tuple[int, int]:
    try:
        height, width, _ = tf.io.extract_jpeg_shape(start).numpy()
    except tf.errors.OpError:  # Thumbnails and colour profiles can fill more than the start.
        height, width, _ = tf.io.extract_jpeg_shape(start + read()).numpy()
    return int(height), int(width)


def _bmp_size(file: Path, start: bytes) -> tuple[int, int]:
    header_bytes, width, height, _, bits, compression = struct.unpack("<IiiHHI", start[14:34])
    palette = start[14 + header_bytes : 14 + header_bytes + 1024]
    gray = bits == 8 and palette == b"".join(bytes([level] * 3 + [0]) for level in range(256))
    # 3: the same uncompressed pixels, with the places of the channels written out.
    if not (gray or bits in (24, 32)) or compression not in (0, 3):
        raise BadImageError(f"{file} is a BMP with a palette or compression: save it as PNG")
    return abs(height), width


def _measure_pair(files: Files) -> tuple[int, int]:
    """Returns height and width of the two images laid side by side."""
    sizes = [read_image_size(file) for file in files]
    (height, width), other = sizes[0], sizes[-1]
    if len(files) == 1:
        if width % 2:
            raise BadImageError(f"{files[0]} is {width} px wide: two images side by side need an even width")
        return height, width
    if other != (height, width):
        raise BadImageError(
            f"{files[0]} is {width}x{height} and {files[1]} is {other[1]}x{other[0]}: "
            "the images of a pair must have the same size"
        )
    return height, 2 * width


def _decode_pair(files: Files) -> np.ndarray:
    """Returns the two images laid side by side, uint8 [H, 2W, 3]."""
    images = []
    for file in files:
        try:
            images.append(decode_image(tf.constant(file.read_bytes())).numpy())
        except OSError as error:
            raise BadImageError(f"{file} cannot be read: {error.strerror}") from error
        except tf.errors.OpError as error:
            raise BadImageError(f"{file} is damaged or cut short: it cannot be decoded") from error
    return np.concatenate(images, axis=1) if len(images) > 1 else images[0]


def _sift(
    examine: Callable[[str], Result], names: Iterable[str], title: str
) -> tuple[dict[str, Result], list[str]]:
    """Calls `examine` for every name, in threads; returns the results of the good, the reasons of the bad."""

    def attempt(name: str) -> tuple[str, Result | None, str]:
        try:
            return name, examine(name), ""
        except BadImageError as error:
            return name, None, str(error)

    names = list(names)
    good, reasons = {}, []
    with ThreadPool() as pool:
        outcomes = pool.imap(attempt, names, chunksize=8)
        for name, result, reason in tqdm(
            outcomes, title, len(names), delay=_PROGRESS_AFTER_SEC, disable=None, unit="pair", leave=False
        ):
            if result is None:
                reasons.append(reason)
            else:
                good[name] = result
    return good, reasons


def _report_bad(reasons: Sequence[str], num_pairs: int, on_bad_image: str) -> None:
    listed = [*reasons[:_MAX_LISTED], *([f"and {len(reasons) - _MAX_LISTED} more"] * (len(reasons) > _MAX_LISTED))]
    if len(reasons) == num_pairs:
        raise BadImageError("No image can be used:\n" + "\n".join(listed))
    count = f"{len(reasons)} of {num_pairs} images cannot be used"
    if on_bad_image == "stop":
        raise BadImageError(f"{count} (--on_bad_image=skip leaves them out):\n" + "\n".join(listed))
    for line in listed:
        logging.warning("Skipped: %s", line)
    logging.warning("%s and are left out", count)


def _find_pairs(split_folder: Path) -> dict[str, Files]:
    """Returns the files of each pair by name, in natural order."""
    if not split_folder.is_dir():
        raise UserError(f"{split_folder}: no such folder; {split_folder.parent} holds {_describe(split_folder.parent)}")
    folders = (split_folder / "input", split_folder / "target")
    if any(folder.is_dir() for folder in folders):
        return _match_by_stem(*folders)
    files = _image_files(split_folder)
    stems = collections.Counter(file.stem for file in files)
    return {file.stem if stems[file.stem] == 1 else file.name: (file,) for file in files}


def _match_by_stem(input_folder: Path, target_folder: Path) -> dict[str, Files]:
    by_stem: list[dict[str, Path]] = []
    for folder in (input_folder, target_folder):
        files = _image_files(folder)
        by_stem.append({file.stem: file for file in files})
        twice = [stem for stem, count in collections.Counter(file.stem for file in files).items() if count > 1]
        if twice:
            raise UserError(f"{folder} holds several files for one pair: {_some(twice)}")
    inputs, targets = by_stem
    if inputs.keys() != targets.keys():
        alone = [str(file) for stem, file in (inputs | targets).items() if stem not in inputs.keys() & targets.keys()]
        raise UserError(
            f"{len(alone)} files have no partner of the same name in {input_folder} and {target_folder}: {_some(alone)}"
        )
    return {stem: (file, targets[stem]) for stem, file in inputs.items()}


def _image_files(folder: Path) -> list[Path]:
    entries = [entry for entry in folder.iterdir() if not entry.is_dir()] if folder.is_dir() else []
    files = [entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES and entry.name[0] != "."]
    if not files:
        raise UserError(f"{folder} holds {_describe(folder)}; expected {_LAYOUTS}")
    if len(files) < len(entries):
        logging.info("%s: ignored %d files that are not JPEG, PNG or BMP", folder, len(entries) - len(files))
    return sorted(files, key=lambda file: _natural_key(file.name))


def _natural_key(name: str) -> tuple[list[str | int], str]:
    parts = re.split(r"(\d+)", name.lower())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def _describe(folder: Path) -> str:
    if not folder.is_dir():
        return "nothing (there is no such folder)"
    return _some(sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())) or "nothing"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more


def _split(pair_image: tf.Tensor, direction: str) -> tuple[tf.Tensor, tf.Tensor]:
    left, right = tf.split(pair_image, 2, axis=1)
    return (left, right) if direction == "AtoB" else (right, left)


def _memory_reader(
    pixels: np.ndarray, offsets: Sequence[int], sizes: Sequence[tuple[int, int]], direction: str
) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    with tf.device("CPU:0"):
        memory = tf.constant(pixels)
        starts = tf.constant(offsets, tf.int64)
        shapes = tf.constant([(height, width, 3) for height, width in sizes], tf.int64)

    def read(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        shape = shapes[index]
        flat = tf.slice(memory, [starts[index]], [tf.reduce_prod(shape)])
        return _split(tf.ensure_shape(tf.reshape(flat, shape), [None, None, 3]), direction)

    return read


def _file_reader(
    files: Sequence[Files], direction: str
) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    with tf.device("CPU:0"):
        paths = tf.constant([[str(file) for file in pair] for pair in files])

    def read(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = [decode_image(tf.io.read_file(path)) for path in tf.unstack(paths[index])]
        return _split(tf.concat(images, axis=1), direction)

    return read
