"""Pixels that a caller gives: their types and ranges, and what to do about those that do not fit."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.files.number_arrays import Pixels, to_channels

_READ_AS_THEY_ARE = ("L", "LA", "RGB", "RGBA", "I;16", "I;16B")  # modes of Pillow


def find_fault(pixels: npt.NDArray[Any]) -> str:
    """Returns what is wrong with the type or the range of pixels, and the remedy; empty if nothing is."""
    dtype = pixels.dtype
    if dtype in (np.uint8, np.uint16) or not pixels.size:
        return ""
    if dtype == np.bool_:
        return 'holds booleans: make them `images.astype("uint8") * 255`'
    if dtype.kind not in "iuf":
        return f"holds {dtype}: pixels are uint8, uint16, or floats in [-1, 1]"
    low, high = pixels.min(), pixels.max()
    if dtype.kind == "f":
        return _find_fault_of_floats(float(low), float(high))
    if low < 0 or high > np.iinfo(np.uint16).max:
        return f"holds {dtype} from {low} to {high}: pixels are uint8, uint16, or floats in [-1, 1]"
    fitting = "uint8" if high <= np.iinfo(np.uint8).max else "uint16"
    return f'holds {dtype} from {low} to {high}: make them `images.astype("{fitting}")`'


def _find_fault_of_floats(low: float, high: float) -> str:
    if -1 <= low and high <= 1:
        return ""
    text = f"holds floats from {low:g} to {high:g}, and floats stand for the range [-1, 1]"
    if 0 <= low and high <= 255:
        return f'{text}: make them `images / 127.5 - 1`, or `images.astype("uint8")`'
    if 0 <= low and high <= 65535:
        return f'{text}: make them `images / 32767.5 - 1`, or `images.astype("uint16")`'
    return f"{text}: scale them to it"


def check_pixels(pixels: npt.NDArray[Any], title: str) -> Pixels:
    """Returns pixels as uint8, uint16, or float32 in [-1, 1].

    Raises:
      UsageError: if they are something else; the text begins with `title`.
    """
    if fault := find_fault(pixels):
        raise UsageError(f"{title}: an image {fault}")
    return pixels.astype(np.float32) if pixels.dtype.kind == "f" else pixels


def as_pixels(image: Any, channels: int) -> Pixels:
    """Returns an image of Pillow or an array as [H, W, channels]: uint8, uint16, or float32 in [-1, 1].

    Raises:
      ValueError: if that cannot be done; the text follows the name of the image.
    """
    if hasattr(image, "convert") and hasattr(image, "mode"):
        image = image if image.mode in _READ_AS_THEY_ARE else image.convert("RGB")
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise ValueError(f"has shape {pixels.shape}; expected [H, W, C] or [H, W]")
    if fault := find_fault(pixels):
        raise ValueError(fault)
    pixels = pixels.astype(np.float32) if pixels.dtype.kind == "f" else pixels
    return np.ascontiguousarray(to_channels(pixels.astype(pixels.dtype.newbyteorder("=")), channels))
