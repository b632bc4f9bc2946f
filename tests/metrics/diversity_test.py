"""How far samples of one input are apart, by hand and against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.metrics.diversity import compute_diversity, diversity
from tfpix2pix.metrics.registry import Examples, NotApplicableError, Tools


def test_two_samples_by_hand():
    samples = tf.stack([tf.zeros([2, 4, 4, 3]), tf.stack([tf.fill([4, 4, 3], 0.2), tf.zeros([4, 4, 3])])])
    scores = compute_diversity(samples)
    np.testing.assert_allclose(scores["standard_deviation"], [0.2 / np.sqrt(2), 0], atol=1e-7)
    np.testing.assert_allclose(scores["pairwise_l1"], [0.2, 0], atol=1e-7)


def test_four_samples_are_numpys():
    samples = np.random.default_rng(0).uniform(-1, 1, (4, 2, 5, 6, 3)).astype(np.float32)
    scores = compute_diversity(tf.constant(samples))
    expected = samples.std(axis=0, ddof=1).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(scores["standard_deviation"], expected, rtol=1e-5)
    differences = np.abs(samples[:, None] - samples[None]).mean(axis=(3, 4, 5))
    np.testing.assert_allclose(scores["pairwise_l1"], differences.sum(axis=(0, 1)) / 12, rtol=1e-5)


def test_it_asks_for_its_samples():
    assert diversity(Tools(samples_per_image=6)).samples == 6
    with pytest.raises(NotApplicableError, match="`samples_per_image=2`"):
        diversity(Tools(samples_per_image=1))


def test_the_score_is_the_mean_over_images():
    metric = diversity(Tools(samples_per_image=2))
    samples = tf.stack([tf.zeros([2, 1, 1, 1]), tf.reshape(tf.constant([0.1, 0.3]), [2, 1, 1, 1])])
    result = metric.combine(metric.measure(Examples(None, samples, None, None)))
    assert result.scores["pairwise_l1"] == pytest.approx(0.2)
    np.testing.assert_allclose(result.per_image["pairwise_l1"], [0.1, 0.3])
