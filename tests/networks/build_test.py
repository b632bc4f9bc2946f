"""Networks for use alone: half the size in half precision, the same bits."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.tiny_run import build_generator
from tfpix2pix.networks.inference import cast_kernels
from tfpix2pix.networks.keras_versions import variable_path


@pytest.mark.parametrize("upsampling", ["transposed", "nearest"])
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_cast_kernels_change_no_bit(dtype, upsampling):
    generator = build_generator(dtype=dtype, upsampling=upsampling)
    copy = cast_kernels(generator)
    kernels = [weight for weight in copy.weights if variable_path(weight).endswith("kernel")]
    assert {tf.as_dtype(weight.dtype).name for weight in kernels} == {dtype.removeprefix("mixed_")}
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 40, 48, 3)), tf.float32)
    seeds = tf.constant([[1, 2], [3, 4]])
    expected = generator([images, seeds], training=False)
    assert np.std(expected) > 0.1
    np.testing.assert_array_equal(copy([images, seeds], training=False), expected)
    assert copy.name == generator.name and copy.count_params() == generator.count_params()


def test_float32_is_not_copied():
    generator = build_generator()
    assert cast_kernels(generator) is generator
