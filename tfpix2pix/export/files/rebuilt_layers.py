"""Rebuilds this project's layers that have weights from Keras's own layers, with the same weights.

Each function takes one of our layers and returns what is called in its place.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfpix2pix.networks import layers
from tfpix2pix.networks.modulation import ModulateByLatent
from tfpix2pix.networks.normalization import NORM_EPSILON, StatelessNormalization
from tfpix2pix.networks.pooling import HalvingPool2D

_SHARED_SETTINGS = ("filters", "kernel_size", "strides", "dilation_rate", "groups", "activation", "use_bias")


def with_weights(rebuilt: keras.layers.Layer, layer: keras.layers.Layer) -> Callable:
    """Returns a layer that has the weights of another one from its first call on."""

    def call(*args: Any, **kwargs: Any) -> Any:
        outputs = rebuilt(*args, **kwargs)
        rebuilt.set_weights(layer.get_weights())
        return outputs

    return call


def rebuild_convolution(layer: layers.PaddedConv2D) -> Callable:
    """Rebuilds a convolution: with `same` padding where that is exact, else with explicit zeros."""
    built: dict[str, Callable] = {}
    pad = keras.layers.ZeroPadding2D(layer.pad_px, name=f"{layer.name}_pad")

    def call(images: Any, **_: Any) -> Any:
        padding = "same" if _same_is_exact(layer, images.shape[1:3]) else "valid"
        if padding not in built:
            name = f"{layer.name}_{padding}" if built else layer.name
            built[padding] = _like(keras.layers.Conv2D, layer, padding, name)
        return built[padding](pad(images) if padding == "valid" and layer.pad_px else images)

    return call


def _same_is_exact(layer: layers.PaddedConv2D, size: tuple[int, int]) -> bool:
    """Returns whether `padding="same"` starts where the layer does, and takes as many steps."""
    for size_px, kernel, stride, dilation in zip(
        size, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        reach, steps = (kernel - 1) * dilation + 1, -(-size_px // stride)
        before = max((steps - 1) * stride + reach - size_px, 0) // 2
        if before != layer.pad_px or steps != (size_px + 2 * layer.pad_px - reach) // stride + 1:
            return False
    return True


def rebuild_resizing(layer: layers.ResizeConv2D) -> Callable:
    """Rebuilds a layer that resizes and convolves."""
    resize = keras.layers.UpSampling2D(2, interpolation=layer.interpolation, name=f"{layer.name}_resize")
    convolve = rebuild_convolution(layer)
    return lambda images, **_: convolve(resize(images))


def rebuild_transposed(layer: layers.UpConv2D) -> Callable:
    """Rebuilds a transposed convolution, which pads as `same` does at every size."""
    rebuilt = _like(keras.layers.Conv2DTranspose, layer, "same", layer.name)
    return lambda images, **_: rebuilt(images)


def rebuild_transposed_3x3(layer: layers.UpConv2D3x3) -> Callable:
    """Rebuilds a transposed convolution whose first row and column are cut off."""
    rebuilt = _like(keras.layers.Conv2DTranspose, layer, "valid", layer.name)
    return lambda images, **_: rebuilt(images)[:, 1:, 1:, :]


def rebuild_halving(layer: HalvingPool2D) -> Callable:
    """Rebuilds a pooling in which pixels outside of the image do not count."""
    pad = keras.layers.ZeroPadding2D(1, name=f"{layer.name}_pad")
    pool = keras.layers.AveragePooling2D(3, 2, name=layer.name)

    def call(images: Any, **_: Any) -> Any:
        inside = np.zeros([size + 2 for size in images.shape[1:3]], "float32")
        inside[1:-1, 1:-1] = 1
        rows, columns = (np.arange(0, size - 2, 2) for size in inside.shape)
        counts = sum(inside[rows + down][:, columns + right] for down in range(3) for right in range(3))
        return pool(pad(images)) * (9 / counts)[None, :, :, None].astype("float32")

    return call


def rebuild_normalization(layer: StatelessNormalization) -> Callable:
    """Rebuilds a normalization, with each image's own statistics.

    Tensors keep four axes, which OpenCV needs, and which GroupNormalization does not keep. Scale and offset
    are a convolution of each channel by itself, and means are Keras's layer, because older versions of Keras
    do not open what newer ones save of `keras.ops.mean`.
    """
    scale = keras.layers.DepthwiseConv2D(1, depthwise_initializer="zeros", name=layer.name)

    def call(images: Any, **_: Any) -> Any:
        centred = images - keras.layers.GlobalAveragePooling2D(keepdims=True)(images)
        variance = keras.layers.GlobalAveragePooling2D(keepdims=True)(ops.square(centred))
        normalized = centred / ops.sqrt(variance + NORM_EPSILON)
        if not layer.weights:
            return normalized
        scaled = scale(normalized)
        gamma, beta = layer.get_weights()
        scale.set_weights([gamma.reshape(1, 1, -1, 1), beta])
        return scaled

    return call


def rebuild_modulation(layer: ModulateByLatent) -> Callable:
    """Rebuilds a modulation by z; a z that is known is 0 and changes nothing."""
    kernels = {"scale": layer.scale_kernel, "offset": layer.offset_kernel}
    dense = {
        name: keras.layers.Dense(
            kernel.shape[1], use_bias=False, kernel_initializer="zeros", name=f"{layer.name}_{name}"
        )
        for name, kernel in kernels.items()
    }

    def call(inputs: list[Any], **_: Any) -> Any:
        images, latent = inputs
        if isinstance(latent, np.ndarray):
            return images
        found = {}
        for name, kernel in kernels.items():
            values = dense[name](latent)
            dense[name].set_weights([np.asarray(kernel)])
            found[name] = keras.layers.Reshape((1, 1, kernel.shape[1]))(values)
        return images + images * found["scale"] + found["offset"]

    return call


def without_initializers(layer: keras.layers.Layer) -> dict[str, str]:
    """Returns the settings by which a layer of Keras begins with zeros.

    Its weights are set afterwards, so a file need not tell how they once began. Older versions of Keras could
    not read what newer ones write about that.
    """
    if type(layer).__module__.split(".")[0] != "keras":
        return {}
    return {
        name: "zeros" for name, value in layer.get_config().items() if value and name.endswith("_initializer")
    }


def _like(kind: type[keras.layers.Layer], layer: keras.layers.Layer, padding: str, name: str) -> Callable:
    config = layer.get_config()
    settings = {setting: config[setting] for setting in _SHARED_SETTINGS if setting in config}
    zeros = {"kernel_initializer": "zeros", "bias_initializer": "zeros"}
    return with_weights(kind(**settings, **zeros, padding=padding, name=name), layer)
