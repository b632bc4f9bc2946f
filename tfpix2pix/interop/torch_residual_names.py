"""Where pix2pixHD's code and the PyTorch reference keep each weight of their residual networks.

`torch_names` explains the layouts. Numbers count the layers of a `Sequential`: a reflecting padding, a
convolution, a norm and a ReLU each take one.
"""

import dataclasses

from tfpix2pix.config.choices import HD_GENERATORS
from tfpix2pix.interop.torch_bicycle_names import (
    LatentUnet,
    PyramidDiscriminator,
    latent_unet_table,
    pyramid_table,
)
from tfpix2pix.interop.torch_names import (
    PatchDiscriminator,
    Place,
    Unet,
    affine_places,
    convolution_places,
    discriminator_table,
    name_norm,
    unet_table,
)

# The numbers of blocks that CycleGAN's ResNets have, whose images are halved so often.
RESNET_BLOCKS = (6, 9)
RESNET_DEPTH = 2


@dataclasses.dataclass(frozen=True)
class ResidualGenerator:
    """G1 of pix2pixHD, or with 2 downsamplings a generator of CycleGAN; with enhancers it is G2.

    Attributes:
      depth: number of downsamplings.
      blocks: number of residual blocks.
      base_filters: number of filters of the first convolution of the global generator.
      input_channels: channels of the input image.
      output_channels: channels of the generated image.
      affine: whether its norms have scale and offset, as batch norm has.
      biased: whether every convolution has a bias, as with instance norm.
      dropout: whether each residual block drops activations between its convolutions.
      enhancers: number of enhancers.
      enhancer_blocks: number of residual blocks of each enhancer; 0 without enhancers.
    """

    depth: int
    blocks: int
    base_filters: int
    input_channels: int
    output_channels: int
    affine: bool = False
    biased: bool = True
    dropout: bool = False
    enhancers: int = 0
    enhancer_blocks: int = 0

    @property
    def generator(self) -> str:
        """The name of the generator here, for the setting `generator`."""
        if self.enhancers:
            return "enhancer"
        is_resnet = self.depth == RESNET_DEPTH and self.blocks in RESNET_BLOCKS
        return f"resnet_{self.blocks}blocks" if is_resnet else "global"

    @property
    def is_hd(self) -> bool:
        """Whether it is one of pix2pixHD's."""
        return self.generator in HD_GENERATORS

    def __str__(self) -> str:
        norm, dropout = name_norm(self.affine, self.biased), "with" if self.dropout else "without"
        around = f", {self.enhancers} enhancers of {self.enhancer_blocks} blocks" if self.enhancers else ""
        return (
            f"ResNet of {self.blocks} blocks, {self.depth} downsamplings{around}, "
            f"{self.base_filters} filters, {self.input_channels} -> {self.output_channels} channels, "
            f"{norm}, {dropout} dropout"
        )


class FeatureEncoder(ResidualGenerator):
    """E of pix2pixHD, which finds features of instances; it is built as a generator without blocks."""

    def __str__(self) -> str:
        return (
            f"encoder of {self.depth} downsamplings, {self.base_filters} filters, {self.input_channels} "
            f"channels -> {self.output_channels} features of instances, {name_norm(self.affine, self.biased)}"
        )


@dataclasses.dataclass(frozen=True)
class MultiscaleDiscriminator:
    """The discriminators of pix2pixHD, which name their layers for feature matching.

    Attributes:
      scales: number of networks.
      strided: number of stride-2 convolutions of each.
      base_filters: number of filters of the first block.
      channels: number of channels of input image and target image together.
    """

    scales: int
    strided: int
    base_filters: int
    channels: int

    def __str__(self) -> str:
        return (
            f"{self.scales} PatchGANs of {self.strided} strided convolutions, {self.base_filters} filters, "
            f"{self.channels} channels, instance norm"
        )


Discriminator = PatchDiscriminator | MultiscaleDiscriminator | PyramidDiscriminator


def judge_table(discriminator: Discriminator) -> dict[str, Place]:
    """Returns every weight of a discriminator by its name in PyTorch."""
    if isinstance(discriminator, PatchDiscriminator):
        return discriminator_table(discriminator)
    if isinstance(discriminator, PyramidDiscriminator):
        return pyramid_table(discriminator)
    return multiscale_table(discriminator)


def generator_table(generator: Unet | ResidualGenerator) -> dict[str, Place]:
    """Returns every weight of a generator by its name in the reference."""
    if isinstance(generator, LatentUnet):
        return latent_unet_table(generator)
    return unet_table(generator) if isinstance(generator, Unet) else residual_table(generator)


def encoder_table(encoder: ResidualGenerator) -> dict[str, Place]:
    """Returns every weight of an encoder of features, which has no blocks, by its name in PyTorch."""
    return {
        theirs: place._replace(ours=f"encoder_{place.ours}")
        for theirs, place in residual_table(encoder).items()
    }


def residual_table(generator: ResidualGenerator) -> dict[str, Place]:
    """Returns every weight of a residual generator by its name in PyTorch."""
    depth, blocks, base = generator.depth, generator.blocks, generator.base_filters
    table = _block(generator, "first", "model.1", (base, generator.input_channels, 7, 7), base)
    for number in range(1, depth + 1):
        filters = base * 2**number
        shape = (filters, filters // 2, 3, 3)
        table |= _block(generator, f"down_{number}", f"model.{3 * number + 1}", shape, filters)
    after = 3 * depth + 4
    for number in range(1, blocks + 1):
        table |= _residual(generator, f"block_{number}", f"model.{after + number - 1}", base * 2**depth)
    after += blocks
    for number in range(1, depth + 1):
        filters = base * 2 ** (depth - number)
        theirs, shape = f"model.{after + 3 * (number - 1)}", (2 * filters, filters, 3, 3)
        table |= _block(generator, f"up_{number}", theirs, shape, filters)
    last, inside = f"model.{after + 3 * depth + 1}", base
    for number in range(1, generator.enhancers + 1):
        table |= _enhancer_table(generator, number)
        last = f"model{number}_2.{generator.enhancer_blocks + 4}"
        inside = base // 2**number
    shape = (generator.output_channels, inside, 7, 7)
    return table | convolution_places("last_conv", last, shape, generator.output_channels, True)


def _enhancer_table(generator: ResidualGenerator, number: int) -> dict[str, Place]:
    ours, theirs, filters = f"enhancer_{number}", f"model{number}", generator.base_filters // 2**number
    blocks = generator.enhancer_blocks
    table = _block(
        generator, f"{ours}_first", f"{theirs}_1.1", (filters, generator.input_channels, 7, 7), filters
    )
    table |= _block(generator, f"{ours}_down", f"{theirs}_1.4", (2 * filters, filters, 3, 3), 2 * filters)
    for block in range(1, blocks + 1):
        table |= _residual(generator, f"{ours}_block_{block}", f"{theirs}_2.{block - 1}", 2 * filters)
    up = f"{theirs}_2.{blocks}"
    return table | _block(generator, f"{ours}_up", up, (2 * filters, filters, 3, 3), filters)


def multiscale_table(discriminator: MultiscaleDiscriminator) -> dict[str, Place]:
    """Returns every weight of the discriminators by its name in pix2pixHD's code.

    There `scale0` judges the smallest image; here `scale_1` judges the largest.
    """
    table: dict[str, Place] = {}
    for scale in range(1, discriminator.scales + 1):
        theirs, inputs = f"scale{discriminator.scales - scale}_layer", discriminator.channels
        for block in range(discriminator.strided + 2):
            is_last = block == discriminator.strided + 1
            filters = 1 if is_last else discriminator.base_filters * min(2**block, 8)
            ours = f"scale_{scale}_patch_{'logits' if is_last else block + 1}_conv"
            table |= convolution_places(ours, f"{theirs}{block}.0", (filters, inputs, 4, 4), filters, True)
            inputs = filters
    return table


def _block(
    generator: ResidualGenerator, ours: str, theirs: str, shape: tuple[int, ...], filters: int
) -> dict[str, Place]:
    """Returns the weights of a convolution, and of the norm that is the next layer."""
    table = convolution_places(f"{ours}_conv", theirs, shape, filters, generator.biased)
    if generator.affine:
        path, place = theirs.rsplit(".", 1)
        table |= affine_places(f"{ours}_norm", f"{path}.{int(place) + 1}", filters)
    return table


def _residual(generator: ResidualGenerator, ours: str, theirs: str, filters: int) -> dict[str, Place]:
    second = 6 if generator.dropout else 5
    shape = (filters, filters, 3, 3)
    first = _block(generator, f"{ours}_1", f"{theirs}.conv_block.1", shape, filters)
    return first | _block(generator, f"{ours}_2", f"{theirs}.conv_block.{second}", shape, filters)
