"""Values in the wrong range, which would train without an error on images that are nearly black or pale."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.files.number_arrays import Pixels

LOOKED_AT = 8  # so many images of a side are looked at
# Photos and drawings are brighter than that; class ids and bits that are not spread over the range are not.
_DARK_SHARE = 1 / 8
# The id of pixels of no class; see `labels.palettes`.
_VOID = 255
_DEEP = np.iinfo(np.uint16).max


def warn_of_values(title: str, images: Sequence[Pixels]) -> None:
    """Warns of images that do not use the range of their type, and says what to do.

    Args:
      title: what the images are, such as `the input images of datasets/mine/train`.
      images: some of them, each [H, W, C].
    """
    if problem := _find_problem(images):
        warn(f"{title} {problem}")


def warn_of_sides(place: Any, pairs: Iterable[Sequence[Pixels]]) -> None:
    """Warns of the input images and of the target images of some pairs; see `warn_of_values`."""
    sides = list(zip(*pairs, strict=True))
    titles = ("the input images", "the target images") if len(sides) == 2 else ("the photos",)
    for title, images in zip(titles, sides, strict=bool(sides)):
        warn_of_values(f"{title} of {place}", images)


def _find_problem(images: Sequence[Pixels]) -> str:
    if not images or not all(image.size for image in images):
        return ""
    lowest, highest = (float(limit) for limit in (min(map(np.min, images)), max(map(np.max, images))))
    dtype = images[0].dtype
    if dtype.kind == "f":
        if lowest < 0 or highest == 0:
            return ""
        span, remedy = ("1", "image * 2 - 1") if highest <= 1 else ("255", "image / 127.5 - 1")
        return (
            f"hold floats from {lowest:g} to {highest:g}, and floats stand for the range [-1, 1], so that 0 "
            f"is gray: if yours go from 0 to {span}, make them `{remedy}`"
        )
    full = np.iinfo(dtype).max
    if dtype == np.uint8 and highest == _VOID:
        # The void of maps of class ids is white; a mask of 0 and 255 holds nothing else.
        highest = max(float(image.max(initial=0, where=image != _VOID)) for image in images)
    if highest == 0 or highest >= full * _DARK_SHARE:
        return ""
    held = f"hold no value above {highest:g} of {full}, so that they are nearly black: "
    if highest == 1:
        return f"{held}if they are masks of 0 and 1, multiply them by {full}"
    if full == _DEEP and highest > np.iinfo(np.uint8).max:
        return f"{held}multiply them by {full // int(highest)}, or store them as floats in [-1, 1]"
    return (
        f"{held}if they are class ids, put a palette.json beside the "
        'splits, which gives each class its colour, such as {"sky": [70, 130, 180], "void": [[0, 0, 0]]}'
    )
