"""Label maps as networks see them: a channel for each class, and one for the borders of instances."""

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.labels.palettes import nearest_colours
from tfpix2pix.pipelines.meaning import Palette

HALF_RANGE = 127.5  # of levels from 0 to 255, in [-1, 1]


class OfClasses(keras.layers.Layer):
    """A layer that finds the classes in label maps, whose first three channels are colours.

    A pixel belongs to the class whose colour is nearest in RGB, so that the blurred colours of a JPEG belong
    to a class too; between two that are equally near, to the first. Colours are compared in float32, whatever
    the policy of the network, because bfloat16 cannot tell all of them apart.

    Args:
      colours: RGB colour of each class, K lists of three numbers from 0 to 255.
      void: RGB colours that belong to no class.
    """

    def __init__(self, colours: list[list[int]], void: list[list[int]], **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.colours = [list(colour) for colour in colours]
        self.void = [list(colour) for colour in void]

    @property
    def table(self) -> np.ndarray:
        """The colours of the classes, and then those of void, float32 [K + V, 3] from 0 to 255."""
        return np.array([*self.colours, *self.void], np.float32)

    def find_classes(self, label_maps):
        """Returns the place of the nearest colour in `table`, int32 [B, H, W]."""
        return nearest_colours(tf.round((label_maps + 1.0) * HALF_RANGE), self.table)

    def get_config(self):
        return {**super().get_config(), "colours": self.colours, "void": self.void}


@keras.utils.register_keras_serializable("tfpix2pix")
class ClassChannels(OfClasses):
    """Turns label maps in colours into a channel for each class, which is 1 in its pixels and 0 elsewhere.

    Where a colour of void is nearest, all channels are 0.

    Call arguments:
      label_maps: float32 [B, H, W, 3 + N] in [-1, 1], of which the first three channels are colours.

    Returns:
      float32 [B, H, W, K + N]: the channels of the K classes, and then the other N channels as they are.
    """

    def call(self, label_maps):
        classes = tf.one_hot(self.find_classes(label_maps), len(self.colours))
        return tf.concat([classes, label_maps[..., 3:]], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], len(self.colours) + input_shape[3] - 3)


@keras.utils.register_keras_serializable("tfpix2pix")
class BoundaryChannel(OfClasses):
    """Turns the ids of instances, which are the last channel of label maps, into the borders between them.

    A pixel is on a border if one of its four neighbours has another id, so that borders are marked on both
    sides. If all ids of a label map are equal, it comes without a map of instances: then the classes of its
    pixels stand for the ids.

    Call arguments:
      label_maps: float32 [B, H, W, 3 + 1] in [-1, 1]: colours and ids.

    Returns:
      float32 [B, H, W, 3 + 1]: the same colours, and 1 on borders and 0 elsewhere.

    Source: Wang et al., CVPR 2018, Sec. 3.3.
    """

    def call(self, label_maps):
        ids = label_maps[..., 3]
        classes = tf.cast(self.find_classes(label_maps), tf.float32)
        lowest, highest = (find(ids, axis=[1, 2], keepdims=True) for find in (tf.reduce_min, tf.reduce_max))
        ids = tf.where(lowest < highest, ids, classes)
        down = tf.cast(tf.not_equal(ids[:, 1:], ids[:, :-1]), tf.float32)
        across = tf.cast(tf.not_equal(ids[:, :, 1:], ids[:, :, :-1]), tf.float32)
        borders = [
            tf.pad(between, [[0, 0], *([before, 1 - before] if axis == own else [0, 0] for axis in (1, 2))])
            for between, own in ((down, 1), (across, 2))
            for before in (0, 1)
        ]
        border = tf.reduce_max(tf.stack(borders), axis=0)
        return tf.concat([label_maps[..., :3], border[..., tf.newaxis]], axis=-1)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


def encode_input(
    input_image,
    palette: Palette | None,
    boundary_classes: Palette | None = None,
    name: str = "class_channels",
):
    """Returns what a network sees of its input image: the image itself, or what label maps are encoded as.

    Args:
      input_image: symbolic float32 [B, H, W, C].
      palette: the classes of label maps, which have three channels; None for pictures, whose channels are
        seen as they are.
      boundary_classes: the classes of label maps with ids of instances in a fourth channel, which become
        their borders; None where there is no such channel.
      name: name of the layer that makes the channels of classes.
    """
    seen = input_image
    if boundary_classes is not None:
        seen = BoundaryChannel(*list_colours(boundary_classes), name="boundary_channel")(seen)
    return seen if palette is None else ClassChannels(*list_colours(palette), name=name)(seen)


def list_colours(palette: Palette) -> tuple[list[list[int]], list[list[int]]]:
    """Returns the colours of a palette's classes and of its void, as `OfClasses` takes them."""
    return palette.colours.tolist(), palette.void.tolist()
