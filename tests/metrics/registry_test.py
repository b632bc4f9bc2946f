"""Names of metrics, and which of them apply."""

import numpy as np
import pytest

from tfpix2pix.config.choices import METRICS
from tfpix2pix.metrics import registry
from tfpix2pix.metrics.registry import Tools, build_metrics
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.labels.palettes import Palette

PALETTE = Palette(("a", "b"), np.eye(3, dtype=np.uint8)[:2], np.zeros((0, 3), np.uint8))
PIXEL_SCORES = ["l1", "psnr", "ssim"]


class Segmenter:
    num_classes, title, palette = 2, "two classes", None


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        (Tools(), [*PIXEL_SCORES, "histogram_intersection", "diversity", "coverage"]),
        (Tools(samples_per_image=1), [*PIXEL_SCORES, "histogram_intersection"]),
        (Tools(PALETTE, "input"), [*PIXEL_SCORES, "histogram_intersection", "diversity", "coverage"]),
        (
            Tools(PALETTE, "input", Segmenter()),
            [*PIXEL_SCORES, "fcn_score", "histogram_intersection", "diversity", "coverage"],
        ),
        (Tools(PALETTE, "target"), [*PIXEL_SCORES, "label_accuracy", "diversity", "coverage"]),
    ],
)
def test_by_default_all_that_apply(tools, names):
    assert list(build_metrics(None, tools)) == names


def test_those_that_were_asked_for():
    assert list(build_metrics(["ssim", "l1"], Tools())) == ["ssim", "l1"]


def test_a_segmenter_that_cannot_be_used_is_no_default_to_pass_over():
    with pytest.raises(UsageError, match="give `palette`"):
        build_metrics(None, Tools(segmenter=Segmenter()))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="no such metric: l2, lpip .*l1, psnr, ssim, hole_l1, fcn_score"):
        registry.check_names(["l2", "l1", "lpip"])
    with pytest.raises(UsageError, match="`metrics` is a list of names, .* Received: 'l1'"):
        registry.check_names("l1")


@pytest.mark.parametrize("name", METRICS)
def test_a_name_is_that_of_a_documented_function(name):
    assert registry._find(name).__name__ == name
    assert len(registry.describe(name)) > 20


@pytest.mark.parametrize(
    ("settings", "argument"),
    [({"absent_classes": "one"}, "`absent_classes`"), ({"samples_per_image": 0}, "`samples_per_image`")],
)
def test_bad_settings_name_the_argument(settings, argument):
    with pytest.raises(UsageError, match=argument):
        Tools(**settings)
