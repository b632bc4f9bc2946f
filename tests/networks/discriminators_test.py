"""The discriminators' literal sizes, and their receptive fields measured from gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.networks import discriminators
from tfpix2pix.networks.keras_versions import tf_variable, variable_path


# Sec. 6.1.2, with a norm's scale and offset, and a bias in the first and the last convolution.
@pytest.mark.parametrize(
    ("receptive_field", "count", "map_side"),
    [
        (1, 9_025, 256),
        (16, 139_585, 126),
        (34, 666_433, 62),
        (70, 2_768_705, 30),
        (142, 6_964_033, 14),
        (286, 11_159_361, 6),
        (574, 15_354_689, 2),
    ],
)
def test_paper_nets_have_their_parameters_and_map_sizes(receptive_field, count, map_side):
    model = discriminators.patch_discriminator(receptive_field)
    assert model.count_params() == count
    shape = tuple(model.compute_output_shape([(1, 256, 256, 3), (1, 256, 256, 3)]))
    assert shape == (1, map_side, map_side, 1)


def test_real_logits_of_the_paper_net_are_30x30():
    images = np.zeros((1, 256, 256, 3), "float32")
    assert discriminators.patch_discriminator(base_filters=2)([images, images]).shape == (1, 30, 30, 1)


@pytest.mark.parametrize(
    ("receptive_field", "widths", "norms"),
    [
        (1, [64, 128, 1], [128]),
        (16, [64, 128, 1], [128]),
        (70, [64, 128, 256, 512, 1], [128, 256, 512]),
        (286, [64, 128, 256, 512, 512, 512, 1], [128, 256, 512, 512, 512]),
    ],
)
def test_blocks_are_as_wide_as_in_the_paper(receptive_field, widths, norms):
    model = discriminators.patch_discriminator(receptive_field)
    convolutions = [layer for layer in model.layers if layer.name.endswith("_conv")]
    assert [layer.output.shape[-1] for layer in convolutions] == widths
    assert [layer.use_bias for layer in convolutions] == [True, *[False] * (len(widths) - 2), True]
    normalized = [layer.output.shape[-1] for layer in model.layers if layer.name.endswith("_norm")]
    assert normalized == norms


@pytest.mark.parametrize(
    ("receptive_field", "side"), [(1, 9), (16, 48), (34, 96), (70, 160), (142, 320), (286, 640)]
)
@pytest.mark.parametrize("conditional", [True, False])
def test_receptive_field_measured_from_gradients(receptive_field, side, conditional):
    model = discriminators.patch_discriminator(
        receptive_field, conditional=conditional, base_filters=1, normalization="none"
    )
    # Positive kernels: no two paths from a pixel to a logit cancel.
    model.set_weights([np.full_like(weights, 0.1) for weights in model.get_weights()])
    images = tf.ones([1, side, side, 3])
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = model([images, images] if conditional else images)
        middle = logits[0, logits.shape[1] // 2, logits.shape[2] // 2, 0]
    seen = tape.gradient(middle, images).numpy()[0].any(axis=-1)
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == receptive_field
    assert seen.sum() == receptive_field**2


@pytest.mark.parametrize("conditional", [True, False])
def test_any_channel_counts_and_shapes(conditional):
    model = discriminators.patch_discriminator(16, 5, 2, conditional=conditional, base_filters=2)
    target = np.ones((2, 20, 33, 2), "float32")
    inputs = [np.ones((2, 20, 33, 5), "float32"), target] if conditional else target
    assert model(inputs).shape == (2, 8, 14, 1)


def test_a_conditional_net_sees_the_input_image():
    model = discriminators.patch_discriminator(1, base_filters=2, normalization="none")
    target = np.ones((1, 2, 2, 3), "float32")
    assert np.ptp([model([value * target, target]).numpy()[0, 0, 0, 0] for value in (-1, 1)]) > 0


def test_relu_slope_is_that_of_the_paper():
    model = discriminators.patch_discriminator(16, base_filters=2)
    negative = tf.constant([[[[-1.0, 1.0]]]])
    np.testing.assert_allclose(model.get_layer("patch_1_relu")(negative), [[[[-0.2, 1]]]], rtol=1e-6)


@pytest.mark.parametrize("receptive_field", [0, 33, 256])
def test_other_receptive_fields_are_refused(receptive_field):
    known = r"\[1, 16, 34, 70, 142, 286, 574\]"
    with pytest.raises(ValueError, match=rf"one of {known} px.*={receptive_field}"):
        discriminators.patch_discriminator(receptive_field)


def test_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="Received: kind='layer'"):
        discriminators.patch_discriminator(16, normalization="layer")


@pytest.mark.parametrize(("receptive_field", "smallest_px"), [(1, 1), (16, 6), (70, 24), (286, 96)])
def test_images_too_small_for_one_logit_are_refused(receptive_field, smallest_px):
    model = discriminators.patch_discriminator(receptive_field, conditional=False, base_filters=2)
    assert model(np.zeros((1, smallest_px, smallest_px, 3), "float32")).shape == (1, 1, 1, 1)
    if receptive_field > 1:
        with pytest.raises(ValueError, match="needs images of at least 2x2 px"):
            model(np.zeros((1, smallest_px, smallest_px - 1, 3), "float32"))


def test_without_an_offset_in_the_norms_every_convolution_has_a_bias():
    for receptive_field in (1, 34):
        model = discriminators.patch_discriminator(
            receptive_field, base_filters=2, normalization="plain_instance"
        )
        assert all(layer.use_bias for layer in model.layers if layer.name.endswith("_conv"))
        assert not [variable for variable in model.variables if "_norm" in variable_path(variable)]


def _draw_pair() -> list[np.ndarray]:
    return list(np.random.default_rng(0).uniform(-1, 1, (2, 2, 48, 40, 3)).astype("float32"))


@pytest.mark.parametrize(
    ("receptive_field", "sizes"),
    [
        (1, [(48, 40, 4), (48, 40, 8), (48, 40, 1)]),
        (16, [(24, 20, 4), (23, 19, 8), (22, 18, 1)]),
        (70, [(24, 20, 4), (12, 10, 8), (6, 5, 16), (5, 4, 32), (4, 3, 1)]),
    ],
)
def test_features_are_the_activations_of_the_blocks_and_then_the_logits(receptive_field, sizes):
    model = discriminators.patch_discriminator(receptive_field, base_filters=4)
    for training in (True, False):
        *features, logits = discriminators.with_features(model)(_draw_pair(), training=training)
        assert [tuple(output.shape) for output in (*features, logits)] == [(2, *size) for size in sizes]
        np.testing.assert_array_equal(logits, model(_draw_pair(), training=training))
        block = keras.Model(model.inputs, model.get_layer(f"patch_{len(features)}_relu").output)
        np.testing.assert_array_equal(features[-1], block(_draw_pair(), training=training))


def test_gradients_of_features_reach_the_weights_and_the_images():
    model = discriminators.patch_discriminator(16, conditional=False, base_filters=4)
    featured = discriminators.with_features(model)
    assert [id(weight) for weight in featured.trainable_weights] == [
        id(weight) for weight in model.trainable_weights
    ]
    images = tf.constant(_draw_pair()[0])
    with tf.GradientTape() as tape:
        tape.watch(images)
        *features, _ = featured(images, training=True)
        loss = sum(tf.reduce_mean(tf.abs(feature)) for feature in features)
    *gradients, to_images = tape.gradient(loss, [*(tf_variable(w) for w in model.trainable_weights), images])
    *blocks, kernel_of_logits, bias_of_logits = gradients
    assert (kernel_of_logits, bias_of_logits) == (None, None)
    assert all(np.abs(gradient).max() > 0 for gradient in (*blocks, to_images))


def test_features_follow_the_weights_of_the_discriminator():
    model = discriminators.patch_discriminator(16, base_filters=4)
    featured = discriminators.with_features(model)
    before = featured(_draw_pair())
    model.set_weights([weight * 2 for weight in model.get_weights()])
    np.testing.assert_array_equal(featured(_draw_pair())[-1], model(_draw_pair()))
    assert np.abs(featured(_draw_pair())[0] - before[0]).max() > 1e-3


def test_features_of_half_precision_come_with_logits_in_float32():
    model = discriminators.patch_discriminator(16, base_filters=4, dtype="mixed_bfloat16")
    outputs = discriminators.with_features(model)(_draw_pair())
    assert [output.dtype for output in outputs] == [tf.bfloat16, tf.bfloat16, tf.float32]


def _own_discriminator(first_filters: int = 4) -> keras.Model:
    """Nonlinearities in every form that counts, a normalization, and a sigmoid that gives the output."""
    images = inputs = keras.Input((None, None, 3), name="target_image")
    images = keras.layers.Conv2D(first_filters, 3, activation="relu")(images)
    images = keras.layers.ELU()(keras.layers.Conv2D(5, 3)(images))
    images = keras.layers.BatchNormalization()(keras.layers.Conv2D(6, 3, activation="linear")(images))
    images = keras.layers.Activation("tanh")(images)
    return keras.Model(inputs, keras.layers.Conv2D(1, 3, activation="sigmoid")(images), name="own")


def test_features_of_a_discriminator_of_the_users_own():
    model, images = _own_discriminator(), _draw_pair()[0]
    outputs = discriminators.with_features(model)(images)
    assert [output.shape[-1] for output in outputs] == [4, 5, 6, 1]
    np.testing.assert_array_equal(outputs[-1], model(images))


def test_features_of_models_that_share_their_layers_are_each_models_own():
    first = _own_discriminator()
    target_image = keras.Input((None, None, 3), name="target_image")
    second = keras.Model(target_image, first(-target_image))
    shared = keras.models.clone_model(first, clone_function=lambda layer: layer)
    images = _draw_pair()[0]
    for output, expected in zip(
        discriminators.with_features(shared)(images), discriminators.with_features(first)(images), strict=True
    ):
        np.testing.assert_array_equal(output, expected)
    with pytest.raises(ValueError, match="has no features: no layer before its logits"):
        discriminators.with_features(second)
