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

GAN_LOSSES = [
    (losses.discriminator_real_loss, REAL),
    (losses.discriminator_generated_loss, GENERATED),
    (losses.generator_gan_loss, REAL),
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
        (losses.discriminator_real_loss, [0, 1e6, 0, 1e4]),
        (losses.discriminator_generated_loss, [1e6, 0, 1e4, 0]),
        (losses.generator_gan_loss, [0, 1e6, 0, 1e4]),
    ],
)
def test_gan_losses_of_extreme_logits_are_finite_with_finite_gradients(loss, expected):
    logits = tf.reshape([1e6, -1e6, 1e4, -1e4], [4, 1, 1, 1])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = loss(logits)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    slopes = np.ravel(tape.gradient(values, logits))
    sign = 1 if loss is losses.discriminator_generated_loss else -1
    np.testing.assert_allclose(slopes, [sign * (value > 0) for value in expected], atol=1e-6)


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
