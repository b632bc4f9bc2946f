"""PNG files of pictures: every pixel comes back, and the files are packed lightly."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.pipelines.files.encoding import encode_png


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_pixel_comes_back(channels, dtype):
    picture = np.random.default_rng(0).integers(
        0, np.iinfo(dtype).max, (9, 7, channels), dtype, endpoint=True
    )
    file = encode_png(tf.constant(picture))
    np.testing.assert_array_equal(tf.io.decode_png(file, dtype=dtype), picture)


def test_flat_areas_are_packed():
    assert len(encode_png(tf.zeros([256, 256, 3], tf.uint8)).numpy()) < 2000
