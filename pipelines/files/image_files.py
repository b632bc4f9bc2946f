"""Image files: how large the images are, and their pixels.

Formats are told apart by their content, whatever the suffix of the file. Arrays are .npy files.
"""

import contextlib
import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.files import other_formats
from tfpix2pix.pipelines.files.decoding import decode_bytes
from tfpix2pix.pipelines.files.image_headers import JPEG_START, gray_step, parse_header
from tfpix2pix.pipelines.files.matching import File
from tfpix2pix.pipelines.files.number_arrays import Pixels, load_array, open_array, stored_type, to_channels
from tfpix2pix.pipelines.files.orientation import UPRIGHT, swaps_sides, turn
from tfpix2pix.pipelines.files.shards import ShardFile
from tfpix2pix.pipelines.tasks.transforms import to_unit_range

ARRAY_SUFFIX = ".npy"
_START_BYTES = 4096
_DEPTHS = (np.dtype(np.uint8), np.dtype(np.uint16))
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"  # no pixels are stored in these bytes
_DAMAGED = "is damaged or cut short and cannot be decoded"
TURN_THEM = "turn their pixels, as `mogrify -auto-orient` does, or save them anew"


class BadImageError(UserError):
    """An image cannot be used; the text names the file and the reason."""


def read_mark(file: File) -> bytes:
    """Returns the size, a space and the last bytes of a file, which tell it from others of its name."""
    if isinstance(file, ShardFile):
        return file.mark
    with io.FileIO(file) as raw:
        return _read_mark(raw)


def _read_mark(stream: BinaryIO | io.FileIO) -> bytes:
    size = stream.seek(0, 2)
    stream.seek(max(size - 64, 0))
    return b"%d %s" % (size, stream.read())


def load_image(file: File, channels: int = 3, dtype: npt.DTypeLike = np.uint8, exif: bool = True) -> Pixels:
    """Reads a file: an image as `decode_image` does, or an array of numbers as it is.

    Args:
      file: an image or an array.
      channels: channels of the result; an array must have as many itself, and so must an image that is
        neither gray nor RGB, with alpha or without.
      dtype: uint8, uint16 or float32; it must hold the values of an array. Of 16-bit images uint8 takes
        the upper 8 bits.
      exif: whether the image is turned as its EXIF orientation says.

    Returns:
      [H, W, channels]; integers over their whole range, or floats in [-1, 1].

    Raises:
      BadImageError: if the file cannot be read or decoded.
    """
    dtype = np.dtype(dtype)
    with _naming(file):
        if file.suffix.lower() == ARRAY_SUFFIX:
            pixels = load_array(file if isinstance(file, Path) else file.read_bytes(), channels)
        else:
            header, _ = _read_stored(file)
            if channels not in (1, 3, 4) and header.channels != channels:
                raise ValueError(f"has {count_of(header.channels, 'channel')}; expected {channels}")
            contents = file.read_bytes()
            kind = other_formats.tell_format(contents[: other_formats.START_BYTES])
            if kind:
                pixels = to_channels(other_formats.decode(contents, kind), channels)
                if pixels.dtype == np.uint16 and dtype == np.uint8:
                    pixels = (pixels >> 8).astype(np.uint8)
            else:
                pixels = _decode(contents, channels, dtype, header.dtype == np.uint16)
            if exif:
                pixels = turn(pixels, header.orientation)
        if np.result_type(pixels.dtype, dtype) != dtype:
            raise ValueError(f"holds {pixels.dtype}; expected {dtype}")
    return widen(pixels, dtype)


def _decode(contents: bytes, channels: int, dtype: np.dtype, is_deep: bool) -> Pixels:
    """Decodes what TensorFlow can; floats take all 16 bits that a PNG may have."""
    # The decoder's library prints lines of its own about a JPEG that ends before its last marker.
    if contents.startswith(JPEG_START) and _is_cut_short(contents):
        raise ValueError(_DAMAGED)
    stored = tf.uint16 if dtype == np.uint16 or (dtype == np.float32 and is_deep) else tf.uint8
    try:
        return decode_bytes(contents, channels, stored)
    except (tf.errors.OpError, ValueError) as error:
        raise ValueError(_DAMAGED) from error


def _is_cut_short(contents: bytes) -> bool:
    """Returns whether a JPEG has no end. Phones keep a film behind it, and a thumbnail before the frame."""
    stream = io.BytesIO(contents)
    parse_header(stream)
    scan = contents.find(_JPEG_SCAN, stream.tell())
    return contents.find(_JPEG_END, scan) < 0


@contextlib.contextmanager
def _naming(file: File) -> Iterator[None]:
    """Raises BadImageError with the file's name in place of errors that say what is wrong with a file."""
    try:
        yield
    except (OSError, ValueError, struct.error) as error:
        raise _name_file(file, error) from error


def _name_file(file: File, error: Exception) -> BadImageError:
    if isinstance(error, OSError):
        return BadImageError(f"{file} cannot be read: {error.strerror}")
    if isinstance(error, struct.error):
        return BadImageError(f"{file} has a damaged header")
    return BadImageError(f"{file} {error}")


def widen(pixels: Pixels, dtype: npt.DTypeLike) -> Pixels:
    """Returns the same values in a wider type: uint8 as uint16, or integers as float32 in [-1, 1]."""
    if pixels.dtype == dtype:
        return pixels
    if dtype == np.float32:
        return to_unit_range(pixels, np.iinfo(pixels.dtype).max).numpy()
    return pixels.astype(np.uint16) * np.uint16(257)


class Header(NamedTuple):
    """What the header of a file says of the image.

    Attributes:
      height: number of rows of pixels.
      width: number of columns of pixels.
      channels: number of channels.
      dtype: a type that holds the values.
      orientation: the EXIF orientation, from 1 to 8, which is not applied; 1 if there is none.
      in_graph: whether `decode_image` gives the pixels that are wanted: the file is of a format that
        TensorFlow decodes, and is not turned.
      gray_step: the step from one level to the next of a gray PNG of 1, 2 or 4 bits, whose levels are spread
        over 8 bits: 255, 85 or 17; and 1 for all other files.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype
    orientation: int = UPRIGHT
    in_graph: bool = True
    gray_step: int = 1

    @property
    def shown_size(self) -> tuple[int, int]:
        """(height, width) with the orientation applied, which may be a quarter turn."""
        return (self.width, self.height) if swaps_sides(self.orientation) else (self.height, self.width)


def read_header(file: File, exif: bool = True) -> Header:
    """Reads the header of an image or an array, and none of its pixels.

    Args:
      file: an image or an array.
      exif: whether the image will be turned as its EXIF orientation says. The size is then that of the
        turned image, and the orientation that remains is upright.

    Raises:
      BadImageError: if the file is empty or cannot be read, or if it is neither an image that
        `load_image` decodes nor an array of images.
    """
    return read_header_and_mark(file, exif)[0]


def read_header_and_mark(file: File, exif: bool = True) -> tuple[Header, bytes]:
    """Returns what `read_header` and `read_mark` do, and opens most files once for both."""
    try:  # `_naming` would take as long as a tenth of all this
        header, mark = _read_stored(file)
        if not header.height or not header.width:
            raise ValueError(f"has no pixels: {header.width}x{header.height}")
    except (OSError, ValueError, struct.error) as error:
        raise _name_file(file, error) from error
    return _apply_orientation(header, exif), mark


def _apply_orientation(header: Header, exif: bool) -> Header:
    if not exif or header.orientation == UPRIGHT:
        return header
    height, width = header.shown_size
    return header._replace(height=height, width=width, orientation=UPRIGHT, in_graph=False)


def _read_stored(file: File) -> tuple[Header, bytes]:
    """Returns the header as it is stored, and the mark."""
    if isinstance(file, ShardFile):
        height, width, channels, dtype, *more = file.header
        return Header(height, width, channels, np.dtype(dtype), *more), file.mark
    if file.suffix.lower() == ARRAY_SUFFIX:
        array = open_array(file)
        height, width, channels = array.shape
        header = Header(height, width, channels, stored_type(array.dtype), in_graph=False)
        return header, read_mark(file)
    # Without a buffer of Python's a file is opened in half of the time, and a small one is read at once.
    with io.FileIO(file) as raw:
        start = raw.read(_START_BYTES)
        kind = other_formats.tell_format(start[: other_formats.START_BYTES])
        if not kind:
            if len(start) < _START_BYTES:
                stream: BinaryIO = io.BytesIO(start)
            else:
                raw.seek(0)
                stream = io.BufferedReader(raw)
            height, width, channels, bits, orientation = parse_header(stream)
            step = gray_step(bits) if channels <= 2 else 1
            header = Header(height, width, channels, _DEPTHS[bits == 16], orientation, True, step)
            return header, _read_mark(stream)
    described = other_formats.describe(file, kind)
    return Header(*described, in_graph=False), read_mark(file)


def warn_of_orientation(title: str, files: Sequence[File]) -> None:
    """Warns that the EXIF orientation of files is not applied.

    Args:
      title: where the files are.
      files: those whose orientation is not upright; there is no warning without any.
    """
    if files:
        warn(
            f"{title}: the EXIF orientation of {count_of(len(files), 'file')} is not applied, "
            f"the first: {files[0]}; {TURN_THEM}"
        )
