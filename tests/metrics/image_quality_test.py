import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.metrics.image_quality import HIGHER_IS_BETTER, compute_hole_l1, compute_image_quality


def _scores(target, generated):
    return {name: value.numpy() for name, value in compute_image_quality(target, generated).items()}


def test_equal_images():
    image = tf.random.stateless_uniform([2, 16, 16, 3], [0, 1], -1, 1)
    scores = _scores(image, image)
    np.testing.assert_array_equal(scores["l1"], [0, 0])
    np.testing.assert_allclose(scores["ssim"], [1, 1], atol=1e-6)
    assert (scores["psnr"] > 100).all()


def test_literals_per_image():
    target = tf.zeros([2, 16, 16, 3])
    generated = tf.stack([tf.fill([16, 16, 3], 0.2), tf.fill([16, 16, 3], -0.02)])
    scores = _scores(target, generated)
    np.testing.assert_allclose(scores["l1"], [0.2, 0.02], rtol=1e-5)
    # 10 log10(2^2 / 0.2^2) and 10 log10(2^2 / 0.02^2).
    np.testing.assert_allclose(scores["psnr"], [20, 40], rtol=1e-5)
    # Constant images differ in luminance alone: (2ab + c) / (a^2 + b^2 + c), values from 0, c = (0.01 * 2)^2.
    np.testing.assert_allclose(scores["ssim"], [2.4004 / 2.4404, 1.9604 / 1.9608], rtol=1e-3)


def test_the_worse_image_scores_worse():
    target = tf.random.stateless_uniform([1, 32, 32, 3], [0, 1], -1, 1)
    noise = tf.random.stateless_normal([1, 32, 32, 3], [0, 2])
    near, far = _scores(target, target + 0.05 * noise), _scores(target, target + 0.5 * noise)
    assert set(near) == {"l1", "psnr", "ssim"}
    for name in near:
        assert (near[name][0] > far[name][0]) == HIGHER_IS_BETTER[name]


@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(channels):
    image = tf.zeros([5, 11, 24, channels])
    assert {name: value.shape for name, value in _scores(image, image).items()} == dict.fromkeys(
        ("l1", "psnr", "ssim"), (5,)
    )


def test_hole_l1_is_the_mean_of_the_hole_alone():
    target = np.zeros((2, 2, 2, 2), np.float32)
    generated, mask = target.copy(), np.zeros((2, 2, 2, 1), np.float32)
    generated[0, 0] = [[0.2, 0.4], [0.6, 0.8]]
    generated[1, 1, 1] = 1.0
    mask[0, 0, 0] = mask[1, 1] = 1  # (0.2 + 0.4) / 2; (0 + 1) / 2
    np.testing.assert_allclose(compute_hole_l1(target, generated, mask), [0.3, 0.5], atol=1e-6)
