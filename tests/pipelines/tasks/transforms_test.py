"""Ranges, resizing, jitter and mirror against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.pipelines.tasks import transforms


def _bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Triangle filter with half-pixel centres, as wide as an output pixel where it reduces."""

    def weights(num_in: int, num_out: int) -> np.ndarray:
        scale = num_in / num_out
        centres = (np.arange(num_out) + 0.5) * scale - 0.5
        distances = np.abs(centres[:, None] - np.arange(num_in)[None, :])
        triangle = np.maximum(0.0, 1.0 - distances / max(scale, 1.0))
        return triangle / triangle.sum(axis=1, keepdims=True)

    rows, columns = weights(image.shape[0], size[0]), weights(image.shape[1], size[1])
    return np.einsum("ip,jq,pqc->ijc", rows, columns, image.astype(np.float64))


def _noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_unit_range_of_uint8():
    unit = transforms.to_unit_range(tf.constant([0, 51, 255], tf.uint8))
    assert unit.dtype == tf.float32
    np.testing.assert_allclose(unit, [-1.0, -0.6, 1.0], atol=1e-7)


def test_unit_range_of_uint16():
    unit = transforms.to_unit_range(tf.constant([0, 13107, 65535], tf.uint16), max_value=65535.0)
    np.testing.assert_allclose(unit, [-1.0, -0.6, 1.0], atol=1e-7)


def test_to_uint8_undoes_unit_range_for_every_level():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(transforms.to_uint8(transforms.to_unit_range(levels)), levels)


def test_to_uint8_rounds_and_clips():
    values = tf.constant([-7.0, -1.0, 0.6 - 0.003, 0.6 + 0.003, 1.0, 7.0])
    np.testing.assert_array_equal(transforms.to_uint8(values), [0, 0, 204, 204, 255, 255])


def test_enlarging_by_hand():
    row = tf.constant([[[0], [4]]], tf.uint8)
    np.testing.assert_allclose(transforms.resize(row, (1, 4))[0, :, 0], [0.0, 1.0, 3.0, 4.0])


def test_reducing_averages_instead_of_picking():
    board = tf.constant(np.indices((16, 16)).sum(axis=0)[..., None] % 2 * 200, tf.uint8)
    inside = transforms.resize(board, (4, 4))[1:3, 1:3]
    np.testing.assert_allclose(inside, np.full((2, 2, 1), 100.0), atol=1e-3)


@pytest.mark.parametrize("size", [(9, 14), (13, 10), (5, 7), (3, 4), (9, 4), (4, 21)])
def test_resize_matches_numpy(size):
    image = _noise(5, 7, 3)
    resized = transforms.resize(tf.constant(image), size)
    assert resized.dtype == tf.float32
    np.testing.assert_allclose(resized, _bilinear(image, size), atol=2e-3)


def test_resize_in_a_graph_of_unknown_sizes_is_the_same():
    image = _noise(5, 7, 3)
    images = tf.data.Dataset.from_generator(
        lambda: [image], output_signature=tf.TensorSpec([None, None, 3], tf.uint8)
    )
    for size in ((8, 9), (3, 3)):
        (resized,) = images.map(lambda image, size=size: transforms.resize(image, size))
        np.testing.assert_array_equal(resized, transforms.resize(tf.constant(image), size))


def test_an_image_of_the_right_size_stays_as_it_is():
    image = _noise(5, 7, 3)
    resized = transforms.resize(tf.constant(image), (5, 7))
    assert resized.dtype == tf.float32
    np.testing.assert_array_equal(resized, image)


def test_jitter_cuts_one_window_from_both_and_reaches_both_borders():
    input_image, target_image = _noise(8, 9, 3), _noise(8, 9, 1, seed=1)
    seen = set()
    for key in range(120):
        windows = transforms.random_jitter(
            (tf.constant(input_image), tf.constant(target_image)), (8, 9), (6, 5), tf.constant([3, key])
        )
        places = [
            (top, left)
            for top in range(3)
            for left in range(5)
            if np.array_equal(windows[0], input_image[top : top + 6, left : left + 5])
        ]
        assert len(places) == 1
        top, left = places[0]
        np.testing.assert_array_equal(windows[1], target_image[top : top + 6, left : left + 5])
        seen.add(places[0])
    assert seen == {(top, left) for top in range(3) for left in range(5)}


def test_jitter_enlarges_before_it_crops():
    image = _noise(6, 6, 3)
    window, _ = transforms.random_jitter((tf.constant(image),) * 2, (12, 12), (8, 8), tf.constant([0, 0]))
    enlarged = _bilinear(image, (12, 12))
    gaps = [
        np.abs(enlarged[top : top + 8, left : left + 8] - window).max()
        for top in range(5)
        for left in range(5)
    ]
    assert min(gaps) < 2e-3


def test_mirror_flips_both_or_neither_half_of_the_time():
    input_image, target_image = _noise(3, 4, 3), _noise(3, 4, 3, seed=1)
    num_flipped = 0
    for key in range(200):
        pair = transforms.random_mirror(
            (tf.constant(input_image), tf.constant(target_image)), tf.constant([5, key])
        )
        flipped = np.array_equal(pair[0], input_image[:, ::-1])
        num_flipped += flipped
        np.testing.assert_array_equal(pair[0], input_image[:, ::-1] if flipped else input_image)
        np.testing.assert_array_equal(pair[1], target_image[:, ::-1] if flipped else target_image)
    assert 75 <= num_flipped <= 125
