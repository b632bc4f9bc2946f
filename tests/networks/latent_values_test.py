"""Latent vectors of callers, and what is said of those that cannot be used."""

import re

import numpy as np
import pytest

from tfpix2pix.networks.generators import unet_generator
from tfpix2pix.networks.latent_values import spread_latents
from tfpix2pix.pipelines.base.errors import UsageError

# What is given for 2 images and vectors of 3 values -> what is said of it.
WRONG = (
    (0.5, "`latent` must be [3], for all images, or [2, 3], for each. Received: shape []"),
    ([0.5], "Received: shape [1]"),  # which must not be spread over all values
    ([[1, 2, 3]] * 4, "Received: shape [4, 3]"),
    (np.zeros((1, 2, 3)), "Received: shape [1, 2, 3]"),
    ([[1, 2, 3], [1]], "or [2, 3], for each, of numbers. Received: "),
    (["a", "b", "c"], "of numbers. Received: could not convert"),
    ([0, np.nan, 0], "`latent` must be of finite numbers"),
    ([0, np.inf, 0], "`latent` must be of finite numbers"),
    ([0, 1e300, 0], "`latent` must be of finite numbers"),
)


def test_one_vector_is_that_of_all_images():
    np.testing.assert_array_equal(spread_latents([1, 2, 3], 2, 3), [[1, 2, 3]] * 2)
    each = spread_latents([[1, 2, 3], [4, 5, 6]], 2, 3)
    np.testing.assert_array_equal(each, np.array([[1, 2, 3], [4, 5, 6]], np.float32))
    assert each.dtype == np.float32


@pytest.mark.parametrize(("latent", "message"), WRONG)
def test_other_vectors_are_refused(latent, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        spread_latents(latent, 2, 3)


def test_predict_refuses_them():
    generator = unet_generator((16, 16), depth=2, base_filters=2, latent_size=3)
    for latent, _ in WRONG:
        with pytest.raises(UsageError, match="`latent` must be"):
            generator.predict(np.zeros((2, 16, 16, 3), np.float32), latent=latent, verbose=0)
