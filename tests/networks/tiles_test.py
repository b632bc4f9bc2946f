"""Windows: which parts of an image a network sees, and how its outputs are joined, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.tiny_run import build_generator
from tfpix2pix.networks import tiles
from tfpix2pix.networks.inference import compile_generator


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape).astype(np.float32)


def seeds(count: int = 1) -> tf.Tensor:
    return tf.constant([[7, 0]] * count)


@pytest.mark.parametrize(
    "size", [(32, 24), (33, 25), (100, 24), (57, 131), (40, 41), (20, 200), (5, 7), (1, 1), (200, 9)]
)
def test_a_network_that_changes_nothing_gives_the_image_back(size):
    shapes = []

    def copy(image, noise_seed):
        assert noise_seed.shape == (2, 2)
        shapes.append(image.shape[1:3])
        return image

    image = draw(2, *size, 3)
    found = tiles.generate_in_tiles(copy, (32, 24))(image, seeds(2))
    np.testing.assert_array_equal(found, image)
    assert set(map(tuple, shapes)) == {(32, 24)}


def test_the_windows_of_a_side_worked_by_hand():
    # 32 of 100 px, of which 8 overlap: four windows, 22 or 23 px apart.
    assert tiles._starts(tf.constant(100), tf.constant(32)).numpy().tolist() == [0, 22, 45, 68]
    assert tiles._starts(tf.constant(32), tf.constant(32)).numpy().tolist() == [0]
    assert tiles._starts(tf.constant(33), tf.constant(32)).numpy().tolist() == [0, 1]


def test_windows_pass_linearly_into_each_other():
    """Each window of a row is as bright as its number: 0, then 8 px of a ramp, then 1, ..."""
    number = iter(range(4))
    image = np.zeros((1, 32, 100, 1), np.float32)

    def count(cut, noise_seed):
        return tf.fill(tf.shape(cut), float(next(number)))

    # Eagerly, map_fn goes from left to right.
    (row,) = set(map(tuple, tiles.generate_in_tiles(count, (32, 32))(image, seeds())[0, :, :, 0].numpy()))
    expected = np.zeros(100)
    for start, end in ((22, 32), (45, 54), (68, 77)):  # where neighbours overlap
        ramp = np.clip((np.arange(100) + 0.5 - (start + end) / 2) / 8 + 0.5, 0, 1)
        expected += ramp
    np.testing.assert_allclose(row, expected, atol=1e-6)
    assert np.abs(np.diff(row)).max() <= 0.125 + 1e-6


def test_an_image_of_one_window_is_the_network_s_own_output():
    generate = compile_generator(build_generator())
    image = draw(1, 32, 32, 3)
    found = tiles.generate_in_tiles(generate, (32, 32))(image, seeds())
    np.testing.assert_array_equal(found, generate(image, seeds()))


def test_each_window_has_its_own_noise_and_the_first_the_image_s():
    def note(cut, noise_seed):
        seen.append(noise_seed.numpy().tolist())
        return cut

    def hash_words(*words: int) -> int:
        mixed = 0x9E3779B9
        for word in words:
            mixed ^= word % 2**32
            mixed = (mixed ^ mixed >> 16) * 0x85EBCA6B % 2**32
            mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35 % 2**32
            mixed ^= mixed >> 16
        return mixed - 2**32 if mixed >= 2**31 else mixed

    seen: list[list] = []
    tiles.generate_in_tiles(note, (32, 24))(draw(2, 40, 40, 3), tf.constant([[7, 0], [-3, 1]]))
    places = [(0, 0), (0, 16), (8, 0), (8, 16)]
    assert seen[0] == [[7, 0], [-3, 1]]
    for (top, left), found in zip(places[1:], seen[1:], strict=True):
        assert found == [[hash_words(*seed, top, left, word) for word in range(2)] for seed in seen[0]]


def test_flat_areas_do_not_repeat_with_the_windows_and_do_without_noise():
    flat, lefts = np.full((1, 32, 80, 3), 0.5, np.float32), (0, 24, 48)
    for rate, repeats in ((0.5, False), (0.0, True)):
        generate = compile_generator(build_generator(dropout_rate=rate))
        whole = tiles.generate_in_tiles(generate, (32, 32))(flat, seeds()).numpy()
        # The middles of the windows, where no neighbour has a share.
        first, *others = [whole[:, :, left + 8 : left + 24] for left in lefts]
        assert [np.array_equal(first, other) for other in others] == [repeats] * 2


def test_an_image_below_the_window_is_mirrored_outwards():
    def keep(cut, noise_seed):
        seen.append(cut.numpy()[0, :, :, 0])
        return cut

    seen: list[np.ndarray] = []
    image = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)
    tiles.generate_in_tiles(keep, (3, 8))(image, seeds())
    rows = [[0, 1, 2, 2, 1, 0, 0, 1], [3, 4, 5, 5, 4, 3, 3, 4], [3, 4, 5, 5, 4, 3, 3, 4]]
    np.testing.assert_array_equal(seen[0], rows)


@pytest.mark.slow
def test_only_large_images_are_cut(monkeypatch):
    monkeypatch.setattr(tiles, "MAX_WHOLE_PIXELS", 2000)
    monkeypatch.setattr(tiles, "LARGE_WINDOW", (32, 32))
    generate = compile_generator(build_generator())
    any_size = tf.function(tiles.tile_large_images(generate), reduce_retracing=True, autograph=False)
    whole, large, thin = draw(1, 40, 50, 3), draw(1, 40, 51, 3), draw(1, 8, 300, 3)
    np.testing.assert_array_equal(any_size(whole, seeds()), generate(whole, seeds()))
    for image, window in ((large, (32, 32)), (thin, (8, 32))):
        expected = tiles.generate_in_tiles(generate, window)(image, seeds())
        np.testing.assert_allclose(any_size(image, seeds()), expected, atol=1e-5)
    assert np.abs(any_size(large, seeds()) - generate(large, seeds())).max() > 0.01
