"""The optimizer of both networks: Adam in one kernel per variable, and its learning rate schedule."""

from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.config.run_config import RunConfig
from tfpix2pix.networks import keras_versions
from tfpix2pix.networks.keras_versions import tf_variable

# Sec. 3.3: Adam with these momenta. Epsilon is that of the original framework.
ADAM_BETA_1 = 0.5
ADAM_BETA_2 = 0.999
ADAM_EPSILON = 1e-8


@keras.utils.register_keras_serializable("tfpix2pix")
class FusedAdam(keras_versions.Adam):
    """`keras.optimizers.Adam`, whose update is done by TensorFlow's fused kernel.

    Keras's own update makes a dozen passes over the weights. With 57 million weights and batches of one image
    it took up to half of a training step on a CPU.

    Args:
      *args: the arguments of `keras.optimizers.Adam`.
      **kwargs: the arguments of `keras.optimizers.Adam`, except for `amsgrad`, which is not supported.

    Raises:
      ValueError: with `amsgrad`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.amsgrad:
            raise ValueError("amsgrad has no fused kernel; use keras.optimizers.Adam")
        self._scalars = _Scalars()

    def apply(self, grads, trainable_variables=None):
        """Updates the variables; what does not depend on the variable is computed once for all of them."""
        self._scalars.by_place = {}
        try:
            super().apply(grads, trainable_variables)
        finally:
            self._scalars.by_place = None

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        momentum, velocity = tf_variable(self._momentums[index]), tf_variable(self._velocities[index])
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.handle,
            v=velocity.handle,
            grad=tf.cast(gradient, tf.float32),
            **self._find_scalars(learning_rate, variable.device),
        )

    def _find_scalars(self, learning_rate: Any, device: str) -> dict[str, tf.Tensor]:
        """Returns the scalars of a step, which a training of 60 variables would make 60 times otherwise."""
        # Keras 2 calls no `apply`, and then nothing is shared.
        made = {} if self._scalars.by_place is None else self._scalars.by_place
        place = tf.compat.v1.get_default_graph(), device
        if place not in made:
            local_step = tf.cast(self.iterations, tf.float32) + 1.0
            beta_1, beta_2, epsilon = (
                tf.constant(number, tf.float32) for number in (self.beta_1, self.beta_2, self.epsilon)
            )
            made[place] = {
                "beta1_power": tf.pow(beta_1, local_step),
                "beta2_power": tf.pow(beta_2, local_step),
                "lr": tf.cast(learning_rate, tf.float32),
                "beta1": beta_1,
                "beta2": beta_2,
                "epsilon": epsilon,
            }
        return made[place]


class _Scalars:
    """The scalars of one step of Adam, by graph and device; None between steps."""

    by_place: dict[tuple, dict[str, tf.Tensor]] | None = None


def build_adam(
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 2e-4, loss_scaling: bool = False
) -> keras.optimizers.Optimizer:
    """Builds the paper's Adam: beta1 0.5, beta2 0.999, epsilon 1e-8.

    Args:
      learning_rate: a number or a schedule.
      loss_scaling: whether to scale the loss dynamically, for float16.

    Returns:
      A Keras optimizer.
    """
    adam = FusedAdam(learning_rate, ADAM_BETA_1, ADAM_BETA_2, ADAM_EPSILON)
    return keras_versions.LossScaleOptimizer(adam) if loss_scaling else adam


@keras.utils.register_keras_serializable("tfpix2pix")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is constant for the first half of the training and then falls linearly to 0.

    Args:
      learning_rate: learning rate of the first half.
      total_steps: number of steps of the whole training.

    Source: the PyTorch reference (100 epochs constant, 100 decaying).
    """

    def __init__(self, learning_rate: float, total_steps: int):
        self.learning_rate = learning_rate
        self.total_steps = total_steps

    def __call__(self, step):
        half = self.total_steps / 2
        left = (self.total_steps - tf.cast(step, tf.float32)) / half
        return self.learning_rate * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self):
        return {"learning_rate": self.learning_rate, "total_steps": self.total_steps}


def build_schedule(
    config: RunConfig, total_steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate of a training of so many steps: a number, or a schedule."""
    if config.lr_schedule == "linear_decay":
        return LinearDecay(config.learning_rate, total_steps)
    return config.learning_rate


def build_optimizer(config: Config, total_steps: int) -> keras.optimizers.Optimizer:
    """Builds Adam with the schedule of a training of so many steps, as a configuration asks for it."""
    schedule = build_schedule(config, total_steps)
    return build_adam(schedule, loss_scaling=config.precision == "mixed_float16")


def choose_optimizer(
    network: keras.Model, optimizer: keras.optimizers.Optimizer | None
) -> keras.optimizers.Optimizer:
    """Returns the optimizer of a network: `build_adam()` for None, and for float16 one with a loss scale."""
    in_float16 = any(layer.compute_dtype == "float16" for layer in network.layers)
    if optimizer is None:
        return build_adam(loss_scaling=in_float16)
    if in_float16 and not isinstance(optimizer, keras_versions.LossScaleOptimizer):
        return keras_versions.LossScaleOptimizer(optimizer)
    return optimizer
