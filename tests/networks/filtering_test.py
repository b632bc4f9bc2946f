"""Minimal filtering against direct convolutions: values and both gradients, and where layers take it."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.config.config import make_config
from tfpix2pix.networks import filtering
from tfpix2pix.networks.build import build_discriminator, build_generator
from tfpix2pix.networks.layers import (
    PaddedConv2D,
    ResizeConv2D,
    UpConv2D,
    UpConv2D3x3,
    use_minimal_filtering,
)

# Largest difference from a direct convolution in float64, relative to the largest number.
BOUNDS = {tf.float64: 1e-13, tf.float32: 1e-5}


def _direct(images, kernel, pad_px):
    pad = [pad_px, pad_px]
    return tf.nn.conv2d(tf.pad(images, [[0, 0], pad, pad, [0, 0]]), kernel, 1, "VALID")


def _filtered(images, kernel, pad_px):
    return filtering.conv2d(images, kernel, pad_px)


def _value_and_gradients(convolve, images, kernel, weights, pad_px):
    with tf.GradientTape() as tape:
        tape.watch([images, kernel])
        outputs = convolve(images, kernel, pad_px)
        weighted = tf.reduce_sum(outputs * weights)
    return [outputs, *tape.gradient(weighted, [images, kernel])]


def _assert_close(found, expected, bound):
    for value, wanted in zip(found, expected, strict=True):
        assert value.shape == wanted.shape
        assert np.abs(np.float64(value) - wanted).max() <= bound * np.abs(wanted).max()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("side", [3, 4])
def test_values_and_gradients_are_those_of_a_direct_convolution(side, seed):
    random = np.random.default_rng(seed)
    pad_px = int(random.integers(0, side))
    height, width = random.integers(max(1, side - 2 * pad_px), 24, 2)
    batch, channels, filters = random.integers(1, [3, 70, 40])
    images = random.normal(0, random.choice([1e-3, 1, 1e3]), (batch, height, width, channels))
    kernel = random.normal(0, 0.02, (side, side, channels, filters))
    weights = random.normal(0, 1, _direct(images, kernel, pad_px).shape)
    expected = _value_and_gradients(_direct, *map(tf.constant, (images, kernel, weights)), pad_px)
    for dtype, bound in BOUNDS.items():
        given = [tf.constant(array, dtype) for array in (images, kernel, weights)]
        _assert_close(_value_and_gradients(_filtered, *given, pad_px), expected, bound)


def test_maps_whose_size_the_graph_learns_when_it_runs():
    random = np.random.default_rng(0)
    kernel = tf.constant(random.normal(size=(4, 4, 5, 3)))
    anything = tf.TensorSpec([None, None, None, 5], tf.float64)
    traced = tf.function(lambda images: _filtered(images, kernel, 1), input_signature=[anything])
    for size in [(1, 4, 9), (2, 13, 12)]:
        images = tf.constant(random.normal(size=(*size, 5)))
        _assert_close([traced(images)], [_direct(images, kernel, 1)], 1e-13)


def test_numbers_repeat():
    random = np.random.default_rng(0)
    images, kernel, weights = (
        tf.constant(random.normal(size=shape), tf.float32)
        for shape in ([1, 32, 32, 128], [4, 4, 128, 128], [1, 31, 31, 128])
    )
    step = tf.function(lambda: _value_and_gradients(_filtered, images, kernel, weights, 1))
    first = step()
    for _ in range(3):
        for once, again in zip(first, step(), strict=True):
            np.testing.assert_array_equal(once, again)


def _zeros(shape, dtype=tf.float32):
    return tf.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("images", "kernel", "faster"),
    [
        (_zeros([1, 16, 16, 128]), _zeros([4, 4, 128, 128]), True),
        (_zeros([1, 64, 64, 128]), _zeros([3, 3, 128, 256]), True),
        (_zeros([1, 15, 16, 128]), _zeros([4, 4, 128, 128]), False),
        (_zeros([1, 65, 64, 128]), _zeros([4, 4, 128, 128]), False),
        (_zeros([1, 16, 16, 127]), _zeros([4, 4, 127, 128]), False),
        (_zeros([1, 16, 16, 128]), _zeros([4, 4, 128, 127]), False),
        (_zeros([1, 16, 16, 128]), _zeros([5, 5, 128, 128]), False),
        (_zeros([1, 16, 16, 128]), _zeros([3, 4, 128, 128]), False),
        (_zeros([1, 16, 16, 128], tf.bfloat16), _zeros([4, 4, 128, 128], tf.bfloat16), False),
    ],
)
def test_rule(images, kernel, faster, monkeypatch):
    assert filtering.is_faster(images, kernel) is faster
    monkeypatch.setattr(filtering, "has_gpu", lambda: True)
    assert filtering.is_faster(images, kernel) is False


def _outputs_of_each_way(layer, images):
    """Returns what a layer gives with and without minimal filtering, and with TensorFlow's kernels alone."""
    outputs = []
    for filters, kernels in ((True, "auto"), (False, "auto"), (True, "native")):
        layer.minimal_filtering, layer.conv_kernels = filters, kernels
        outputs.append(np.asarray(layer(images)))
    return outputs


@pytest.mark.parametrize(
    ("layer", "size", "filters"),
    [
        (PaddedConv2D(128, 4), 17, True),
        (PaddedConv2D(128, 3, pad_px=0), 16, True),
        (ResizeConv2D(128), 9, True),
        (PaddedConv2D(128, 4), 15, False),
        (PaddedConv2D(128, 3, strides=2), 17, False),
        (PaddedConv2D(128, 3, dilation_rate=2), 17, False),
        (PaddedConv2D(128, 3, groups=2), 17, False),
    ],
)
def test_layers_take_it_where_it_is_faster(layer, size, filters):
    images = tf.random.stateless_normal([1, size, size, 128], [0, 1])
    filtered, direct, native = _outputs_of_each_way(layer, images)
    np.testing.assert_array_equal(direct, native)
    assert (filtered != direct).any() == filters
    np.testing.assert_allclose(filtered, direct, atol=1e-5 * np.abs(direct).max())


def test_a_layer_decides_in_the_graph_where_sizes_are_not_known():
    layer = PaddedConv2D(128, 3, minimal_filtering=True)
    traced = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None, 128])])
    for size in (15, 16):
        images = tf.random.stateless_normal([1, size, size, 128], [0, 1])
        with filtering.share_transforms():
            found = [traced(images), traced(images)]
        for outputs in found:
            np.testing.assert_allclose(outputs, layer(images), atol=1e-6)


def test_calls_share_the_transform_of_a_kernel():
    layer = PaddedConv2D(128, 4, minimal_filtering=True)
    images = tf.random.stateless_normal([2, 16, 16, 128], [0, 1])
    layer.build(images.shape)

    def gradient(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(images[:1]) ** 2) + tf.reduce_sum(layer(images[1:]) ** 3)
        return tape.gradient(loss, layer.trainable_variables[0])

    def shared(images):
        with filtering.share_transforms():
            return gradient(images)

    graphs = [tf.function(function).get_concrete_function(images).graph for function in (gradient, shared)]
    products = [sum("MatMul" in operation.type for operation in graph.get_operations()) for graph in graphs]
    # One transform in place of two, none again for the gradients, and the gradient of one in place of two.
    assert products[0] - products[1] == 4
    expected = gradient(images)
    np.testing.assert_allclose(shared(images), expected, atol=1e-5 * np.abs(expected).max())


def test_the_transform_of_a_kernel_is_not_kept_for_the_gradient():
    images, kernel = tf.zeros([1, 16, 16, 128]), tf.zeros([4, 4, 128, 128])
    weights = tf.zeros([1, 13, 13, 128])
    traced = tf.function(lambda *given: _value_and_gradients(_filtered, *given, 0))
    graph = traced.get_concrete_function(images, kernel, weights).graph
    transforms = [
        output
        for operation in graph.get_operations()
        for output in operation.outputs
        if operation.type == "Reshape" and output.shape == (36, 128, 128)
    ]
    readers = [[reader.type for reader in transform.consumers()] for transform in transforms]
    assert readers == [["BatchMatMulV2"]] * 2  # one for the forward pass, one for the gradient


def test_a_configuration_chooses_the_way_of_all_its_layers():
    def ways(**settings):
        config = make_config(base_filters=2, image_size=(64, 64), **settings)
        layers = build_discriminator(config).layers
        return {layer.minimal_filtering for layer in layers if isinstance(layer, PaddedConv2D)}

    assert ways() == {True}
    assert ways(minimal_filtering=False) == ways(conv_kernels="native") == {False}


@pytest.mark.parametrize("generator", ["unet", "resnet_6blocks", "enhancer"])
def test_native_kernels_reach_all_convolutions(generator):
    config = make_config(generator=generator, base_filters=2, image_size=(64, 64), conv_kernels="native")
    convolutions = [each for each in build_generator(config).layers if hasattr(each, "conv_kernels")]
    assert {each.conv_kernels for each in convolutions} == {"native"}
    assert UpConv2D in map(type, convolutions) or UpConv2D3x3 in map(type, convolutions)


def test_the_way_is_kept_in_files_and_reaches_models_inside():
    import keras

    inputs = keras.Input((None, None, 3))
    inside = keras.Model(inputs, PaddedConv2D(4, 3)(inputs))
    model = use_minimal_filtering(keras.Sequential([inside, PaddedConv2D(4, 4)]))
    layers = [*model.layers[0].layers[1:], model.layers[1]]
    assert [layer.get_config()["minimal_filtering"] for layer in layers] == [True, True]
    assert PaddedConv2D.from_config(layers[0].get_config()).minimal_filtering
    without = {key: value for key, value in layers[0].get_config().items() if key != "minimal_filtering"}
    assert not PaddedConv2D.from_config(without).minimal_filtering
