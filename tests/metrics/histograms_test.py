"""Histograms of L, a, b and their overlap: by hand, and against scikit-image and NumPy."""

import numpy as np
import pytest

from tfpix2pix.metrics.histograms import RANGES, count_colours, histogram_intersection, intersect
from tfpix2pix.metrics.registry import Examples, NotApplicableError, Tools
from tfpix2pix.pipelines.labels.palettes import Palette

BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


def _picture(*colours) -> np.ndarray:
    return np.array([[colours]], np.uint8)


def test_pixels_fall_into_bins_one_unit_wide():
    counts = count_colours(_picture(BLACK, WHITE, RED))
    # White is 100, -0.0, 0.0; black 0, 0, 0; red 53.24, 80.09, 67.20.
    assert np.flatnonzero(counts["L"][0]).tolist() == [0, 53, 99]
    assert counts["a"][0][80 + 110] == 1 and counts["b"][0][67 + 110] == 1
    assert {name: values.shape for name, values in counts.items()} == {
        "L": (1, 100),
        "a": (1, 220),
        "b": (1, 220),
    }
    assert all(values.sum() == 3 for values in counts.values())


def test_counts_are_those_of_numpy_and_scikit_image():
    color = pytest.importorskip("skimage.color", reason="scikit-image is in the [test] extra")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 40, 30, 3), np.uint8)
    counts = count_colours(pictures)
    for image in range(2):
        lab = color.rgb2lab(pictures[image])
        for channel, (name, (low, high)) in enumerate(RANGES.items()):
            expected, _ = np.histogram(lab[..., channel], high - low, (low, high))
            # A value on the edge of two bins may round either way.
            assert np.abs(counts[name][image] - expected).sum() <= 4


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 1, 2], [1, 1, 2], 1),
        ([1, 1, 2], [10, 10, 20], 1),
        ([4, 0, 0], [0, 1, 1], 0),
        ([3, 1, 0], [1, 1, 2], 0.5),
        ([0, 0, 0], [1, 1, 2], np.nan),
    ],
)
def test_intersection_by_hand(first, second, expected):
    np.testing.assert_allclose(intersect(np.array(first), np.array(second)), expected)


def test_the_score_is_of_all_pixels_together():
    metric = histogram_intersection(Tools())
    generated = np.concatenate([_picture(BLACK, BLACK), _picture(WHITE, WHITE)])
    target = generated[::-1]
    result = metric.combine(metric.measure(Examples(None, None, target, generated)))
    # No image has its target's lightness, all of them together do.
    assert result.scores == pytest.approx({"L": 1, "a": 1, "b": 1})
    assert result.per_image["L"].tolist() == [0, 0]
    assert sum(result.details["histograms"]["L"]["generated"]) == pytest.approx(1)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channels_are_no_colours(channels):
    with pytest.raises(NotApplicableError, match=f"generates images of {channels} channels: take l1"):
        histogram_intersection(Tools(channels=channels))


def test_label_maps_have_no_colours_to_compare():
    palette = Palette(("a",), np.zeros((1, 3), np.uint8), np.zeros((0, 3), np.uint8))
    with pytest.raises(NotApplicableError, match="label_accuracy"):
        histogram_intersection(Tools(palette, "target"))
