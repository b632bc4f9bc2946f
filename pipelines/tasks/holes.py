"""The holes that inpainting fills, as masks."""

from typing import Any

import tensorflow as tf

from tfpix2pix.pipelines.tasks.draws import draw_uniform

_HOLES = 3
# The least and the greatest side of a random hole, as a share of the image's side.
_HOLE_SIDES = (1 / 8, 3 / 8)


def center_mask(size: Any) -> tf.Tensor:
    """Returns float32 [H, W, 1]: 1 in the middle half of the height and of the width, and 0 elsewhere.

    Args:
      size: height and width in px, as int32 [2] or as two numbers.
    """
    rows, columns = (
        (places >= (side - side // 2) // 2) & (places < (side - side // 2) // 2 + side // 2)
        for places, side in ((tf.range(side), side) for side in tf.unstack(size))
    )
    return tf.cast(rows[:, None, None] & columns[None, :, None], tf.float32)


def random_mask(size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 [H, W, 1]: 1 in three rectangles at random places, and 0 elsewhere.

    Args:
      size: height and width in px, int32 [2].
      seed: int64 [2], from which all draws follow.
    """
    draws = draw_uniform([4, _HOLES, 1], seed)
    least, most = _HOLE_SIDES

    def inside(places_px: tf.Tensor, side_px: tf.Tensor, length: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        """Returns which places along one side are inside each hole, bool [holes, side]."""
        length_px = tf.maximum(1, tf.cast(tf.round((least + (most - least) * length) * side_px), tf.int32))
        start_px = tf.cast(start * tf.cast(tf.cast(side_px, tf.int32) - length_px + 1, tf.float32), tf.int32)
        return (places_px >= start_px) & (places_px < start_px + length_px)

    height, width = tf.unstack(size)
    rows = inside(tf.range(height), tf.cast(height, tf.float32), draws[0], draws[1])
    columns = inside(tf.range(width), tf.cast(width, tf.float32), draws[2], draws[3])
    mask = tf.reduce_any(rows[:, :, None] & columns[:, None, :], axis=0)
    return tf.cast(mask[..., None], tf.float32)
