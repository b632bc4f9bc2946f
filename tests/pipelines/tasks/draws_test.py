"""Random numbers of a pipeline: those of TensorFlow's stateless functions, bit for bit."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.pipelines.tasks.draws import draw_integers, draw_uniform


@pytest.mark.parametrize("seed", [(0, 0), (7, -(2**40)), (2**62, 5)])
@pytest.mark.parametrize("shape", [[], [2], [4, 3, 1]])
def test_draws_are_those_of_tensorflow(shape, seed):
    seed = tf.constant(seed, tf.int64)
    uniform = tf.random.stateless_uniform(shape, seed, alg="philox")
    np.testing.assert_array_equal(draw_uniform(shape, seed), uniform)
    whole = {"minval": None, "maxval": None, "dtype": tf.int32}
    integers = tf.random.stateless_uniform(shape, seed, alg="philox", **whole)
    np.testing.assert_array_equal(draw_integers(shape, seed), integers)
