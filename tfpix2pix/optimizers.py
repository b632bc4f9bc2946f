"""Adam in one kernel per variable: the numbers, variables and checkpoint of Keras, less memory traffic."""

import keras
import tensorflow as tf


@keras.utils.register_keras_serializable("tfpix2pix")
class FusedAdam(keras.optimizers.Adam):
    """`keras.optimizers.Adam`, its update done by TensorFlow's fused kernel.

    Keras's own update makes a dozen passes over the weights; with 57 million of
    them and batches of one image that was up to half of a training step on a CPU.

    Args:
      *args: as in `keras.optimizers.Adam`.
      **kwargs: likewise; `amsgrad` is not supported.

    Raises:
      ValueError: with `amsgrad`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.amsgrad:
            raise ValueError("amsgrad has no fused kernel; use keras.optimizers.Adam")

    def update_step(self, gradient, variable, learning_rate):
        local_step = tf.cast(self.iterations, tf.float32) + 1.0
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index].value, self._velocities[index].value
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.handle,
            v=velocity.handle,
            beta1_power=tf.pow(self.beta_1, local_step),
            beta2_power=tf.pow(self.beta_2, local_step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )
