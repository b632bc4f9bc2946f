"""Finds the network of the PyTorch reference, or of pix2pixHD, that a state dict belongs to."""

import dataclasses
import re

import numpy as np

from tfpix2pix.interop import torch_names
from tfpix2pix.interop.torch_bicycle_detection import (
    detect_latent_unet,
    detect_pyramid,
    is_latent_unet,
    is_pyramid,
)
from tfpix2pix.interop.torch_comparison import State, compare, describe_some, shape_of
from tfpix2pix.interop.torch_names import PatchDiscriminator, Unet
from tfpix2pix.interop.torch_residual_names import (
    Discriminator,
    FeatureEncoder,
    MultiscaleDiscriminator,
    ResidualGenerator,
    encoder_table,
    multiscale_table,
    residual_table,
)
from tfpix2pix.pipelines.base.errors import UsageError, UserError

# Prefixes that wrappers put before names: DataParallel and DistributedDataParallel; torch.compile.
WRAPPERS = ("module.", "_orig_mod.")
_CONVOLUTION = r"model\.(\d+)\.weight"  # in pix2pixHD's encoder, which has nothing else
_SCALE = r"scale(\d+)_layer(\d+)\.0\.weight"  # pix2pixHD's names for the layers of its discriminators


def unwrap(state: State) -> dict[str, np.ndarray]:
    """Removes the prefixes that wrappers have put before every name."""
    while state and (prefix := next(iter(state)).partition(".")[0] + ".") in WRAPPERS:
        if not all(name.startswith(prefix) for name in state):
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return dict(state)


def split_statistics(state: State) -> tuple[dict[str, np.ndarray], list[str]]:
    """Separates the weights from the running statistics; returns the weights and the statistics' names."""
    statistics = [name for name in state if name.rpartition(".")[2] in torch_names.RUNNING_STATISTICS]
    return {name: state[name] for name in state if name not in set(statistics)}, statistics


def detect_generator(weights: State, source: object) -> Unet | ResidualGenerator:
    """Finds the U-Net or the residual generator that weights belong to.

    Args:
      weights: from `split_statistics`.
      source: the file that the weights come from, for messages.

    Raises:
      UsageError: if they belong to a discriminator.
      UserError: if they belong to another network, or if some are missing, too many,
        of a wrong shape or not finite; the message names them.
    """
    if _has_blocks(weights):
        return _detect_residual(weights, source)
    if is_latent_unet(weights):
        return detect_latent_unet(weights, source)
    if _find_discriminator(weights) or _numbers(weights, _SCALE) or is_pyramid(weights):
        raise UsageError(
            f"{source} holds a discriminator, where a generator is expected. python -m "
            "tfpix2pix.interop.torch_weights takes both, as --checkpoint=G --discriminator_file=D"
        )
    if is_feature_encoder(weights):
        raise UsageError(
            f"{source} holds an encoder of features, where a generator is expected. python -m "
            "tfpix2pix.interop.torch_weights takes both, as --checkpoint=G --encoder_file=E"
        )
    first, last = shape_of(weights, "model.model.0.weight"), shape_of(weights, "model.model.3.weight")
    if not (first and last):
        raise UserError(
            f"{source} holds no generator of the PyTorch reference: the first and last convolution of a "
            f"U-Net are model.model.0.weight and model.model.3.weight. It holds {describe_some(weights)}"
        )
    unet = Unet(
        depth=max(2, *(name.split(".").count("model") - 1 for name in weights)),
        base_filters=first[0],
        input_channels=first[1],
        output_channels=last[1],
        affine=_has_affine(weights),
        biased="model.model.0.bias" in weights,
    )
    _check_norm(unet, source)
    compare(weights, torch_names.unet_table(unet), unet, source)
    return unet


def detect_discriminator(weights: State, source: object) -> Discriminator:
    """Finds the discriminator that weights belong to; arguments and errors are as in `detect_generator`."""
    if "model.model.0.weight" in weights or _has_blocks(weights) or is_latent_unet(weights):
        raise UsageError(f"{source} holds a generator: give it as `checkpoint`")
    if is_feature_encoder(weights):
        raise UsageError(f"{source} holds an encoder of features: give it as `encoder`")
    if _numbers(weights, _SCALE):
        return _detect_multiscale(weights, source)
    if is_pyramid(weights):
        return detect_pyramid(weights, source)
    prefix = _find_discriminator(weights)
    if not prefix:
        raise UserError(
            f"{source} holds no discriminator of the PyTorch reference, whose first convolution is "
            "model.0.weight (basic, n_layers), net.0.weight (pixel), in pix2pixHD scale0_layer0.0.weight, or "
            "in BicycleGAN model_0.0.weight. "
            f"It holds {describe_some(weights)}"
        )
    shape = weights[f"{prefix}.0.weight"].shape
    numbers = [int(match[1]) for name in weights if (match := re.fullmatch(rf"{prefix}\.(\d+)\.\w+", name))]
    discriminator = PatchDiscriminator(
        # The last convolution of n strided ones has the number 3n + 2.
        strided=0 if prefix == "net" else max(1, (max(numbers) - 2) // 3),
        base_filters=shape[0],
        channels=shape[1],
        affine=_has_affine(weights),
        biased=f"{prefix}.2.bias" in weights,
    )
    _check_norm(discriminator, source)
    compare(weights, torch_names.discriminator_table(discriminator), discriminator, source)
    return discriminator


def is_feature_encoder(weights: State) -> bool:
    """Tells whether weights are those of an encoder of features, which begins with a padding."""
    return shape_of(weights, "model.1.weight") is not None and not _has_blocks(weights)


def detect_feature_encoder(weights: State, source: object) -> FeatureEncoder:
    """Finds the encoder that `is_feature_encoder` tells of; the errors are those of `detect_generator`."""
    # The convolutions are a first and a last one, and two for each downsampling.
    places = _numbers(weights, _CONVOLUTION)
    first, last = shape_of(weights, "model.1.weight"), shape_of(weights, f"model.{max(places)}.weight")
    encoder = FeatureEncoder(
        depth=max(1, len(places) // 2 - 1),
        blocks=0,
        base_filters=first[0] if first else 0,
        input_channels=first[1] if first else 0,
        output_channels=last[0] if last else 0,
    )
    compare(weights, encoder_table(encoder), encoder, source, code="pix2pixHD's")
    return encoder


def _detect_residual(weights: State, source: object) -> ResidualGenerator:
    """Finds the residual generator that weights belong to, by the places of its blocks."""
    blocks = _numbers(weights, r"model\.(\d+)\.conv_block\..+")
    enhancers = len(_numbers(weights, r"model(\d+)_1\..+"))
    enhancer_blocks = len(_numbers(weights, r"model1_2\.(\d+)\.conv_block\..+"))
    depth = (min(blocks, default=0) - 4) // 3
    ending = (
        f"model{enhancers}_2.{enhancer_blocks + 4}" if enhancers else f"model.{len(blocks) + 6 * depth + 5}"
    )
    first, last = shape_of(weights, "model.1.weight"), shape_of(weights, f"{ending}.weight")
    if depth < 1 or not (first and last):
        raise UserError(
            f"{source} holds a network of {len(blocks)} residual blocks that has no counterpart here: there "
            "are CycleGAN's ResNets, and the generators global and local of pix2pixHD"
        )
    generator = ResidualGenerator(
        depth=depth,
        blocks=len(blocks),
        base_filters=first[0],
        input_channels=first[1],
        output_channels=last[0],
        affine=_has_affine(weights),
        biased="model.1.bias" in weights,
        enhancers=enhancers,
        enhancer_blocks=enhancer_blocks,
    )
    # A dropout between the convolutions of a block counts as one more layer.
    inside = f"model.{min(blocks)}.conv_block"
    if f"{inside}.6.weight" in weights and f"{inside}.5.weight" not in weights and not generator.is_hd:
        generator = dataclasses.replace(generator, dropout=True)
    _check_norm(generator, source)
    compare(weights, residual_table(generator), generator, source)
    return generator


def _detect_multiscale(weights: State, source: object) -> MultiscaleDiscriminator:
    """Finds the discriminators of pix2pixHD, whose names tell scale and layer."""
    layers = [int(match[2]) for name in weights if (match := re.fullmatch(_SCALE, name))]
    shape = shape_of(weights, "scale0_layer0.0.weight") or (0, 0)
    discriminator = MultiscaleDiscriminator(
        scales=len(_numbers(weights, _SCALE)),
        strided=max(layers) - 1,
        base_filters=shape[0],
        channels=shape[1],
    )
    compare(weights, multiscale_table(discriminator), discriminator, source)
    return discriminator


def _numbers(weights: State, pattern: str) -> set[int]:
    """Returns the numbers that the first group of a pattern matches in whole names of weights."""
    return {int(match[1]) for name in weights if (match := re.fullmatch(pattern, name))}


def _has_blocks(weights: State) -> bool:
    return any(".conv_block." in name for name in weights)


def _find_discriminator(weights: State) -> str | None:
    """Returns the name of the `Sequential` that holds the discriminator; None if there is none."""
    return next((prefix for prefix in ("model", "net") if shape_of(weights, f"{prefix}.0.weight")), None)


def _has_affine(weights: State) -> bool:
    return any(name.endswith(".weight") and value.ndim == 1 for name, value in weights.items())


def _check_norm(network: Unet | ResidualGenerator | PatchDiscriminator, source: object) -> None:
    if network.affine and network.biased:
        raise UserError(
            f"{source} has norms with scale and offset as well as convolutions with biases before them. "
            "The reference has the first with --norm batch, the second with --norm instance, never both"
        )
