"""The kinds of files that outputs are written as: what each can hold, and how it is encoded."""

import io
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.files.encoding import encode_png
from tfpix2pix.translate.options import SUFFIXES

Picture = npt.NDArray[Any]  # [H, W, C]: uint8, uint16, or float32 in [-1, 1]

_JPEG_QUALITY = 95
_WEBP_SIDE = 16383


class Format(NamedTuple):
    """A kind of file.

    Attributes:
      encode: returns the contents of the file; raises ValueError for a picture that it cannot hold.
      dtypes: names of the types that it holds.
      channels: the numbers of channels that it holds; empty for any.
      is_shown: whether browsers show it.
    """

    encode: Callable[[Picture], bytes]
    dtypes: tuple[str, ...] = ("uint8", "uint16", "float32")
    channels: tuple[int, ...] = ()
    is_shown: bool = False


def _encode_png(picture: Picture) -> bytes:
    return encode_png(picture).numpy()


def _encode_by_pillow(picture: Picture, kind: str, **settings: Any) -> bytes:
    contents = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(contents, kind, **settings)
    return contents.getvalue()


def _encode_jpeg(picture: Picture) -> bytes:
    return _encode_by_pillow(picture, "JPEG", quality=_JPEG_QUALITY, subsampling="4:4:4")


def _encode_webp(picture: Picture) -> bytes:
    return _encode_by_pillow(picture, "WebP", lossless=True, exact=True)


def _encode_tiff(picture: Picture) -> bytes:
    contents, channels = io.BytesIO(), picture.shape[-1]
    is_colour = channels in (3, 4)
    tifffile.imwrite(
        contents,
        picture[..., 0] if channels == 1 else picture,
        photometric="rgb" if is_colour else "minisblack",
        planarconfig=None if channels == 1 else "contig",
        extrasamples=["unassalpha"] if channels == 4 else None,
    )
    return contents.getvalue()


def _encode_array(picture: Picture) -> bytes:
    contents = io.BytesIO()
    np.save(contents, picture)
    return contents.getvalue()


_FORMATS = {
    "png": Format(_encode_png, ("uint8", "uint16"), (1, 2, 3, 4), is_shown=True),
    "jpeg": Format(_encode_jpeg, ("uint8",), (1, 3), is_shown=True),
    "tiff": Format(_encode_tiff),
    "webp": Format(_encode_webp, ("uint8",), (3, 4), is_shown=True),
    "npy": Format(_encode_array),
}
# The targets of a training may have the longer suffix.
_BY_SUFFIX = {SUFFIXES[name]: kind for name, kind in _FORMATS.items()} | {".tiff": _FORMATS["tiff"]}


def find_format(file: str) -> Format:
    """Returns the kind of a file that its suffix tells, one of those that `choose_suffix` returns."""
    return _BY_SUFFIX[PurePath(file).suffix]


def check_format(name: str, channels: int, dtype: npt.DTypeLike, whose: str) -> None:
    """Raises UsageError if files of a format cannot hold some pictures.

    Args:
      name: the format.
      channels: number of channels of the pictures.
      dtype: their type.
      whose: where the pictures come from, for people.
    """
    kind, dtype = _FORMATS[name], np.dtype(dtype)
    if kind.channels and channels not in kind.channels:
        raise UsageError(
            f"`format={name}` holds {_join(kind.channels)} channels, and outputs of {whose} have {channels}; "
            f"{_join(_list_able(channels, dtype))} can hold them"
        )
    if dtype.name not in kind.dtypes:
        remedy = f", and `bits={np.dtype(kind.dtypes[-1]).itemsize * 8}` reduces them to what it holds"
        raise UsageError(
            f"`format={name}` holds {_join(kind.dtypes)}, and outputs of {whose} are {dtype.name}; "
            f"{_join(_list_able(channels, dtype))} can hold them{remedy}"
        )


def _list_able(channels: int, dtype: np.dtype) -> list[str]:
    return [
        name
        for name, kind in _FORMATS.items()
        if dtype.name in kind.dtypes and (not kind.channels or channels in kind.channels)
    ]


def _join(items: Any) -> str:
    *first, last = map(str, items)
    return f"{', '.join(first)} or {last}" if first else last


def encode_animation(pictures: Sequence[Picture], frame_msec: int = 100) -> bytes:
    """Returns a WebP file that shows pictures forwards and backwards, for ever.

    Args:
      pictures: uint8 [H, W, 3], all of one size, at least 2.
      frame_msec: how long each is shown, in ms.

    Raises:
      ValueError: for pictures that a WebP file cannot hold.
    """
    first, *others = [Image.fromarray(np.asarray(each)) for each in [*pictures, *pictures[-2:0:-1]]]
    if max(first.size) > _WEBP_SIDE:  # of which Pillow says a number alone where there are frames
        received = f"{first.width}x{first.height}"
        raise ValueError(f"a WebP file has sides of at most {_WEBP_SIDE} px. Received: {received} px")
    contents = io.BytesIO()
    first.save(contents, "WebP", save_all=True, append_images=others, duration=frame_msec, loop=0, quality=90)
    return contents.getvalue()
