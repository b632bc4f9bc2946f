"""The noise of exported files beside that of the network."""

import numpy as np
import tensorflow as tf

from tfpix2pix.export.files.rebuilt_noise import Halves, halve, hash_bits, split
from tfpix2pix.networks import noise

EDGES = [0, 1, -1, 65535, 65536, -65535, -65536, -65537, 2**31 - 1, -(2**31)]


def draw_words(count: int) -> list[np.ndarray]:
    words = np.random.default_rng(0).integers(-(2**31), 2**31, (count, 500)).astype(np.int32)
    words[:, : len(EDGES)] = EDGES
    return list(words)


def join(number: Halves) -> np.ndarray:
    high, low = (np.asarray(half, np.int64) for half in number)
    assert 0 <= high.min() and high.max() < 2**16 and 0 <= low.min() and low.max() < 2**16
    return high * 2**16 + low


def test_the_halves_of_a_number_make_its_32_bits():
    (words,) = draw_words(1)
    unsigned = words.astype(np.int64) % 2**32
    np.testing.assert_array_equal(join(split(tf.constant(words))), unsigned)
    np.testing.assert_array_equal(join(halve(words)), unsigned)


def test_the_hash_of_halves_has_the_bits_of_the_networks():
    words = draw_words(4)
    expected = noise.hash_bits(*map(tf.constant, words)).numpy()
    np.testing.assert_array_equal(join(hash_bits(*(split(tf.constant(word)) for word in words))), expected)
