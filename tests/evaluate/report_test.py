"""The page of an evaluation, from results written by hand, as text and in a browser."""

import json
import math

import numpy as np
import pytest

from tests.helpers import browser
from tfpix2pix.evaluate.gallery import Gallery
from tfpix2pix.evaluate.report import render_report
from tfpix2pix.evaluate.results import Evaluation, sift_earlier, write_results
from tfpix2pix.metrics.registry import Result
from tfpix2pix.pictures.examples import ShownExamples

L1 = Result({"l1": 0.25}, per_image={"l1": np.array([0.25, 0.5])})
FCN = Result({"pixel_accuracy": 0.5}, {"pixel_accuracy": 0.75})


def _description(size):
    return {
        "model": "m", "examples": 2, "dataset": "d", "split": "val", "direction": "AtoB", "noise_seed": 0,
        "tfpix2pix": "0", "skipped": [], "image_size": size, "inference_statistics": "instance",
    }  # fmt: skip


def _render(tmp_path, results, size=(32, 48), pictures=0):
    directions = {"l1": False, "fcn_score": True, "label_accuracy": True, "diversity": None}
    gallery = Gallery(tmp_path, ["a", "b"], pictures)
    return render_report(_description(size), results, directions, gallery)


def test_columns_that_say_nothing_are_left_out(tmp_path):
    page = _render(tmp_path, {"l1": L1})
    assert "<th>better</th>" in page and "ground truth</th>" not in page
    assert "mean target" not in page
    page = _render(tmp_path, {"l1": L1, "fcn_score": FCN})
    assert '<th class="number">ground truth</th>' in page
    assert '<td>l1</td><td class="number">0.2500</td><td class="number"></td>' in page
    page = _render(tmp_path, {"diversity": Result({"standard_deviation": 0.5})})
    assert "<th>better</th>" not in page
    beside_baseline = Result({"l1": 0.25}, baseline={"l1": 0.375})
    page = _render(tmp_path, {"l1": beside_baseline, "diversity": Result({"standard_deviation": 0.5})})
    assert '<th class="number">mean target</th>' in page and "ground truth</th>" not in page
    assert '<td class="number">0.2500</td><td class="number">0.3750</td>' in page
    assert "The mean target is a baseline" in page
    per_class = [
        {"class": name, "pixels": 2, "accuracy": 0.5, "ground_truth_accuracy": value}
        for name, value in (("road", math.nan), ("<sky>", None))
    ]
    details = {"per_class": per_class, "absent_classes": "skip"}
    page = _render(tmp_path, {"label_accuracy": Result({"pixel_accuracy": 0.5}, details=details)})
    assert "ground truth accuracy" not in page
    assert '<td>&lt;sky&gt;</td><td class="number">50.00%</td><td class="number">0.5000</td>' in page


@pytest.mark.parametrize("spread, told", [(0.0155, True), (0.0158, False), (math.nan, False)])
def test_noise_that_nobody_sees_is_told(tmp_path, spread, told):
    # Two of 255 gray levels are 0.01569 of the range from -1 to 1.
    page = _render(tmp_path, {"diversity": Result({"standard_deviation": spread, "pairwise_l1": 0.5})})
    assert ("The noise changes nothing visible" in page) == told
    assert ("a standard deviation of 0.015, which" in page) == told


@pytest.mark.parametrize("size, expected", [((32, 48), (171, 256, "pixelated")), ((300, 400), None)])
def test_a_browser_shows_pictures_large_enough(tmp_path, size, expected):
    gallery = Gallery(tmp_path, ["a", "b"], 2)
    gallery.clear()
    gallery.add(0, ShownExamples(*(np.full((2, *size, 3), value, np.uint8) for value in (0, 90, 153))))
    (tmp_path / "index.html").write_text(_render(tmp_path, {"l1": L1}, size, pictures=2))
    with browser.open_browser() as chromium:
        for window in ((1280, 800), (375, 667)):
            page = chromium.new_page(viewport={"width": window[0], "height": window[1]})
            page.goto((tmp_path / "index.html").as_uri())
            shown = page.evaluate(
                "[...document.images].map(each => [each.height, each.width, "
                "getComputedStyle(each).imageRendering])"
            )
            assert len(shown) == 6
            assert all(width >= 256 for _, width, _ in shown)
            if expected:
                assert {tuple(each) for each in shown} == {expected}
            else:
                assert {rendering for *_, rendering in shown} == {"auto"}


def test_infinite_scores_of_an_earlier_evaluation_stay_infinite(tmp_path):
    ids, description = ["a", "b", "c"], {**_description((32, 48)), "weights": "raw", "saved_model": None}
    description["data_dir"] = "datasets"
    gallery = Gallery(tmp_path, ids, 3)
    psnr = Result({"psnr": math.inf}, per_image={"psnr": np.array([math.inf, math.nan, 3.0])})
    write_results(Evaluation(tmp_path, description, {"psnr": psnr}), {"psnr": True}, ids, {}, gallery)
    page = (tmp_path / "index.html").read_text()
    contents = json.loads((tmp_path / "psnr.json").read_text(), parse_constant=pytest.fail)
    assert (contents["scores"], contents["per_image"]) == ({"psnr": "inf"}, {"psnr": ["inf", None, 3.0]})
    kept, others = sift_earlier(tmp_path, description, ids)
    assert not others
    write_results(Evaluation(tmp_path, description, {}), {}, ids, kept, gallery)
    assert (tmp_path / "index.html").read_text() == page
    assert page.count("∞") == 2 and "1e999" in page
