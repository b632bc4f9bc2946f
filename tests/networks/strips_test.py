"""Convolutions in strips against whole ones: values and gradients, and where they are taken."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.networks import convolutions, strips
from tfpix2pix.networks.layers import PaddedConv2D, UpConv2D, UpConv2D3x3
from tfpix2pix.pipelines.base import processor

# Kernel, stride, height and width of the image, px: heights that strips share evenly, unevenly, and hardly.
GEOMETRY = [(7, 1, 30, 28), (3, 2, 67, 53), (4, 2, 66, 50), (4, 1, 31, 27), (3, 1, 7, 90), (1, 1, 3, 200)]
WIDE = tf.TensorSpec([None, None, None, 5])


@pytest.fixture
def avx2(monkeypatch):
    """Lets strips be taken on any processor, on maps of any size."""
    monkeypatch.setattr(strips, "suit_processor", lambda: True)
    monkeypatch.setattr(strips, "save_memory", lambda: True)
    monkeypatch.setattr(strips, "MIN_AREA", 1)
    monkeypatch.setattr(strips, "MIN_SPREAD", 1)


@pytest.fixture
def avx512(avx2, monkeypatch):
    """Lets transposed convolutions alone take strips, as on processors with AVX-512."""
    monkeypatch.setattr(strips, "suit_processor", lambda: False)


def _uniform(*shape):
    return tf.constant(np.random.default_rng(sum(shape)).uniform(-1, 1, shape), tf.float32)


def _value_and_gradients(convolve, *tensors):
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        outputs = convolve(*tensors)
        weighted = tf.reduce_sum(outputs * _uniform(*outputs.shape))
    return [outputs, *tape.gradient(weighted, tensors)]


@pytest.fixture
def spread(monkeypatch):
    """Returns a list that gets the size of each map that a transposed convolution makes in strips."""
    sizes: list = []
    whole = strips.spread

    def spread(images, kernel, size, *others, **named):
        sizes.append(size)
        return whole(images, kernel, size, *others, **named)

    monkeypatch.setattr(strips, "spread", spread)
    return sizes


def _assert_close(found, expected):
    for value, wanted in zip(found, expected, strict=True):
        assert value.shape == wanted.shape
        np.testing.assert_allclose(value, wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("side", "stride", "height", "width"), GEOMETRY)
def test_strips_give_the_same_values_and_gradients(side, stride, height, width, batch):
    images, kernel = _uniform(batch, height, width, 5), _uniform(side, side, 5, 6)

    def whole(images, kernel):
        return tf.nn.conv2d(images, kernel, stride, "VALID")

    outputs, *expected = _value_and_gradients(whole, images, kernel)
    upstream = _uniform(*outputs.shape)
    found = [
        strips.spread(upstream, kernel, images.shape.as_list(), stride, pad_px=0),
        strips.correlate(images, upstream, kernel.shape, stride),
    ]
    _assert_close([strips.convolve(images, kernel, stride), *found], [outputs, *expected])


@pytest.mark.parametrize(("side", "stride", "height", "width"), GEOMETRY)
def test_a_convolution_and_its_gradients_are_the_same(side, stride, height, width, avx2):
    images, kernel = _uniform(1, height, width, 5), _uniform(side, side, 5, 6)
    expected, found = (
        _value_and_gradients(lambda *given, way=way: strips.conv2d(*given, stride, way), images, kernel)
        for way in ("native", "auto")
    )
    _assert_close(found, expected)


@pytest.mark.parametrize("features", ["avx2", "avx512"])
@pytest.mark.parametrize("limit", [1, 40 * 60 * 5 + 1])
def test_a_transposed_convolution_and_its_gradients_are_the_same(
    limit, features, spread, monkeypatch, request
):
    request.getfixturevalue(features)
    monkeypatch.setattr(strips, "MIN_SPREAD", limit)
    layer = UpConv2D3x3(5)
    images = _uniform(1, 20, 30, 6)
    layer.build(images.shape)
    found = _value_and_gradients(layer, images)
    assert spread == ([[1, 40, 60, 5]] if limit == 1 else [])
    layer.conv_kernels = "native"
    _assert_close(found, _value_and_gradients(layer, images))
    assert len(spread) == (limit == 1)


def test_gradients_are_the_same_where_the_batch_size_is_unknown(avx2, spread):
    kernel = _uniform(3, 3, 5, 6)

    def find_gradients(images, kernels="auto"):
        size = [tf.shape(images)[0], 40, 60, 5]
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            outputs = strips.conv2d_transpose(images, kernel, size, 2, 1, kernels)
            squares = tf.reduce_sum(tf.square(outputs))
        return tape.gradient(squares, [images, kernel])

    traced = tf.function(find_gradients).get_concrete_function(tf.TensorSpec([None, 20, 30, 6]))
    assert len(spread) == 1
    for batch in (1, 2):
        images = _uniform(batch, 20, 30, 6)
        _assert_close(traced(images), find_gradients(images, "native"))


@pytest.mark.parametrize("height", [16, 20, 41])
def test_a_transposed_4x4_convolution_and_its_gradients_are_the_same(height, avx2, spread):
    given = _uniform(1, height, 30, 6), _uniform(4, 4, 5, 6)
    expected, found = (
        _value_and_gradients(
            lambda *each, kernels=kernels: convolutions.conv2d_transpose(*each, kernels), *given
        )
        for kernels in ("native", "auto")
    )
    _assert_close(found, expected)
    assert spread == [[1, 2 * height, 60, 5]]


@pytest.mark.parametrize("kernels", ["auto", "native"])
def test_layers_take_strips_unless_told_otherwise(kernels, avx2, monkeypatch):
    taken = []
    convolve = strips.convolve
    monkeypatch.setattr(strips, "convolve", lambda *given: taken.append(given) or convolve(*given))
    images = _uniform(1, 40, 36, 5)
    for layer in (
        PaddedConv2D(4, 7, pad_px=3, conv_kernels=kernels),
        PaddedConv2D(4, 4, 2, conv_kernels=kernels),
    ):
        monkeypatch.setattr(strips, "suit_processor", lambda: False)
        expected = layer(images)
        monkeypatch.setattr(strips, "suit_processor", lambda: True)
        _assert_close([layer(images)], [expected])
    assert len(taken) == (2 if kernels == "auto" else 0)


@pytest.mark.parametrize("features", ["avx2", "avx512"])
@pytest.mark.parametrize(
    "of",
    [
        UpConv2D3x3,
        UpConv2D,
        lambda filters: PaddedConv2D(filters, 7, pad_px=3),
        lambda filters: PaddedConv2D(filters, 4, 2),
    ],
)
def test_a_training_on_maps_whose_size_the_graph_learns_when_it_runs(of, features, request):
    request.getfixturevalue(features)
    layers = [of(6), of(6)]  # in a row, as in a network
    for layer in layers:
        layer.build([None, None, None, 6])

    def find_gradients(images):
        def step(place, total):
            with tf.GradientTape() as tape:
                outputs = images
                for layer in layers:
                    outputs = layer(outputs)
                squares = tf.reduce_sum(tf.square(outputs))
            return place + 1, total + tape.gradient(squares, layers[0].kernel)

        return tf.while_loop(lambda place, _: place < 1, step, (0, tf.zeros(layers[0].kernel.shape)))[1]

    traced = tf.function(find_gradients, input_signature=[tf.TensorSpec([1, None, None, 6])], autograph=False)
    images = _uniform(1, 20, 28, 6)
    found = traced(images)
    for layer in layers:
        layer.conv_kernels = "native"
    _assert_close([found], [find_gradients(images)])


@pytest.mark.parametrize("side", [40, 41])
def test_maps_whose_size_the_graph_learns_when_it_runs(side, avx2):
    kernel = _uniform(4, 4, 5, 3)
    traced = tf.function(lambda images: strips.conv2d(images, kernel, 2), input_signature=[WIDE])
    for batch in (1, 2):
        images = _uniform(batch, side, 38, 5)
        _assert_close([traced(images)], [tf.nn.conv2d(images, kernel, 2, "VALID")])


@pytest.mark.parametrize("of", [UpConv2D3x3, UpConv2D])
def test_transposed_maps_whose_size_the_graph_learns_when_it_runs(of, avx2, spread, monkeypatch):
    monkeypatch.setattr(strips, "MIN_SPREAD", 60 * 60 * 5)
    layer = of(5)
    layer.build([None, None, None, 6])
    traced = tf.function(layer.call, input_signature=[tf.TensorSpec([None, None, None, 6])])
    traced = traced.get_concrete_function()
    assert len(spread) == 1
    layer.conv_kernels = "native"
    for batch, side in ((1, 30), (1, 29), (2, 30)):
        images = _uniform(batch, side, 30, 6)
        _assert_close([traced(images)], [layer(images)])


def test_only_transposed_convolutions_take_strips_with_avx512(avx512, spread, monkeypatch):
    monkeypatch.setattr(strips, "convolve", None)
    monkeypatch.setattr(strips, "correlate", None)
    given = _uniform(1, 20, 30, 6), _uniform(4, 4, 5, 6)
    _value_and_gradients(convolutions.conv2d_transpose, *given)
    _value_and_gradients(PaddedConv2D(4, 7, pad_px=3), given[0])
    assert spread == [[1, 40, 60, 5]]
    # In bfloat16 too, whose values are close to those of a whole map.
    images, kernel = (tf.cast(each, tf.bfloat16) for each in (given[0], _uniform(3, 3, 5, 6)))
    found, expected = (
        strips.conv2d_transpose(images, kernel, [1, 40, 60, 5], 2, 1, way) for way in ("auto", "native")
    )
    assert len(spread) == 2
    np.testing.assert_allclose(tf.cast(found, tf.float32), tf.cast(expected, tf.float32), atol=0.05)


@pytest.mark.parametrize(
    ("features", "value", "suits", "saves"),
    [
        (["avx2"], "1", True, True),
        (["avx2"], "0", False, False),
        (["avx2"], None, False, False),
        (["avx2", "avx512f"], "1", False, True),
        (["avx2", "avx512_bf16"], None, False, True),
        (["asimd"], "1", False, False),
    ],
)
def test_processors_that_take_strips(features, value, suits, saves, monkeypatch):
    monkeypatch.setattr(processor, "read_features", lambda: features)
    monkeypatch.delenv(processor.VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(processor.VARIABLE, value)
    monkeypatch.setattr(strips, "save_memory", strips.save_memory.__wrapped__)
    assert strips.save_memory() is saves
    assert strips.suit_processor.__wrapped__() is suits


def test_rule(monkeypatch):
    monkeypatch.setattr(strips, "suit_processor", lambda: True)
    assert strips.are_faster(1, strips.MIN_AREA)
    assert not strips.are_faster(1, strips.MIN_AREA - 1)
    assert not strips.are_faster(2, strips.MIN_AREA)
    large = [1, 128, strips.MIN_SPREAD // (128 * 4), 4]
    assert strips.are_leaner(large)
    assert not strips.are_leaner([1, 127, *large[2:]])
    assert not strips.are_leaner([2, *large[1:]])
    # A choice that is known makes the graph no larger.
    assert strips.are_leaner([tf.constant(1), 127, *large[2:]]) is False
    images, kernel = tf.zeros([1, 30, 30, 512]), tf.TensorShape([4, 4, 512, 512])
    assert strips.may_be_faster(images, kernel)
    assert not strips.may_be_faster(tf.cast(images, tf.bfloat16), kernel)
    # Only kernels that meet large maps let a graph for any size choose.
    any_size = tf.TensorSpec([None, None, None, 512])
    assert not strips.may_be_faster(any_size, kernel)
    assert strips.may_be_faster(any_size, tf.TensorShape([7, 7, 64, 64]))
    monkeypatch.setattr(strips, "save_memory", lambda: True)
    assert strips.may_be_leaner(images, kernel)
    assert strips.may_be_leaner(tf.cast(images, tf.bfloat16), kernel)
    assert not strips.may_be_leaner(tf.cast(images, tf.float16), kernel)
    assert not strips.may_be_leaner(any_size, kernel)
    monkeypatch.setattr(strips, "has_gpu", lambda: True)
    assert not strips.may_be_faster(images, kernel)
    assert not strips.may_be_leaner(images, kernel)
