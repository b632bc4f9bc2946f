"""Where the PyTorch reference keeps each weight, its shape there, and the axis order that turns it into ours.

Our names are `layer/weight`, theirs are paths through nested `Sequential`s. A
convolution is [out, in, k, k] there, a transposed one [in, out, k, k]; ours are
[k, k, in, out] and [k, k, out, in]: for both the same transposition, nothing is
flipped. Both sides concatenate the skip first, then the decoder.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

# What norms there keep besides weights, and pix2pix never reads: see docs/torch_weights.md.
RUNNING_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
# The reference's U-Net has no fewer downsamplings; further ones are 8 times as wide as the first.
LEAST_DEPTH = 5


@dataclasses.dataclass(frozen=True)
class Unet:
    """A U-Net of the reference.

    Attributes:
      depth: number of downsamplings.
      base_filters: of the first block.
      input_channels: of the input image.
      output_channels: of the generated image.
      affine: whether its norms have scale and offset: batch norm.
      biased: whether every convolution has a bias: instance norm.
    """

    depth: int
    base_filters: int
    input_channels: int
    output_channels: int
    affine: bool
    biased: bool

    def __str__(self) -> str:
        return (
            f"U-Net of {self.depth} downsamplings, {self.base_filters} filters, "
            f"{self.input_channels} -> {self.output_channels} channels, {_norm(self)}"
        )


@dataclasses.dataclass(frozen=True)
class PatchDiscriminator:
    """A discriminator of the reference.

    Attributes:
      strided: number of stride-2 convolutions, its `n_layers`; 0: `pixel`.
      base_filters: of the first block.
      channels: that it sees, those of input and target image together.
      affine: whether its norms have scale and offset: batch norm.
      biased: whether every convolution has a bias: instance norm.
    """

    strided: int
    base_filters: int
    channels: int
    affine: bool
    biased: bool

    def __str__(self) -> str:
        kind = f"{self.strided} strided convolutions" if self.strided else "1x1 convolutions"
        return f"PatchGAN of {kind}, {self.base_filters} filters, {self.channels} channels, {_norm(self)}"


class Place(NamedTuple):
    """What a tensor of the reference is.

    Attributes:
      ours: name of our weight.
      shape: there.
    """

    ours: str
    shape: tuple[int, ...]


# Their name -> what it is.
Table = Mapping[str, Place]


def unet_table(unet: Unet) -> dict[str, Place]:
    """Returns every weight of a U-Net, by its name there."""
    table: dict[str, Place] = {}
    block, outer = "model", unet.output_channels
    for number in range(1, unet.depth + 1):
        outermost, innermost = number == 1, number == unet.depth
        filters = unet.base_filters * min(2 ** (number - 1), 8)
        # Down: (ReLU), convolution, (norm); the nested block; up: ReLU, convolution, (norm).
        down = 0 if outermost else 1
        up = 3 if outermost or innermost else 5
        shape = (filters, unet.input_channels if outermost else outer, 4, 4)
        ours, theirs = f"encoder_{number}", f"{block}.model"
        table |= _convolution(f"{ours}_conv", f"{theirs}.{down}", shape, filters, unet.biased)
        if unet.affine and not (outermost or innermost):
            table |= _affine(f"{ours}_norm", f"{theirs}.{down + 1}", filters)
        ours, shape = f"decoder_{number}", (filters if innermost else 2 * filters, outer, 4, 4)
        table |= _convolution(f"{ours}_conv", f"{theirs}.{up}", shape, outer, unet.biased or outermost)
        if unet.affine and not outermost:
            table |= _affine(f"{ours}_norm", f"{theirs}.{up + 1}", outer)
        block, outer = f"{theirs}.{1 if outermost else 3}", filters
    return table


def discriminator_table(discriminator: PatchDiscriminator) -> dict[str, Place]:
    """Returns every weight of a discriminator, by its name there."""
    pixel = discriminator.strided == 0
    prefix, side = ("net", 1) if pixel else ("model", 4)
    blocks = 2 if pixel else discriminator.strided + 1
    table: dict[str, Place] = {}
    inputs = discriminator.channels
    for number in range(1, blocks + 1):
        filters = discriminator.base_filters * min(2 ** (number - 1), 8)
        place = 0 if number == 1 else 3 * number - 4
        shape, ours = (filters, inputs, side, side), f"patch_{number}"
        biased = discriminator.biased or number == 1
        table |= _convolution(f"{ours}_conv", f"{prefix}.{place}", shape, filters, biased)
        if discriminator.affine and number > 1:
            table |= _affine(f"{ours}_norm", f"{prefix}.{place + 1}", filters)
        inputs = filters
    # The pixel discriminator's last convolution follows the inner ones, the others' always has a bias.
    biased, shape = discriminator.biased or not pixel, (1, inputs, side, side)
    return table | _convolution("patch_logits_conv", f"{prefix}.{3 * blocks - 1}", shape, 1, biased)


def to_ours(tensors: Mapping[str, np.ndarray], table: Table) -> dict[str, np.ndarray]:
    """Returns our name -> value in our layout.

    Args:
      tensors: the reference's name -> value in its layout, one for each of `table`.
      table: from `unet_table` or `discriminator_table`.
    """
    return {place.ours: _transpose(tensors[theirs], (2, 3, 1, 0)) for theirs, place in table.items()}


def to_theirs(weights: Mapping[str, np.ndarray], table: Table) -> dict[str, np.ndarray]:
    """Returns the reference's name -> value in its layout; `to_ours` turned around."""
    return {theirs: _transpose(weights[place.ours], (3, 2, 0, 1)) for theirs, place in table.items()}


def initial_statistics(table: Table) -> dict[str, np.ndarray]:
    """Returns the running statistics of a network's batch norms as they are at the start of a training."""
    statistics: dict[str, np.ndarray] = {}
    for theirs, place in table.items():
        if place.ours.endswith("/gamma"):
            values = (np.zeros(place.shape, "float32"), np.ones(place.shape, "float32"), np.array(0, "int64"))
            norm = theirs.removesuffix("weight")
            statistics |= {norm + name: value for name, value in zip(RUNNING_STATISTICS, values, strict=True)}
    return statistics


def _convolution(
    ours: str, theirs: str, shape: tuple[int, ...], filters: int, biased: bool
) -> dict[str, Place]:
    kernel = {f"{theirs}.weight": Place(f"{ours}/kernel", shape)}
    return {**kernel, f"{theirs}.bias": Place(f"{ours}/bias", (filters,))} if biased else kernel


def _affine(ours: str, theirs: str, filters: int) -> dict[str, Place]:
    return {
        f"{theirs}.weight": Place(f"{ours}/gamma", (filters,)),
        f"{theirs}.bias": Place(f"{ours}/beta", (filters,)),
    }


def _transpose(value: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.transpose(value, axes) if value.ndim == 4 else value


def _norm(network: Unet | PatchDiscriminator) -> str:
    if network.affine:
        return "batch norm"
    return "instance norm" if network.biased else "no norm"
