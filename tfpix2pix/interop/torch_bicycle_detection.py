"""Finds the networks of BicycleGAN's own code that state dicts belong to."""

import re

from tfpix2pix.interop.torch_bicycle_names import (
    LatentEncoder,
    LatentUnet,
    PyramidDiscriminator,
    encoder_table,
    latent_unet_table,
    pyramid_table,
)
from tfpix2pix.interop.torch_comparison import State, compare, describe_some, shape_of
from tfpix2pix.interop.torch_names import Unet
from tfpix2pix.pipelines.base.errors import UsageError, UserError

_FIRST = "model.down.0.weight"  # of a U-Net with the latent vector at all layers of its encoder
_SCALE = r"model_(\d+)\.(\d+)\.weight"


def is_latent_unet(weights: State) -> bool:
    """Tells whether weights are those of a U-Net with a latent vector at all layers of its encoder."""
    return _FIRST in weights


def is_pyramid(weights: State) -> bool:
    """Tells whether weights are those of discriminators of several sizes."""
    return any(re.fullmatch(_SCALE, name) for name in weights)


def detect_latent_unet(weights: State, source: object) -> LatentUnet:
    """Finds the U-Net; the arguments and errors are those of `torch_detection.detect_generator`."""
    first, last = shape_of(weights, _FIRST), shape_of(weights, "model.up.1.weight")
    second = shape_of(weights, "model.submodule.down.1.weight")
    if not (first and second and last):
        raise UserError(
            f"{source} looks like a generator of BicycleGAN's code, but lacks the first or last convolutions "
            "of one with `--upsample basic`, which are model.down.0, model.submodule.down.1 and model.up.1. "
            f"It holds {describe_some(weights)}"
        )
    latent_size = second[1] - first[0]
    unet = LatentUnet(
        depth=1 + max(name.split(".").count("submodule") for name in weights),
        base_filters=first[0],
        input_channels=first[1] - latent_size,
        output_channels=last[1],
        affine=False,
        biased=True,
        latent_size=latent_size,
    )
    compare(weights, latent_unet_table(unet), unet, source, code="BicycleGAN's")
    return unet


def take_latent_at_input(unet: Unet, latent_size: int, source: object) -> LatentUnet:
    """Returns the U-Net of BicycleGAN with `--where_add input` that looks like one of the reference.

    Args:
      unet: what `detect_generator` has found.
      latent_size: how many of its input channels are the latent vector.
      source: the file, for messages.

    Raises:
      UsageError: when the network has no room for the vector.
      UserError: when it is not normalised as BicycleGAN's.
    """
    if unet.input_channels <= latent_size:
        raise UsageError(
            f"{source} holds a generator of {unet.input_channels} input channels, which cannot be an image "
            f"and `latent_size={latent_size}` values"
        )
    if unet.affine or not unet.biased:
        raise UserError(f"{source} holds a {unet}; of BicycleGAN's, those with `--norm instance` can be read")
    image_channels = unet.input_channels - latent_size
    return LatentUnet(
        unet.depth, unet.base_filters, image_channels, unet.output_channels, False, True, latent_size, "input"
    )


def detect_pyramid(weights: State, source: object) -> PyramidDiscriminator:
    """Finds the discriminators; the arguments and errors are those of `detect_generator`."""
    found = [match for name in weights if (match := re.fullmatch(_SCALE, name))]
    shape = shape_of(weights, "model_0.0.weight") or (0, 0)
    discriminator = PyramidDiscriminator(
        scales=len({match[1] for match in found}),
        # The last convolution of n strided ones has the number 3n + 2.
        strided=max(1, (max(int(match[2]) for match in found) - 2) // 3),
        base_filters=shape[0],
        channels=shape[1],
    )
    compare(weights, pyramid_table(discriminator), discriminator, source, code="BicycleGAN's")
    return discriminator


def detect_encoder(weights: State, source: object) -> LatentEncoder:
    """Finds the encoder; the arguments and errors are those of `detect_generator`."""
    first, last = shape_of(weights, "conv.0.weight"), weights.get("fc.0.weight")
    if not first or last is None or last.ndim != 2:
        raise UserError(
            f"{source} holds no encoder of BicycleGAN's code (`--netE resnet_128` or `resnet_256`), whose "
            f"first and last layer are conv.0.weight and fc.0.weight. It holds {describe_some(weights)}"
        )
    numbers = [int(match[1]) for name in weights if (match := re.fullmatch(r"conv\.(\d+)\..+", name))]
    encoder = LatentEncoder(
        blocks=1 + max(numbers), base_filters=first[0], channels=first[1], latent_size=last.shape[0]
    )
    compare(weights, encoder_table(encoder), encoder, source, code="BicycleGAN's")
    return encoder
