"""The paper's generators as functional Keras models: U-Net and encoder-decoder.

Both take `[input_image, noise_seed]`, or the input image alone, and return the generated image:
float32 [B, H, W, C] in [-1, 1] of any H and W, and int32 [B, 2].
"""

import keras

from tfpix2pix.networks.blocks import BlockOptions, decoder_block, encoder_block, last_block
from tfpix2pix.networks.frame import Frame, build_in_frame
from tfpix2pix.networks.keras_versions import default_policy
from tfpix2pix.networks.latent import Latent, LatentMaps
from tfpix2pix.networks.noise import NoiseDropout
from tfpix2pix.pipelines.meaning import Palette

MAX_DEPTH = 8
DROPOUT_BLOCKS = 3


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
    last_block: str | None = None,
    latent_size: int = 0,
    latent_at: str = "all",
    palette: Palette | None = None,
    boundary_classes: Palette | None = None,
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
      conv_kernels: `auto` convolves on a CPU in the way that is fastest for each map: by a matmul,
        in strips, or by minimal filtering; `native` takes TensorFlow's kernels everywhere.
      last_block: how the image is made: `single` is the paper's one convolution; `refined`
        enlarges to `base_filters` channels, normalises, and convolves 7x7 at the full size, as
        pix2pixHD does. None takes `refined` for `bilinear`, which has hardly any detail of 2 px otherwise.
      latent_size: number of values of the latent vector z, which is drawn from the noise seed;
        0 means that there is none. `latent.with_latent` makes z an input.
      latent_at: what z is appended to. `all` means what each encoder block sees, `input` the input
        image alone.
      palette: classes of label maps, of which the network sees a channel for each class in place of
        their colours; None for pictures.
      boundary_classes: classes of label maps whose last channel holds ids of instances, of which the
        network sees the borders; None where there is no such channel.
      dtype: Keras dtype policy; None takes the one that is set for all of Keras. The image goes in and
        comes out as float32.

    Returns:
      A functional model `[input_image, noise_seed] -> generated_image`. Called with images alone, it gives
      all of them the same noise seed.

    Raises:
      ValueError: for an unknown name or a depth below 2.

    Source: Sec. 3.2.1, 6.1.1. 54,413,955 parameters at the defaults.

    Examples:
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
        BlockOptions(
            normalization,
            dropout_rate,
            dropout_place,
            upsampling,
            conv_kernels,
            dtype,
            last_block,
            Latent(latent_size, latent_at),
        ),
        (palette, boundary_classes),
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
    last_block: str | None = None,
    latent_size: int = 0,
    latent_at: str = "all",
    palette: Palette | None = None,
    boundary_classes: Palette | None = None,
    dtype: str | None = None,
) -> keras.Model:
    """Builds the encoder-decoder: the U-Net without its skips.

    The arguments, the result, the errors and the source are those of `unet_generator`.

    Examples:
      >>> encoder_decoder_generator((64, 64), base_filters=8).name
      'encoder_decoder_generator'
    """
    dtype = dtype or default_policy()
    return _build_generator(
        depth_for(image_size) if depth is None else depth,
        (input_channels, output_channels),
        base_filters,
        BlockOptions(
            normalization,
            dropout_rate,
            dropout_place,
            upsampling,
            conv_kernels,
            dtype,
            last_block,
            Latent(latent_size, latent_at),
        ),
        (palette, boundary_classes),
        with_skips=False,
    )


def _build_generator(
    depth: int,
    channels: tuple[int, int],
    base_filters: int,
    options: BlockOptions,
    classes: tuple[Palette | None, Palette | None],
    *,
    with_skips: bool,
) -> keras.Model:
    if depth < 2:
        raise ValueError(f"depth must be at least 2. Received: depth={depth}")
    dtype = options.dtype
    widths = [base_filters * min(2**block, 8) for block in range(depth)]

    def make(images, noise_seed):
        encoded = []
        latent = LatentMaps(options.latent, noise_seed, depth, dtype)
        for block, filters in enumerate(widths, start=1):
            images = latent.append(images, f"encoder_{block}")
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
        return last_block(images, (base_filters, channels[1]), options)

    name = "unet_generator" if with_skips else "encoder_decoder_generator"
    return build_in_frame(Frame(name, channels[0], 2**depth, *classes, dtype), make)


def _drops(dropout_place: str, block: int, depth: int) -> bool:
    if dropout_place == "paper":
        return depth - block < DROPOUT_BLOCKS
    # The reference's UnetGenerator drops in its ngf * 8 blocks between the fourth and the innermost.
    return 5 <= block < depth
