"""Generators of residual blocks: those of pix2pixHD. `networks/resnet.py` has CycleGAN's.

All take `[input_image, noise_seed]` and return the generated image:
float32 [B, H, W, C] in [-1, 1] of any H and W, and int32 [B, 2].
"""

import dataclasses
from functools import partial

import keras

from tfpix2pix.networks import layers
from tfpix2pix.networks.frame import Frame, build_in_frame
from tfpix2pix.networks.instance_features import CLUSTERS
from tfpix2pix.networks.keras_versions import default_policy
from tfpix2pix.networks.noise import NoiseDropout
from tfpix2pix.networks.normalization import needs_bias, normalize_maps
from tfpix2pix.networks.padding import ReflectionPad2D
from tfpix2pix.networks.pooling import HalvingPool2D
from tfpix2pix.pipelines.meaning import Palette

LARGE_KERNEL_PX = 7  # of the first and the last convolution
# Wang et al., Sec. 3.1 and appendix: downsamplings and blocks of G1, and blocks of an enhancer.
GLOBAL_DEPTH = 4
GLOBAL_BLOCKS = 9
ENHANCER_BLOCKS = 3


@dataclasses.dataclass(frozen=True)
class ResidualOptions:
    """What all layers of a residual generator have in common; `global_generator` explains each field."""

    normalization: str = "plain_instance"
    dropout_rate: float = 0.0
    dtype: str = "float32"
    palette: Palette | None = None
    boundary_classes: Palette | None = None
    features: tuple[int, int] = (0, 0)


def global_generator(
    input_channels: int = 3,
    output_channels: int = 3,
    *,
    depth: int | None = None,
    residual_blocks: int | None = None,
    base_filters: int = 64,
    normalization: str = "plain_instance",
    palette: Palette | None = None,
    boundary_classes: Palette | None = None,
    instance_features: int = 0,
    feature_clusters: int = CLUSTERS,
    dtype: str | None = None,
) -> keras.Model:
    """Builds G1, the global generator of pix2pixHD. It has no noise: the seed is ignored.

    Args:
      input_channels: channels of the input image.
      output_channels: channels of the generated image.
      depth: number of downsamplings; None takes 4.
      residual_blocks: number of residual blocks at the smallest size; None takes 9.
      base_filters: filters of the first convolution (64 in the paper); each downsampling doubles them.
      normalization: `none`, or a `kind` of `normalization.StatelessNormalization`.
      palette: as for `unet_generator`.
      boundary_classes: as for `unet_generator`.
      instance_features: number of channels of features that tell how each instance looks; see
        `instance_features.py`. With 0 there are none; others need `boundary_classes`.
      feature_clusters: the most clusters of a class that these features are drawn from.
      dtype: Keras dtype policy; None takes the one that is set for all of Keras. The image goes in
        and comes out as float32.

    Returns:
      A functional model `[input_image, noise_seed] -> generated_image`.

    Raises:
      ValueError: for an unknown normalization, a number below 1, or features of unknown instances.

    Source: Wang et al., High-Resolution Image Synthesis and Semantic Manipulation with Conditional
    GANs, CVPR 2018, Sec. 3.1. 182,546,755 parameters with 36 input channels, as for Cityscapes.

    Examples:
      >>> global_generator(36).count_params()
      182546755
    """
    return build_residual(
        "global_generator",
        (input_channels, output_channels),
        partial(
            global_features,
            depth=_check_count("depth", depth, GLOBAL_DEPTH),
            blocks=_check_count("residual_blocks", residual_blocks, GLOBAL_BLOCKS),
            filters=base_filters,
        ),
        ResidualOptions(
            normalization,
            0.0,
            dtype or default_policy(),
            palette,
            boundary_classes,
            (instance_features, feature_clusters),
        ),
        multiple_px=2 ** (depth or GLOBAL_DEPTH),
    )


def enhancer_generator(
    input_channels: int = 3,
    output_channels: int = 3,
    *,
    depth: int | None = None,
    residual_blocks: int | None = None,
    enhancers: int = 1,
    enhancer_blocks: int = ENHANCER_BLOCKS,
    base_filters: int = 64,
    normalization: str = "plain_instance",
    palette: Palette | None = None,
    boundary_classes: Palette | None = None,
    instance_features: int = 0,
    feature_clusters: int = CLUSTERS,
    dtype: str | None = None,
) -> keras.Model:
    """Builds G2, the generator of pix2pixHD for large images: local enhancers around a global generator.

    The global generator runs on the image at half its size. What it knows just before its last
    convolution is added to the features of an enhancer, which works at the full size. With more
    enhancers each one is around the last, and the global generator's image is half as large again.

    Args:
      input_channels: channels of the input image.
      output_channels: channels of the generated image.
      depth: number of downsamplings of the global generator; None takes 4.
      residual_blocks: number of its residual blocks; None takes 9.
      enhancers: number of enhancers.
      enhancer_blocks: number of residual blocks of each enhancer.
      base_filters: filters of the global generator's first convolution (64 in the paper). Each
        enhancer has half as many as the generator inside it.
      normalization: `none`, or a `kind` of `normalization.StatelessNormalization`.
      palette: as for `unet_generator`.
      boundary_classes: as for `unet_generator`.
      instance_features: number of channels of features that tell how each instance looks; see
        `instance_features.py`. With 0 there are none; others need `boundary_classes`.
      feature_clusters: the most clusters of a class that these features are drawn from.
      dtype: Keras dtype policy; None takes the one that is set for all of Keras. The image goes in
        and comes out as float32.

    Returns:
      A functional model `[input_image, noise_seed] -> generated_image`.

    Raises:
      ValueError: for an unknown normalization, or a number below 1.

    Source: Wang et al., CVPR 2018, Sec. 3.1. 182,857,059 parameters with 36 input channels.

    Examples:
      >>> enhancer_generator(36).count_params()
      182857059
    """
    depth = _check_count("depth", depth, GLOBAL_DEPTH)
    blocks = _check_count("residual_blocks", residual_blocks, GLOBAL_BLOCKS)
    _check_count("enhancers", enhancers, 1)
    classes, drawn = (palette, boundary_classes), (instance_features, feature_clusters)
    options = ResidualOptions(normalization, 0.0, dtype or default_policy(), *classes, drawn)

    def features(images, options, seed):
        sizes = [images]
        for number in range(enhancers):
            sizes.append(HalvingPool2D(name=f"half_{number + 1}", dtype=options.dtype)(sizes[-1]))
        inside = global_features(sizes.pop(), options, seed, depth=depth, blocks=blocks, filters=base_filters)
        for number, image in enumerate(reversed(sizes), start=1):
            filters = max(1, base_filters // 2**number)
            inside = _enhance(image, inside, filters, enhancer_blocks, options, f"enhancer_{number}")
        return inside

    return build_residual(
        "enhancer_generator",
        (input_channels, output_channels),
        features,
        options,
        multiple_px=2 ** (depth + enhancers),
    )


def _check_count(name: str, value: int | None, default: int) -> int:
    value = default if value is None else value
    if value < 1:
        raise ValueError(f"{name} must be at least 1. Received: {name}={value}")
    return value


def build_residual(
    name: str, channels: tuple[int, int], features, options: ResidualOptions, multiple_px: int
):
    """Builds a generator around what makes features of the (padded) input image at its full size."""

    def make(images, noise_seed):
        # No normalisation follows, hence a bias.
        last = dataclasses.replace(options, normalization="none")
        return convolve_large(features(images, options, noise_seed), channels[1], last, "last")

    classes = options.palette, options.boundary_classes
    frame = Frame(name, channels[0], multiple_px, *classes, options.dtype, *options.features)
    return build_in_frame(frame, make)


def global_features(
    images,
    options: ResidualOptions,
    noise_seed=None,
    *,
    depth: int,
    blocks: int,
    filters: int,
    prefix: str = "",
):
    """Returns float [B, H, W, filters]: G1 without its last convolution.

    The names of its layers begin with `prefix`.
    """
    first = f"{prefix}first"
    images = _normalize(convolve_large(images, filters, options, first), options, first)
    for number in range(1, depth + 1):
        images = _halve(images, filters * 2**number, options, f"{prefix}down_{number}")
    for number in range(1, blocks + 1):
        images = _residual_block(images, options, noise_seed, f"{prefix}block_{number}", stream=number)
    for number in range(1, depth + 1):
        images = _double(images, filters * 2 ** (depth - number), options, f"{prefix}up_{number}")
    return images


def _enhance(image, inside, filters: int, blocks: int, options: ResidualOptions, name: str):
    """Returns float [B, H, W, filters] from an image and from the features of a network at half its size."""
    images = _normalize(convolve_large(image, filters, options, f"{name}_first"), options, f"{name}_first")
    images = _halve(images, inside.shape[-1], options, f"{name}_down")
    images = keras.layers.Add(name=f"{name}_sum", dtype=options.dtype)([images, inside])
    for number in range(1, blocks + 1):
        images = _residual_block(images, options, None, f"{name}_block_{number}")
    return _double(images, filters, options, f"{name}_up")


def _residual_block(images, options: ResidualOptions, noise_seed, name: str, stream: int = 0):
    """Adds to the images what two 3x3 convolutions make of them; the sum has no activation."""
    inside = _convolve_small(images, options, f"{name}_1")
    inside = _normalize(inside, options, f"{name}_1")
    if options.dropout_rate:
        drop = NoiseDropout(options.dropout_rate, stream, name=f"{name}_noise", dtype=options.dtype)
        inside = drop([inside, noise_seed])
    inside = _convolve_small(inside, options, f"{name}_2")
    inside = _normalize(inside, options, f"{name}_2", activate=False)
    return keras.layers.Add(name=f"{name}_sum", dtype=options.dtype)([images, inside])


def _convolve_small(images, options: ResidualOptions, name: str):
    images = ReflectionPad2D(1, name=f"{name}_pad", dtype=options.dtype)(images)
    return _convolution(images.shape[-1], 3, options, name, pad_px=0)(images)


def convolve_large(images, filters: int, options: ResidualOptions, name: str):
    """Returns float [B, H, W, filters]: a 7x7 convolution of images that are mirrored outwards."""
    pad = ReflectionPad2D(LARGE_KERNEL_PX // 2, name=f"{name}_pad", dtype=options.dtype)
    return _convolution(filters, LARGE_KERNEL_PX, options, name, pad_px=0)(pad(images))


def _halve(images, filters: int, options: ResidualOptions, name: str):
    images = _convolution(filters, 3, options, name, strides=2, pad_px=1)(images)
    return _normalize(images, options, name)


def _double(images, filters: int, options: ResidualOptions, name: str):
    images = layers.UpConv2D3x3(filters, **_settings(options, name))(images)
    return _normalize(images, options, name)


def _convolution(filters: int, kernel_size: int, options: ResidualOptions, name: str, **geometry):
    return layers.PaddedConv2D(filters, kernel_size, **geometry, **_settings(options, name))


def _settings(options: ResidualOptions, name: str) -> dict:
    return {
        "use_bias": needs_bias(options.normalization),
        "kernel_initializer": layers.weight_initializer(),
        "name": f"{name}_conv",
        "dtype": options.dtype,
    }


def _normalize(images, options: ResidualOptions, name: str, activate: bool = True):
    images = normalize_maps(images, options.normalization, options.dtype, name)
    if activate:
        images = keras.layers.ReLU(name=f"{name}_relu", dtype=options.dtype)(images)
    return images
