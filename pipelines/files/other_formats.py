"""Image files that TensorFlow does not decode: TIFF by tifffile, WebP and the first frame of a GIF by Pillow.

The functions raise ValueError; the text says what is wrong, to follow the file's name.
"""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image

from tfpix2pix.pipelines.files.number_arrays import Pixels, check_range, stored_type
from tfpix2pix.pipelines.files.orientation import TAG, UPRIGHT, turn

START_BYTES = 12
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_GIF_STARTS = (b"GIF87a", b"GIF89a")
# The axes of a TIFF that are channels, for tifffile: samples, channels, and the first axis of an array.
_CHANNEL_AXES = "SCQ"
_PLAIN = (
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.MINISWHITE,
    tifffile.PHOTOMETRIC.RGB,
)
_MODES = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


class Described(NamedTuple):
    """What the header of a file says; the names are those of `image_files.Header`."""

    height: int
    width: int
    channels: int
    dtype: np.dtype
    orientation: int = UPRIGHT


def tell_format(start: bytes) -> str | None:
    """Returns the format of a file whose first `START_BYTES` are given; None if it is not one of these."""
    if start.startswith(_TIFF_STARTS):
        return "TIFF"
    if start.startswith(_GIF_STARTS):
        return "GIF"
    return "WebP" if start[:4] == b"RIFF" and start[8:12] == b"WEBP" else None


def describe(file: Path, kind: str) -> Described:
    """Reads the header of a file of a kind that `tell_format` returned."""
    with file.open("rb") as stream:
        try:
            return _describe_tiff(stream) if kind == "TIFF" else _describe_by_pillow(stream)
        except Exception as error:
            raise _explain(error, "has a damaged header") from error


def decode(contents: bytes, kind: str) -> Pixels:
    """Returns the pixels of a file as they are stored, with its own channels; the orientation is not applied.

    Args:
      contents: the bytes of the file.
      kind: what `tell_format` returned.
    """
    stream = io.BytesIO(contents)
    try:
        return _decode_tiff(stream) if kind == "TIFF" else _decode_by_pillow(stream)
    except Exception as error:
        raise _explain(error, "is damaged or cut short and cannot be decoded") from error


class _RefusedError(ValueError):
    """A sound file that is not read; the text says why."""


def _explain(error: Exception, otherwise: str) -> Exception:
    """Returns what to raise: both packages raise errors of any type for files that are damaged."""
    if isinstance(error, Image.DecompressionBombError):
        return _RefusedError(
            "has more pixels than Pillow opens; save it as PNG or as a TIFF in gray or RGB, or cut it into "
            "parts"
        )
    return error if isinstance(error, _RefusedError | MemoryError) else ValueError(otherwise)


def _describe_tiff(stream: Any) -> Described:
    with tifffile.TiffFile(stream) as tiff:
        page, orientation = tiff.pages.first, int(tiff.pages.first.tags.valueof(TAG, default=UPRIGHT))
        orientation = orientation if orientation in range(1, 9) else UPRIGHT
        if page.photometric not in _PLAIN:
            # Pillow tells the size of the turned image.
            described = _describe_by_pillow(stream)
            return described._replace(height=page.imagelength, width=page.imagewidth, orientation=orientation)
        height, width, channels = _arrange_axes(tiff)[1]
        return Described(height, width, channels, _type_of(page.dtype), orientation)


def _type_of(dtype: np.dtype | None) -> np.dtype:
    if dtype == np.bool_:
        return np.dtype(np.uint8)
    try:
        return stored_type(np.dtype(dtype))
    except ValueError as error:
        raise _RefusedError(str(error)) from error


def _arrange_axes(tiff: tifffile.TiffFile) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """Returns the order in which the axes of the array are [H, W, C] or [H, W], and the shape [H, W, C]."""
    series = tiff.series[0]
    axes, shape = series.axes, series.shape
    others = [place for place, axis in enumerate(axes) if axis not in "YX"]
    if len(others) > 1 or any(axes[place] not in _CHANNEL_AXES for place in others):
        raise _RefusedError(
            f"holds {len(tiff.pages)} pages or an image of more than three axes; save each picture as a file "
            "of its own, and planes as the channels of one page"
        )
    order = (axes.index("Y"), axes.index("X"), *others)
    return order, (shape[order[0]], shape[order[1]], shape[others[0]] if others else 1)


def _decode_tiff(stream: io.BytesIO) -> Pixels:
    with tifffile.TiffFile(stream) as tiff:
        page = tiff.pages.first
        if page.photometric not in _PLAIN:
            return _as_stored(_decode_by_pillow(stream), page)
        order, shape = _arrange_axes(tiff)
        dtype = _type_of(page.dtype)
        try:
            array = tiff.series[0].asarray()
        except (ValueError, NotImplementedError) as error:
            if "imagecodecs" not in str(error):
                raise
            return _decode_otherwise(stream, page)
    array = array.transpose(order).reshape(shape)
    if page.dtype == np.bool_:
        array = array * np.uint8(255)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and dtype.kind == "u":
        array = np.iinfo(dtype).max - array
    try:
        return check_range(np.ascontiguousarray(array, dtype))
    except ValueError as error:
        raise _RefusedError(str(error)) from error


def _decode_otherwise(stream: io.BytesIO, page: tifffile.TiffPage) -> Pixels:
    """Decodes what tifffile alone does not; Pillow decompresses it, but keeps only 8 bits of a channel."""
    if _type_of(page.dtype) == np.uint8:
        return _as_stored(_decode_by_pillow(stream), page)
    if page.bitspersample % 8:
        raise _RefusedError(
            f"has {page.bitspersample} bits a channel, which takes `pip install imagecodecs`; or save it "
            "with 8 or 16 bits"
        )
    raise _RefusedError(
        f"is compressed by {tifffile.COMPRESSION(page.compression).name}, which takes "
        "`pip install imagecodecs` for more than 8 bits; or save it without compression"
    )


def _as_stored(pixels: Pixels, page: tifffile.TiffPage) -> Pixels:
    """Turns the pixels of a TIFF back, which Pillow turns by their orientation."""
    orientation = page.tags.valueof(TAG, default=UPRIGHT)
    return turn(pixels, {6: 8, 8: 6}.get(orientation, orientation))


def _describe_by_pillow(stream: Any) -> Described:
    stream.seek(0)
    with Image.open(stream) as image:
        channels = _MODES[_mode_of(image)]
        orientation = image.getexif().get(TAG, UPRIGHT)
        orientation = orientation if orientation in range(1, 9) else UPRIGHT
        return Described(image.height, image.width, channels, np.dtype(np.uint8), orientation)


def _decode_by_pillow(stream: Any) -> Pixels:
    stream.seek(0)
    with Image.open(stream) as image:
        pixels = np.array(image.convert(_mode_of(image).replace("1", "L")))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _mode_of(image: Image.Image) -> str:
    """Returns the mode that holds an image, which may have a palette, transparency or inks."""
    if image.mode in _MODES:
        return "RGBA" if image.mode == "RGB" and "transparency" in image.info else image.mode
    is_transparent = "transparency" in image.info or image.mode in ("RGBa", "La", "PA")
    return "RGBA" if is_transparent else "RGB"
