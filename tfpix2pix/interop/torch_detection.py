"""Finds the network of the PyTorch reference that a state dict belongs to, or says why there is none."""

import re
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from tfpix2pix.interop import torch_names
from tfpix2pix.interop.torch_names import PatchDiscriminator, Table, Unet
from tfpix2pix.interop.torch_residual_names import ResidualGenerator, residual_table
from tfpix2pix.pipelines.base.errors import UsageError, UserError

State = Mapping[str, np.ndarray]

# Prefixes that wrappers put before names: DataParallel and DistributedDataParallel; torch.compile.
WRAPPERS = ("module.", "_orig_mod.")
# The ResNets that have a counterpart here.
RESNET_BLOCKS = (6, 9)
# A message names at most this many tensors of each kind.
NAMED = 6


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
    """Finds the U-Net or the ResNet that weights belong to.

    Args:
      weights: from `split_statistics`.
      source: the file that the weights come from, for messages.

    Raises:
      UsageError: if they belong to a discriminator.
      UserError: if they belong to another network, or if some are missing, too many,
        of a wrong shape or not finite; the message names them.
    """
    if _has_blocks(weights):
        return _detect_resnet(weights, source)
    if _find_discriminator(weights):
        raise UsageError(
            f"{source} holds a discriminator: give it as `discriminator`, and the generator's file as "
            "`checkpoint`"
        )
    first, last = _shape(weights, "model.model.0.weight"), _shape(weights, "model.model.3.weight")
    if not (first and last):
        raise UserError(
            f"{source} holds no generator of the PyTorch reference: the first and last convolution of a "
            f"U-Net are model.model.0.weight and model.model.3.weight. It holds {_some(weights)}"
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
    _compare(weights, torch_names.unet_table(unet), unet, source)
    return unet


def detect_discriminator(weights: State, source: object) -> PatchDiscriminator:
    """Finds the discriminator that weights belong to; arguments and errors are as in `detect_generator`."""
    if "model.model.0.weight" in weights or _has_blocks(weights):
        raise UsageError(f"{source} holds a generator: give it as `checkpoint`")
    prefix = _find_discriminator(weights)
    if not prefix:
        raise UserError(
            f"{source} holds no discriminator of the PyTorch reference, whose first convolution is "
            f"model.0.weight (basic, n_layers) or net.0.weight (pixel). It holds {_some(weights)}"
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
    _compare(weights, torch_names.discriminator_table(discriminator), discriminator, source)
    return discriminator


def _detect_resnet(weights: State, source: object) -> ResidualGenerator:
    """Finds the ResNet that weights belong to, whose blocks tell it apart from all others."""
    blocks = len({name.partition(".conv_block.")[0] for name in weights if ".conv_block." in name})
    first = _shape(weights, "model.1.weight")
    last = _shape(weights, f"model.{blocks + 17}.weight")
    if blocks not in RESNET_BLOCKS or not (first and last):
        raise UserError(
            f"{source} holds a network of {blocks} residual blocks, which has no counterpart here: there are "
            f"CycleGAN's, {' and '.join(f'resnet_{number}blocks' for number in RESNET_BLOCKS)}"
        )
    resnet = ResidualGenerator(
        depth=2,
        blocks=blocks,
        base_filters=first[0],
        input_channels=first[1],
        output_channels=last[0],
        affine=_has_affine(weights),
        biased="model.1.bias" in weights,
        # A dropout between the convolutions of a block counts as one more layer.
        dropout="model.10.conv_block.6.weight" in weights and "model.10.conv_block.5.weight" not in weights,
    )
    _check_norm(resnet, source)
    _compare(weights, residual_table(resnet), resnet, source)
    return resnet


def _has_blocks(weights: State) -> bool:
    return any(".conv_block." in name for name in weights)


def _find_discriminator(weights: State) -> str | None:
    """Returns the name of the `Sequential` that holds the discriminator; None if there is none."""
    return next((prefix for prefix in ("model", "net") if _shape(weights, f"{prefix}.0.weight")), None)


def _shape(weights: State, name: str) -> tuple[int, ...] | None:
    return weights[name].shape if name in weights and weights[name].ndim == 4 else None


def _has_affine(weights: State) -> bool:
    return any(name.endswith(".weight") and value.ndim == 1 for name, value in weights.items())


def _check_norm(network: Unet | ResidualGenerator | PatchDiscriminator, source: object) -> None:
    if network.affine and network.biased:
        raise UserError(
            f"{source} has norms with scale and offset as well as convolutions with biases before them. "
            "The reference has the first with --norm batch, the second with --norm instance, never both"
        )


def _compare(weights: State, table: Table, network: object, source: object) -> None:
    """Raises UserError if the weights are not exactly those of the network."""
    faults = []
    if missing := [name for name in table if name not in weights]:
        faults.append(f"missing: {_some(missing)}")
    if extra := [name for name in weights if name not in table]:
        faults.append(f"not expected: {_some(extra)}")
    both = [name for name in table if name in weights]
    if wrong := [
        f"{name} {list(weights[name].shape)} instead of {list(table[name].shape)}"
        for name in both
        if weights[name].shape != table[name].shape
    ]:
        faults.append(f"other shapes: {_some(wrong)}")
    if integers := [name for name in both if weights[name].dtype.kind != "f"]:
        faults.append(f"integers instead of floating point: {_some(integers)}")
    elif broken := [name for name in both if not np.isfinite(weights[name]).all()]:
        faults.append(f"not finite: {_some(broken)}")
    if faults:
        raise UserError(f"{source} looks like the reference's {network}, but is not: {'; '.join(faults)}")


def _some(names: Collection[str] | Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (", ".join(names[:NAMED]) or "nothing") + more
