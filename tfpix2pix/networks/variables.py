"""The names under which weights and optimizer states stand in checkpoints; nothing else makes such names."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.networks.keras_versions import tf_variable, variable_path

GENERATOR = "generator"
DISCRIMINATOR = "discriminator"
DISCRIMINATOR_2 = "discriminator_2"
ENCODER = "encoder"


def average_name(name: str) -> str:
    """Returns the name under which the average of a network's weights stands."""
    return f"{name}_average"


def model_variables(name: str, model: keras.Model) -> dict[str, tf.Variable]:
    """Returns a network's variables, each as `<name>/<layer>/<weight>`.

    Args:
      name: name of the network, such as `GENERATOR`.
      model: the network.
    """
    return {f"{name}/{path}": variable for path, variable in weights_of(model).items()}


def weights_of(model: keras.Model) -> dict[str, tf.Variable]:
    """Returns the variables of one network, each as `<layer>/<weight>`."""
    return {variable_path(variable): tf_variable(variable) for variable in model.variables}


def trained_variables(
    name: str,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    trained: Sequence[Any] | None = None,
) -> dict[str, tf.Variable]:
    """Returns the variables of a network and of its optimizer, which stand under `<name>_optimizer/`.

    Args:
      name: name of the network, such as `GENERATOR`.
      model: the network.
      optimizer: its optimizer.
      trained: the variables that the optimizer was built for; None for all trainable ones of the network.
    """
    trained = model.trainable_variables if trained is None else trained
    return {**model_variables(name, model), **optimizer_variables(f"{name}_optimizer", optimizer, trained)}


def optimizer_variables(
    name: str, optimizer: keras.optimizers.Optimizer, trained: Sequence[Any]
) -> dict[str, tf.Variable]:
    """Returns the variables of an optimizer, each as `<name>/...`.

    Args:
      name: name of the optimizer.
      optimizer: the optimizer.
      trained: the variables that it was built for.
    """
    variables = {}
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        variables[f"{name}/loss_scale"] = tf_variable(optimizer.dynamic_scale)
        variables[f"{name}/loss_scale_steps"] = tf_variable(optimizer.step_counter)
        optimizer = inner
    variables[f"{name}/iterations"] = tf_variable(optimizer.iterations)
    for slot in ("momentum", "velocity"):
        slots = getattr(optimizer, {"momentum": "_momentums", "velocity": "_velocities"}[slot], None) or ()
        for variable, value in zip(trained, slots, strict=bool(slots)):
            variables[f"{name}/{slot}/{variable_path(variable)}"] = tf_variable(value)
    return variables
