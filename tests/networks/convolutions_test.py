"""The convolutions against TensorFlow's own: values and both gradients, whichever way they take."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.config.precision import choose_precision
from tfpix2pix.networks import convolutions

# Height and width of the small map, channels of the large and of the small one, batch: on both
# sides of each limit of the rule, few channels among many, sides that differ.
SHAPES = [(1, 1, 5, 7, 3), (1, 3, 3, 4, 2), (5, 2, 2, 33, 1), (8, 8, 4, 6, 1), (8, 9, 4, 6, 2)]
SHAPES += [(16, 16, 3, 4, 1), (17, 16, 5, 3, 1), (20, 31, 2, 40, 2)]
WAYS = ["auto", "native"]


def _uniform(*shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(sum(shape)).uniform(-1, 1, shape), tf.float32)


def _value_and_gradients(convolve, images: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch([images, kernel])
        outputs = convolve(images, kernel)
        weighted = tf.reduce_sum(outputs * _uniform(*outputs.shape))
    return [outputs, *tape.gradient(weighted, [images, kernel])]


def _assert_equal(found: list[tf.Tensor], expected: list[tf.Tensor]) -> None:
    for value, wanted in zip(found, expected, strict=True):
        assert value.shape == wanted.shape
        largest = np.abs(wanted).max()
        np.testing.assert_allclose(value / largest, wanted / largest, atol=1e-5)


def _plain(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]]), kernel, 2, "VALID")


def _transposed(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    batch, height, width, _ = images.shape
    return tf.nn.conv2d_transpose(images, kernel, (batch, 2 * height, 2 * width, kernel.shape[2]), 2, "SAME")


@pytest.mark.parametrize("kernels", WAYS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("odd", [(0, 0), (1, 0), (1, 1)])
def test_convolution_agrees_with_tensorflows(shape, odd, kernels):
    height, width, channels, filters, batch = shape
    images = _uniform(batch, 2 * height + odd[0], 2 * width + odd[1], channels)
    kernel = _uniform(4, 4, channels, filters)
    found = _value_and_gradients(lambda x, k: convolutions.conv2d(x, k, kernels), images, kernel)
    _assert_equal(found, _value_and_gradients(_plain, images, kernel))


@pytest.mark.parametrize("kernels", WAYS)
@pytest.mark.parametrize("shape", SHAPES)
def test_transposed_convolution_agrees_with_tensorflows(shape, kernels):
    height, width, channels, filters, batch = shape
    images, kernel = _uniform(batch, height, width, filters), _uniform(4, 4, channels, filters)
    found = _value_and_gradients(lambda x, k: convolutions.conv2d_transpose(x, k, kernels), images, kernel)
    _assert_equal(found, _value_and_gradients(_transposed, images, kernel))


@pytest.mark.parametrize("kernels", WAYS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("convolve", "plain"), [(convolutions.conv2d, _plain), (convolutions.conv2d_transpose, _transposed)]
)
def test_bfloat16_is_off_by_its_rounding(convolve, plain, shape, kernels):
    height, width, channels, filters, batch = shape
    sides, depth = ((2, channels), (1, filters))[convolve is convolutions.conv2d_transpose]
    tensors = _uniform(batch, sides * height, sides * width, depth), _uniform(4, 4, channels, filters)
    coarse = [tf.cast(tensor, tf.bfloat16) for tensor in tensors]
    expected = plain(*(tf.cast(tensor, tf.float32) for tensor in coarse))
    found = convolve(*coarse, kernels)
    assert found.dtype == tf.bfloat16
    # Eight bits of which the last is rounded, twice at most. TensorFlow's own kernels add up rounded products
    # on processors that do not multiply bfloat16.
    times = 8 if kernels == "native" and choose_precision() == "float32" else 2
    largest = np.abs(expected).max()
    np.testing.assert_allclose(tf.cast(found, tf.float32) / largest, expected / largest, atol=times * 2**-8)


@pytest.mark.parametrize("kernels", WAYS)
@pytest.mark.parametrize("shape", SHAPES)
def test_maps_whose_size_the_graph_learns_when_it_runs(shape, kernels):
    height, width, channels, filters, batch = shape
    kernel = _uniform(4, 4, channels, filters)
    for ours, theirs, depth in (
        (convolutions.conv2d, _plain, channels),
        (convolutions.conv2d_transpose, _transposed, filters),
    ):
        anything = tf.TensorSpec([None, None, None, depth])
        traced = tf.function(lambda x, ours=ours: ours(x, kernel, kernels), input_signature=[anything])
        for odd in (0, 1):
            images = _uniform(batch, 2 * height + odd, 2 * width, depth)
            _assert_equal([traced(images)], [theirs(images, kernel)])


@pytest.mark.parametrize(
    ("product", "area", "kernel_shape", "matmul"),
    [
        ("gather", 64, (4, 4, 64, 64), True),
        ("gather", 65, (4, 4, 64, 64), False),
        ("scatter", 64, (4, 4, 64, 64), True),
        ("scatter", 65, (4, 4, 64, 64), False),
        ("scatter", 128 * 128, (4, 4, 3, 48), True),
        ("scatter", 128 * 128, (4, 4, 3, 47), False),
        ("correlate", 256, (4, 4, 64, 64), True),
        ("correlate", 257, (4, 4, 3, 128), False),
    ],
)
def test_rule(product, area, kernel_shape, matmul, monkeypatch):
    assert convolutions.takes_matmul(product, area, kernel_shape) is matmul
    assert convolutions.takes_matmul(product, area, kernel_shape, "native") is False
    monkeypatch.setattr(convolutions, "has_gpu", lambda: True)
    assert convolutions.takes_matmul(product, area, kernel_shape) is False
