"""The blocks of residual generators: those that all of them share, and an enhancer of pix2pixHD."""

import dataclasses

import keras

from tfpix2pix.networks import layers
from tfpix2pix.networks.latent import Latent
from tfpix2pix.networks.modulation import Modulation
from tfpix2pix.networks.noise import NoiseDropout
from tfpix2pix.networks.normalization import needs_bias, normalize_maps
from tfpix2pix.networks.padding import ReflectionPad2D
from tfpix2pix.pipelines.meaning import Palette

LARGE_KERNEL_PX = 7  # of the first and the last convolution


@dataclasses.dataclass(frozen=True)
class ResidualOptions:
    """What all layers of a residual generator have in common; `global_generator` explains each field."""

    normalization: str = "plain_instance"
    dropout_rate: float = 0.0
    dtype: str = "float32"
    palette: Palette | None = None
    boundary_classes: Palette | None = None
    features: tuple[int, int] = (0, 0)
    latent: Latent = Latent()
    modulation: Modulation | None = None  # by z, which `build_residual` sets for each network


def global_features(
    images,
    options: ResidualOptions,
    noise_seed=None,
    *,
    depth: int,
    blocks: int,
    filters: int,
    prefix: str = "",
):
    """Returns float [B, H, W, filters]: G1 without its last convolution.

    The names of its layers begin with `prefix`.
    """
    images = _begin(images, filters, options, f"{prefix}first")
    for number in range(1, depth + 1):
        images = _halve(images, filters * 2**number, options, f"{prefix}down_{number}")
    for number in range(1, blocks + 1):
        images = _residual_block(images, options, noise_seed, f"{prefix}block_{number}", stream=number)
    for number in range(1, depth + 1):
        images = _double(images, filters * 2 ** (depth - number), options, f"{prefix}up_{number}")
    return images


def enhance(image, inside, filters: int, blocks: int, options: ResidualOptions, name: str):
    """Returns float [B, H, W, filters] from an image and from the features of a network at half its size."""
    images = _begin(image, filters, options, f"{name}_first")
    images = _halve(images, inside.shape[-1], options, f"{name}_down")
    images = keras.layers.Add(name=f"{name}_sum", dtype=options.dtype)([images, inside])
    for number in range(1, blocks + 1):
        images = _residual_block(images, options, None, f"{name}_block_{number}")
    return _double(images, filters, options, f"{name}_up")


def _residual_block(images, options: ResidualOptions, noise_seed, name: str, stream: int = 0):
    """Adds to the images what two 3x3 convolutions make of them; the sum has no activation."""
    inside = _convolve_small(images, options, f"{name}_1")
    inside = _normalize(inside, options, f"{name}_1")
    if options.dropout_rate:
        drop = NoiseDropout(options.dropout_rate, stream, name=f"{name}_noise", dtype=options.dtype)
        inside = drop([inside, noise_seed])
    inside = _convolve_small(inside, options, f"{name}_2")
    inside = _normalize(inside, options, f"{name}_2", activate=False)
    return keras.layers.Add(name=f"{name}_sum", dtype=options.dtype)([images, inside])


def _convolve_small(images, options: ResidualOptions, name: str):
    images = ReflectionPad2D(1, name=f"{name}_pad", dtype=options.dtype)(images)
    return _convolution(images.shape[-1], 3, options, name, pad_px=0)(images)


def convolve_large(images, filters: int, options: ResidualOptions, name: str):
    """Returns float [B, H, W, filters]: a 7x7 convolution of images that are mirrored outwards."""
    pad = ReflectionPad2D(LARGE_KERNEL_PX // 2, name=f"{name}_pad", dtype=options.dtype)
    return _convolution(filters, LARGE_KERNEL_PX, options, name, pad_px=0)(pad(images))


def _begin(images, filters: int, options: ResidualOptions, name: str):
    """Returns float [B, H, W, filters] from the input image, after which z comes with `latent_at=input`."""
    images = convolve_large(images, filters, options, name)
    return _normalize(images, options, name, sees_input=True)


def _halve(images, filters: int, options: ResidualOptions, name: str):
    images = _convolution(filters, 3, options, name, strides=2, pad_px=1)(images)
    return _normalize(images, options, name)


def _double(images, filters: int, options: ResidualOptions, name: str):
    images = layers.UpConv2D3x3(filters, **_settings(options, name))(images)
    return _normalize(images, options, name)


def _convolution(filters: int, kernel_size: int, options: ResidualOptions, name: str, **geometry):
    return layers.PaddedConv2D(filters, kernel_size, **geometry, **_settings(options, name))


def _settings(options: ResidualOptions, name: str) -> dict:
    return {
        "use_bias": needs_bias(options.normalization),
        "kernel_initializer": layers.weight_initializer(),
        "name": f"{name}_conv",
        "dtype": options.dtype,
    }


def _normalize(images, options: ResidualOptions, name: str, activate: bool = True, sees_input: bool = False):
    images = normalize_maps(images, options.normalization, options.dtype, name)
    if options.modulation is not None:
        images = options.modulation.apply(images, name, sees_input)
    if activate:
        images = keras.layers.ReLU(name=f"{name}_relu", dtype=options.dtype)(images)
    return images
