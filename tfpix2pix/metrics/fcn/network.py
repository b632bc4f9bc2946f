"""FCN-8s on the VGG-16 layout, the network behind the FCN-score."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.config.choices import IMAGENET
from tfpix2pix.metrics.fcn.config import FcnConfig
from tfpix2pix.networks import vgg
from tfpix2pix.networks.padding import CropLike, PadToMultiple
from tfpix2pix.pipelines.base.errors import UsageError, UserError

# The number of filters and the number of 3x3 convolutions in each block of VGG-16.
VGG_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
FC_FILTERS = 4096
CHANNELS_PER_GROUP = 8
NORM_EPSILON = 1e-5
# Name of a layer in VGG-16 -> its name in the FCN paper.
_TOP = {"fc1": "fc6", "fc2": "fc7"}


@keras.utils.register_keras_serializable("tfpix2pix")
class VggPreprocessing(keras.layers.Layer):
    """Turns RGB in [-1, 1] into what VGG-16 was trained on: BGR in 0 to 255, minus the means.

    Call arguments:
      images: float tensor [B, H, W, 3].

    Source: `keras.applications.vgg16.preprocess_input`.
    """

    def call(self, images):
        return tf.reverse(images, [-1]) * 127.5 + (127.5 - tf.constant(vgg.VGG_MEANS, images.dtype))

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.utils.register_keras_serializable("tfpix2pix")
class GroupNormalization(keras.layers.Layer):
    """Normalises groups of channels by the statistics of each image.

    The result for an image does not depend on the other images of its batch. Unlike the
    layer of Keras, this one reads no tensor more than twice, which keeps training exact;
    "AddN" in docs/fidelity.md explains why.

    Args:
      group_size: number of channels in a group.

    Call arguments:
      images: float tensor [B, H, W, C]; C is a multiple of `group_size`.

    Source: Wu and He, Group Normalization, 2018.
    """

    def __init__(self, group_size: int = CHANNELS_PER_GROUP, **kwargs):
        super().__init__(**kwargs)
        self.group_size = group_size

    def build(self, input_shape):
        channels = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=channels, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=channels, initializer="zeros")
        self.built = True

    def call(self, images):
        values = tf.cast(images, tf.float32)
        centred = values - self._group_means(values)
        variance = self._group_means(tf.square(centred))
        scale = tf.cast(self.gamma, tf.float32) * tf.math.rsqrt(variance + NORM_EPSILON)
        return tf.cast(centred * scale + tf.cast(self.beta, tf.float32), images.dtype)

    def _group_means(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the mean of each channel's group, [B, 1, 1, C]."""
        channels = values.shape[-1]
        by_channel = tf.reduce_mean(values, [1, 2])
        grouped = tf.reshape(by_channel, [-1, channels // self.group_size, self.group_size])
        means = tf.broadcast_to(tf.reduce_mean(grouped, -1, keepdims=True), tf.shape(grouped))
        return tf.reshape(means, [-1, 1, 1, channels])

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "group_size": self.group_size}


@keras.utils.register_keras_serializable("tfpix2pix")
class BilinearInitializer(keras.initializers.Initializer):
    """Initialises a transposed convolution to upsample each channel bilinearly.

    The factor is half the size of the kernel.
    """

    def __call__(self, shape, dtype=None):
        side, _, filters, _ = shape
        factor = (side + 1) // 2
        centre = factor - 1 if side % 2 else factor - 0.5
        ramp = 1 - np.abs(np.arange(side) - centre) / factor
        return tf.cast(np.outer(ramp, ramp)[:, :, None, None] * np.eye(filters), dtype or tf.float32)


def fcn8s(
    num_classes: int, width: float = 1.0, normalization: str = "group", dtype: str = "float32"
) -> keras.Model:
    """Builds FCN-8s: VGG-16 without its classifier, which scores classes at strides 32, 16 and 8.

    The original pads the image by 100 px. Here each convolution keeps the size of its
    input, and the image is mirrored at its borders to a multiple of 32 px. There is no
    dropout.

    Args:
      num_classes: K, the number of classes.
      width: factor for the number of filters in all layers but those that score; 1 gives
        VGG-16.
      normalization: `group`, which trains from scratch, or `none`, as in VGG-16.
      dtype: Keras dtype policy, such as `mixed_bfloat16`.

    Returns:
      A model: images, float32 [B, H, W, 3] in [-1, 1] of any size -> logits, float32
      [B, H, W, K].

    Raises:
      ValueError: for another normalization.

    Source: Long, Shelhamer and Darrell, Fully Convolutional Networks, 2015: layers that
    score start at zero, upsampling starts bilinear, and the last upsampling stays so. The
    layout is that of Simonyan and Zisserman, 2015. The normalisation is ours.

    Examples:
      >>> fcn8s(11, width=0.125)(tf.zeros([1, 45, 70, 3])).shape
      TensorShape([1, 45, 70, 11])
    """
    if normalization not in ("group", "none"):
        raise ValueError(f"normalization must be 'group' or 'none'. Received: {normalization!r}")

    blocks = _Blocks(num_classes, width, normalization, dtype)
    images = keras.Input((None, None, 3), name="images")
    features = PadToMultiple(32, dtype="float32")(images)
    features = VggPreprocessing(dtype="float32")(features)
    pools = []
    for block, (filters, count) in enumerate(VGG_BLOCKS, 1):
        for place in range(1, count + 1):
            features = blocks.convolve(features, filters, 3, f"block{block}_conv{place}")
        features = keras.layers.MaxPooling2D(2, dtype=dtype, name=f"block{block}_pool")(features)
        pools.append(features)
    features = blocks.convolve(features, FC_FILTERS, 7, "fc6")
    features = blocks.convolve(features, FC_FILTERS, 1, "fc7")
    scores = blocks.upsample(blocks.score(features, "score_fc7"), 2, "upscore_fc7")
    scores = keras.layers.Add(dtype=dtype)([scores, blocks.score(pools[3], "score_pool4")])
    scores = blocks.upsample(scores, 2, "upscore_pool4")
    scores = keras.layers.Add(dtype=dtype)([scores, blocks.score(pools[2], "score_pool3")])
    logits = blocks.upsample(scores, 8, "upscore", dtype="float32")
    logits = CropLike(dtype="float32")([logits, images])
    return keras.Model(images, logits, name="fcn8s")


@dataclasses.dataclass(frozen=True)
class _Blocks:
    """What the network is made of; `fcn8s` explains the attributes."""

    num_classes: int
    width: float
    normalization: str
    dtype: str

    def convolve(self, features, filters: int, kernel_size: int, name: str):
        convolution = keras.layers.Conv2D(
            scale_filters(filters, self.width),
            kernel_size,
            padding="same",
            use_bias=self.normalization == "none",
            kernel_initializer="he_normal",
            dtype=self.dtype,
            name=name,
        )
        features = convolution(features)
        if self.normalization == "group":
            features = GroupNormalization(dtype=self.dtype, name=f"{name}_norm")(features)
        return keras.layers.ReLU(dtype=self.dtype, name=f"{name}_relu")(features)

    def score(self, features, name: str):
        return keras.layers.Conv2D(
            self.num_classes, 1, kernel_initializer="zeros", dtype=self.dtype, name=name
        )(features)

    def upsample(self, scores, factor: int, name: str, dtype: str | None = None):
        return keras.layers.Conv2DTranspose(
            self.num_classes,
            2 * factor,
            factor,
            padding="same",
            use_bias=False,
            kernel_initializer=BilinearInitializer(),
            trainable=factor == 2,
            dtype=dtype or self.dtype,
            name=name,
        )(scores)


def build_network(config: FcnConfig, num_classes: int) -> keras.Model:
    """Builds the network that a configuration describes, with random weights."""
    return fcn8s(num_classes, config.width, normalization=config.normalization, dtype=config.precision)


def scale_filters(filters: int, width: float) -> int:
    """Returns `filters` times `width`, rounded to whole groups of the normalisation."""
    return max(1, round(filters * width / CHANNELS_PER_GROUP)) * CHANNELS_PER_GROUP


def load_vgg_weights(network: keras.Model, weights: str) -> None:
    """Copies the weights of VGG-16 into an FCN-8s of width 1 without normalisation.

    fc1 and fc2 become the convolutions fc6 and fc7, as in the FCN paper. A file without
    these two leaves fc6 and fc7 as they are.

    Args:
      network: a model that `fcn8s` built.
      weights: `imagenet`, which Keras downloads, or an .h5 file of
        `keras.applications.VGG16`.

    Raises:
      UsageError: if the file does not exist.
      UserError: if the weights cannot be downloaded or read, or do not fit.
    """
    by_layer = _fetch_vgg() if weights == IMAGENET else _read_vgg(Path(weights))
    names = {
        f"block{block}_conv{i + 1}" for block, (_, count) in enumerate(VGG_BLOCKS, 1) for i in range(count)
    }
    if missing := names - set(by_layer):
        raise UserError(f"`vgg_weights={weights}` does not hold VGG-16: {min(missing)} is not in it")
    for name in (*sorted(names), *(set(_TOP) & set(by_layer))):
        layer, (kernel, bias) = network.get_layer(_TOP.get(name, name)), by_layer[name]
        if kernel.size != np.prod(layer.kernel.shape):
            raise UserError(
                f"`vgg_weights={weights}` does not hold VGG-16: the shape of {name} is {kernel.shape}, "
                f"expected {tuple(layer.kernel.shape)}"
            )
        layer.set_weights([kernel.reshape(layer.kernel.shape), bias])


def _fetch_vgg() -> vgg.LayerWeights:
    try:
        return vgg.fetch_weights("VGG16")
    except Exception as error:  # Keras raises various errors if a download fails.
        raise UserError(
            f"the weights of VGG-16 cannot be downloaded ({error}). Without a connection give their file, "
            "vgg16_weights_tf_dim_ordering_tf_kernels.h5 of keras.applications, as `vgg_weights`, or train "
            "from scratch with `vgg_weights=none`"
        ) from error


def _read_vgg(file: Path) -> vgg.LayerWeights:
    if not file.is_file():
        raise UsageError(
            f"`vgg_weights` takes imagenet, none or an .h5 file. Received: {file}, which does not exist"
        )
    try:
        return vgg.read_weights(file)
    except (OSError, KeyError, AttributeError) as error:
        raise UserError(f"`vgg_weights={file}` cannot be read as an .h5 file of Keras: {error}") from error
