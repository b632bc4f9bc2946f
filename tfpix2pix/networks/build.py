"""The networks that a configuration asks for."""

import keras

from tfpix2pix.config.config import Config
from tfpix2pix.networks import discriminators, generators


def build_generator(config: Config) -> keras.Model:
    """Builds the generator of a configuration, with random weights."""
    return generators.BUILDERS[config.generator](
        config.image_size,
        config.input_channels,
        config.output_channels,
        depth=config.depth,
        base_filters=config.base_filters,
        normalization=config.normalization,
        dropout_rate=0.0 if config.dropout == "none" else 0.5,
        dropout_place="paper" if config.dropout == "none" else config.dropout,
        upsampling=config.upsampling,
        conv_kernels=config.conv_kernels,
        dtype=_dtype(config),
    )


def build_discriminator(config: Config) -> keras.Model | None:
    """Builds the discriminator of a configuration; None for the objective `l1`."""
    if config.objective == "l1":
        return None
    return discriminators.patch_discriminator(
        config.receptive_field,
        config.input_channels,
        config.output_channels,
        conditional="cgan" in config.objective,
        base_filters=config.discriminator_filters or config.base_filters,
        normalization=config.normalization,
        conv_kernels=config.conv_kernels,
        dtype=_dtype(config),
    )


def _dtype(config: Config) -> str:
    # A run settles it when it starts (precision.py); without one, arithmetic is plain.
    return "float32" if config.precision == "auto" else config.precision
