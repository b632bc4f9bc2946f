"""Where the PyTorch reference keeps each weight, its shape there, and the axis order that turns it into ours.

Our names are `layer/weight`; theirs are paths through nested `Sequential`s. The
kernel of a convolution is [out, in, k, k] there and [k, k, in, out] here. That of a
transposed convolution is [in, out, k, k] there and [k, k, out, in] here. So both
need the same transposition, and nothing is flipped. Both sides concatenate the
skip first, then the decoder.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

# The norms of the reference keep these besides their weights. Its pix2pix does not read them
# unless it is told --eval: see docs/torch_weights.md.
RUNNING_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
# The reference's U-Net has at least these downsamplings. Further ones have 8 times as many filters
# as the first.
LEAST_DEPTH = 5


@dataclasses.dataclass(frozen=True)
class Unet:
    """A U-Net of the reference.

    Attributes:
      depth: number of downsamplings.
      base_filters: number of filters of the first block.
      input_channels: channels of the input image.
      output_channels: channels of the generated image.
      affine: whether its norms have scale and offset, as batch norm has.
      biased: whether every convolution has a bias, as with instance norm.
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
            f"{self.input_channels} -> {self.output_channels} channels, {name_norm(self.affine, self.biased)}"
        )


@dataclasses.dataclass(frozen=True)
class PatchDiscriminator:
    """A discriminator of the reference.

    Attributes:
      strided: number of stride-2 convolutions, which the reference calls `n_layers`;
        0 for its `pixel` discriminator.
      base_filters: number of filters of the first block.
      channels: number of channels that it sees: those of the input image and of the
        target image together, or those of the target image alone.
      affine: whether its norms have scale and offset, as batch norm has.
      biased: whether every convolution has a bias, as with instance norm.
    """

    strided: int
    base_filters: int
    channels: int
    affine: bool
    biased: bool

    def __str__(self) -> str:
        kind = f"{self.strided} strided convolutions" if self.strided else "1x1 convolutions"
        norm = name_norm(self.affine, self.biased)
        return f"PatchGAN of {kind}, {self.base_filters} filters, {self.channels} channels, {norm}"


class Place(NamedTuple):
    """Which of our weights a tensor of the reference corresponds to.

    Attributes:
      ours: name of our weight.
      shape: shape of the tensor in the reference.
      swapped: whether the halves of its input channels change places, as its network concatenates the
        decoder first and then the skip.
      inputs: for each of the first input channels of our kernel, which one of its is the same.
    """

    ours: str
    shape: tuple[int, ...]
    swapped: bool = False
    inputs: tuple[int, ...] = ()


# Name of a tensor in the reference -> which of our weights it corresponds to.
Table = Mapping[str, Place]


def unet_table(unet: Unet) -> dict[str, Place]:
    """Returns every weight of a U-Net by its name in the reference."""
    table: dict[str, Place] = {}
    block, outer = "model", unet.output_channels
    for number in range(1, unet.depth + 1):
        outermost, innermost = number == 1, number == unet.depth
        filters = unet.base_filters * min(2 ** (number - 1), 8)
        # A block holds: (ReLU), convolution, (norm); the nested block; ReLU, convolution, (norm).
        down = 0 if outermost else 1
        up = 3 if outermost or innermost else 5
        shape = (filters, unet.input_channels if outermost else outer, 4, 4)
        ours, theirs = f"encoder_{number}", f"{block}.model"
        table |= convolution_places(f"{ours}_conv", f"{theirs}.{down}", shape, filters, unet.biased)
        if unet.affine and not (outermost or innermost):
            table |= affine_places(f"{ours}_norm", f"{theirs}.{down + 1}", filters)
        ours, shape = f"decoder_{number}", (filters if innermost else 2 * filters, outer, 4, 4)
        table |= convolution_places(f"{ours}_conv", f"{theirs}.{up}", shape, outer, unet.biased or outermost)
        if unet.affine and not outermost:
            table |= affine_places(f"{ours}_norm", f"{theirs}.{up + 1}", outer)
        block, outer = f"{theirs}.{1 if outermost else 3}", filters
    return table


def discriminator_table(discriminator: PatchDiscriminator) -> dict[str, Place]:
    """Returns every weight of a discriminator by its name in the reference."""
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
        table |= convolution_places(f"{ours}_conv", f"{prefix}.{place}", shape, filters, biased)
        if discriminator.affine and number > 1:
            table |= affine_places(f"{ours}_norm", f"{prefix}.{place + 1}", filters)
        inputs = filters
    # The last convolution always has a bias, except in the pixel discriminator: there it is like the
    # inner ones.
    biased, shape = discriminator.biased or not pixel, (1, inputs, side, side)
    return table | convolution_places("patch_logits_conv", f"{prefix}.{3 * blocks - 1}", shape, 1, biased)


def to_ours(tensors: Mapping[str, np.ndarray], table: Table) -> dict[str, np.ndarray]:
    """Returns our weights, in our layout, by our names.

    Args:
      tensors: the reference's tensors, in its layout, by its names; one for each of `table`.
      table: from `unet_table` or `discriminator_table`.
    """
    return {
        place.ours: _transpose(_swap(_take(tensors[theirs], place.inputs), place), (2, 3, 1, 0))
        for theirs, place in table.items()
    }


def to_theirs(weights: Mapping[str, np.ndarray], table: Table) -> dict[str, np.ndarray]:
    """Returns the reference's tensors, in its layout, by its names: the inverse of `to_ours`."""
    return {
        theirs: _take(_swap(_transpose(weights[place.ours], (3, 2, 0, 1)), place), _invert(place.inputs))
        for theirs, place in table.items()
    }


def initial_statistics(table: Table) -> dict[str, np.ndarray]:
    """Returns the running statistics that a network's batch norms have when a training starts."""
    statistics: dict[str, np.ndarray] = {}
    for theirs, place in table.items():
        if place.ours.endswith("/gamma"):
            values = (np.zeros(place.shape, "float32"), np.ones(place.shape, "float32"), np.array(0, "int64"))
            norm = theirs.removesuffix("weight")
            statistics |= {norm + name: value for name, value in zip(RUNNING_STATISTICS, values, strict=True)}
    return statistics


def convolution_places(
    ours: str, theirs: str, shape: tuple[int, ...], filters: int, biased: bool
) -> dict[str, Place]:
    """Returns the weights of a convolution: name in the reference -> place."""
    kernel = {f"{theirs}.weight": Place(f"{ours}/kernel", shape)}
    return {**kernel, f"{theirs}.bias": Place(f"{ours}/bias", (filters,))} if biased else kernel


def affine_places(ours: str, theirs: str, filters: int) -> dict[str, Place]:
    """Returns the scale and the offset of a norm: name in the reference -> place."""
    return {
        f"{theirs}.weight": Place(f"{ours}/gamma", (filters,)),
        f"{theirs}.bias": Place(f"{ours}/beta", (filters,)),
    }


def _transpose(value: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    # The kernel of a layer without places is [out, in] there and [in, out] here.
    return np.transpose(value, axes) if value.ndim == 4 else value.T


def _swap(value: np.ndarray, place: Place) -> np.ndarray:
    return np.concatenate(np.split(value, 2)[::-1]) if place.swapped else value


def _take(kernel: np.ndarray, inputs: Sequence[int]) -> np.ndarray:
    return kernel[:, [*inputs, *range(len(inputs), kernel.shape[1])]] if len(inputs) else kernel


def _invert(inputs: Sequence[int]) -> list[int]:
    return [inputs.index(place) for place in range(len(inputs))]


def name_norm(affine: bool, biased: bool) -> str:
    """Returns what the reference calls the norm of a network."""
    if affine:
        return "batch norm"
    return "instance norm" if biased else "no norm"
