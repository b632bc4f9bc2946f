"""The features of instances in exported files: what `DrawFeatures` draws, by what all runtimes do alike."""

from typing import Any

import keras
import numpy as np
from keras import ops

from tfpix2pix.export.files.rebuilt_labels import find_classes
from tfpix2pix.export.files.rebuilt_noise import Halves, fraction, halve, hash_bits, split
from tfpix2pix.networks.instance_features import DrawFeatures
from tfpix2pix.networks.latent import FEATURE_STREAM
from tfpix2pix.pipelines.labels.palettes import LARGEST_ID


def draw(layer: DrawFeatures, label_maps: Any, noise_seed: Any, with_noise: bool) -> Any:
    """Draws what `DrawFeatures` draws, or takes the first cluster of each class.

    Args:
      layer: the layer that is rebuilt.
      label_maps: colours in [-1, 1] and ids, symbolic float32 [B, H, W, 4].
      noise_seed: symbolic int32 [B, 2].
      with_noise: whether features are drawn.
    """
    centers, counts = (np.asarray(weight) for weight in layer.get_weights())
    classes = find_classes(layer, label_maps)
    places = classes * np.array([layer.clusters], np.int32)
    if with_noise and layer.is_random:
        ids = ops.cast(ops.round((label_maps[..., 3] + 1.0) * (LARGEST_ID / 2)), "int32")
        zero = np.zeros((1, 1, 1), np.int32)
        column = keras.layers.Reshape((2, 1))(noise_seed)
        columns = [keras.layers.Cropping1D(cropping)(column) for cropping in ((0, 1), (1, 0))]
        # Whole maps from the start, because Keras takes the shape of a `bitwise_xor` for that of its first
        # argument.
        seeds = [keras.layers.Reshape((1, 1))(number) + classes * zero for number in columns]
        stream = halve(np.array([FEATURE_STREAM]))
        words = (Halves(classes * zero, classes), Halves(classes * zero, ids))
        bits = hash_bits(*map(split, seeds), stream, *words)
        drawn = fraction(bits, classes * zero) * ops.take(counts, classes, axis=0)
        places = places + ops.cast(drawn, "int32")
    return ops.take(centers.reshape(-1, layer.size), places, axis=0)
