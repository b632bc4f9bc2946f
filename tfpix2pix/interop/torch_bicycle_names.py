"""Where BicycleGAN's own code keeps each weight of its four networks.

`torch_names` explains the layouts. Its U-Nets concatenate the decoder first and then the skip, so the kernels
of the decoder swap their halves.
"""

import dataclasses

from tfpix2pix.interop.torch_names import Place, Unet, convolution_places, unet_table

MAX_WIDTH = 4  # of the encoder's blocks, times the filters of its first convolution


@dataclasses.dataclass(frozen=True)
class LatentUnet(Unet):
    """A U-Net with a latent vector; its norms are instance norms without scale and offset.

    Attributes:
      input_channels: channels of the input image alone.
      latent_size: number of values of the latent vector.
      latent_at: `all` or `input`, which the code calls `where_add`.
    """

    latent_size: int = 8
    latent_at: str = "all"

    def __str__(self) -> str:
        return f"{super().__str__()}, with {self.latent_size} latent values at {self.latent_at}"


@dataclasses.dataclass(frozen=True)
class PyramidDiscriminator:
    """The discriminators of BicycleGAN; the one at half the size has half as many filters.

    Attributes:
      scales: number of networks, at least 2.
      strided: number of stride-2 convolutions of each.
      base_filters: number of filters of the first block at the full size.
      channels: number of channels of the target image, or of input image and target image together.
    """

    scales: int
    strided: int
    base_filters: int
    channels: int

    def __str__(self) -> str:
        return (
            f"{self.scales} PatchGANs of {self.strided} strided convolutions in a pyramid, "
            f"{self.base_filters} filters, {self.channels} channels, instance norm"
        )


@dataclasses.dataclass(frozen=True)
class LatentEncoder:
    """The encoder of BicycleGAN, which the code calls `E_ResNet`.

    Attributes:
      blocks: number of halvings: 4 for 128 px, 5 for 256 px.
      base_filters: number of filters of the first convolution.
      channels: number of channels of the target image.
      latent_size: number of values of the latent vector.
    """

    blocks: int
    base_filters: int
    channels: int
    latent_size: int

    def __str__(self) -> str:
        return (
            f"ResNet of {self.blocks} halvings, {self.base_filters} filters, {self.channels} channels "
            f"-> {self.latent_size} latent values, instance norm"
        )


def latent_unet_table(unet: LatentUnet) -> dict[str, Place]:
    """Returns every weight of a U-Net by its name in BicycleGAN's code."""
    if unet.latent_at == "input":
        plain = Unet(
            unet.depth, unet.base_filters, unet.input_channels + unet.latent_size, unet.output_channels,
            affine=False, biased=True,
        )  # fmt: skip
        return {theirs: _swap(place, unet.depth) for theirs, place in unet_table(plain).items()}
    table: dict[str, Place] = {}
    block, outer = "model", unet.output_channels
    inputs = unet.input_channels
    for number in range(1, unet.depth + 1):
        outermost, innermost = number == 1, number == unet.depth
        filters = unet.base_filters * min(2 ** (number - 1), 8)
        down, shape = f"{block}.down.{0 if outermost else 1}", (filters, inputs + unet.latent_size, 4, 4)
        table |= convolution_places(f"encoder_{number}_conv", down, shape, filters, True)
        shape = (filters if innermost else 2 * filters, outer, 4, 4)
        places = convolution_places(f"decoder_{number}_conv", f"{block}.up.1", shape, outer, True)
        table |= {theirs: _swap(place, unet.depth) for theirs, place in places.items()}
        block, inputs, outer = f"{block}.submodule", filters, filters
    return table


def pyramid_table(discriminator: PyramidDiscriminator) -> dict[str, Place]:
    """Returns every weight of the discriminators by its name in BicycleGAN's code."""
    table: dict[str, Place] = {}
    for scale in range(discriminator.scales):
        inputs, base = discriminator.channels, max(1, round(discriminator.base_filters / 2**scale))
        for block in range(discriminator.strided + 2):
            is_last = block == discriminator.strided + 1
            filters = 1 if is_last else base * min(2**block, 8)
            ours = f"scale_{scale + 1}_patch_{'logits' if is_last else block + 1}_conv"
            theirs = f"model_{scale}.{0 if block == 0 else 3 * block - 1}"
            table |= convolution_places(ours, theirs, (filters, inputs, 4, 4), filters, True)
            inputs = filters
    return table


def encoder_table(encoder: LatentEncoder) -> dict[str, Place]:
    """Returns every weight of the encoder by its name in BicycleGAN's code."""
    base, inputs = encoder.base_filters, encoder.base_filters
    table = convolution_places("block_1_conv", "conv.0", (base, encoder.channels, 4, 4), base, True)
    for block in range(2, encoder.blocks + 1):
        filters, theirs = base * min(block, MAX_WIDTH), f"conv.{block - 1}"
        for layer, name, outputs, side in (
            ("1", "conv.2", inputs, 3),
            ("2", "conv.5.0", filters, 3),
            ("shortcut", "shortcut.1", filters, 1),
        ):
            shape, ours = (outputs, inputs, side, side), f"block_{block}_{layer}_conv"
            table |= convolution_places(ours, f"{theirs}.{name}", shape, outputs, True)
        inputs = filters
    for ours, theirs in (("mean", "fc.0"), ("log_variance", "fcVar.0")):
        table |= convolution_places(ours, theirs, (encoder.latent_size, inputs), encoder.latent_size, True)
    return table


def _swap(place: Place, depth: int) -> Place:
    """Returns the place of a weight of a U-Net there; the innermost block of the decoder has no skip."""
    layer, kind = place.ours.split("/")
    has_skip = layer.startswith("decoder_") and layer != f"decoder_{depth}_conv" and kind == "kernel"
    return place._replace(swapped=has_skip)
