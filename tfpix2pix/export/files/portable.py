"""The generator in Keras's own layers, at one image size: what other runtimes understand.

The layers of this project are there for training and for images of any size.
Here each becomes what Keras ships, so that the file needs nothing of ours, and
the noise is made of operations that LiteRT and ONNX Runtime have.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfpix2pix.networks import layers
from tfpix2pix.networks.noise import NoiseDropout
from tfpix2pix.networks.normalization import NORM_EPSILON, StatelessNormalization
from tfpix2pix.networks.padding import CropLike, PadToMultiple, _mirrored_indices

_GOLDEN_RATIO = 0x9E3779B9
_ROUNDS = ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1))


def build_portable_generator(
    generator: keras.Model, image_size: tuple[int, int], with_noise: bool = True
) -> keras.Model:
    """Rebuilds a generator from Keras's own layers, with the same weights, in float32.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      image_size: (height, width) in px, the only one that the result takes.
      with_noise: whether the result takes a seed; without one nothing is dropped.

    Returns:
      `[input_image, noise_seed] -> generated_image`, or `input_image -> generated_image`:
      float32 [B, H, W, C] in [-1, 1], int32 [B, 2]. Each image is normalised by its
      own statistics, in training too.

    Example:
    >>> generator = unet_generator((32, 32), base_filters=4)
    >>> build_portable_generator(generator, (40, 50)).output_shape
    (None, 40, 50, 3)
    """
    input_image = keras.Input((*image_size, generator.inputs[0].shape[-1]), name="input_image")
    noise_seed = keras.Input((2,), dtype="int32", name="noise_seed")

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, NoiseDropout):
            return _drop(layer, *args[0]) if with_noise else args[0][0]
        return _rebuild(layer)(*args)

    # The layers go through as they are: `call` replaces them.
    rebuilt = keras.models.clone_model(
        generator, [input_image, noise_seed], clone_function=lambda layer: layer, call_function=call
    )
    inputs = [input_image, noise_seed] if with_noise else input_image
    return keras.Model(inputs, rebuilt.outputs[0], name=generator.name)


def in_float32(generator: keras.Model, with_noise: bool = True) -> keras.Model:
    """Copies a generator with this project's layers; files of other formats are compared with it.

    Args:
      generator: see `build_portable_generator`.
      with_noise: whether the noise drops anything.
    """

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = {**layer.get_config(), "dtype": "float32"}
        if isinstance(layer, NoiseDropout) and not with_noise:
            config["rate"] = 0.0
        return type(layer).from_config(config)

    copied = keras.models.clone_model(generator, clone_function=copy)
    copied.set_weights(generator.get_weights())
    return copied


def _rebuild(layer: keras.layers.Layer) -> Callable:
    """Returns what does the same, with the same weights."""
    if isinstance(layer, PadToMultiple):
        return lambda images: _pad(images, layer.multiple_px)
    if isinstance(layer, CropLike):
        return _crop
    if isinstance(layer, layers.ResizeConv2D):
        resize = keras.layers.UpSampling2D(2, interpolation=layer.interpolation, name=f"{layer.name}_resize")
        convolve = _with_weights(_convolution(keras.layers.Conv2D, layer), layer)
        return lambda images: convolve(resize(images))
    if isinstance(layer, layers.PaddedConv2D):
        return _with_weights(_convolution(keras.layers.Conv2D, layer), layer)
    if isinstance(layer, layers.UpConv2D):
        return _with_weights(_convolution(keras.layers.Conv2DTranspose, layer), layer)
    if isinstance(layer, StatelessNormalization):
        affine = bool(layer.weights)
        norm = keras.layers.GroupNormalization(
            -1, epsilon=NORM_EPSILON, center=affine, scale=affine, name=layer.name
        )
        return _with_weights(norm, layer)
    return type(layer).from_config({**layer.get_config(), "dtype": "float32"})


def _convolution(kind: type[keras.layers.Layer], layer: keras.layers.Layer) -> keras.layers.Layer:
    # On the even sizes inside the network "same" pads as the paper does.
    return kind(
        layer.filters,
        layer.kernel_size,
        layer.strides,
        padding="same",
        use_bias=layer.use_bias,
        name=layer.name,
    )


def _with_weights(rebuilt: keras.layers.Layer, layer: keras.layers.Layer) -> Callable:
    def call(images):
        outputs = rebuilt(images)
        rebuilt.set_weights(layer.get_weights())
        return outputs

    return call


def _pad(images, multiple_px: int):
    for axis in (1, 2):
        size = images.shape[axis]
        if size % multiple_px:
            images = ops.take(images, _mirrored_indices(size, multiple_px).numpy(), axis=axis)
    return images


def _crop(inputs):
    images, reference = inputs
    (top, height), (left, width) = (
        ((images.shape[axis] - reference.shape[axis]) // 2, reference.shape[axis]) for axis in (1, 2)
    )
    return images[:, top : top + height, left : left + width, :]


def _drop(layer: NoiseDropout, activations, noise_seed):
    """Drops what `layers.NoiseDropout` drops, by operations that the other runtimes have."""
    places = np.arange(np.prod(activations.shape[1:]), dtype=np.int32)
    places = places.reshape(1, *activations.shape[1:])
    seeds = ops.reshape(noise_seed, (-1, 2, 1, 1, 1))
    bits = _hash_bits(seeds[:, 0], seeds[:, 1], _as_int32(layer.stream), places)
    # Compared with the sign flipped, as signed numbers: the same order as unsigned.
    least_kept = np.array([round(layer.rate * 2**32) - 2**31], np.int32)
    kept = ops.greater_equal(ops.bitwise_xor(bits, _as_int32(2**31)), least_kept)
    return activations * ops.cast(kept, "float32") * (1 / (1 - layer.rate))


def _hash_bits(*words):
    """`layers.hash_bits`, as int32: neither runtime multiplies or compares uint32, ONNX has no bitcast."""
    mixed = _as_int32(_GOLDEN_RATIO)
    for word in words:
        mixed = ops.bitwise_xor(mixed, word)
        for shift, multiplier in _ROUNDS:
            unsigned = ops.right_shift(ops.cast(mixed, "uint32"), np.array([shift], np.uint32))
            mixed = ops.bitwise_xor(mixed, ops.cast(unsigned, "int32")) * _as_int32(multiplier)
    return mixed


def _as_int32(bits: int) -> np.ndarray:
    # In a list, because Keras forgets the type of a single number when it saves a model.
    return np.array([bits], np.uint32).view(np.int32)
