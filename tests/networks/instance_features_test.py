"""Features of instances: the encoder, the mean over each instance, and the draws from clusters."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import references
from tfpix2pix.interop import torch_names
from tfpix2pix.interop.torch_import import assign_weights
from tfpix2pix.interop.torch_residual_names import ResidualGenerator, encoder_table
from tfpix2pix.networks.encoders import feature_encoder
from tfpix2pix.networks.inference import silence
from tfpix2pix.networks.instance_features import (
    DrawFeatures,
    InstanceMean,
    class_of,
    find_features,
    with_features,
)
from tfpix2pix.networks.residual import enhancer_generator, global_generator
from tfpix2pix.networks.variables import weights_of
from tfpix2pix.pipelines.meaning import Palette

COLOURS = np.array([[70, 130, 180], [128, 64, 128]], np.uint8)
PALETTE = Palette(("sky", "car"), COLOURS, np.array([[0, 0, 0]], np.uint8))
TINY = {"depth": 2, "residual_blocks": 1, "base_filters": 2, "boundary_classes": PALETTE, "palette": PALETTE}


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    return references.below(references.read("hd_step.npz"), "encoder/")


def test_the_encoder_is_that_of_the_original_code(recorded):
    """What it finds in each pixel, and the mean over each instance, are the same to 1e-5."""
    values = references.below(recorded, "weights/")
    table = encoder_table(ResidualGenerator(2, 0, 4, 3, 3))
    assert {name: place.shape for name, place in table.items()} == {
        name: value.shape for name, value in values.items()
    }
    encoder = feature_encoder(depth=2, base_filters=4)
    assign_weights(encoder, torch_names.to_ours(values, table))
    image, instances = recorded["image"], recorded["instance_ids"]
    features = encoder([image, instances])
    np.testing.assert_allclose(features, recorded["features"], atol=1e-5)
    of_pixels = type(encoder)(encoder.inputs, encoder.get_layer("features_of_pixels").output)
    np.testing.assert_allclose(of_pixels([image, instances]), recorded["unpooled"], atol=1e-5)
    assert len(np.unique(instances)) > 3 and np.abs(recorded["unpooled"] - recorded["features"]).max() > 0.01


def test_the_encoder_takes_images_of_any_size():
    encoder = feature_encoder(features=2, depth=3, base_filters=2, normalization="instance")
    instances = np.arange(2 * 21 * 17).reshape(2, 21, 17)
    features = encoder([np.ones((2, 21, 17, 3), np.float32), instances])
    assert features.shape == (2, 21, 17, 2) and features.dtype == tf.float32


def test_the_mean_is_taken_over_each_instance_of_each_image():
    draw = np.random.default_rng(0)
    features = draw.normal(size=(3, 5, 4, 2)).astype(np.float32)
    instances = draw.choice(np.array([-7, 0, 3, 2**31 - 1], np.int32), (3, 5, 4))
    with tf.GradientTape() as tape:
        tensor = tf.constant(features)
        tape.watch(tensor)
        means = InstanceMean()([tensor, instances])
        total = tf.reduce_sum(means * instances[..., None].astype(np.float32) / 2.0**20)
    expected, gradient = np.empty_like(features), np.empty_like(features)
    for image in range(3):
        for number in np.unique(instances[image]):
            inside = instances[image] == number
            expected[image][inside] = features[image][inside].mean(0)
            gradient[image][inside] = number / 2.0**20
    np.testing.assert_allclose(means, expected, atol=1e-6)
    # Each pixel of an instance gets the mean of the gradients of its pixels.
    np.testing.assert_allclose(tape.gradient(total, tensor), gradient, rtol=1e-5, atol=1e-6)
    compiled = tf.function(InstanceMean().call, jit_compile=True)
    np.testing.assert_allclose(compiled([features, instances]), expected, atol=1e-6)


def _label_maps(instances: np.ndarray, classes: np.ndarray) -> np.ndarray:
    colours = COLOURS[classes] / np.float32(127.5) - 1
    return np.concatenate([colours, instances[..., None] / 32767.5 - 1], -1).astype(np.float32)


def _draws(layer: DrawFeatures, seeds) -> np.ndarray:
    """Returns what is drawn for an image of 500 cars of one pixel each, for each seed."""
    ids = np.broadcast_to(np.arange(500).reshape(1, 20, 25), (len(seeds), 20, 25))
    return layer([_label_maps(ids, np.ones_like(ids)), np.array(seeds, np.int32)]).numpy()


@pytest.fixture(scope="module")
def layer() -> DrawFeatures:
    layer = DrawFeatures(COLOURS.tolist(), [[0, 0, 0]], size=2, clusters=4)
    _draws(layer, [[0, 0]])
    centers = np.zeros((3, 4, 2), np.float32)
    centers[1, :3] = [[1, -1], [2, -2], [3, -3]]
    layer.set_weights([centers, np.array([0, 3, 0], np.float32)])
    return layer


def test_each_cluster_of_a_class_is_as_likely(layer):
    drawn = _draws(layer, [[5, 0]])[0].reshape(-1, 2)
    counts = [int((drawn == [center, -center]).all(1).sum()) for center in (1, 2, 3)]
    assert sum(counts) == 500 and min(counts) > 130


def test_draws_depend_on_the_seed_and_the_instance_alone(layer):
    together = _draws(layer, [[5, 0], [6, 0], [5, 1]])
    for place, seed in enumerate([[5, 0], [6, 0], [5, 1]]):
        np.testing.assert_array_equal(together[place], _draws(layer, [seed])[0])
    assert (together[0] != together[1]).mean() > 0.4 and (together[0] != together[2]).mean() > 0.4
    ids = np.array([[[7, 65_535, 7], [8, 7, 65_535]]])
    (drawn,) = layer([_label_maps(ids, np.ones_like(ids)), np.array([[5, 0]], np.int32)]).numpy()
    assert (drawn[ids[0] == 7] == drawn[0, 0]).all() and (drawn[0, 1] == drawn[1, 2]).all()
    (of_sky,) = layer([_label_maps(ids, np.zeros_like(ids)), np.array([[5, 0]], np.int32)]).numpy()
    assert not of_sky.any()  # a class without clusters


def test_an_instance_is_a_class_and_an_id(layer):
    ids, classes = np.array([[[0, 0, 9, 65_535]]]), np.array([[[0, 1, 1, 1]]])
    numbers = layer.find_instances(_label_maps(ids, classes)).numpy().ravel().tolist()
    assert len(set(numbers)) == 4 and [class_of(number) for number in numbers] == [0, 1, 1, 1]


@pytest.mark.parametrize("build", [global_generator, enhancer_generator])
def test_generators_see_features_beside_the_classes(build):
    generator = build(4, instance_features=3, feature_clusters=2, **TINY)
    layer = find_features(generator)
    kernels = {name: weight.shape for name, weight in weights_of(generator).items() if "first_conv/k" in name}
    assert kernels and all(shape[2] == 2 + 1 + 3 for shape in kernels.values())  # classes, borders, features
    draw = np.random.default_rng(0)
    layer.set_weights([draw.normal(size=(3, 2, 3)), np.full(3, 2)])
    ids = draw.integers(0, 9, (2, 32, 32))
    label_maps, seed = tf.constant(_label_maps(ids, ids % 2)), tf.constant([[3, 0], [4, 0]])
    explicit = with_features(generator)([label_maps, seed, layer([label_maps, seed])])
    np.testing.assert_allclose(generator([label_maps, seed]), explicit, atol=1e-6)
    silent = silence(generator)
    of_first = tf.constant(layer.get_weights()[0][:, 0][ids % 2])
    np.testing.assert_allclose(
        silent([label_maps, seed]), with_features(generator)([label_maps, seed, of_first]), atol=1e-6
    )


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="instance_features needs boundary_classes"):
        global_generator(depth=2, base_filters=2, instance_features=3)
    with pytest.raises(ValueError, match="has no features of instances"):
        with_features(global_generator(depth=2, residual_blocks=1, base_filters=2))
