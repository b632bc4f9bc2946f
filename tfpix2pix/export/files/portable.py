"""The generator in Keras's own layers, at one image size, which is what other runtimes understand.

The layers of this project are made for training and for images of any size. Here each of them
becomes what Keras ships, so that a file needs nothing of ours.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfpix2pix.export.files import rebuilt_features, rebuilt_labels, rebuilt_layers, rebuilt_noise
from tfpix2pix.networks import keras_versions, layers
from tfpix2pix.networks.class_channels import BoundaryChannel, ClassChannels
from tfpix2pix.networks.gradients import Fork
from tfpix2pix.networks.inference import SILENT
from tfpix2pix.networks.instance_features import DrawFeatures
from tfpix2pix.networks.latent import AppendLatent, DrawLatent
from tfpix2pix.networks.modulation import ModulateByLatent
from tfpix2pix.networks.noise import NoiseDropout
from tfpix2pix.networks.normalization import StatelessNormalization
from tfpix2pix.networks.padding import CropLike, PadToMultiple, ReflectionPad2D, _mirrored_indices
from tfpix2pix.networks.pooling import HalvingPool2D
from tfpix2pix.pipelines.base.errors import UserError

# The share of a layer's largest value up to which the rebuilt layer may differ: rounding stays
# far below it, and a wrong layer far above.
LAYER_TOLERANCE = 1e-3


def build_portable_generator(
    generator: keras.Model, image_size: tuple[int, int], with_noise: bool = True
) -> keras.Model:
    """Rebuilds a generator from Keras's own layers, with the same weights, in float32.

    Layers that are neither Keras's nor this project's are copied as they are; `find_foreign_layers`
    lists them.

    Args:
      generator: a functional model `[input_image, noise_seed] -> generated_image`.
      image_size: (height, width) in px, the only one that the result takes.
      with_noise: whether the result takes a seed; without one nothing is dropped.

    Returns:
      `[input_image, noise_seed] -> generated_image`, or `input_image -> generated_image`:
      float32 [B, H, W, C] in [-1, 1], int32 [B, 2]. Our normalization takes each image's own
      statistics, in training too.

    Raises:
      UserError: when a layer cannot be copied.

    Examples:
      >>> generator = unet_generator((32, 32), base_filters=4)
      >>> build_portable_generator(generator, (40, 50)).output_shape
      (None, 40, 50, 3)
    """
    inputs = _build_inputs(generator, image_size)
    outputs = _Rebuilding(with_noise).run(generator, inputs)
    return keras.Model(inputs if with_noise else inputs[0], outputs, name=generator.name)


def in_float32(generator: keras.Model, with_noise: bool = True) -> keras.Model:
    """Returns a generator in float32 with the layers that it has; files are compared with it.

    Args:
      generator: a functional model `[input_image, noise_seed] -> generated_image`.
      with_noise: whether the noise drops anything.

    Returns:
      A copy, or `generator` itself where nothing in it has to change.
    """
    if with_noise and all(layer.compute_dtype == "float32" for layer in layers.list_layers(generator)):
        return generator

    def copy(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer
        return _copy(layer, **({} if with_noise else SILENT.get(type(layer), {})))

    copied = keras.models.clone_model(generator, clone_function=copy, recursive=True)
    copied.set_weights(generator.get_weights())
    return copied


def find_foreign_layers(model: keras.Model) -> list[str]:
    """Returns the layers that Keras does not ship, each as `name (class)`."""
    every = layers.list_layers(model)
    return [_describe(layer) for layer in every if type(layer).__module__.split(".")[0] != "keras"]


def describe_difference(
    generator: keras.Model, images: np.ndarray, seeds: np.ndarray, with_noise: bool = True
) -> str:
    """Returns a sentence that names the first layer at which the rebuilt generator differs, and by how much.

    Args:
      generator: what `in_float32` returned.
      images: float32 [B, H, W, C]; they fix the size at which layers are compared.
      seeds: int32 [B, 2].
      with_noise: whether the rebuilt generator takes a seed.
    """
    rebuilding = _Rebuilding(with_noise)
    inputs = _build_inputs(generator, images.shape[1:3])
    rebuilding.run(generator, inputs)
    # What is the same for all images, such as a z of 0, is not compared.
    layers, originals, rebuilt = zip(
        *(
            (call.layer, call.outputs, outputs)
            for call, outputs in zip(keras_versions.layer_calls(generator), rebuilding.outputs, strict=True)
            if all(map(keras.backend.is_keras_tensor, outputs))
        ),
        strict=True,
    )
    theirs = keras.Model(inputs, list(rebuilt)).predict_on_batch([images, seeds])
    ours = keras.Model(generator.inputs, list(originals))([images, seeds], training=False)
    for layer, our_values, their_values in zip(layers, ours, theirs, strict=True):
        for our_value, their_value in zip(our_values, their_values, strict=True):
            expected, answer = np.asarray(our_value, np.float64), np.asarray(their_value, np.float64)
            named = f"the first layer that differs when it is rebuilt is {_describe(layer)}"
            if expected.shape != answer.shape:
                return f"{named}: its shape is {answer.shape} instead of {expected.shape}"
            error, largest = np.abs(answer - expected).max(), np.abs(expected).max()
            if not error <= LAYER_TOLERANCE * largest:
                return f"{named}: by up to {error:.2g}, where the generator's values reach {largest:.2g}"
    return "every layer agrees when it is rebuilt, so the file's format or its runtime makes the difference"


def _build_inputs(generator: keras.Model, image_size: tuple[int, int]) -> list[Any]:
    return [
        keras.Input((*image_size, generator.inputs[0].shape[-1]), name="input_image"),
        keras.Input((2,), dtype="int32", name="noise_seed"),
    ]


def _describe(layer: Any) -> str:
    return f"{layer.name} ({type(layer).__name__})"


def _copy(layer: keras.layers.Layer, **changes: Any) -> keras.layers.Layer:
    try:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32", **changes})
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UserError(
            f"the layer {_describe(layer)} cannot be rebuilt from its get_config(): {error}"
        ) from error


class _Rebuilding:
    """Turns calls of layers into calls of Keras's own layers that do the same with the same weights.

    A layer is rebuilt once, however often it is called.

    Attributes:
      outputs: what each call of the outermost model returned, flattened.
    """

    def __init__(self, with_noise: bool):
        self.outputs: list[list[Any]] = []
        self._with_noise = with_noise
        self._rebuilt: dict[int, Callable] = {}

    def run(self, model: keras.Model, inputs: list[Any]) -> Any:
        """Rebuilds a model on symbolic inputs; returns its symbolic output."""

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            outputs = self.call(layer, *args, **kwargs)
            self.outputs.append(keras.tree.flatten(outputs))
            return outputs

        return _clone(model, inputs, call).outputs[0]

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        if id(layer) not in self._rebuilt:
            self._rebuilt[id(layer)] = self._rebuild(layer, *args)
        return self._rebuilt[id(layer)](*args, **kwargs)

    def _rebuild(self, layer: Any, *args: Any) -> Callable:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # It is an operation, such as the sum of two tensors.
        if isinstance(layer, keras.Model):
            return self._rebuild_model(layer, *args)
        if type(layer) is NoiseDropout:
            return lambda inputs, **_: rebuilt_noise.drop(layer, *inputs) if self._with_noise else inputs[0]
        if type(layer) is DrawLatent:
            # Without noise z is 0, the middle of what is drawn.
            nothing = np.zeros([1, layer.size], np.float32)
            return lambda seed, **_: rebuilt_noise.draw(layer, seed) if self._with_noise else nothing
        if type(layer) is DrawFeatures:
            return lambda inputs, **_: rebuilt_features.draw(layer, inputs[0], inputs[1], self._with_noise)
        if type(layer) in _FORMS:
            return _FORMS[type(layer)](layer)
        return rebuilt_layers.with_weights(_copy(layer, **rebuilt_layers.without_initializers(layer)), layer)

    def _rebuild_model(self, model: keras.Model, inputs: Any) -> keras.Model:
        inside = keras.tree.map_structure(
            lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype), inputs
        )
        if isinstance(model, keras.Sequential):
            outputs = inside
            for layer in model.layers:
                outputs = self.call(layer, outputs)
            return keras.Model(inside, outputs, name=model.name)
        return _clone(model, inside, self.call)


def _clone(model: keras.Model, inputs: Any, call: Callable) -> keras.Model:
    # The layers go through as they are: `call` replaces them.
    return keras.models.clone_model(model, inputs, clone_function=lambda layer: layer, call_function=call)


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
    bottom, right = (images.shape[axis] - size for axis, size in ((1, top + height), (2, left + width)))
    return (
        keras.layers.Cropping2D(((top, bottom), (left, right)))(images)
        if top or bottom or left or right
        else images
    )


def _reflect(images, pad_px: int):
    return ops.pad(images, ((0, 0), (pad_px, pad_px), (pad_px, pad_px), (0, 0)), mode="reflect")


def _append(images, latent):
    everywhere = np.ones((1, *images.shape[1:3], latent.shape[-1]), np.float32)
    if isinstance(latent, np.ndarray):  # z without noise, which does not depend on an input
        maps = images[..., :1] * 0 + latent * everywhere
    else:
        maps = keras.layers.Reshape((1, 1, latent.shape[-1]))(latent) * everywhere
    return keras.layers.Concatenate()([images, maps])


# Layer -> a function that takes one and returns what does the same. Subclasses may do something
# else, so they are copied like other layers.
_FORMS: dict[type, Callable[[Any], Callable]] = {
    layers.PaddedConv2D: rebuilt_layers.rebuild_convolution,
    layers.ResizeConv2D: rebuilt_layers.rebuild_resizing,
    layers.UpConv2D: rebuilt_layers.rebuild_transposed,
    ClassChannels: lambda layer: lambda images, **_: rebuilt_labels.encode(layer, images),
    BoundaryChannel: lambda layer: lambda images, **_: rebuilt_labels.mark_borders(layer, images),
    layers.UpConv2D3x3: rebuilt_layers.rebuild_transposed_3x3,
    HalvingPool2D: rebuilt_layers.rebuild_halving,
    StatelessNormalization: rebuilt_layers.rebuild_normalization,
    PadToMultiple: lambda layer: lambda images, **_: _pad(images, layer.multiple_px),
    ReflectionPad2D: lambda layer: lambda images, **_: _reflect(images, layer.pad_px),
    CropLike: lambda layer: lambda inputs, **_: _crop(inputs),
    Fork: lambda layer: lambda tensor, **_: [tensor] * layer.count,
    ModulateByLatent: rebuilt_layers.rebuild_modulation,
    AppendLatent: lambda layer: lambda inputs, **_: _append(*inputs),
}
