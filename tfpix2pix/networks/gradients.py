"""How the gradients of what many readers read are added."""

import keras
import tensorflow as tf


def fork(tensor: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Returns equal tensors for several readers, whose gradients are added in one sum of a fixed order.

    If three or more read the same tensor, TensorFlow adds their gradients in an order that depends on timing;
    "AddN" in docs/fidelity.md explains it.

    Args:
      tensor: any tensor.
      count: number of readers, at least 1; for one reader the tensor itself is returned.
    """
    if count == 1:
        return [tensor]
    copies = tf.tile(tf.expand_dims(tensor, 0), [count] + [1] * tensor.shape.rank)
    return tf.unstack(copies, count)


@keras.utils.register_keras_serializable("tfpix2pix")
class Fork(keras.layers.Layer):
    """Returns equal tensors for several layers, as `fork` does.

    Args:
      count: number of layers that read the tensor, at least 2.

    Call arguments:
      tensor: any tensor.

    Returns:
      A list of `count` tensors.
    """

    def __init__(self, count: int, **kwargs):
        super().__init__(**kwargs)
        self.count = count

    def call(self, tensor):
        return fork(tf.convert_to_tensor(tensor), self.count)

    def compute_output_shape(self, input_shape):
        return [tuple(input_shape)] * self.count

    def get_config(self):
        return {**super().get_config(), "count": self.count}
