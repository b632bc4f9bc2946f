"""Batch and instance normalisation without moving averages."""

import keras
import tensorflow as tf

from tfpix2pix.config.choices import NORMALIZATION_KINDS
from tfpix2pix.networks.layers import WEIGHT_STDDEV
from tfpix2pix.networks.traced import find_sizes

NORM_EPSILON = 1e-5


@keras.utils.register_keras_serializable("tfpix2pix")
class StatelessNormalization(keras.layers.Layer):
    """Batch or instance normalisation without moving averages.

    The paper normalises with the statistics of the images at hand in training
    and in inference (Sec. 3.3). Moving averages would never be read, so none
    are kept.

    Args:
      kind: `batch` takes the statistics of the whole (replica) batch with
        `training=True`, and each image's own otherwise. `instance` always takes each
        image's own; at batch size 1 the two are the same. `plain_instance` is
        `instance` without scale and offset.

    Call arguments:
      images: float tensor [B, H, W, C]; statistics are taken in float32.
      training: bool; it matters only for `batch`.

    Source: Sec. 3.3, 6.1; scale N(1, 0.02), offset 0, epsilon 1e-5.
    """

    def __init__(self, kind: str = "batch", **kwargs):
        if kind not in NORMALIZATION_KINDS:
            raise ValueError(f"kind must be one of {', '.join(NORMALIZATION_KINDS)}. Received: kind={kind!r}")
        super().__init__(**kwargs)
        self.kind = kind

    def build(self, input_shape):
        channels = (input_shape[-1],)
        if self.kind != "plain_instance":
            self.gamma = self.add_weight(
                name="gamma", shape=channels, initializer=keras.initializers.RandomNormal(1.0, WEIGHT_STDDEV)
            )
            self.beta = self.add_weight(name="beta", shape=channels, initializer="zeros")
        self.built = True

    def call(self, images, training=False):
        if self.kind == "plain_instance":
            gamma, beta = tf.ones(images.shape[-1:]), tf.zeros(images.shape[-1:])
        else:
            gamma, beta = tf.cast(self.gamma, tf.float32), tf.cast(self.beta, tf.float32)
        if images.dtype == tf.float64:
            return self._normalize_plainly(images, gamma, beta, training)
        if images.shape[0] == 1 or (self.kind == "batch" and training):
            return _normalize_channels(images, gamma, beta)
        # The channels of all images side by side are those of one image. With a batch of one, whose size is
        # known when the graph runs, nothing is moved.
        batch, height, width, channels = find_sizes(images)
        beside = tf.reshape(tf.transpose(images, [1, 2, 0, 3]), [1, height, width, batch * channels])
        normalized = _normalize_channels(beside, tf.tile(gamma, [batch]), tf.tile(beta, [batch]))
        normalized = tf.reshape(normalized, [height, width, batch, channels])
        return tf.ensure_shape(tf.transpose(normalized, [2, 0, 1, 3]), images.shape)

    def _normalize_plainly(self, images, gamma, beta, training):
        axes = [0, 1, 2] if self.kind == "batch" and training else [1, 2]
        values = tf.cast(images, tf.float32)
        # No tensor has more than two readers; "AddN" in docs/fidelity.md says why.
        centred = values - tf.reduce_mean(values, axes, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), axes, keepdims=True)
        return tf.cast(centred * (gamma * tf.math.rsqrt(variance + NORM_EPSILON)) + beta, images.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


def _normalize_channels(images, gamma, beta):
    """Normalises each channel over all pixels by one operation, which reads memory once instead of ten times.

    It does not exist for float64.
    """
    return tf.raw_ops.FusedBatchNormV3(
        x=images, scale=gamma, offset=beta, mean=[], variance=[], epsilon=NORM_EPSILON
    ).y


def needs_bias(normalization: str) -> bool:
    """Returns whether a convolution has a bias: where the normalisation after it has no offset."""
    return normalization in ("none", "plain_instance")


def normalize_maps(images, normalization: str, dtype: str, name: str):
    """Normalises the feature maps of a network that is being built.

    Args:
      images: symbolic float [B, H, W, C].
      normalization: `none`, which returns the images as they are, or a `kind` of `StatelessNormalization`.
      dtype: Keras dtype policy.
      name: name of the block; the layer's ends in `_norm`.

    Returns:
      Symbolic float [B, H, W, C].
    """
    if normalization == "none":
        return images
    return StatelessNormalization(normalization, name=f"{name}_norm", dtype=dtype)(images)
