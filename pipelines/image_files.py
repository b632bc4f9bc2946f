"""Image files: which they are, how large, and their pixels. JPEG, PNG and BMP, told apart by content."""

import re
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipelines.catalogue import IMAGE_SUFFIXES
from pipelines.command_line import UserError

# Start of frame, any coding; C4, C8 and CC in between are other segments.
_JPEG_FRAMES = frozenset(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}
_GRAY_PALETTE = b"".join(bytes([level, level, level, 0]) for level in range(256))
_BGR_MASKS = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)


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


def _natural_key(file: Path) -> tuple[list[str | int], str]:
    parts = re.split(r"(\d+)", file.name.lower())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], file.name


def decode_image(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, PNG or BMP; in a graph too, so that servables read what training read.

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
        # TensorFlow's default DCT is up to 20 of 255 levels off; this one equals Pillow's bit for bit.
        return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")

    is_bmp = tf.equal(tf.strings.substr(contents, 0, 2), b"BM")
    return tf.ensure_shape(tf.cond(is_bmp, decode_bmp, decode_jpeg_or_png), [None, None, 3])


def load_image(file: Path) -> npt.NDArray[np.uint8]:
    """Decodes a file, as `decode_image` does, to uint8 [H, W, 3].

    Raises:
      BadImageError: if it cannot be read or decoded.
    """
    try:
        return decode_image(tf.constant(file.read_bytes())).numpy()
    except OSError as error:
        raise BadImageError(f"{file} cannot be read: {error.strerror}") from error
    except tf.errors.OpError as error:
        raise BadImageError(f"{file} is damaged or cut short and cannot be decoded") from error


def read_image_size(file: Path) -> tuple[int, int]:
    """Returns (height, width) in pixels from the header alone.

    Raises:
      BadImageError: if the file is empty, or no JPEG, PNG or BMP that `decode_image` knows.
    """
    try:
        with file.open("rb") as stream:
            height, width = _header_size(stream)
    except OSError as error:
        raise BadImageError(f"{file} cannot be read: {error.strerror}") from error
    except struct.error as error:
        raise BadImageError(f"{file} has a damaged header") from error
    except ValueError as error:
        raise BadImageError(f"{file} {error}") from error
    if not height or not width:
        raise BadImageError(f"{file} has no pixels: {width}x{height}")
    return height, width


def _header_size(stream: BinaryIO) -> tuple[int, int]:
    start = stream.read(8)
    if start.startswith(b"\xff\xd8\xff"):
        return _jpeg_size(stream)
    if start == b"\x89PNG\r\n\x1a\n":
        width, height = struct.unpack(">8xII", stream.read(16))
        return height, width
    if start.startswith(b"BM"):
        return _bmp_size(stream)
    raise ValueError("is not a JPEG, PNG or BMP image" if start else "is empty (0 bytes)")


def _jpeg_size(stream: BinaryIO) -> tuple[int, int]:
    stream.seek(2)
    while True:
        marker, length = struct.unpack(">HH", stream.read(4))
        if marker in _JPEG_FRAMES:
            _, height, width = struct.unpack(">BHH", stream.read(5))
            return height, width
        if marker < 0xFF00 or length < 2:
            raise ValueError("has a damaged header")
        # A marker may be padded with more FF bytes.
        stream.seek(-3 if marker == 0xFFFF else length - 2, 1)


def _bmp_size(stream: BinaryIO) -> tuple[int, int]:
    stream.seek(14)
    header_bytes, width, height, bits, compression = struct.unpack("<Iii2xHI", stream.read(20))
    stream.seek(14 + header_bytes)
    gray = bits == 8 and compression == 0 and stream.read(1024) == _GRAY_PALETTE
    stream.seek(54)
    # Compression 3 is none either: it says which byte is which channel.
    plain = bits in (24, 32) and (compression == 0 or (compression == 3 and stream.read(12) == _BGR_MASKS))
    if header_bytes < 40 or not (gray or plain):
        raise ValueError("is an unusual BMP (palette, compression or channel order); save it as PNG")
    return abs(height), width
