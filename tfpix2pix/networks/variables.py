"""The names under which weights and optimizer states are kept in checkpoints."""

import keras
import tensorflow as tf

from tfpix2pix.networks.keras_versions import tf_variable, variable_path


def model_variables(prefix: str, model: keras.Model) -> dict[str, tf.Variable]:
    """Returns a network's variables by name."""
    return {f"{prefix}/{variable_path(variable)}": tf_variable(variable) for variable in model.variables}


def optimizer_variables(
    prefix: str, optimizer: keras.optimizers.Optimizer, model: keras.Model
) -> dict[str, tf.Variable]:
    """Returns the variables of a network's optimizer by name."""
    variables = {}
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        variables[f"{prefix}/loss_scale"] = tf_variable(optimizer.dynamic_scale)
        variables[f"{prefix}/loss_scale_steps"] = tf_variable(optimizer.step_counter)
        optimizer = inner
    variables[f"{prefix}/iterations"] = tf_variable(optimizer.iterations)
    for slot in ("momentum", "velocity"):
        slots = getattr(optimizer, {"momentum": "_momentums", "velocity": "_velocities"}[slot], None) or ()
        for variable, value in zip(model.trainable_variables, slots, strict=bool(slots)):
            variables[f"{prefix}/{slot}/{variable_path(variable)}"] = tf_variable(value)
    return variables
