"""How far the nearest of some samples is, by hand and by trying all choices."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.metrics.coverage import coverage, expect_nearest, list_numbers
from tfpix2pix.metrics.registry import Examples, NotApplicableError, Tools


def test_the_nearest_is_the_mean_over_all_choices():
    distances = np.random.default_rng(0).uniform(size=(5, 3))
    for number in range(1, 6):
        choices = itertools.combinations(range(5), number)
        expected = np.mean([distances[list(choice)].min(0) for choice in choices], axis=0)
        np.testing.assert_allclose(expect_nearest(distances, number), expected, rtol=1e-12)


def test_scores_by_hand():
    assert list_numbers(2) == [1, 2] and list_numbers(6) == [1, 2, 4, 6]
    metric = coverage(Tools(samples_per_image=2))
    # The samples of the first image are 0.5 and 0.1 away, those of the second hardly differ.
    samples = tf.reshape(tf.constant([[0.5, 0.3], [-0.1, 0.301]]), [2, 2, 1, 1, 1])
    partials = metric.measure(Examples(tf.zeros([2, 1, 1, 1]), samples, None, None))
    result = metric.combine(partials)
    assert result.scores == pytest.approx(
        {"nearest_of_1": 0.30025, "nearest_of_2": 0.2, "no_gain_by_2": 0.5}, rel=1e-5
    )
    np.testing.assert_allclose(result.per_image["nearest_of_2"], [0.1, 0.3], rtol=1e-5)


def test_it_asks_for_its_samples():
    assert coverage(Tools(samples_per_image=3)).samples == 3
    with pytest.raises(NotApplicableError, match="`samples_per_image=2`"):
        coverage(Tools(samples_per_image=1))
