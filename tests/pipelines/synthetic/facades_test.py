"""Generated facades: reproducible, exactly labelled, and neither trivial nor impossible to learn."""

import itertools

import numpy as np
import pytest

from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.synthetic.facades import SyntheticPair, draw_pair, pair_index


def _edge_contrast(pair: SyntheticPair, shift: int) -> float:
    """Mean brightness step of the photo `shift` pixels to the right of the labels' upright edges."""
    steps = np.abs(np.diff(pair.photo.astype(float).mean(axis=2), axis=1))
    edges = pair.class_ids[:, 1:] != pair.class_ids[:, :-1]
    return float(np.roll(steps, -shift, axis=1)[:, 8:-8][edges[:, 8:-8]].mean())


def _pixels(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Colour and height in the image of every pixel, [N, 4], and its class, [N]."""
    pairs = [draw_pair(0, pair_index(split, example), (64, 64)) for example in range(count)]
    rows = np.repeat(np.linspace(0, 255, 64), 64)[:, None]
    features = [np.concatenate([pair.photo.reshape(-1, 3), rows], axis=1) for pair in pairs]
    return np.concatenate(features), np.concatenate([pair.class_ids.ravel() for pair in pairs])


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (40, 300), (300, 40), (161, 160), (33, 35), (256, 256)])
def test_shapes_and_types_at_any_size(size):
    pair = draw_pair(7, 11, size)
    assert pair.photo.shape == (*size, 3) and pair.photo.dtype == np.uint8
    assert pair.class_ids.shape == size and pair.class_ids.dtype == np.uint8
    assert pair.label_map.shape == (*size, 3) and pair.label_map.dtype == np.uint8
    assert len(np.unique(pair.class_ids)) >= 4


def test_default_size_is_that_of_the_paper():
    assert draw_pair(0, 0).photo.shape == (256, 256, 3)


def test_same_arguments_same_pair():
    first, second = draw_pair(3, 4, (64, 64)), draw_pair(3, 4, (64, 64))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_machine_draws_this_pair():
    pair = draw_pair(0, 0, (64, 64))
    counts = [134, 1401, 988, 42, 55, 111, 136, 0, 136, 334, 493, 266]
    window, pillar = pair.class_ids == 2, pair.class_ids == 10
    np.testing.assert_allclose(np.bincount(pair.class_ids.ravel(), minlength=12), counts, atol=8)
    np.testing.assert_allclose(pair.photo[window].mean(axis=0), [53.8, 55.1, 56.9], atol=1.0)
    np.testing.assert_allclose(pair.photo[pillar].mean(axis=0), [172.9, 162.8, 148.3], atol=1.0)


@pytest.mark.parametrize("other", [(1, 0), (0, 1), (1, 1)])
def test_another_seed_or_index_is_another_facade(other):
    first, second = draw_pair(0, 0, (64, 64)), draw_pair(*other, (64, 64))
    assert np.mean(first.class_ids != second.class_ids) > 0.1
    assert np.mean(np.abs(first.photo.astype(int) - second.photo)) > 10


def test_splits_share_no_pair():
    indices = [{pair_index(split, example) for example in range(400)} for split in ("train", "val", "test")]
    assert [len(found) for found in indices] == [400, 400, 400]
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(indices, 2))


def test_label_colours_are_the_palette():
    pair = draw_pair(0, 5, (96, 128))
    names = list(catalogue.FACADES_PALETTE)
    for class_id in np.unique(pair.class_ids):
        colours = np.unique(pair.label_map[pair.class_ids == class_id], axis=0)
        assert colours.tolist() == [list(catalogue.FACADES_PALETTE[names[class_id]])]


def test_classes_are_where_a_facade_has_them():
    rows = np.arange(64)[:, None] * np.ones(64)
    pairs = [draw_pair(0, index, (64, 64)) for index in range(50)]
    heights = {
        class_id: np.concatenate([rows[pair.class_ids == class_id] for pair in pairs])
        for class_id in range(12)
    }
    assert all(len(found) > 0 for found in heights.values())
    door, shop, window = (heights[class_id].mean() for class_id in (3, 11, 2))
    assert min(door, shop) > 45 > window
    assert sum(len(np.unique(pair.class_ids)) >= 6 for pair in pairs) >= 45


def test_photo_edges_lie_on_label_edges():
    for size in ((64, 64), (256, 256)):
        contrast = np.mean(
            [[_edge_contrast(draw_pair(5, i, size), shift) for shift in (-3, -1, 0, 1, 3)] for i in range(6)],
            axis=0,
        )
        assert contrast.argmax() == 2
        assert contrast[2] > 1.5 * contrast[[0, 4]].max()


def test_materials_have_texture():
    pair = draw_pair(0, 3, (128, 128))
    inside = pair.class_ids == 1
    # A wall's pixel differs from the next one on the same wall, everywhere and not only at edges.
    steps = np.abs(np.diff(pair.photo.astype(int).mean(axis=2), axis=1))[inside[:, 1:] & inside[:, :-1]]
    assert np.median(steps) > 1.5
    for class_id in np.unique(pair.class_ids):
        assert pair.photo[pair.class_ids == class_id].std(axis=0).mean() > 4


def test_photos_are_not_a_function_of_the_labels():
    walls = np.array(
        [
            pair.photo[pair.class_ids == 1].mean(axis=0)
            for pair in (draw_pair(0, i, (64, 64)) for i in range(20))
        ]
    )
    assert walls.std(axis=0).min() > 15


def test_colour_and_height_hint_at_the_class_but_do_not_give_it():
    features, classes = _pixels("train", 30)
    unseen, expected = _pixels("test", 15)
    scale = features.std(axis=0)
    centroids = np.array([(features[classes == class_id] / scale).mean(axis=0) for class_id in range(12)])
    distances = ((unseen / scale)[:, None] - centroids) ** 2
    predicted = distances.sum(axis=2).argmin(axis=1)
    recall = np.mean([np.mean(predicted[expected == class_id] == class_id) for class_id in range(12)])
    # Guessing recalls 1 / 12 of each class.
    assert 0.17 < recall < 0.6


@pytest.mark.parametrize("size", [(31, 64), (64, 31), (0, 0)])
def test_too_small_an_image_is_refused(size):
    with pytest.raises(ValueError, match=rf"at least 32 x 32 pixels. Received: {size[0]} x {size[1]}"):
        draw_pair(0, 0, size)


@pytest.mark.parametrize("seed, index", [(-1, 0), (0, -1), (2**32, 0), (0, 2**32)])
def test_seed_or_index_out_of_range_is_refused(seed, index):
    with pytest.raises(ValueError, match=rf"from 0 to 2\*\*32 - 1. Received: seed={seed}, index={index}"):
        draw_pair(seed, index, (64, 64))


def test_unknown_split_or_example_is_refused():
    with pytest.raises(ValueError, match="train, val, test. Received: 'dev'"):
        pair_index("dev", 0)
    with pytest.raises(ValueError, match="0 or more. Received: -1"):
        pair_index("train", -1)
