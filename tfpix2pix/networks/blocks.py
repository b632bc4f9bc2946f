"""The blocks of the paper's generators: encoder, decoder, and what makes the image."""

import dataclasses
from typing import Any

import keras

from tfpix2pix.config.choices import DROPOUT_PLACES, LAST_BLOCKS, UPSAMPLINGS
from tfpix2pix.networks import layers
from tfpix2pix.networks.latent import Latent
from tfpix2pix.networks.normalization import needs_bias, normalize_maps
from tfpix2pix.networks.padding import ReflectionPad2D

REFINE_KERNEL_PX = 7  # that of pix2pixHD's last convolution


@dataclasses.dataclass(frozen=True)
class BlockOptions:
    """What all blocks of a generator have in common; `unet_generator` explains each field.

    Raises:
      ValueError: for an unknown upsampling or dropout place.
    """

    normalization: str = "batch"
    dropout_rate: float = 0.5
    dropout_place: str = "paper"
    upsampling: str = "transposed"
    conv_kernels: str = "auto"
    dtype: str = "float32"
    last_block: str | None = None
    latent: Latent = Latent()

    @property
    def refines(self) -> bool:
        """Whether the last block convolves once more at the full size."""
        return (self.last_block or ("refined" if self.upsampling == "bilinear" else "single")) == "refined"

    def __post_init__(self) -> None:
        for name, choices in (
            ("upsampling", UPSAMPLINGS),
            ("dropout_place", DROPOUT_PLACES),
            ("last_block", (*LAST_BLOCKS, None)),
        ):
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(map(str, choices))}. Received: {name}={value!r}"
                )


def encoder_block(images, filters: int, options: BlockOptions, name: str, normalize: bool = True):
    """Halves the size: leaky ReLU (but not in the first block), convolution, normalization.

    The activation comes first, so that a skip carries what the next decoder
    block's own ReLU sees, as in the original code.

    Args:
      images: symbolic float [B, H, W, C].
      filters: output channels.
      options: what the generator's blocks have in common.
      name: prefix of the layers' names; the first block's ends in `_1`.
      normalize: whether the block normalizes. If not, its convolution still has a bias only where
        those of the other blocks have one.

    Returns:
      Symbolic float [B, H/2, W/2, filters].
    """
    if not name.endswith("_1"):
        images = keras.layers.LeakyReLU(0.2, name=f"{name}_relu", dtype=options.dtype)(images)
    images = layers.PaddedConv2D(
        filters,
        4,
        2,
        conv_kernels=options.conv_kernels,
        use_bias=needs_bias(options.normalization),
        kernel_initializer=layers.weight_initializer(),
        name=f"{name}_conv",
        dtype=options.dtype,
    )(images)
    return normalize_maps(images, options.normalization if normalize else "none", options.dtype, name)


def decoder_block(images, filters: int, options: BlockOptions, name: str, normalize: bool = True):
    """Doubles the size: ReLU, transposed convolution (or resize and convolution), normalization.

    Args:
      images: symbolic float [B, H, W, C].
      filters: output channels.
      options: what the generator's blocks have in common.
      name: prefix of the layers' names.
      normalize: whether the block normalizes. If not, its convolution has a bias.

    Returns:
      Symbolic float [B, 2H, 2W, filters].
    """
    images = keras.layers.ReLU(name=f"{name}_relu", dtype=options.dtype)(images)
    normalization = options.normalization if normalize else "none"
    settings: dict[str, Any] = {
        "use_bias": needs_bias(normalization),
        "kernel_initializer": layers.weight_initializer(),
        "name": f"{name}_conv",
        "dtype": options.dtype,
    }
    if options.upsampling == "transposed":
        images = layers.UpConv2D(filters, options.conv_kernels, **settings)(images)
    else:
        images = layers.ResizeConv2D(filters, options.upsampling, **settings)(images)
    return normalize_maps(images, normalization, options.dtype, name)


def last_block(images, filters: tuple[int, int], options: BlockOptions):
    """Doubles the size and makes the image, before tanh.

    Args:
      images: symbolic float [B, H, W, C].
      filters: output channels of the enlarging convolution, where another follows; channels of the image.
      options: what the generator's blocks have in common.

    Returns:
      Symbolic float [B, 2H, 2W, channels].
    """
    if not options.refines:
        return decoder_block(images, filters[1], options, "decoder_1", normalize=False)
    images = decoder_block(images, filters[0], options, "decoder_1")
    images = keras.layers.ReLU(name="refine_relu", dtype=options.dtype)(images)
    images = ReflectionPad2D(REFINE_KERNEL_PX // 2, name="refine_pad", dtype=options.dtype)(images)
    return layers.PaddedConv2D(
        filters[1],
        REFINE_KERNEL_PX,
        pad_px=0,
        kernel_initializer=layers.weight_initializer(),
        name="refine_conv",
        dtype=options.dtype,
    )(images)
