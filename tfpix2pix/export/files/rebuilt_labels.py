"""The layers of label maps in exported files: classes and borders, by what all runtimes do alike."""

from typing import Any

import numpy as np
from keras import ops

from tfpix2pix.networks.class_channels import HALF_RANGE, BoundaryChannel, ClassChannels, OfClasses


def find_classes(layer: OfClasses, label_maps: Any) -> Any:
    """Returns the place of each pixel's colour in the layer's table, int32 [B, H, W]."""
    levels = ops.round((label_maps + 1.0) * HALF_RANGE)
    nearness = -np.square(layer.table).sum(1)
    for channel in range(3):
        nearness = levels[..., channel : channel + 1] * (2 * layer.table[:, channel]) + nearness
    # In whole numbers, because Keras's argmax of floats takes operations that ONNX does not have.
    return ops.cast(ops.argmax(ops.cast(nearness, "int32"), axis=-1), "int32")


def encode(layer: ClassChannels, label_maps: Any) -> Any:
    """Returns what the layer does: a channel for each class, and the channels after the colours.

    Args:
      layer: the layer.
      label_maps: colours in [-1, 1], and perhaps other channels, float32 [B, H, W, C].
    """
    nearest = ops.expand_dims(find_classes(layer, label_maps), -1)
    # Not `one_hot`, which runtimes know in different ways for what is no class.
    classes = np.arange(len(layer.colours), dtype=np.int32)
    encoded = ops.cast(ops.equal(nearest, classes), "float32")
    others = label_maps[..., 3:]
    return ops.concatenate([encoded, others], axis=-1) if others.shape[-1] else encoded


def mark_borders(layer: BoundaryChannel, label_maps: Any) -> Any:
    """Returns what the layer does: 1 at the borders of instances, in place of their ids.

    Args:
      layer: the layer.
      label_maps: colours in [-1, 1] and ids, float32 [B, H, W, 4].
    """
    ids, classes = label_maps[..., 3], ops.cast(find_classes(layer, label_maps), "float32")
    lowest, highest = (find(ids, axis=(1, 2), keepdims=True) for find in (ops.min, ops.max))
    # Not `where`, because a condition that is broadcast is not known to all runtimes.
    given = ops.cast(ops.less(lowest, highest), "float32")
    ids = given * ids + (1 - given) * classes
    border = ops.zeros_like(ids)
    for axis in (1, 2):
        length = ids.shape[axis]
        first, last = (
            ops.take(ids, np.clip(np.arange(length) + step, 0, length - 1), axis=axis) for step in (-1, 1)
        )
        for neighbour in (first, last):
            border = ops.maximum(border, ops.cast(ops.not_equal(ids, neighbour), "float32"))
    return ops.concatenate([label_maps[..., :3], ops.expand_dims(border, -1)], axis=-1)
