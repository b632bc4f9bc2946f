"""The generators of CycleGAN, which the PyTorch reference calls `resnet_6blocks` and `resnet_9blocks`.

They are G1 of pix2pixHD with two downsamplings; each residual block drops activations between its two
convolutions.
"""

from functools import partial

import keras

from tfpix2pix.networks.keras_versions import default_policy
from tfpix2pix.networks.latent import Latent
from tfpix2pix.networks.residual import build_residual
from tfpix2pix.networks.residual_blocks import ResidualOptions, global_features
from tfpix2pix.pipelines.meaning import Palette

RESNET_DEPTH = 2


def resnet_9blocks_generator(
    input_channels: int = 3,
    output_channels: int = 3,
    *,
    base_filters: int = 64,
    normalization: str = "batch",
    dropout_rate: float = 0.5,
    latent_size: int = 0,
    latent_at: str = "all",
    palette: Palette | None = None,
    boundary_classes: Palette | None = None,
    dtype: str | None = None,
) -> keras.Model:
    """Builds the generator of 9 residual blocks, which the PyTorch reference takes for 256 px and more.

    Args:
      input_channels: channels of the input image.
      output_channels: channels of the generated image.
      base_filters: filters of the first convolution.
      normalization: `none`, or a `kind` of `normalization.StatelessNormalization`.
      dropout_rate: share of the activations that a residual block drops, in training and in inference
        alike; 0 means none.
      latent_size: as for `global_generator` of pix2pixHD.
      latent_at: the same.
      palette: as for `unet_generator`.
      boundary_classes: as for `unet_generator`.
      dtype: Keras dtype policy; None takes the one that is set for all of Keras. The image goes in
        and comes out as float32.

    Returns:
      A functional model `[input_image, noise_seed] -> generated_image`.

    Raises:
      ValueError: for an unknown normalization.

    Source: `ResnetGenerator` of the PyTorch reference; Johnson et al., ECCV 2016.

    Examples:
      >>> resnet_9blocks_generator(normalization="plain_instance").count_params()
      11378179
    """
    dtype = dtype or default_policy()
    latent = Latent(latent_size, latent_at)
    options = ResidualOptions(normalization, dropout_rate, dtype, palette, boundary_classes, latent=latent)
    return _build(9, (input_channels, output_channels), base_filters, options)


def resnet_6blocks_generator(
    input_channels: int = 3,
    output_channels: int = 3,
    *,
    base_filters: int = 64,
    normalization: str = "batch",
    dropout_rate: float = 0.5,
    latent_size: int = 0,
    latent_at: str = "all",
    palette: Palette | None = None,
    boundary_classes: Palette | None = None,
    dtype: str | None = None,
) -> keras.Model:
    """Builds the generator of 6 residual blocks, which the PyTorch reference takes for 128 px.

    The arguments, the result, the errors and the source are those of `resnet_9blocks_generator`.

    Examples:
      >>> resnet_6blocks_generator(normalization="plain_instance").count_params()
      7837699
    """
    dtype = dtype or default_policy()
    latent = Latent(latent_size, latent_at)
    options = ResidualOptions(normalization, dropout_rate, dtype, palette, boundary_classes, latent=latent)
    return _build(6, (input_channels, output_channels), base_filters, options)


def _build(
    blocks: int, channels: tuple[int, int], base_filters: int, options: ResidualOptions
) -> keras.Model:
    features = partial(global_features, depth=RESNET_DEPTH, blocks=blocks, filters=base_filters)
    name = f"resnet_{blocks}blocks_generator"
    return build_residual(name, channels, features, options, multiple_px=2**RESNET_DEPTH)
