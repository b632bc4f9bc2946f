"""Encoders: what latent vector BicycleGAN made an image with, and how instances look for pix2pixHD."""

import keras

from tfpix2pix.networks import layers
from tfpix2pix.networks.gradients import Fork
from tfpix2pix.networks.instance_features import InstanceMean
from tfpix2pix.networks.keras_versions import default_policy
from tfpix2pix.networks.normalization import needs_bias, normalize_maps
from tfpix2pix.networks.padding import CropLike, PadToMultiple
from tfpix2pix.networks.residual_blocks import ResidualOptions, convolve_large, global_features

MAX_WIDTH = 4  # times `base_filters`
MIN_SIDE_PX = 8  # of the maps that are averaged
# Of the encoder of features, in the original code of Wang et al., CVPR 2018.
FEATURE_DEPTH = 4
FEATURE_FILTERS = 16
# The optimizer of the generator updates the encoder of features too, and tells weights by their names.
_PREFIX = "encoder_"


def blocks_for(image_size: tuple[int, int]) -> int:
    """Returns the number of halvings that bring the shorter side of an image to 8 px: 5 for 256 px."""
    return max(2, (min(image_size) // MIN_SIDE_PX).bit_length() - 1)


def latent_encoder(
    image_size: tuple[int, int] = (256, 256),
    target_channels: int = 3,
    *,
    latent_size: int = 8,
    base_filters: int = 64,
    normalization: str = "plain_instance",
    dtype: str | None = None,
) -> keras.Model:
    """Builds E, a residual network from an image to the distribution of its latent vector.

    Args:
      image_size: (height, width) in px that the network is meant for; it decides the number of blocks.
        The network runs on other sizes too, because it averages over the last maps.
      target_channels: channels of the image.
      latent_size: number of values of the latent vector.
      base_filters: filters of the first convolution; those of the blocks are 2, 3 and 4 times as many.
      normalization: `none`, or a `kind` of `normalization.StatelessNormalization`.
      dtype: Keras dtype policy; None takes the one that is set for all of Keras.

    Returns:
      A functional model `target_image -> [mean, log_variance]`, each float32 [B, latent_size], of a Gaussian
      of independent values.

    Raises:
      ValueError: for an unknown normalization.

    Source: `E_ResNet` of the original code of BicycleGAN (Zhu et al., NIPS 2017, appendix).

    Examples:
      >>> [output.shape[-1] for output in latent_encoder((128, 128), base_filters=4).outputs]
      [8, 8]
    """
    dtype = dtype or default_policy()
    target_image = keras.Input((None, None, target_channels), name="target_image")
    images = _convolution(base_filters, 4, "block_1", dtype, strides=2)(target_image)
    for block in range(2, blocks_for(image_size) + 1):
        images = _residual_block(images, base_filters * min(block, MAX_WIDTH), normalization, dtype, block)
    images = _activate(images, "last", dtype)
    features = keras.layers.GlobalAveragePooling2D(name="mean_over_pixels", dtype="float32")(images)
    outputs = [
        keras.layers.Dense(
            latent_size, kernel_initializer=layers.weight_initializer(), name=name, dtype="float32"
        )(features)
        for name in ("mean", "log_variance")
    ]
    return keras.Model(target_image, outputs, name="latent_encoder")


def _residual_block(images, filters: int, normalization: str, dtype: str, block: int):
    """Halves the size: two 3x3 convolutions, and beside them one of 1x1; each branch is averaged."""
    name, narrow = f"block_{block}", images.shape[-1]
    # A normalisation reads its maps twice.
    images, for_shortcut = Fork(2, name=f"{name}_fork", dtype=dtype)(images)
    inside = normalize_maps(images, normalization, dtype, f"{name}_1")
    inside = _activate(inside, f"{name}_1", dtype)
    inside = _convolution(narrow, 3, f"{name}_1", dtype, use_bias=needs_bias(normalization))(inside)
    inside = normalize_maps(inside, normalization, dtype, f"{name}_2")
    inside = _activate(inside, f"{name}_2", dtype)
    inside = _halve(_convolution(filters, 3, f"{name}_2", dtype)(inside), f"{name}_2", dtype)
    beside = _halve(for_shortcut, f"{name}_shortcut", dtype)
    beside = _convolution(filters, 1, f"{name}_shortcut", dtype, pad_px=0)(beside)
    return keras.layers.Add(name=f"{name}_sum", dtype=dtype)([inside, beside])


def _convolution(filters: int, kernel_size: int, name: str, dtype: str, **options):
    initializer = layers.weight_initializer()
    return layers.PaddedConv2D(
        filters, kernel_size, kernel_initializer=initializer, name=f"{name}_conv", dtype=dtype, **options
    )


def _activate(images, name: str, dtype: str):
    return keras.layers.LeakyReLU(0.2, name=f"{name}_relu", dtype=dtype)(images)


def _halve(images, name: str, dtype: str):
    return keras.layers.AveragePooling2D(2, name=f"{name}_pool", dtype=dtype)(images)


def feature_encoder(
    target_channels: int = 3,
    features: int = 3,
    *,
    depth: int = FEATURE_DEPTH,
    base_filters: int = FEATURE_FILTERS,
    normalization: str = "plain_instance",
    dtype: str | None = None,
) -> keras.Model:
    """Builds E, the encoder of pix2pixHD that finds out how each instance of an image looks.

    Args:
      target_channels: channels of the image.
      features: number of features of an instance.
      depth: number of downsamplings, and of upsamplings after them.
      base_filters: filters of the first convolution; each downsampling doubles them.
      normalization: `none`, or a `kind` of `normalization.StatelessNormalization`.
      dtype: Keras dtype policy; None takes the one that is set for all of Keras.

    Returns:
      A functional model `[target_image, instances] -> features`, where `target_image` is float32
      [B, H, W, C] in [-1, 1] of any H and W, `instances` is int32 [B, H, W], equal in the pixels of an
      instance, and `features` is float32 [B, H, W, features] in [-1, 1], equal there too: the mean of what
      the network finds in these pixels.

    Raises:
      ValueError: for an unknown normalization.

    Source: Wang et al., CVPR 2018, Sec. 3.4, and `Encoder` of the original code. 788,803 parameters.

    Examples:
      >>> feature_encoder().count_params()
      788803
    """
    dtype = dtype or default_policy()
    options = ResidualOptions(normalization, dtype=dtype)
    target_image = keras.Input((None, None, target_channels), name="target_image")
    instances = keras.Input((None, None), dtype="int32", name="instances")
    images = PadToMultiple(2**depth, name=f"{_PREFIX}pad", dtype=dtype)(target_image)
    images = global_features(images, options, depth=depth, blocks=0, filters=base_filters, prefix=_PREFIX)
    # No normalisation follows, hence a bias.
    last = ResidualOptions("none", dtype=dtype)
    images = convolve_large(images, features, last, f"{_PREFIX}last")
    images = CropLike(name=f"{_PREFIX}crop", dtype=dtype)([images, target_image])
    images = keras.layers.Activation("tanh", name="features_of_pixels", dtype="float32")(images)
    means = InstanceMean(name="features")([images, instances])
    return keras.Model([target_image, instances], means, name="feature_encoder")
