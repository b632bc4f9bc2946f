"""Which images of pairs are label maps in colours."""

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.files.samples import read_sample
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.palettes import Palette, class_ids, colour_ids

# The largest mean distance of a label map's colours from the palette's, in levels of 0 to 255. The
# JPEG files of facades have 5 to 12, and photos have 29 (CamVid) to 70 (facades).
LABEL_MAP_DISTANCE = 20
_LOOKED_AT = 4  # so many pairs are looked at


def find_label_side(source: Source, palette: Palette | None) -> str | None:
    """Tells which images of the pairs are label maps, by a few pairs that are spread over all.

    Args:
      source: the pairs.
      palette: classes of the label maps.

    Returns:
      `input` or `target`, whichever has the colours of the palette; None if neither has, or if none of these
      pairs can be read.
    """
    if palette is None:
        return None
    distances: dict[str, list[float]] = {}
    for _, images in read_sample(source, _LOOKED_AT):
        for side, image in zip(("input", "target"), images, strict=False):
            if image.dtype == tf.uint8 and image.shape[-1] == 3:
                nearest = colour_ids(class_ids(image, palette), palette)
                distance = np.abs(image.numpy() - nearest.numpy().astype(np.float32)).mean()
                distances.setdefault(side, []).append(distance)
    middle = {side: np.median(found) for side, found in distances.items()}  # one odd pair does not decide
    near = {side: value for side, value in middle.items() if value < LABEL_MAP_DISTANCE}
    return min(near, key=lambda side: near[side]) if near else None
