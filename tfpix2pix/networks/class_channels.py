"""Label maps as networks see them with `input_encoding=one_hot`: a channel for each class."""

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.labels.palettes import nearest_colours
from tfpix2pix.pipelines.meaning import Palette

HALF_RANGE = 127.5  # of levels from 0 to 255, in [-1, 1]


@keras.utils.register_keras_serializable("tfpix2pix")
class ClassChannels(keras.layers.Layer):
    """Turns label maps in colours into a channel for each class, which is 1 in its pixels and 0 elsewhere.

    A pixel belongs to the class whose colour is nearest in RGB, so that the blurred colours of a JPEG belong
    to a class too; between two that are equally near, to the first. Where a colour of void is nearest, all
    channels are 0. Colours are compared in float32, whatever the policy of the network, because bfloat16
    cannot tell all of them apart.

    Args:
      colours: RGB colour of each class, K lists of three numbers from 0 to 255.
      void: RGB colours that belong to no class.

    Call arguments:
      label_maps: float32 [B, H, W, 3] in [-1, 1].

    Returns:
      float32 [B, H, W, K].
    """

    def __init__(self, colours: list[list[int]], void: list[list[int]], **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.colours = [list(colour) for colour in colours]
        self.void = [list(colour) for colour in void]

    @property
    def table(self) -> np.ndarray:
        """The colours of the classes, and then those of void, float32 [K + V, 3] from 0 to 255."""
        return np.array([*self.colours, *self.void], np.float32)

    def call(self, label_maps):
        levels = tf.round((label_maps + 1.0) * HALF_RANGE)
        return tf.one_hot(nearest_colours(levels, self.table), len(self.colours))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], len(self.colours))

    def get_config(self):
        return {**super().get_config(), "colours": self.colours, "void": self.void}


def encode_input(input_image, palette: Palette | None, name: str = "class_channels"):
    """Returns what a network sees of its input image: the image itself, or a channel for each class.

    Args:
      input_image: symbolic float32 [B, H, W, C].
      palette: the classes of label maps, which have three channels; None for pictures.
      name: name of the layer.
    """
    if palette is None:
        return input_image
    return ClassChannels(palette.colours.tolist(), palette.void.tolist(), name=name)(input_image)
