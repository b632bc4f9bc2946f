"""The losses against numbers worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.config import choices
from tfpix2pix.methods import losses

# log(1 + e^x) for x = -2, -1, 0, 1, 2, 3.
LOGITS = [[[[0.0], [1.0]]], [[[-2.0], [3.0]]]]
REAL = [(0.6931472 + 0.3132617) / 2, (2.1269280 + 0.0485874) / 2]
GENERATED = [(0.6931472 + 1.3132617) / 2, (0.1269280 + 3.0485874) / 2]

CROSS_ENTROPY = losses.GAN_LOSSES["cross_entropy"]
GAN_LOSSES = [
    (CROSS_ENTROPY.discriminator_real_loss, REAL),
    (CROSS_ENTROPY.discriminator_generated_loss, GENERATED),
    (CROSS_ENTROPY.generator_gan_loss, REAL),
]


@pytest.mark.parametrize(("loss", "expected"), GAN_LOSSES)
def test_gan_losses_are_means_over_patches_for_each_example(loss, expected):
    np.testing.assert_allclose(loss(tf.constant(LOGITS)), expected, rtol=1e-6)


@pytest.mark.parametrize(("loss", "expected"), GAN_LOSSES)
def test_gan_losses_are_float32_whatever_the_logits(loss, expected):
    values = loss(tf.constant(LOGITS, tf.bfloat16))
    assert values.dtype == tf.float32
    np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (CROSS_ENTROPY.discriminator_real_loss, [0, 1e6, 0, 1e4]),
        (CROSS_ENTROPY.discriminator_generated_loss, [1e6, 0, 1e4, 0]),
        (CROSS_ENTROPY.generator_gan_loss, [0, 1e6, 0, 1e4]),
    ],
)
def test_gan_losses_of_extreme_logits_are_finite_with_finite_gradients(loss, expected):
    logits = tf.reshape([1e6, -1e6, 1e4, -1e4], [4, 1, 1, 1])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = loss(logits)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    slopes = np.ravel(tape.gradient(values, logits))
    sign = 1 if loss == CROSS_ENTROPY.discriminator_generated_loss else -1
    np.testing.assert_allclose(slopes, [sign * (value > 0) for value in expected], atol=1e-6)


def test_least_squares_and_hinge_by_hand():
    logits = tf.constant(LOGITS)  # 0, 1 and -2, 3
    expected = {
        "least_squares": ([0.5, (9 + 4) / 2], [0.5, (4 + 9) / 2], [0.5, (9 + 4) / 2]),
        "hinge": ([0.5, 1.5], [1.5, 2.0], [-0.5, -0.5]),
    }
    for name, values in expected.items():
        loss = losses.GAN_LOSSES[name]
        functions = (loss.discriminator_real_loss, loss.discriminator_generated_loss, loss.generator_gan_loss)
        for function, value in zip(functions, values, strict=True):
            np.testing.assert_allclose(function(logits), value, rtol=1e-6)
            # Scales are summed.
            np.testing.assert_allclose(function([logits, logits]), 2 * np.array(value), rtol=1e-6)
    assert tuple(losses.GAN_LOSSES) == choices.GAN_LOSSES


def test_feature_matching_is_four_times_the_mean_over_layers():
    images = tf.zeros([2, 4, 4, 3])
    target = (tf.zeros([2, 2, 2, 1]), tf.zeros([2, 1, 1, 3]))
    generated = (
        tf.constant([[[[1.0]] * 2] * 2, [[[0.0]] * 2] * 2]),
        tf.constant([[[[3.0, 0, 0]]], [[[0, -6.0, 0]]]]),
    )
    pair = losses.Translated(images, images, images, target, generated)
    np.testing.assert_allclose(losses.feature_matching(pair), [4 * (1 + 1) / 2, 4 * (0 + 2) / 2])


def test_l1_loss_is_the_mean_difference_of_each_example():
    target = tf.constant([[[[1.0, -1.0], [0.5, 0.0]]], [[[1.0, 1.0], [1.0, 1.0]]]])
    generated = tf.constant([[[[0.0, 1.0], [0.0, 0.0]]], [[[-1.0, -1.0], [-1.0, -1.0]]]])
    np.testing.assert_allclose(losses.l1_loss(target, generated), [3.5 / 4, 2.0])


@pytest.mark.parametrize("shape", [(1, 4, 4, 3), (2, 4, 4, 1), (2, 1, 4, 3), (2, 4, 4)])
def test_l1_loss_refuses_to_broadcast(shape):
    with pytest.raises(ValueError, match=r"must have the same shape. Received: \(2, 4, 4, 3\) and"):
        losses.l1_loss(tf.zeros([2, 4, 4, 3]), tf.zeros(shape))


def test_objectives_are_the_papers():
    assert choices.OBJECTIVES == ("l1", "gan", "cgan", "l1+gan", "l1+cgan")
