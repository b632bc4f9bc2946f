"""Image files: which they are, how large, their pixels. JPEG, PNG, BMP, told apart by content; .npy."""

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.catalogue import IMAGE_SUFFIXES
from tfpix2pix.pipelines.files.image_headers import BMP_START, PNG_START, UPRIGHT, parse_header
from tfpix2pix.pipelines.tasks.transforms import to_unit_range

Pixels = npt.NDArray[Any]  # [H, W, C]: uint8, uint16, or float32 in [-1, 1]

ARRAY_SUFFIX = ".npy"
TURN_THEM = "turn their pixels, as `mogrify -auto-orient` does, or save them anew"


class BadImageError(UserError):
    """An image cannot be used; the text names the file and the reason."""


def list_image_files(folder: Path) -> tuple[list[Path], int]:
    """Lists a folder's images by their suffixes; hidden files and subfolders do not count.

    Returns:
      The images in natural order of their names (1, 2, 10), and the number of other files.
    """
    entries = [entry for entry in folder.iterdir() if not entry.is_dir()]
    files = [entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES and entry.name[0] != "."]
    return sorted(files, key=_natural_key), len(entries) - len(files)


def read_mark(file: Path) -> bytes:
    """Returns what tells a file from others of its name, cheaply: its size and its last bytes."""
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(size - 64, 0))
        return b"%d %s" % (size, stream.read())


def _natural_key(file: Path) -> tuple[list[str | int], str]:
    parts = re.split(r"(\d+)", file.name.lower())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], file.name


def decode_image(contents: tf.Tensor, channels: int = 3, dtype: tf.DType = tf.uint8) -> tf.Tensor:
    """Decodes a JPEG, PNG or BMP; in a graph too, so that servables read what training read.

    Args:
      contents: scalar string.
      channels: 3: grayscale is repeated, alpha dropped (the colours below it count);
        1: colours become their luma; 4: colour and alpha, opaque where there is
        none; 2: gray and alpha, of a PNG that holds these.
      dtype: uint8, of which a 16-bit PNG fills its upper 8 bits; or uint16, in which
        8 bits are spread over the whole range.

    Returns:
      [H, W, channels] of that type.
    """
    is_bmp = tf.equal(tf.strings.substr(contents, 0, len(BMP_START)), BMP_START)
    is_png = tf.equal(tf.strings.substr(contents, 0, len(PNG_START)), PNG_START)

    def decode_bmp() -> tf.Tensor:
        image = tf.io.decode_bmp(contents)
        return tf.gather(image, tf.minimum([0, 1, 2], tf.shape(image)[2] - 1), axis=2)

    def decode_jpeg_or_png(channels: int = 3) -> tf.Tensor:
        # TensorFlow's default DCT is up to 20 of 255 levels off; this one equals Pillow's bit for bit.
        return tf.io.decode_jpeg(contents, channels=channels, dct_method="INTEGER_ACCURATE")

    def decode_png() -> tf.Tensor:
        return tf.io.decode_png(contents, 0 if channels == 2 else channels, dtype)

    def decode_gray_bmp() -> tf.Tensor:
        return tf.io.decode_png(tf.io.encode_png(decode_bmp()), 1)

    def decode_other() -> tf.Tensor:
        if channels == 1:
            image = tf.cond(is_bmp, decode_gray_bmp, lambda: decode_jpeg_or_png(1))
        else:
            image = tf.cond(is_bmp, decode_bmp, decode_jpeg_or_png)
        if channels == 4:
            image = tf.pad(image, [[0, 0], [0, 0], [0, 1]], constant_values=255)
        return tf.cast(image, dtype) * 257 if dtype == tf.uint16 else image

    if channels == 3 and dtype == tf.uint8:
        image = tf.cond(is_bmp, decode_bmp, decode_jpeg_or_png)
    else:
        image = tf.cond(is_png, decode_png, decode_other)
    return tf.ensure_shape(image, [None, None, channels])


def load_image(file: Path, channels: int = 3, dtype: npt.DTypeLike = np.uint8) -> Pixels:
    """Reads a file: an image as `decode_image` does, an array of numbers as it is.

    Args:
      file: image or array.
      channels: of the result; those of an array must be as many.
      dtype: uint8, uint16 or float32, no narrower than an array's own type.

    Returns:
      [H, W, channels]; integers over their whole range, floats in [-1, 1].

    Raises:
      BadImageError: if it cannot be read or decoded.
    """
    dtype = np.dtype(dtype)
    if file.suffix.lower() == ARRAY_SUFFIX:
        return _load_array(file, channels, dtype)
    stored = np.uint16 if dtype == np.uint16 or (dtype == np.float32 and _is_deep(file)) else np.uint8
    try:
        pixels = decode_image(tf.constant(file.read_bytes()), channels, tf.as_dtype(stored)).numpy()
    except OSError as error:
        raise BadImageError(f"{file} cannot be read: {error.strerror}") from error
    except (tf.errors.OpError, ValueError) as error:
        raise BadImageError(f"{file} is damaged or cut short and cannot be decoded") from error
    return widen(pixels, dtype)


def widen(pixels: Pixels, dtype: npt.DTypeLike) -> Pixels:
    """Returns the same values in a type that holds them: 8 bits in 16, or any of them in [-1, 1]."""
    if pixels.dtype == dtype:
        return pixels
    if dtype == np.float32:
        return to_unit_range(pixels, np.iinfo(pixels.dtype).max).numpy()
    return pixels.astype(np.uint16) * np.uint16(257)


def _is_deep(file: Path) -> bool:
    return read_header(file).dtype == np.uint16


def _open_array(file: Path) -> npt.NDArray[Any]:
    """Returns an array [H, W, C] whose values are on disk yet."""
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except OSError as error:
        raise BadImageError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadImageError(f"{file} is no .npy file of numbers, or cut short") from error
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise BadImageError(f"{file} has shape {array.shape}; expected [H, W, C] or [H, W]")
    if array.dtype not in (np.uint8, np.uint16) and array.dtype.kind != "f":
        raise BadImageError(f"{file} holds {array.dtype}; expected uint8, uint16, or floats in [-1, 1]")
    return array if array.ndim == 3 else array[..., None]


def _load_array(file: Path, channels: int, dtype: np.dtype) -> Pixels:
    array = _open_array(file)
    if array.shape[2] != channels:
        raise BadImageError(f"{file} has {array.shape[2]} channels; expected {channels}")
    pixels = np.array(array, np.float32 if array.dtype.kind == "f" else array.dtype)
    if pixels.dtype == np.float32 and not np.abs(pixels).max() <= 1:
        raise BadImageError(
            f"{file} holds values from {pixels.min():g} to {pixels.max():g}; floats must be in [-1, 1]"
        )
    if np.result_type(pixels.dtype, dtype) != dtype:
        raise BadImageError(f"{file} holds {array.dtype}; expected {dtype}")
    return widen(pixels, dtype)


class Header(NamedTuple):
    """What a file says of itself.

    Attributes:
      height: of its pixels as stored.
      width: likewise.
      channels: of a pixel.
      dtype: a type that holds its values.
      orientation: of a JPEG with EXIF, 1 to 8; it is not applied.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype
    orientation: int = UPRIGHT

    @property
    def shown_size(self) -> tuple[int, int]:
        """(height, width) with the orientation applied: from 5 on it is a quarter turn."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def read_image_size(file: Path) -> tuple[int, int]:
    """Returns (height, width) in pixels from the header alone; raises as `read_header` does."""
    return read_header(file)[:2]


def read_header(file: Path) -> Header:
    """Reads the header alone.

    Raises:
      BadImageError: if the file is empty, or no JPEG, PNG, BMP that `decode_image` knows, nor an array.
    """
    if file.suffix.lower() == ARRAY_SUFFIX:
        array = _open_array(file)
        height, width, channels = array.shape
        return Header(
            height, width, channels, np.dtype(np.float32) if array.dtype.kind == "f" else array.dtype
        )
    try:
        with file.open("rb") as stream:
            height, width, channels, bits, orientation = parse_header(stream)
    except OSError as error:
        raise BadImageError(f"{file} cannot be read: {error.strerror}") from error
    except struct.error as error:
        raise BadImageError(f"{file} has a damaged header") from error
    except ValueError as error:
        raise BadImageError(f"{file} {error}") from error
    if not height or not width:
        raise BadImageError(f"{file} has no pixels: {width}x{height}")
    return Header(height, width, channels, np.dtype(np.uint16 if bits == 16 else np.uint8), orientation)


def warn_of_orientation(title: str, files: Sequence[Path]) -> None:
    """Says of JPEG files that are not upright that they are read as stored."""
    if files:
        warn(
            f"{title}: the EXIF orientation of {len(files)} JPEG files is not applied, "
            f"the first: {files[0]}; {TURN_THEM}"
        )
