"""FCN-8s: its layout, its sizes, its upsampling, its normalisation, VGG-16's weights in it."""

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.metrics.fcn.network import (
    BilinearInitializer,
    GroupNormalization,
    VggPreprocessing,
    fcn8s,
    load_vgg_weights,
)
from tfpix2pix.networks.keras_versions import variable_path
from tfpix2pix.pipelines.base.errors import UsageError, UserError


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    network = fcn8s(5, 1 / 64)
    draw = np.random.default_rng(0)
    for name in ("score_fc7", "score_pool4", "score_pool3"):
        layer = network.get_layer(name)
        layer.set_weights([draw.normal(size=weight.shape) for weight in layer.get_weights()])
    return network


def test_the_layout_is_that_of_vgg_16():
    network = fcn8s(21, 1 / 8, normalization="none")
    kernels = [
        (layer.name, *layer.kernel.shape) for layer in network.layers if type(layer) is keras.layers.Conv2D
    ]
    assert kernels == [
        ("block1_conv1", 3, 3, 3, 8), ("block1_conv2", 3, 3, 8, 8),
        ("block2_conv1", 3, 3, 8, 16), ("block2_conv2", 3, 3, 16, 16),
        ("block3_conv1", 3, 3, 16, 32), ("block3_conv2", 3, 3, 32, 32), ("block3_conv3", 3, 3, 32, 32),
        ("block4_conv1", 3, 3, 32, 64), ("block4_conv2", 3, 3, 64, 64), ("block4_conv3", 3, 3, 64, 64),
        ("block5_conv1", 3, 3, 64, 64), ("block5_conv2", 3, 3, 64, 64), ("block5_conv3", 3, 3, 64, 64),
        ("fc6", 7, 7, 64, 512), ("fc7", 1, 1, 512, 512), ("score_fc7", 1, 1, 512, 21),
        ("score_pool4", 1, 1, 64, 21), ("score_pool3", 1, 1, 32, 21),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(32, 32), (45, 70), (1, 33), (64, 31)])
def test_logits_have_the_size_of_the_images(network, size):
    logits = network(tf.random.stateless_uniform([2, *size, 3], [1, 2], -1, 1))
    assert logits.shape == (2, *size, 5) and logits.dtype == tf.float32
    assert np.isfinite(logits).all()


def test_half_precision_keeps_float32_logits():
    assert fcn8s(3, 1 / 64, dtype="mixed_bfloat16")(tf.zeros([1, 32, 32, 3])).dtype == tf.float32


def test_it_starts_without_an_opinion():
    assert not fcn8s(3, 1 / 64)(tf.random.stateless_uniform([1, 32, 32, 3], [1, 2])).numpy().any()


def test_an_image_gets_the_same_logits_whatever_it_is_batched_with(network):
    images = tf.random.stateless_uniform([3, 32, 64, 3], [3, 4], -1, 1)
    together = network(images, training=True)
    for i in range(3):
        np.testing.assert_allclose(network(images[i : i + 1])[0], together[i], atol=1e-4)


def test_each_skip_reaches_the_logits(network):
    image = tf.random.stateless_uniform([1, 64, 64, 3], [5, 6], -1, 1)
    whole = network(image).numpy()
    for name in ("score_fc7", "score_pool4", "score_pool3"):
        layer = network.get_layer(name)
        weights = layer.get_weights()
        layer.set_weights([np.zeros_like(weight) for weight in weights])
        assert np.abs(network(image).numpy() - whole).max() > 1e-3, name
        layer.set_weights(weights)


def test_only_the_last_upsampling_is_fixed(network):
    fixed = {variable_path(variable) for variable in network.non_trainable_variables}
    assert fixed == {"upscore/kernel"}


@pytest.mark.parametrize("factor", [2, 8])
def test_upsampling_starts_bilinear(factor):
    image = np.random.default_rng(0).normal(size=(1, 5, 6, 2)).astype(np.float32)
    layer = keras.layers.Conv2DTranspose(
        2, 2 * factor, factor, padding="same", use_bias=False, kernel_initializer=BilinearInitializer()
    )
    expected = tf.image.resize(image, (5 * factor, 6 * factor)).numpy()
    inside = np.s_[:, factor:-factor, factor:-factor]
    np.testing.assert_allclose(layer(image).numpy()[inside], expected[inside], atol=1e-5)


def test_groups_of_channels_are_normalised_together():
    images = np.random.default_rng(0).normal(3, 2, (2, 4, 5, 6)).astype(np.float32)
    groups = images.reshape(2, 4, 5, 2, 3)
    expected = (groups - groups.mean((1, 2, 4), keepdims=True)) / np.sqrt(
        groups.var((1, 2, 4), keepdims=True) + 1e-5
    )
    normalised = GroupNormalization(group_size=3)(images)
    np.testing.assert_allclose(normalised, expected.reshape(images.shape), atol=1e-5)


def test_preprocessing_is_that_of_keras_applications():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.float32)
    expected = keras.applications.vgg16.preprocess_input(pixels.copy())
    found = VggPreprocessing()(pixels / 127.5 - 1)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_saved_model_is_the_same(network, tmp_path):
    network.save(tmp_path / "fcn.keras")
    image = tf.random.stateless_uniform([1, 40, 40, 3], [7, 8], -1, 1)
    again = keras.models.load_model(tmp_path / "fcn.keras")
    np.testing.assert_array_equal(again(image), network(image))


def _tiny_vgg(has_top):
    """VGG-16 with a sixty-fourth of the filters."""
    images = keras.Input((224, 224, 3))
    features = images
    for block, count in enumerate((2, 2, 3, 3, 3), 1):
        for place in range(1, count + 1):
            name = f"block{block}_conv{place}"
            features = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name=name)(features)
        features = keras.layers.MaxPooling2D()(features)
    if has_top:
        features = keras.layers.Flatten()(features)
        features = keras.layers.Dense(64, activation="relu", name="fc1")(features)
        features = keras.layers.Dense(64, activation="relu", name="fc2")(features)
        features = keras.layers.Dense(10, name="predictions")(features)
    return keras.Model(images, features)


def test_the_layers_have_the_names_of_keras_applications():
    vgg = keras.applications.VGG16(weights=None, include_top=False)
    names = {layer.name for layer in vgg.layers if layer.weights}
    assert names < {layer.name for layer in fcn8s(2, 1 / 64).layers}


@pytest.mark.parametrize("has_top", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_vgg_weights_from_a_file(tmp_path, has_top, whole):
    vgg, file = _tiny_vgg(has_top), tmp_path / "vgg.h5"
    vgg.save(file)
    if not whole:  # the layout of the files that keras.applications fetches
        with h5py.File(tmp_path / "weights.h5", "w") as weights, h5py.File(file) as model:
            for name, group in model["model_weights"].items():
                model.copy(group, weights, name)
        file = tmp_path / "weights.h5"
    network = fcn8s(2, 1 / 64, normalization="none")
    fc7 = network.get_layer("fc7").get_weights()[0]
    load_vgg_weights(network, str(file))
    image = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    preprocessed = keras.applications.vgg16.preprocess_input((image + 1) * 127.5)
    layer = ("block5_conv3", "fc2")[has_top]
    expected = keras.Model(vgg.input, vgg.get_layer(layer).output)(preprocessed).numpy()
    name = ("block5_conv3_relu", "fc7_relu")[has_top]
    found = keras.Model(network.input, network.get_layer(name).output)(image).numpy()
    if has_top:
        found = found[:, 3, 3]  # where the 7x7 kernel sees what fc1 saw
    else:
        np.testing.assert_array_equal(network.get_layer("fc7").get_weights()[0], fc7)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())
    assert expected.any()


def test_vgg_files_that_are_not(tmp_path):
    network = fcn8s(2, 1 / 64, normalization="none")
    with pytest.raises(
        UsageError, match="`vgg_weights` takes imagenet, none or an .h5 file. Received: nil.h5"
    ):
        load_vgg_weights(network, "nil.h5")
    (tmp_path / "bad.h5").write_text("x")
    with pytest.raises(UserError, match="bad.h5` cannot be read as an .h5 file of Keras"):
        load_vgg_weights(network, str(tmp_path / "bad.h5"))
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "other.h5")
    with pytest.raises(UserError, match="other.h5` does not hold VGG-16: block1_conv1 is not in it"):
        load_vgg_weights(network, str(tmp_path / "other.h5"))
    _tiny_vgg(False).save(tmp_path / "narrow.h5")
    with pytest.raises(
        UserError, match=r"narrow.h5` .* the shape of block1_conv1 is \(3, 3, 3, 8\), expected"
    ):
        load_vgg_weights(fcn8s(2, 1 / 4, normalization="none"), str(tmp_path / "narrow.h5"))


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="must be 'group' or 'none'. Received: 'batch'"):
        fcn8s(2, normalization="batch")
