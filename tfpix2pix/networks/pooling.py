"""Average pooling that halves images as pix2pixHD's pyramids do."""

import keras
import tensorflow as tf


@keras.utils.register_keras_serializable("tfpix2pix")
class HalvingPool2D(keras.layers.Layer):
    """Takes the mean of 3x3 pixels around every second pixel; pixels outside of the image do not count.

    Call arguments:
      images: float tensor [B, H, W, C].

    Returns:
      float [B, ceil(H/2), ceil(W/2), C].

    Source: `AvgPool2d(3, 2, 1, count_include_pad=False)` in pix2pixHD.
    """

    def call(self, images):
        images = tf.convert_to_tensor(images)
        # TensorFlow pads even sizes with SAME on the far sides alone, so the border comes explicitly.
        border = [[0, 0], [1, 1], [1, 1], [0, 0]]
        size = tf.shape(images)
        inside = tf.ones([1, size[1], size[2], 1], images.dtype)
        sums, shares = (
            tf.nn.avg_pool2d(tf.pad(values, border), 3, 2, "VALID") for values in (images, inside)
        )
        return sums / shares

    def compute_output_shape(self, input_shape):
        height, width = (None if size is None else (size + 1) // 2 for size in input_shape[1:3])
        return (input_shape[0], height, width, input_shape[3])
