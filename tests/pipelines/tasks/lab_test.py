"""Colours against scikit-image, known values, and the way back."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.pipelines.tasks.lab import lab_to_rgb, rgb_to_lab


def _all_shades() -> np.ndarray:
    """Returns a grid over the cube of colours with its dark corner in detail, float32 [N, 3]."""
    levels = np.array([*range(0, 16), *range(16, 256, 17), 255], np.float32) / 255
    return np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 3)


def test_lab_is_that_of_scikit_image():
    color = pytest.importorskip("skimage.color", reason="scikit-image is in the [test] extra")
    rgb = _all_shades()
    expected = color.rgb2lab(rgb.astype(np.float64))
    np.testing.assert_allclose(rgb_to_lab(tf.constant(rgb)), expected, atol=1e-3)


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")
def test_rgb_is_that_of_scikit_image_in_and_beyond_the_gamut():
    color = pytest.importorskip("skimage.color", reason="scikit-image is in the [test] extra")
    generator = np.random.default_rng(0)
    lab = generator.uniform((0, -110, -110), (100, 110, 110), (5000, 3)).astype(np.float32)
    expected = color.lab2rgb(lab.astype(np.float64))
    np.testing.assert_allclose(lab_to_rgb(tf.constant(lab)), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((1, 1, 1), (100, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.74, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
    ],
)
def test_published_values(rgb, lab):
    np.testing.assert_allclose(rgb_to_lab(tf.constant([rgb], tf.float32))[0], lab, atol=0.02)


def test_there_and_back():
    rgb = _all_shades()
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(tf.constant(rgb))), rgb, atol=1e-4)


def test_gradients_are_finite_at_black_and_out_of_range():
    rgb = tf.constant([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    lab = tf.constant([[0.0, 0.0, 0.0], [50.0, 120.0, -120.0]])
    with tf.GradientTape() as tape:
        tape.watch([rgb, lab])
        total = tf.reduce_sum(rgb_to_lab(rgb)) + tf.reduce_sum(lab_to_rgb(lab))
    for gradient in tape.gradient(total, [rgb, lab]):
        assert np.isfinite(gradient).all()


def test_shape_and_type_are_kept():
    lab = rgb_to_lab(tf.zeros([2, 4, 5, 3]))
    assert lab.shape == (2, 4, 5, 3)
    assert lab.dtype == tf.float32
    assert lab_to_rgb(lab).shape == (2, 4, 5, 3)
