"""Normalisation, noise and padding against NumPy, and what must never change silently."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.references import numpy_layers
from tfpix2pix.networks import layers
from tfpix2pix.networks.noise import NoiseDropout, hash_bits
from tfpix2pix.networks.normalization import StatelessNormalization
from tfpix2pix.networks.padding import CropLike, PadToMultiple, ReflectionPad2D


def _uniform(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


@pytest.mark.parametrize(
    ("kind", "training", "per_image"),
    [("batch", True, False), ("batch", False, True), ("instance", True, True), ("instance", False, True)],
)
def test_normalization_agrees_with_numpy(kind, training, per_image):
    images = _uniform((3, 4, 5, 2)) * [3, 0.01] + [10, -1] + np.arange(3).reshape(3, 1, 1, 1)
    layer = StatelessNormalization(kind)
    layer.build((None, None, None, 2))
    layer.set_weights([np.array([2.0, -0.5]), np.array([0.25, 1.0])])
    expected = numpy_layers.normalize(images, np.array([2.0, -0.5]), np.array([0.25, 1.0]), per_image)
    normalized = layer(tf.constant(images, tf.float32), training=training)
    np.testing.assert_allclose(normalized, expected, atol=2e-3)
    other = numpy_layers.normalize(images, np.array([2.0, -0.5]), np.array([0.25, 1.0]), not per_image)
    assert np.abs(other - expected).max() > 0.1


def test_plain_instance_normalization_agrees_with_numpy():
    images = _uniform((3, 4, 5, 2)) * [3, 0.01] + [10, -1] + np.arange(3).reshape(3, 1, 1, 1)
    layer = StatelessNormalization("plain_instance")
    for training in (True, False):
        expected = numpy_layers.normalize(images, np.ones(2), np.zeros(2), per_image=True)
        normalized = layer(tf.constant(images, tf.float32), training=training)
        np.testing.assert_allclose(normalized, expected, atol=2e-3)
    assert layer.weights == []


def test_normalization_starts_as_in_the_paper():
    layer = StatelessNormalization()
    layer.build((None, None, None, 10_000))
    gamma, beta = layer.get_weights()
    assert abs(gamma.mean() - 1) < 1e-3
    assert abs(gamma.std() - 0.02) < 1e-3
    np.testing.assert_array_equal(beta, 0)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("batch", [3, None])
def test_each_image_of_a_batch_is_normalized_as_it_is_alone(batch, dtype):
    images = tf.cast(_uniform((3, 6, 5, 4)) + np.arange(3).reshape(3, 1, 1, 1), dtype)
    layer = StatelessNormalization("instance", dtype="float32" if dtype == tf.float32 else "mixed_bfloat16")
    layer.build((None, None, None, 4))
    weights = tf.cast(_uniform((3, 6, 5, 4), seed=1), dtype)

    def differentiate(images, weights):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=True)
        found = tape.gradient(outputs, [images, *layer.trainable_variables], output_gradients=weights)
        return [outputs, *(tf.convert_to_tensor(each) for each in found)]

    any_size = tf.TensorSpec([batch, None, None, 4], dtype)
    together = tf.function(differentiate, [any_size, any_size])(images, weights)
    alone = [differentiate(images[i : i + 1], weights[i : i + 1]) for i in range(3)]
    expected = [
        *(tf.concat(values, 0) for values in list(zip(*alone, strict=True))[:2]),
        *(tf.add_n(values) for values in list(zip(*alone, strict=True))[2:]),
    ]
    bound = 1e-5 if dtype == tf.float32 else 0.05
    for found, wanted in zip(together, expected, strict=True):
        np.testing.assert_allclose(tf.cast(found, tf.float32), tf.cast(wanted, tf.float32), atol=bound)
    assert layer(images).shape == (3, 6, 5, 4)


@pytest.mark.parametrize("kind", ["batch", "instance"])
def test_normalization_of_float64_has_no_fused_kernel(kind):
    images = tf.cast(_uniform((2, 8, 8, 2)) + [[[[0.0]]], [[[5.0]]]], tf.float64)
    single, double = StatelessNormalization(kind), StatelessNormalization(kind, dtype="float64")
    expected = single(tf.cast(images, tf.float32), training=True)
    double.build(images.shape)
    double.set_weights(single.get_weights())
    normalized = double(images, training=True)
    assert normalized.dtype == tf.float64
    np.testing.assert_allclose(normalized, expected, atol=1e-5)


def test_normalization_of_bfloat16_takes_its_statistics_in_float32():
    images = tf.cast(_uniform((1, 64, 64, 1)) * 0.5 + 100, tf.bfloat16)
    layer = StatelessNormalization("instance", dtype="mixed_bfloat16")
    normalized = tf.cast(layer(images), tf.float32)
    assert layer(images).dtype == tf.bfloat16
    expected = numpy_layers.normalize(
        tf.cast(images, tf.float32).numpy(), layer.get_weights()[0], np.zeros(1), per_image=True
    )
    np.testing.assert_allclose(normalized, expected, atol=0.02)


def test_unknown_normalization_is_refused():
    with pytest.raises(
        ValueError, match="kind must be one of batch, instance, plain_instance. Received: kind='layer'"
    ):
        StatelessNormalization("layer")


def test_padded_convolution_agrees_with_a_sum_by_hand():
    # All-ones kernel of 4 on all-ones 4x4: each output counts the pixels it covers.
    layer = layers.PaddedConv2D(1, 4, 2, kernel_initializer="ones")
    counted = layer(tf.ones([1, 4, 4, 1]))[0, :, :, 0]
    np.testing.assert_array_equal(counted, [[9, 9], [9, 9]])
    layer = layers.PaddedConv2D(1, 4, 1, kernel_initializer="ones")
    counted = layer(tf.ones([1, 4, 4, 1]))[0, :, :, 0]
    np.testing.assert_array_equal(counted, [[9, 12, 9], [12, 16, 12], [9, 12, 9]])


@pytest.mark.parametrize(
    ("kernel_size", "strides", "pad_px", "expected"),
    [(4, 2, 1, (3, 4)), (4, 1, 1, (6, 8)), (1, 1, 0, (7, 9)), (4, 2, 0, (2, 3))],
)
def test_padded_convolution_knows_its_output_shape(kernel_size, strides, pad_px, expected):
    layer = layers.PaddedConv2D(3, kernel_size, strides, pad_px)
    assert layer(tf.zeros([2, 7, 9, 5])).shape == (2, *expected, 3)
    assert tuple(layer.compute_output_shape((2, 7, 9, 5))) == (2, *expected, 3)
    assert tuple(layer.compute_output_shape((None, None, 9, 5))) == (None, None, expected[1], 3)


def test_padded_convolution_refuses_images_smaller_than_its_kernel():
    layer = layers.PaddedConv2D(1, 4, name="patch_9_conv")
    assert layer(tf.ones([1, 2, 2, 1])).shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match="patch_9_conv needs images of at least 2x2 px. Received: 5x1 px"):
        layer(tf.ones([1, 5, 1, 1]))


def test_hash_is_the_published_one():
    # fmix32(1) = 0x514E28B7, fmix32(0) = 0; the chain starts from 0x9E3779B9.
    words = np.array([0x9E3779B9 ^ 1, 0x9E3779B9], np.uint32).view(np.int32)
    np.testing.assert_array_equal(hash_bits(tf.constant(words)), [0x514E28B7, 0])


@pytest.mark.parametrize("seed", [(0, 0), (1, 2), (-1, -(2**31)), (2**31 - 1, 7)])
def test_noise_mask_agrees_with_plain_integers(seed):
    noise = NoiseDropout(0.3, stream=5)
    kept = noise([tf.ones([1, 3, 4, 2]), tf.constant([seed])])
    expected = numpy_layers.noise_mask(seed, 5, 24, 0.3)
    np.testing.assert_allclose(np.ravel(kept), np.where(expected, 1 / 0.7, 0.0), rtol=1e-6)


def test_noise_mask_never_changes():
    kept = NoiseDropout(0.5, stream=8)([tf.ones([1, 8, 8, 64]), tf.constant([[12, 34]])])
    mask = (kept.numpy() > 0).tobytes()
    assert (
        hashlib.sha256(mask).hexdigest() == "1e5ead33b87101c2b0ca9d0cac1b60cbdaec86834805f8f550f60459205eae0d"
    )


def test_noise_scales_what_it_keeps_and_drops_the_rest():
    activations = _uniform((2, 4, 4, 8)) + 2
    noisy = NoiseDropout(0.75)([activations, tf.constant([[1, 2], [3, 4]])]).numpy()
    np.testing.assert_allclose(noisy[noisy != 0], 4 * activations[noisy != 0], rtol=1e-6)
    np.testing.assert_array_equal(NoiseDropout(0.0)([activations, tf.zeros([2, 2])]), activations)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_noise_keeps_the_stated_share(rate):
    kept = NoiseDropout(rate)([tf.ones([16, 16, 16, 64]), tf.reshape(tf.range(32), [16, 2])])
    # 262,144 draws: five standard deviations are below 0.005.
    assert np.mean(kept.numpy() > 0) == pytest.approx(1 - rate, abs=0.005)


def test_noise_of_other_seeds_streams_and_places_is_unrelated():
    ones, seed = tf.ones([1, 16, 16, 64]), tf.constant([[3, 4]])
    base = NoiseDropout(0.5, stream=1)([ones, seed]).numpy()[0]
    others = [NoiseDropout(0.5, stream=stream)([ones, seed]).numpy()[0] for stream in (0, 2, 3)]
    for other in ([4, 3], [3, 5], [4, 4], [-3, 4], [3 + 2**16, 4]):
        others.append(NoiseDropout(0.5, stream=1)([ones, tf.constant([other])]).numpy()[0])
    for shift, axis in ((1, 0), (1, 1), (1, 2), (2, 2)):
        others.append(np.roll(base, shift, axis))
    for other in others:
        # 16,384 pairs: five standard deviations.
        assert abs(np.corrcoef(np.ravel(base), np.ravel(other))[0, 1]) < 0.04


def test_noise_depends_on_an_examples_seed_and_not_on_its_place_in_the_batch():
    noise = NoiseDropout(0.5)
    kept = noise([tf.ones([3, 4, 4, 2]), tf.constant([[1, 2], [5, 6], [1, 2]])]).numpy()
    np.testing.assert_array_equal(kept[0], kept[2])
    assert (kept[0] != kept[1]).any()
    np.testing.assert_array_equal(noise([tf.ones([1, 4, 4, 2]), tf.constant([[5, 6]])])[0], kept[1])


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_impossible_noise_rate_is_refused(rate):
    with pytest.raises(ValueError, match=rf"rate must be in \[0, 1\). Received: rate={rate}"):
        NoiseDropout(rate)


@pytest.mark.parametrize(
    ("size", "multiple_px", "expected"),
    [
        (4, 4, [0, 1, 2, 3]),
        (3, 4, [0, 1, 2, 2]),
        (5, 4, [0, 0, 1, 2, 3, 4, 4, 3]),
        (1, 4, [0, 0, 0, 0]),
        (2, 8, [1, 1, 0, 0, 1, 1, 0, 0]),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_padding_mirrors_the_borders(size, multiple_px, expected, known):
    pad = PadToMultiple(multiple_px)
    column = tf.range(size, dtype=tf.float32)[None, :, None, None]
    run = tf.function(pad, input_signature=[tf.TensorSpec(column.shape if known else [None] * 4)])
    padded = run(column).numpy()
    assert padded.shape == (1, len(expected), multiple_px, 1)
    np.testing.assert_array_equal(padded[0, :, 0, 0], expected)
    turned = pad(tf.transpose(column, [0, 2, 1, 3]))
    np.testing.assert_array_equal(turned[0, 0, :, 0], expected)
    assert pad.compute_output_shape((1, size, None, 3)) == (1, len(expected), None, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 7), (8, 8), (13, 16), (31, 3)])
def test_cropping_undoes_padding(size):
    images = _uniform((2, *size, 3))
    padded = PadToMultiple(8)(images)
    assert padded.shape[1] % 8 == padded.shape[2] % 8 == 0
    np.testing.assert_array_equal(CropLike()([padded, images]), images)


@pytest.mark.parametrize(
    ("interpolation", "expected"),
    [("nearest", [0, 0, 8, 8]), ("bilinear", [0, 2, 6, 8])],  # half-pixel centres: 3/4 and 1/4
)
@pytest.mark.parametrize("known", [True, False])
def test_resize_convolution_doubles_and_then_convolves(interpolation, expected, known):
    layer = layers.ResizeConv2D(1, interpolation, use_bias=False)
    column = tf.constant([0.0, 8.0])[None, :, None, None]
    layer.build(column.shape)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1  # passes the resized image on
    layer.set_weights([kernel])
    run = tf.function(
        layer, input_signature=[tf.TensorSpec(column.shape if known else [None, None, None, 1])]
    )
    resized = run(column).numpy()
    np.testing.assert_array_equal(resized[0, :, :, 0], np.stack([expected, expected], axis=1))
    layer.set_weights([np.ones((3, 3, 1, 1), np.float32)])
    # The corner's 3x3 neighbourhood holds four pixels, the rest is zero padding.
    assert run(column).numpy()[0, 3, 1, 0] == 2 * (expected[2] + expected[3])
    assert layer.compute_output_shape((None, 5, None, 1)) == (None, 10, None, 1)


@pytest.mark.parametrize("known", [True, False])
def test_reflection_padding_repeats_no_border(known):
    images = _uniform((2, 5, 4, 3))
    layer = ReflectionPad2D(3)
    run = tf.function(layer, input_signature=[tf.TensorSpec(images.shape if known else [None] * 3 + [3])])
    expected = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)), "reflect")
    np.testing.assert_array_equal(run(images), expected)
    assert tuple(layer.compute_output_shape((None, 5, None, 3))) == (None, 11, None, 3)
    assert ReflectionPad2D.from_config(layer.get_config()).pad_px == 3


def test_reflection_padding_refuses_images_that_are_not_larger():
    with pytest.raises(ValueError, match="needs images of at least 4x4 px. Received: 8x3 px"):
        ReflectionPad2D(3)(_uniform((1, 8, 3, 1)))


@pytest.mark.parametrize("layer_type", [layers.PaddedConv2D, layers.UpConv2D])
def test_convolutions_apply_their_activation(layer_type):
    sizes = {"kernel_size": 4, "strides": 2} if layer_type is layers.PaddedConv2D else {}
    plain, rectified = layer_type(3, **sizes), layer_type(3, activation="relu", **sizes)
    images = _uniform((1, 6, 6, 2))
    expected = np.maximum(plain(images), 0)
    rectified(images)
    rectified.set_weights(plain.get_weights())
    assert np.min(plain(images)) < 0
    np.testing.assert_array_equal(rectified(images), expected)


def test_a_dilated_or_grouped_convolution_agrees_with_kerass():
    images = _uniform((1, 9, 8, 4))
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for settings in ({"kernel_size": 3, "dilation_rate": 2}, {"kernel_size": 4, "strides": 2, "groups": 2}):
        layer, plain = layers.PaddedConv2D(6, pad_px=2, **settings), tf.keras.layers.Conv2D(6, **settings)
        outputs, _ = layer(images), plain(padded)
        plain.set_weights(layer.get_weights())
        np.testing.assert_allclose(outputs, plain(padded), atol=1e-5)
        assert tuple(layer.compute_output_shape(images.shape)) == tuple(outputs.shape)
