"""The three scores of a labelling: worked by hand, against NumPy loops, and where classes are missing."""

import numpy as np
import pytest

from tfpix2pix.metrics.label_accuracy import label_accuracy
from tfpix2pix.metrics.registry import Examples, NotApplicableError, Tools
from tfpix2pix.metrics.segmentation_scores import (
    class_scores,
    confusion_matrices,
    fcn_score,
    segmentation_scores,
)
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.catalogue import CATALOGUE
from tfpix2pix.pipelines.labels.palettes import Palette, dataset_palette

PALETTE = Palette(
    ("sky", "road"), np.array([[0, 0, 255], [255, 0, 0]], np.uint8), np.array([[0, 0, 0]], np.uint8)
)


class NearestColour:
    """A segmenter of two classes that looks at blue and red only."""

    num_classes, title, palette = 2, "nearest colour", None

    def __call__(self, images):
        return (images.numpy()[..., 0] > images.numpy()[..., 2]).astype(np.uint8)


def _oracle(labels, predicted, num_classes) -> dict[str, float]:
    """The paper's formulas as loops over classes and pixels."""
    accuracies, ious = [], []
    counted = [(t, p) for t, p in zip(labels.ravel(), predicted.ravel(), strict=True) if t < num_classes]
    for c in range(num_classes):
        hits = sum(t == p == c for t, p in counted)
        labelled, found = sum(t == c for t, _ in counted), sum(p == c for _, p in counted)
        if labelled:
            accuracies.append(hits / labelled)
            ious.append(hits / (labelled + found - hits))
    return {
        "pixel_accuracy": sum(t == p for t, p in counted) / len(counted),
        "class_accuracy": sum(accuracies) / len(accuracies),
        "class_iou": sum(ious) / len(ious),
    }


def test_a_case_worked_by_hand():
    labels = np.array([[[0, 0, 0, 1], [1, 1, 255, 255]]])
    predicted = np.array([[[0, 0, 1, 1], [0, 7, 0, 1]]])
    confusion = confusion_matrices(labels, predicted, 2)
    # Class 0: two right, one taken for 1. Class 1: one right, one for 0, one for none. Void is not counted.
    assert confusion.tolist() == [[[2, 1, 0], [1, 1, 1]]]
    scores = segmentation_scores(confusion[0])
    assert scores["pixel_accuracy"] == pytest.approx(3 / 6)
    assert scores["class_accuracy"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert scores["class_iou"] == pytest.approx((2 / 4 + 1 / 4) / 2)


def test_scores_are_the_papers_on_random_labels():
    draw = np.random.default_rng(0)
    labels, predicted = draw.choice([0, 1, 2, 4, 255], (3, 9, 7)), draw.integers(0, 6, (3, 9, 7))
    confusion = confusion_matrices(labels, predicted, 5)
    whole = segmentation_scores(confusion.sum(0))
    for name, value in _oracle(labels, predicted, 5).items():
        assert whole[name] == pytest.approx(value)
    each = segmentation_scores(confusion)
    for image in range(3):
        for name, value in _oracle(labels[image], predicted[image], 5).items():
            assert each[name][image] == pytest.approx(value)


def test_an_absent_class_is_left_out_or_counts_as_zero():
    labels, predicted = np.array([[[0, 0, 0, 0]]]), np.array([[[0, 0, 0, 1]]])
    confusion = confusion_matrices(labels, predicted, 4)[0]
    skipped = segmentation_scores(confusion)
    assert [float(value) for value in skipped.values()] == [0.75, 0.75, 0.75]
    zero = segmentation_scores(confusion, absent_classes="zero")
    assert [float(value) for value in zero.values()] == [0.75, 0.75 / 4, 0.75 / 4]


@pytest.mark.parametrize(("absent_classes", "expected"), [("skip", [np.nan] * 3), ("zero", [0, 0, 0])])
def test_nothing_but_void(absent_classes, expected):
    confusion = confusion_matrices(np.full((1, 2, 2), 255), np.zeros((1, 2, 2), int), 3)[0]
    np.testing.assert_array_equal(list(segmentation_scores(confusion, absent_classes).values()), expected)
    assert np.isnan(class_scores(confusion)["iou"]).all()


def test_no_images_and_a_perfect_one():
    assert confusion_matrices(np.zeros((0, 4, 4), int), np.zeros((0, 4, 4), int), 2).shape == (0, 2, 3)
    labels = np.array([[[0, 1], [2, 2]]])
    confusion = confusion_matrices(labels, labels, 3)[0]
    assert [float(value) for value in segmentation_scores(confusion).values()] == [1, 1, 1]


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2, 2\) and \(1, 2, 3\)"):
        confusion_matrices(np.zeros((1, 2, 2)), np.zeros((1, 2, 3)), 2)


def _examples() -> Examples:
    """Two images of 1x2 px, sky and road: generated one with the sky as road, real one right."""
    label_ids = np.array([[[0, 1]], [[0, 255]]], np.uint8)
    target = np.array([[[[0, 0, 255], [255, 0, 0]]], [[[0, 0, 200], [9, 9, 9]]]], np.uint8)
    generated = np.array([[[[255, 0, 0], [200, 0, 90]]], [[[0, 0, 250], [9, 9, 9]]]], np.uint8)
    return Examples(None, None, target, generated, label_ids)


def test_fcn_score_has_the_ground_truth_photos_own_score_beside_it():
    metric = fcn_score(Tools(PALETTE, "input", NearestColour()))
    result = metric.combine(metric.measure(_examples()))
    # Sky: one of two pixels found, one taken for road. Road: found.
    assert result.scores == pytest.approx(
        {"pixel_accuracy": 2 / 3, "class_accuracy": (0.5 + 1) / 2, "class_iou": (0.5 + 0.5) / 2}
    )
    assert result.ground_truth == {"pixel_accuracy": 1, "class_accuracy": 1, "class_iou": 1}
    np.testing.assert_allclose(result.per_image["pixel_accuracy"], [0.5, 1])
    sky, road = result.details["per_class"]
    assert (sky["class"], sky["pixels"], sky["iou"], sky["ground_truth_iou"]) == ("sky", 2, 0.5, 1)
    assert (road["class"], road["pixels"], road["accuracy"]) == ("road", 1, 1)


def test_label_accuracy_takes_the_nearest_colour_and_void_for_a_miss():
    metric = label_accuracy(Tools(PALETTE, "target"))
    examples = _examples()
    generated = np.array([[[[10, 0, 240], [20, 0, 20]]], [[[0, 0, 250], [9, 9, 9]]]], np.uint8)
    result = metric.combine(metric.measure(Examples(None, None, generated, generated, examples.label_ids)))
    # The road pixel is nearest to black, which is no class.
    assert result.scores == pytest.approx({"pixel_accuracy": 2 / 3, "class_accuracy": 0.5, "class_iou": 0.5})
    assert result.details["confusion"]["generated"] == [[2, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("build", "tools", "remedy"),
    [
        (fcn_score, Tools(PALETTE, "input"), "`segmenter`"),
        (fcn_score, Tools(None, None, NearestColour()), "`palette`"),
        (fcn_score, Tools(PALETTE, "target", NearestColour()), "label_accuracy"),
        (label_accuracy, Tools(), "`palette`"),
        (label_accuracy, Tools(PALETTE, "input"), "fcn_score"),
    ],
)
def test_what_cannot_be_had_says_what_to_give(build, tools, remedy):
    with pytest.raises(NotApplicableError, match=remedy):
        build(tools)


def test_a_segmenter_of_other_classes_is_refused():
    facades = dataset_palette(CATALOGUE["facades"])
    with pytest.raises(UsageError, match="nearest colour finds 2 classes, and not the 12 of the label maps"):
        fcn_score(Tools(facades, "input", NearestColour()))
