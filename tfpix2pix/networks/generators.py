"""The paper's generators as functional Keras models: U-Net and encoder-decoder.

Both take `[input_image, noise_seed]`, or the input image alone, and return the generated image:
float32 [B, H, W, C] in [-1, 1] of any H and W, and int32 [B, 2].
"""

import dataclasses
from typing import Any

import keras

from tfpix2pix.config.choices import DROPOUT_PLACES, UPSAMPLINGS
from tfpix2pix.networks import layers
from tfpix2pix.networks.class_channels import encode_input
from tfpix2pix.networks.image_model import ImageModel
from tfpix2pix.networks.keras_versions import default_policy
from tfpix2pix.networks.noise import NoiseDropout
from tfpix2pix.networks.normalization import StatelessNormalization, needs_bias
from tfpix2pix.networks.padding import CropLike, PadToMultiple
from tfpix2pix.pipelines.meaning import Palette

MAX_DEPTH = 8
DROPOUT_BLOCKS = 3


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

    def __post_init__(self) -> None:
        for name, choices in (("upsampling", UPSAMPLINGS), ("dropout_place", DROPOUT_PLACES)):
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}. Received: {name}={value!r}")


def depth_for(image_size: int | tuple[int, int]) -> int:
    """Returns the number of downsamplings for images of N or (height, width) px: 8 for 256x256.

    The shorter side shrinks to 1 px at the bottleneck, as in the paper, and no
    network is deeper than the paper's.
    """
    side = image_size if isinstance(image_size, int) else min(image_size)
    return max(2, min(MAX_DEPTH, side.bit_length() - 1))


def unet_generator(
    image_size: int | tuple[int, int] = (256, 256),
    input_channels: int = 3,
    output_channels: int = 3,
    *,
    depth: int | None = None,
    base_filters: int = 64,
    normalization: str = "batch",
    dropout_rate: float = 0.5,
    dropout_place: str = "paper",
    upsampling: str = "transposed",
    conv_kernels: str = "auto",
    palette: Palette | None = None,
    dtype: str | None = None,
) -> keras.Model:
    """Builds the U-Net: encoder, decoder, and a skip between mirrored blocks.

    Args:
      image_size: N or (height, width) in px that the network is meant for; only `depth`
        follows from it. The network runs on other sizes too.
      input_channels: channels of the input image.
      output_channels: channels of the generated image.
      depth: number of downsamplings; None takes `depth_for(image_size)`.
      base_filters: filters of the first block (64 in the paper).
      normalization: `none`, or a `kind` of `normalization.StatelessNormalization`: `batch`,
        `instance` or `plain_instance`.
      dropout_rate: share of the activations that a decoder block drops, in training and
        in inference alike; 0 means that none of them drops anything.
      dropout_place: which decoder blocks drop. `paper` means the first three; `torch` means
        those of the PyTorch reference: the blocks of full width, without the bottleneck's.
      upsampling: how a decoder block doubles the size. `transposed` is the paper's 4x4
        transposed convolution; `nearest` and `bilinear` resize and convolve 3x3, which
        leaves no checkerboard.
      conv_kernels: `auto` turns convolutions of small maps into matmuls on a CPU, where
        that is faster; `native` takes TensorFlow's kernels everywhere.
      palette: classes of label maps, of which the network sees a channel for each class in place of
        their colours; None for pictures.
      dtype: Keras dtype policy; None takes the one that is set for all of Keras. The image goes in and
        comes out as float32.

    Returns:
      A functional model `[input_image, noise_seed] -> generated_image`. Called with images alone, it gives
      all of them the same noise seed.

    Raises:
      ValueError: for an unknown name or a depth below 2.

    Source: Sec. 3.2.1, 6.1.1. 54,413,955 parameters at the defaults.

    Example:
    >>> generator = unet_generator((64, 64), base_filters=8)
    >>> image, seed = np.zeros((1, 64, 64, 3), "float32"), np.zeros((1, 2), "int32")
    >>> generator([image, seed]).shape
    TensorShape([1, 64, 64, 3])
    """
    dtype = dtype or default_policy()
    return _build_generator(
        depth_for(image_size) if depth is None else depth,
        (input_channels, output_channels),
        base_filters,
        BlockOptions(normalization, dropout_rate, dropout_place, upsampling, conv_kernels, dtype),
        palette,
        with_skips=True,
    )


def encoder_decoder_generator(
    image_size: int | tuple[int, int] = (256, 256),
    input_channels: int = 3,
    output_channels: int = 3,
    *,
    depth: int | None = None,
    base_filters: int = 64,
    normalization: str = "batch",
    dropout_rate: float = 0.5,
    dropout_place: str = "paper",
    upsampling: str = "transposed",
    conv_kernels: str = "auto",
    palette: Palette | None = None,
    dtype: str | None = None,
) -> keras.Model:
    """Builds the encoder-decoder: the U-Net without its skips.

    The arguments, the result, the errors and the source are those of `unet_generator`.

    Example:
    >>> encoder_decoder_generator((64, 64), base_filters=8).name
    'encoder_decoder_generator'
    """
    dtype = dtype or default_policy()
    return _build_generator(
        depth_for(image_size) if depth is None else depth,
        (input_channels, output_channels),
        base_filters,
        BlockOptions(normalization, dropout_rate, dropout_place, upsampling, conv_kernels, dtype),
        palette,
        with_skips=False,
    )


def _build_generator(
    depth: int,
    channels: tuple[int, int],
    base_filters: int,
    options: BlockOptions,
    palette: Palette | None,
    *,
    with_skips: bool,
) -> keras.Model:
    if depth < 2:
        raise ValueError(f"depth must be at least 2. Received: depth={depth}")
    dtype = options.dtype
    input_image = keras.Input((None, None, channels[0]), name="input_image")
    noise_seed = keras.Input((2,), dtype="int32", name="noise_seed")
    widths = [base_filters * min(2**block, 8) for block in range(depth)]

    images = encode_input(input_image, palette)
    images = PadToMultiple(2**depth, name="pad", dtype=dtype)(images)
    encoded = []
    for block, filters in enumerate(widths, start=1):
        # No norm on the first block (Sec. 6.1.1), none on the bottleneck (errata: at
        # batch 1 it would zero the activations).
        images = encoder_block(images, filters, options, f"encoder_{block}", normalize=1 < block < depth)
        encoded.append(images)
    for block in range(depth, 1, -1):
        images = decoder_block(images, widths[block - 2], options, f"decoder_{block}")
        if options.dropout_rate and _drops(options.dropout_place, block, depth):
            noise = NoiseDropout(options.dropout_rate, block, name=f"decoder_{block}_noise", dtype=dtype)
            images = noise([images, noise_seed])
        if with_skips:
            skip = encoded[block - 2]
            images = keras.layers.Concatenate(name=f"decoder_{block}_skip", dtype=dtype)([skip, images])
    images = decoder_block(images, channels[1], options, "decoder_1", normalize=False)
    images = CropLike(name="crop", dtype=dtype)([images, input_image])
    generated_image = keras.layers.Activation("tanh", name="generated_image", dtype="float32")(images)
    name = "unet_generator" if with_skips else "encoder_decoder_generator"
    return ImageModel([input_image, noise_seed], generated_image, name=name)


def _drops(dropout_place: str, block: int, depth: int) -> bool:
    if dropout_place == "paper":
        return depth - block < DROPOUT_BLOCKS
    # The reference's UnetGenerator drops in its ngf * 8 blocks between the fourth and the innermost.
    return 5 <= block < depth


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
    return _normalize(images, options.normalization if normalize else "none", options.dtype, name)


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
    return _normalize(images, normalization, options.dtype, name)


def _normalize(images, normalization: str, dtype: str, name: str):
    if normalization == "none":
        return images
    return StatelessNormalization(normalization, name=f"{name}_norm", dtype=dtype)(images)
