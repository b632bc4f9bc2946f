"""Features of instances, by which pix2pixHD decides how each object of a label map looks.

In training an encoder finds them in the target image. Without a target, the generator draws them for each
instance from clusters of what the encoder found in the training images. The draw depends on the noise seed,
the class and the number of the instance alone, as the masks of `networks/noise.py` depend on their place.
"""

import keras
import tensorflow as tf

from tfpix2pix.networks.class_channels import OfClasses
from tfpix2pix.networks.latent import FEATURE_STREAM, take_as_input
from tfpix2pix.networks.noise import hash_bits
from tfpix2pix.pipelines.labels.palettes import LARGEST_ID

CLUSTERS = 10  # of a class: Wang et al., Sec. 3.4
# The layers of a generator that draw the features, and that append them to what else the network sees.
DRAWER, READER = "instance_features", "with_features"
_IDS = LARGEST_ID + 1


@keras.utils.register_keras_serializable("tfpix2pix")
class InstanceMean(keras.layers.Layer):
    """Replaces features of pixels by their mean over the instance that the pixel belongs to.

    Call arguments:
      inputs: (features, float32 [B, H, W, F]; instances, int32 [B, H, W], any numbers, which are equal in
        the pixels of an instance).

    Returns:
      float32 [B, H, W, F].
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, inputs):
        features, instances = inputs
        shape = tf.shape(features)
        count, pixels = shape[0], shape[1] * shape[2]
        ranks = _rank(tf.reshape(instances, [count, pixels]))
        segments = tf.reshape(ranks + pixels * tf.range(count)[:, None], [-1])
        flat = tf.reshape(features, [-1, features.shape[-1]])
        sums = tf.math.unsorted_segment_sum(flat, segments, count * pixels)
        sizes = tf.math.unsorted_segment_sum(tf.ones_like(flat[:, :1]), segments, count * pixels)
        return tf.reshape(tf.gather(sums / tf.maximum(sizes, 1.0), segments), shape)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])


def _rank(numbers: tf.Tensor) -> tf.Tensor:
    """Returns the place of each number among the different ones of its row, int32 [B, N], from 0."""
    order = tf.argsort(numbers, axis=1)
    ascending = tf.gather(numbers, order, batch_dims=1)
    is_new = tf.cast(ascending[:, 1:] != ascending[:, :-1], tf.int32)
    ranks = tf.pad(tf.cumsum(is_new, axis=1), [[0, 0], [1, 0]])
    return tf.gather(ranks, tf.argsort(order, axis=1), batch_dims=1)


@keras.utils.register_keras_serializable("tfpix2pix")
class DrawFeatures(OfClasses):
    """Draws the features of each instance from the clusters of its class.

    The pixels of an instance have one class and one id. All clusters of a class are equally likely; where
    the class has none, the features are 0. The clusters are weights that are not trained.

    Args:
      colours: as for `OfClasses`.
      void: the same.
      size: number of features.
      clusters: the most clusters of a class.
      is_random: whether features are drawn; if not, every instance gets the first cluster of its class.

    Call arguments:
      inputs: (label_maps, float32 [B, H, W, 3 + 1] in [-1, 1]: colours and ids; noise_seed, int32 [B, 2]).

    Returns:
      float32 [B, H, W, size].

    Source: Wang et al., CVPR 2018, Sec. 3.4.
    """

    def __init__(
        self,
        colours: list[list[int]],
        void: list[list[int]],
        size: int = 3,
        clusters: int = CLUSTERS,
        is_random: bool = True,
        **kwargs,
    ):
        super().__init__(colours, void, **kwargs)
        self.size, self.clusters, self.is_random = size, clusters, is_random

    def build(self, input_shape):
        """Makes the clusters: none yet."""
        del input_shape
        classes = len(self.table)
        self.centers = self.add_weight(
            name="centers",
            shape=(classes, self.clusters, self.size),
            initializer="zeros",
            trainable=False,
        )
        self.counts = self.add_weight(name="counts", shape=(classes,), initializer="zeros", trainable=False)
        self.built = True

    def call(self, inputs):
        label_maps, noise_seed = inputs
        classes, ids = self._find(label_maps)
        seeds = tf.reshape(tf.cast(noise_seed, tf.int32), [-1, 2, 1, 1])
        bits = hash_bits(seeds[:, 0], seeds[:, 1], tf.constant(FEATURE_STREAM), classes, ids)
        # 24 bits are a number in [0, 1) that float32 holds exactly.
        uniform = tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) / 2**24
        counts = tf.gather(tf.convert_to_tensor(self.counts), classes)
        chosen = tf.cast(uniform * counts * float(self.is_random), tf.int32)
        return tf.gather_nd(tf.convert_to_tensor(self.centers), tf.stack([classes, chosen], axis=-1))

    def find_instances(self, label_maps: tf.Tensor) -> tf.Tensor:
        """Returns a number for each pixel, which is equal in the pixels of an instance, int32 [B, H, W].

        `class_of` returns the class of such a number.

        Args:
          label_maps: float32 [B, H, W, 3 + 1] in [-1, 1]: colours and ids.
        """
        classes, ids = self._find(label_maps)
        return classes * _IDS + ids

    def _find(self, label_maps):
        ids = tf.cast(tf.round((label_maps[..., 3] + 1.0) * (LARGEST_ID / 2)), tf.int32)
        return self.find_classes(label_maps), ids

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:3], self.size)

    def get_config(self):
        own = {"size": self.size, "clusters": self.clusters, "is_random": self.is_random}
        return {**super().get_config(), **own}


def class_of(instance: int) -> int:
    """Returns the place in `OfClasses.table` of the class of a number that `find_instances` returned."""
    return int(instance) // _IDS


def find_features(generator: keras.Model) -> DrawFeatures | None:
    """Returns the layer that draws the features of instances; None for a generator without them."""
    return next((layer for layer in generator.layers if isinstance(layer, DrawFeatures)), None)


def with_features(generator: keras.Model) -> keras.Model:
    """Returns a generator of the same layers, so of the same weights, whose features are an input of its own.

    Args:
      generator: `[input_image, noise_seed] -> generated_image` with features of instances.

    Returns:
      A functional model `[input_image, noise_seed, features] -> generated_image`, where `features` is
      float32 [B, H, W, size].

    Raises:
      ValueError: for a generator without features of instances.
    """
    if find_features(generator) is None:
        raise ValueError(f"{generator.name} has no features of instances; build it with instance_features=3")
    # Several generators may share the layer that draws, but not the one that reads what was drawn.
    drawn = generator.get_layer(READER).input[1]
    return take_as_input(generator, drawn, f"{generator.name}_with_features")
