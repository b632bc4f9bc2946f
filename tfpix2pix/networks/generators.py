"""The paper's generators as functional Keras models: U-Net and encoder-decoder.

Both take `[input_image, noise_seed]` and return the generated image:
float32 [B, H, W, C] in [-1, 1] of any H and W, and int32 [B, 2].
"""

from typing import Any

import keras

from tfpix2pix.networks import layers
from tfpix2pix.networks.noise import NoiseDropout
from tfpix2pix.networks.normalization import StatelessNormalization, needs_bias
from tfpix2pix.networks.padding import CropLike, PadToMultiple

MAX_DEPTH = 8
# How a decoder block doubles the size.
UPSAMPLINGS = ("transposed", "nearest", "bilinear")
DROPOUT_BLOCKS = 3
# Which decoder blocks drop: the paper's first three, or those of the PyTorch reference.
DROPOUT_PLACES = ("paper", "torch")


def depth_for(image_size: int | tuple[int, int]) -> int:
    """Returns the number of downsamplings for images of N or (height, width) px: 8 for 256x256.

    The shorter side shrinks to 1 px at the bottleneck, as in the paper, and no
    net is deeper than the paper's.
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
    dtype: str = "float32",
) -> keras.Model:
    """Builds the U-Net: encoder, decoder, and a skip between mirrored blocks.

    Args:
      image_size: N or (height, width) in px that the net is meant for; only `depth`
        follows from it. The net runs on other sizes too.
      input_channels: channels of the input image.
      output_channels: channels of the generated image.
      depth: number of downsamplings; None: `depth_for(image_size)`.
      base_filters: filters of the first block (64 in the paper).
      normalization: `batch`, `instance`, `plain_instance` or `none`; see `layers.StatelessNormalization`.
      dropout_rate: rate in the decoder blocks that drop, on at inference too.
      dropout_place: `paper`: the first three decoder blocks drop; `torch`: those of
        the PyTorch reference, the blocks of full width but for the bottleneck's.
      upsampling: `transposed`, the paper's 4x4 transposed convolution; `nearest`
        or `bilinear`, a resize and a 3x3 convolution, which leaves no checkerboard.
      conv_kernels: `auto`: on a CPU, convolutions of small maps are matmuls where
        that is faster; `native`: TensorFlow's kernels everywhere.
      dtype: Keras dtype policy; the image goes in and comes out as float32.

    Returns:
      A functional model `[input_image, noise_seed] -> generated_image`.

    Source: Sec. 3.2.1, 6.1.1. 54,413,955 parameters at the defaults.

    Example:
    >>> generator = unet_generator((64, 64), base_filters=8)
    >>> image, seed = np.zeros((1, 64, 64, 3), "float32"), np.zeros((1, 2), "int32")
    >>> generator([image, seed]).shape
    TensorShape([1, 64, 64, 3])
    """
    return _build_generator(
        "unet_generator",
        depth_for(image_size) if depth is None else depth,
        (input_channels, output_channels),
        base_filters,
        normalization,
        dropout_rate,
        dropout_place,
        upsampling,
        conv_kernels,
        dtype,
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
    dtype: str = "float32",
) -> keras.Model:
    """Builds the encoder-decoder: the U-Net without its skips.

    Args, returns and source are those of `unet_generator`.

    Example:
    >>> encoder_decoder_generator((64, 64), base_filters=8).name
    'encoder_decoder_generator'
    """
    return _build_generator(
        "encoder_decoder_generator",
        depth_for(image_size) if depth is None else depth,
        (input_channels, output_channels),
        base_filters,
        normalization,
        dropout_rate,
        dropout_place,
        upsampling,
        conv_kernels,
        dtype,
        with_skips=False,
    )


BUILDERS = {"unet": unet_generator, "encoder_decoder": encoder_decoder_generator}


def _build_generator(
    name: str,
    depth: int,
    channels: tuple[int, int],
    base_filters: int,
    normalization: str,
    dropout_rate: float,
    dropout_place: str,
    upsampling: str,
    conv_kernels: str,
    dtype: str,
    with_skips: bool,
) -> keras.Model:
    if depth < 2:
        raise ValueError(f"depth must be at least 2. Received: depth={depth}")
    if upsampling not in UPSAMPLINGS:
        raise ValueError(f"upsampling must be one of {UPSAMPLINGS}. Received: upsampling={upsampling!r}")
    if dropout_place not in DROPOUT_PLACES:
        raise ValueError(
            f"dropout_place must be one of {DROPOUT_PLACES}. Received: dropout_place={dropout_place!r}"
        )
    input_image = keras.Input((None, None, channels[0]), name="input_image")
    noise_seed = keras.Input((2,), dtype="int32", name="noise_seed")
    widths = [base_filters * min(2**block, 8) for block in range(depth)]

    images = PadToMultiple(2**depth, name="pad", dtype=dtype)(input_image)
    encoded = []
    for block, filters in enumerate(widths, start=1):
        # No norm on the first block (Sec. 6.1.1), none on the bottleneck (errata: at
        # batch 1 it would zero the activations).
        norm = normalization if 1 < block < depth else "none"
        use_bias = needs_bias(normalization)
        images = encoder_block(images, filters, norm, use_bias, conv_kernels, dtype, name=f"encoder_{block}")
        encoded.append(images)
    for block in range(depth, 1, -1):
        images = decoder_block(
            images, widths[block - 2], normalization, upsampling, conv_kernels, dtype, name=f"decoder_{block}"
        )
        if dropout_rate and _drops(dropout_place, block, depth):
            images = NoiseDropout(dropout_rate, stream=block, name=f"decoder_{block}_noise", dtype=dtype)(
                [images, noise_seed]
            )
        if with_skips:
            skip = encoded[block - 2]
            images = keras.layers.Concatenate(name=f"decoder_{block}_skip", dtype=dtype)([skip, images])
    images = decoder_block(images, channels[1], "none", upsampling, conv_kernels, dtype, name="decoder_1")
    images = CropLike(name="crop", dtype=dtype)([images, input_image])
    generated_image = keras.layers.Activation("tanh", name="generated_image", dtype="float32")(images)
    return keras.Model([input_image, noise_seed], generated_image, name=name)


def _drops(dropout_place: str, block: int, depth: int) -> bool:
    if dropout_place == "paper":
        return depth - block < DROPOUT_BLOCKS
    # UnetGenerator: its ngf * 8 blocks between the fourth and the innermost.
    return 5 <= block < depth


def encoder_block(
    images, filters: int, normalization: str, use_bias: bool, conv_kernels: str, dtype: str, name: str
):
    """Halves the size: leaky ReLU (but before the first block), convolution, norm.

    The activation comes first, so that a skip carries what the next decoder
    block's own ReLU sees, as in the original code.

    Args:
      images: symbolic float [B, H, W, C].
      filters: output channels.
      normalization: `batch`, `instance`, `plain_instance` or `none`.
      use_bias: whether the convolution has a bias.
      conv_kernels: `auto` or `native`.
      dtype: Keras dtype policy.
      name: prefix of the layers' names.

    Returns:
      Symbolic float [B, H/2, W/2, filters].
    """
    if not name.endswith("_1"):
        images = keras.layers.LeakyReLU(0.2, name=f"{name}_relu", dtype=dtype)(images)
    images = layers.PaddedConv2D(
        filters,
        4,
        2,
        conv_kernels=conv_kernels,
        use_bias=use_bias,
        kernel_initializer=layers.weight_initializer(),
        name=f"{name}_conv",
        dtype=dtype,
    )(images)
    return _normalize(images, normalization, dtype, name)


def decoder_block(
    images, filters: int, normalization: str, upsampling: str, conv_kernels: str, dtype: str, name: str
):
    """Doubles the size: ReLU, transposed convolution (or resize and convolution), norm.

    Args:
      images: symbolic float [B, H, W, C].
      filters: output channels.
      normalization: `batch`, `instance`, `plain_instance` or `none`; see `layers.needs_bias`.
      upsampling: `transposed`, `nearest` or `bilinear`.
      conv_kernels: `auto` or `native`; of a transposed convolution.
      dtype: Keras dtype policy.
      name: prefix of the layers' names.

    Returns:
      Symbolic float [B, 2H, 2W, filters].
    """
    images = keras.layers.ReLU(name=f"{name}_relu", dtype=dtype)(images)
    options: dict[str, Any] = {
        "use_bias": needs_bias(normalization),
        "kernel_initializer": layers.weight_initializer(),
        "name": f"{name}_conv",
        "dtype": dtype,
    }
    if upsampling == "transposed":
        images = layers.UpConv2D(filters, conv_kernels, **options)(images)
    else:
        images = layers.ResizeConv2D(filters, upsampling, **options)(images)
    return _normalize(images, normalization, dtype, name)


def _normalize(images, normalization: str, dtype: str, name: str):
    if normalization == "none":
        return images
    return StatelessNormalization(normalization, name=f"{name}_norm", dtype=dtype)(images)
