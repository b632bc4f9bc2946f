"""Generators of residual blocks: those of pix2pixHD. `networks/resnet.py` has CycleGAN's.

All take `[input_image, noise_seed]` and return the generated image:
float32 [B, H, W, C] in [-1, 1] of any H and W, and int32 [B, 2].
"""

import dataclasses
from functools import partial

import keras

from tfpix2pix.config.choices import GLOBAL_DEPTH
from tfpix2pix.networks.frame import Frame, build_in_frame
from tfpix2pix.networks.instance_features import CLUSTERS
from tfpix2pix.networks.keras_versions import default_policy
from tfpix2pix.networks.latent import Latent
from tfpix2pix.networks.modulation import Modulation
from tfpix2pix.networks.pooling import HalvingPool2D
from tfpix2pix.networks.residual_blocks import ResidualOptions, convolve_large, enhance, global_features
from tfpix2pix.pipelines.meaning import Palette

# Wang et al., Sec. 3.1 and appendix: downsamplings and blocks of G1, and blocks of an enhancer.
GLOBAL_BLOCKS = 9
ENHANCER_BLOCKS = 3


def global_generator(
    input_channels: int = 3,
    output_channels: int = 3,
    *,
    depth: int | None = None,
    residual_blocks: int | None = None,
    base_filters: int = 64,
    normalization: str = "plain_instance",
    latent_size: int = 0,
    latent_at: str = "all",
    palette: Palette | None = None,
    boundary_classes: Palette | None = None,
    instance_features: int = 0,
    feature_clusters: int = CLUSTERS,
    dtype: str | None = None,
) -> keras.Model:
    """Builds G1, the global generator of pix2pixHD. Without z it has no noise: the seed is ignored.

    Args:
      input_channels: channels of the input image.
      output_channels: channels of the generated image.
      depth: number of downsamplings; None takes 4.
      residual_blocks: number of residual blocks at the smallest size; None takes 9.
      base_filters: filters of the first convolution (64 in the paper); each downsampling doubles them.
      normalization: `none`, or a `kind` of `normalization.StatelessNormalization`.
      latent_size: number of values of the latent vector z, which is drawn from the noise seed; 0 means that
        there is none. `latent.with_latent` makes z an input.
      latent_at: where z decides about the scale and the offset of each channel. `all` means after each
        normalisation; `input` means after the first one.
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
            Latent(latent_size, latent_at),
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
    latent_size: int = 0,
    latent_at: str = "all",
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
      latent_size: as for `global_generator`.
      latent_at: the same; `input` means after the first normalisation of the global generator and of each
        enhancer.
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
    latent = Latent(latent_size, latent_at)
    options = ResidualOptions(normalization, 0.0, dtype or default_policy(), *classes, drawn, latent)

    def features(images, options, seed):
        sizes = [images]
        for number in range(enhancers):
            sizes.append(HalvingPool2D(name=f"half_{number + 1}", dtype=options.dtype)(sizes[-1]))
        inside = global_features(sizes.pop(), options, seed, depth=depth, blocks=blocks, filters=base_filters)
        for number, image in enumerate(reversed(sizes), start=1):
            filters = max(1, base_filters // 2**number)
            inside = enhance(image, inside, filters, enhancer_blocks, options, f"enhancer_{number}")
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
        modulated = dataclasses.replace(
            options, modulation=Modulation(options.latent, noise_seed, options.dtype)
        )
        # No normalisation follows, hence a bias.
        last = dataclasses.replace(options, normalization="none")
        return convolve_large(features(images, modulated, noise_seed), channels[1], last, "last")

    classes = options.palette, options.boundary_classes
    frame = Frame(name, channels[0], multiple_px, *classes, options.dtype, *options.features)
    return build_in_frame(frame, make)
