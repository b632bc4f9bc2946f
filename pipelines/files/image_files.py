"""Image files: which files of a folder are images, how large they are, and their pixels.

JPEG, PNG and BMP files are told apart by their content, whatever their suffix. Arrays are .npy files.
"""

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
    """Lists the files of a folder that have the suffix of an image and are not hidden.

    Returns:
      The images in natural order of their names (1, 2, 10), and the number of all other files.
      Folders are not counted.
    """
    entries = [entry for entry in folder.iterdir() if not entry.is_dir()]
    files = [entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES and entry.name[0] != "."]
    return sorted(files, key=_natural_key), len(entries) - len(files)


def read_mark(file: Path) -> bytes:
    """Returns the size and the last bytes of a file, which tell it cheaply from others of its name."""
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(size - 64, 0))
        return b"%d %s" % (size, stream.read())


def _natural_key(file: Path) -> tuple[list[str | int], str]:
    parts = re.split(r"(\d+)", file.name.lower())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], file.name


def decode_image(contents: tf.Tensor, channels: int = 3, dtype: tf.DType = tf.uint8) -> tf.Tensor:
    """Decodes a JPEG, PNG or BMP file; in a graph too, so that a servable reads what training read.

    Args:
      contents: scalar string, the bytes of the file.
      channels: 3 for colour: gray is repeated, and alpha is dropped, so that the colours of
        transparent pixels count. 1 for gray: colours become their luma. 4 for colour and alpha: an
        image without alpha is opaque. 2 for gray and alpha, which only a PNG that holds them has.
      dtype: uint8, which takes the upper 8 bits of a 16-bit PNG; or uint16, over whose whole range
        8 bits are spread.

    Returns:
      [H, W, channels] of that type.
    """
    is_bmp = tf.equal(tf.strings.substr(contents, 0, len(BMP_START)), BMP_START)
    is_png = tf.equal(tf.strings.substr(contents, 0, len(PNG_START)), PNG_START)

    def decode_bmp() -> tf.Tensor:
        image = tf.io.decode_bmp(contents)
        return tf.gather(image, tf.minimum([0, 1, 2], tf.shape(image)[2] - 1), axis=2)

    def decode_jpeg_or_png(channels: int = 3) -> tf.Tensor:
        # TensorFlow's default DCT is wrong by up to 20 of 255 levels; this one equals Pillow's exactly.
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
    """Reads a file: an image as `decode_image` does, or an array of numbers as it is.

    Args:
      file: an image or an array.
      channels: channels of the result; an array must have as many itself.
      dtype: uint8, uint16 or float32; it must hold the values of an array.

    Returns:
      [H, W, channels]; integers over their whole range, or floats in [-1, 1].

    Raises:
      BadImageError: if the file cannot be read or decoded.
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
    """Returns the same values in a wider type: uint8 as uint16, or integers as float32 in [-1, 1]."""
    if pixels.dtype == dtype:
        return pixels
    if dtype == np.float32:
        return to_unit_range(pixels, np.iinfo(pixels.dtype).max).numpy()
    return pixels.astype(np.uint16) * np.uint16(257)


def _is_deep(file: Path) -> bool:
    return read_header(file).dtype == np.uint16


def _open_array(file: Path) -> npt.NDArray[Any]:
    """Returns an array [H, W, C] whose values are still on disk."""
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except OSError as error:
        raise BadImageError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadImageError(f"{file} is not a .npy file of numbers, or it is cut short") from error
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
    """What the header of a file says of the image.

    Attributes:
      height: number of rows of pixels, as they are stored.
      width: number of columns of pixels, as they are stored.
      channels: number of channels.
      dtype: a type that holds the values.
      orientation: the EXIF orientation of a JPEG, from 1 to 8, which is not applied; 1 for others.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype
    orientation: int = UPRIGHT

    @property
    def shown_size(self) -> tuple[int, int]:
        """(height, width) with the orientation applied; from 5 on it includes a quarter turn."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def read_image_size(file: Path) -> tuple[int, int]:
    """Returns (height, width) in px from the header alone; raises what `read_header` raises."""
    return read_header(file)[:2]


def read_header(file: Path) -> Header:
    """Reads the header of an image or an array, and nothing more of the file.

    Raises:
      BadImageError: if the file is empty or cannot be read, or if it is neither a JPEG, PNG or BMP
        that `decode_image` decodes nor an array of images.
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
    """Warns that the EXIF orientation of JPEG files is not applied.

    Args:
      title: where the files are.
      files: those whose orientation is not upright; there is no warning without any.
    """
    if files:
        warn(
            f"{title}: the EXIF orientation of {len(files)} JPEG files is not applied, "
            f"the first: {files[0]}; {TURN_THEM}"
        )
