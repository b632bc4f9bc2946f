"""A network that keeps few of its feature maps for the gradient, and computes the others once more."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.networks.keras_versions import layer_calls

# What these layers give is kept; what is between them is computed once more.
_KEPT = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.Add)


def rematerialize(model: keras.Model) -> Callable[..., Any]:
    """Returns a function that does what a network does, to the same bits, with less memory in training.

    A training keeps all feature maps of the forward pass until the gradient has passed them. This function
    keeps the outputs of activations and sums, and those that several layers read. Convolutions,
    normalisations and paddings between them are computed once more when their gradient is due, which costs
    about one more forward pass.

    Args:
      model: a functional model whose layers are deterministic and change nothing, such as any generator
        of this package. Layers that are models themselves are taken as one.

    Returns:
      A function of the arguments of `model`: a list of its inputs, and `training`.

    Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016.
    """
    segments = _split(model)

    def call(inputs: Sequence[tf.Tensor], training: bool = False) -> Any:
        values = {
            id(symbol): tf.convert_to_tensor(value)
            for symbol, value in zip(model.inputs, inputs, strict=True)
        }
        for segment, sources, targets in segments:
            outputs = _recompute(segment, [values[source] for source in sources], training)
            values |= zip(targets, outputs, strict=True)
        outputs = [values[id(symbol)] for symbol in model.outputs]
        return outputs if len(outputs) > 1 else outputs[0]

    return call


def _split(model: keras.Model) -> list[tuple[keras.Model, list[int], list[int]]]:
    """Returns parts of a network in their order, each with the ids of the tensors that it reads and gives."""
    calls = layer_calls(model)
    readers = Counter(id(tensor) for call in calls for tensor in call.inputs)
    final = {id(tensor) for tensor in model.outputs}
    makers = {id(tensor): call for call in calls for tensor in call.outputs}
    known = {id(tensor) for tensor in model.inputs}
    segments = []
    for call in calls:
        names = [id(tensor) for tensor in call.outputs]
        is_read_again = len(names) > 1 or any(readers[name] > 1 or name in final for name in names)
        if not isinstance(call.layer, _KEPT) and not is_read_again:
            continue
        sources: dict[int, Any] = {}
        waiting = list(call.inputs)
        while waiting:
            tensor = waiting.pop(0)
            if id(tensor) in known:
                sources[id(tensor)] = tensor
            else:
                waiting += makers[id(tensor)].inputs
        segments.append((keras.Model(list(sources.values()), call.outputs), list(sources), names))
        known |= set(names)
    return segments


def _recompute(segment: keras.Model, inputs: Sequence[tf.Tensor], training: bool) -> list[tf.Tensor]:
    """Returns what a part of a network gives; its gradient computes the part once more."""
    is_float = [each.dtype.is_floating for each in inputs]
    others = [each for each, floating in zip(inputs, is_float, strict=True) if not floating]

    def forward(maps: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        from_maps, from_others = iter(maps), iter(others)
        arguments = [next(from_maps if floating else from_others) for floating in is_float]
        return tf.nest.flatten(segment(arguments, training=training))

    @tf.custom_gradient
    def compute(*maps):
        def gradients(*upstream, variables=()):
            # Not before the gradient is there, or all parts would be computed early and kept.
            with tf.control_dependencies(upstream):
                again = [tf.identity(each) for each in maps]
            with tf.GradientTape() as tape:
                tape.watch(again)
                outputs = forward(again)
            return tape.gradient(outputs, (again, list(variables)), list(upstream))

        return forward(maps), gradients

    outputs = compute(*(each for each, floating in zip(inputs, is_float, strict=True) if floating))
    return tf.nest.flatten(outputs)
