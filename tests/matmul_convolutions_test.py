"""The matmul forms against TensorFlow's own convolutions: values and both gradients."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix import matmul_convolutions


def _uniform(*shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(sum(shape)).uniform(-1, 1, shape), tf.float32)


def _value_and_gradients(convolve, images: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch([images, kernel])
        outputs = convolve(images, kernel)
        weighted = tf.reduce_sum(outputs * _uniform(*outputs.shape))
    return [outputs, *tape.gradient(weighted, [images, kernel])]


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (5, 2), (8, 8)])
def test_convolution_agrees_with_tensorflows(size):
    padded, kernel = _uniform(3, 2 * size[0] + 2, 2 * size[1] + 2, 5), _uniform(4, 4, 5, 7)
    found = _value_and_gradients(matmul_convolutions.conv2d, padded, kernel)
    expected = _value_and_gradients(lambda x, k: tf.nn.conv2d(x, k, 2, "VALID"), padded, kernel)
    assert found[0].shape == (3, *size, 7)
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, atol=2e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (5, 2), (8, 8)])
def test_transposed_convolution_agrees_with_tensorflows(size):
    images, kernel = _uniform(3, *size, 5), _uniform(4, 4, 7, 5)

    def transpose(images, kernel):
        return tf.nn.conv2d_transpose(images, kernel, (3, 2 * size[0], 2 * size[1], 7), 2, "SAME")

    found = _value_and_gradients(matmul_convolutions.conv2d_transpose, images, kernel)
    expected = _value_and_gradients(transpose, images, kernel)
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, atol=2e-5)


@pytest.mark.parametrize(
    ("height", "width", "faster"),
    [(1, 1, True), (16, 16, True), (8, 32, True), (17, 16, False), (None, 4, False), (4, None, False)],
)
def test_matmuls_serve_small_maps_of_known_size(height, width, faster):
    assert matmul_convolutions.is_faster(height, width) is faster
