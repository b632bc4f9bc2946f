"""Pixels that are numbers: .npy files, and what holds for floats and channels in whatever file they are.

The functions raise ValueError; the text says what is wrong, to follow the file's name.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfpix2pix.pipelines.base.listing import count_of

# 0.299, 0.587 and 0.114 in whole numbers, and what is added before the division: those of libpng, so that
# gray images are the same as ever, bit for bit.
LUMA_WEIGHTS = (9797, 19234, 3737)
LUMA_BITS = 15
LUMA_ROUNDING = {np.uint8: 0, np.uint16: 1 << 14}

Pixels = npt.NDArray[Any]  # [H, W, C]: uint8, uint16, or float32 in [-1, 1]


def open_array(file: Path | bytes) -> npt.NDArray[Any]:
    """Returns an array [H, W, C] of a .npy file, whose values are still on disk, or of the bytes of one."""
    try:
        if isinstance(file, bytes):
            array = np.load(io.BytesIO(file), allow_pickle=False)
        else:
            array = np.lib.format.open_memmap(file, mode="r")
    except ValueError as error:
        raise ValueError("is not a .npy file of numbers, or it is cut short") from error
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"has shape {array.shape}; expected [H, W, C] or [H, W]")
    stored_type(array.dtype)
    return array if array.ndim == 3 else array[..., None]


def load_array(file: Path | bytes, channels: int) -> Pixels:
    """Returns the pixels of a .npy file, of which the path or the bytes are given."""
    array = open_array(file)
    if array.shape[2] != channels:
        raise ValueError(f"has {count_of(array.shape[2], 'channel')}; expected {channels}")
    return check_range(np.array(array, stored_type(array.dtype)))


def stored_type(dtype: np.dtype) -> np.dtype:
    """Returns the type in which pixels of another type are kept."""
    if dtype not in (np.uint8, np.uint16) and dtype.kind != "f":
        raise ValueError(f"holds {dtype}; expected uint8, uint16, or floats in [-1, 1]")
    return np.dtype(np.float32) if dtype.kind == "f" else dtype


def check_range(pixels: Pixels) -> Pixels:
    """Returns the pixels, of which floats must be in [-1, 1]."""
    if pixels.dtype == np.float32 and not np.abs(pixels).max() <= 1:
        raise ValueError(f"holds values from {pixels.min():g} to {pixels.max():g}; floats must be in [-1, 1]")
    return pixels


def to_channels(pixels: Pixels, channels: int) -> Pixels:
    """Returns an image of other channels, as `decode_image` does: gray, gray and alpha, RGB or RGBA."""
    given = pixels.shape[2]
    if given == channels:
        return pixels
    if given > 4 or channels > 4 or (given, channels) in ((3, 2), (4, 2)):
        raise ValueError(f"has {count_of(given, 'channel')}; expected {channels}")
    colours = pixels[..., : 1 if given <= 2 else 3]
    if channels == 1:
        return colours if given == 2 else luma(colours)
    if channels > 2:
        colours = np.broadcast_to(colours, (*pixels.shape[:2], 3))
    if channels == 3:
        return np.ascontiguousarray(colours)
    opaque = 1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    alpha = pixels[..., -1:] if given == 2 else np.full_like(pixels[..., :1], opaque)
    return np.concatenate([colours, alpha], axis=2)


def luma(colours: Pixels) -> Pixels:
    """Returns the gray image of an RGB image, [H, W, 1]: its stored values weighed as in ITU-R BT.601."""
    if colours.dtype.kind == "f":
        return (colours @ np.array(LUMA_WEIGHTS, np.float64)[:, None] / 2**LUMA_BITS).astype(colours.dtype)
    levels = (colours.astype(np.int32) * np.array(LUMA_WEIGHTS, np.int32)).sum(-1, keepdims=True)
    return ((levels + LUMA_ROUNDING[colours.dtype.type]) >> LUMA_BITS).astype(colours.dtype)
