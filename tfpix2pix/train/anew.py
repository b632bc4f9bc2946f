"""Which layers of a new network start with random weights, as the model it starts from has others there."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.networks.class_channels import ClassChannels
from tfpix2pix.networks.instance_features import DrawFeatures

Weights = Mapping[str, np.ndarray]


def find_anew(model: keras.Model, variables: Mapping[str, tf.Variable], weights: Weights) -> dict[str, str]:
    """Returns the layers of a network that start anew, each with the reason.

    Args:
      model: the new network.
      variables: its weights, by name.
      weights: those of the model it starts from.
    """
    return {**_find_other_channels(model, variables, weights), **_find_added(variables, weights)}


def _find_added(variables: Mapping[str, tf.Variable], weights: Weights) -> dict[str, str]:
    """Returns the layers of enhancers and of z that the origin lacks, and the one behind enhancers."""
    known = {name.rpartition("/")[0] for name in weights}
    layers = dict.fromkeys(name.rpartition("/")[0] for name in variables)
    added = [layer for layer in layers if layer not in known]
    enhancers = [layer for layer in added if layer.startswith("enhancer_")]
    anew = dict.fromkeys(enhancers, "it is of an enhancer, and there is none there")
    if anew:
        anew["last_conv"] = "it takes the features of an enhancer here"
    modulations = [layer for layer in added if layer.endswith("_modulation") and layer not in anew]
    return {**anew, **dict.fromkeys(modulations, "it is of a latent vector, and there is none there")}


def _find_other_channels(
    model: keras.Model, variables: Mapping[str, tf.Variable], weights: Weights
) -> dict[str, str]:
    """Returns the layers that only differ in the channels of the images they read or write, and why."""
    kernels = [name for name, variable in variables.items() if len(variable.shape) == 4]
    inputs = sum(tensor.shape[-1] for tensor in model.inputs if len(tensor.shape) == 4)
    for layer in model.layers:
        if isinstance(layer, ClassChannels):
            inputs += layer.output.shape[-1] - layer.input.shape[-1]
        if isinstance(layer, DrawFeatures):
            inputs += layer.size
    outputs = model.outputs[0].shape[-1]
    anew = {}
    for kernel, channels, axes, what in (
        (kernels[0], inputs, (2,), "input"),
        (kernels[-1], outputs, (2, 3), "output"),  # (2,) for transposed convolutions
    ):
        here, there = tuple(variables[kernel].shape), weights[kernel].shape if kernel in weights else ()
        differing = [axis for axis in range(4) if len(there) == 4 and here[axis] != there[axis]]
        if len(differing) == 1 and differing[0] in axes and here[differing[0]] == channels:
            layer = kernel.rpartition("/")[0]
            anew[layer] = f"it has {there[differing[0]]} {what} channels there, and {channels} here"
    return anew
