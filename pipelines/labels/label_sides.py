"""Which image of a pair is a label map in colours."""

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.palettes import Palette, class_ids, colour_ids

# The largest mean distance of a label map's colours from the palette's, in levels of 0 to 255. The
# JPEG files of facades have 5 to 12, and photos have 29 (CamVid) to 70 (facades).
LABEL_MAP_DISTANCE = 20


def find_label_side(source: Source, palette: Palette | None) -> str | None:
    """Tells which image of the first pair is a label map.

    Args:
      source: the pairs.
      palette: classes of the label maps.

    Returns:
      `input` or `target`, whichever has the colours of the palette; None if neither has, or if the first pair
      is damaged, which is told where the pairs are used.
    """
    distances = {}
    try:
        images = source.read(tf.constant(0, tf.int64)) if palette else ()
    except tf.errors.OpError:
        return None
    for side, image in zip(("input", "target"), images, strict=False):
        if palette and image.dtype == tf.uint8 and image.shape[-1] == 3:
            nearest = colour_ids(class_ids(image, palette), palette)
            distances[side] = np.abs(image.numpy() - nearest.numpy().astype(np.float32)).mean()
    near = {side: distance for side, distance in distances.items() if distance < LABEL_MAP_DISTANCE}
    return min(near, key=lambda side: near[side]) if near else None
