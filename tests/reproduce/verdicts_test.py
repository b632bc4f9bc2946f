"""Verdicts by hand: means, spreads, Student's t, and judges that are refused."""

import json

import numpy as np
import pytest

from tfpix2pix.config.config import make_config
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.reproduce.judge import check_below_real_photos, check_on_real_photos
from tfpix2pix.reproduce.paper_tables import SCORES, TABLES
from tfpix2pix.reproduce.report import write_table
from tfpix2pix.reproduce.verdicts import Cell, compare, probability_within

TABLE = TABLES["6"]  # L1, cGAN, L1+cGAN


def _cell(place, *scores):
    """A row with a triple of scores for each seed."""
    return Cell(TABLE.rows[place], (), tuple(dict(zip(SCORES, each, strict=True)) for each in scores), {})


@pytest.mark.parametrize(
    "freedom, distance",  # the two-sided 5 % points of Student's t, from a printed table
    [(2, 4.303), (4, 2.776), (6, 2.447), (8, 2.306), (18, 2.101), (30, 2.042)],
)
def test_student_s_t_is_that_of_the_tables(freedom, distance):
    assert probability_within(distance, freedom) == pytest.approx(0.95, abs=1e-4)
    assert probability_within(0, freedom) == 0 and probability_within(np.inf, freedom) == 1


# Three seeds with a spread of 0.1: the standard error is 0.1 * sqrt(2 / 3) = 0.0816, times 2.776 = 0.227.
@pytest.mark.parametrize(
    "difference, verdict",
    [
        (0.24, "holds"),
        (0.22, "within the spread"),
        (-0.22, "within the spread"),
        (-0.24, "does not hold"),
    ],
)
def test_a_difference_counts_where_it_is_large_for_its_spread(difference, verdict):
    better = _cell(0, *([0.5 + difference + noise] * 3 for noise in (-0.1, 0, 0.1)))
    worse = _cell(2, *([0.5 + noise] * 3 for noise in (-0.1, 0, 0.1)))
    found = compare(better, worse, "class_iou", 2)
    assert found.verdict == verdict
    assert found.difference == pytest.approx(difference)
    assert found.standard_error == pytest.approx(0.1 * (2 / 3) ** 0.5)
    assert str(found) == f"{verdict} ({difference:+.3f} ± 0.082)"
    assert found.holds == {"holds": True, "does not hold": False}.get(verdict)


def test_noise_rarely_gets_a_verdict():
    draw = np.random.default_rng(0)
    verdicts = []
    for _ in range(2000):
        better, worse = (_cell(place, *draw.normal(0.5, 0.1, (3, 3))) for place in (0, 2))
        verdicts.append(compare(better, worse, "class_iou", 2).holds)
    assert 0.03 < np.mean([holds is not None for holds in verdicts]) < 0.07


def test_scores_that_do_not_spread_decide():
    same = [(0.5, 0.5, 0.5)] * 2
    assert compare(_cell(0, *same), _cell(2, *same), "class_iou", 2).verdict == "within the spread"
    assert compare(_cell(0, *[(0.6,) * 3] * 2), _cell(2, *same), "class_iou", 2).verdict == "holds"


def test_ties_of_the_paper_get_no_verdict():
    table = TABLES["3"]
    cells = [Cell(row, (), ({"class_iou": score},) * 2, {}) for score, row in enumerate(table.rows)]
    found = compare(cells[2], cells[1], "class_iou", 2)  # 70x70 and 16x16 both have 0.17
    assert found.verdict == "a tie in the paper" and found.holds is None


def test_a_table_of_one_seed_has_differences_and_no_verdicts(tmp_path):
    ours = [(0.5, 0.3, 0.2), (0.4, 0.3, 0.1), (0.6, 0.2, 0.1)]  # L1, cGAN, L1+cGAN
    cells = [
        Cell(row, (tmp_path / "run",), (dict(zip(SCORES, scores, strict=True)),), {})
        for row, scores in zip(TABLE.rows, ours, strict=True)
    ]
    text = write_table("6", tmp_path, cells, make_config(dataset="camvid"), "val")
    assert "| cGAN | 0.400 | 0.300 | 0.100 | 0.74 | 0.28 | 0.22 |\n" in text
    none = "one seed: no verdict"
    assert f"| L1 above L1+cGAN | {none} (-0.100) | {none} (+0.100) | {none} (+0.100) |\n" in text
    assert text == (tmp_path / "table6.md").read_text()


def test_a_table_without_published_scores_says_what_is_expected(tmp_path):
    rows, noise = TABLES["hd"].rows, (-0.01, 0.01)
    cells = [
        Cell(row, (tmp_path, tmp_path), tuple({name: mean + each for name in SCORES} for each in noise), {})
        for row, mean in zip(rows, (0.3, 0.5, 0.1), strict=True)
    ]
    text = write_table("hd", tmp_path, cells, make_config(dataset="camvid"), "val")
    assert text.startswith("## pix2pix and pix2pixHD, labels to photo\n") and "paper: per-pixel" not in text
    assert "| pix2pix | 0.300 ± 0.014 | 0.300 ± 0.014 | 0.300 ± 0.014 |\n" in text
    assert "| the expected order |" in text
    assert (
        text.count("| does not hold (-0.400 ± 0.014) ") == 3 and text.count("| holds (+0.200 ± 0.014) ") == 3
    )
    record = json.loads((tmp_path / "table_hd.json").read_text())
    assert record["table"] == "hd" and record["rows"][0]["paper"]["class_iou"] is None


def test_a_table_of_three_seeds_has_spreads_and_verdicts(tmp_path):
    noise = (-0.01, 0.0, 0.01)
    cells = [
        Cell(
            row,
            tuple(tmp_path / str(seed) for seed in range(3)),
            tuple({name: mean + each for name in SCORES} for each in noise),
            {},
        )
        for row, mean in zip(TABLE.rows, (0.5, 0.35, 0.49), strict=True)
    ]
    text = write_table("6", tmp_path, cells, make_config(dataset="camvid", seed=3), "val")
    assert "seed 3, 4, 5\n" in text
    assert "| L1 | 0.500 ± 0.010 | 0.500 ± 0.010 | 0.500 ± 0.010 | 0.86 | 0.42 | 0.35 |\n" in text
    assert text.count("| within the spread (+0.010 ± 0.008) ") == 3
    assert text.count("| holds (+0.140 ± 0.008) ") == 3
    page = (tmp_path / "table6.html").read_text()
    assert "<td>0.500 ± 0.010</td>" in page and "<td>holds (+0.140 ± 0.008)</td>" in page
    orders = json.loads((tmp_path / "table6.json").read_text())["orders"]
    assert [order["holds"]["class_iou"] for order in orders] == [None, True]
    assert orders[0]["verdicts"]["class_iou"] == "within the spread"


def test_a_judge_must_beat_naming_one_class_everywhere():
    # 60 pixels of the first class and 40 of the second; the last column is what is void.
    check_on_real_photos("good", [[50, 10, 0], [10, 30, 0]])
    with pytest.raises(UserError, match=r"^bad cannot .* pixel_accuracy .* is 0.550, .* reaches 0.600"):
        check_on_real_photos("bad", [[35, 25, 0], [20, 20, 0]])
    with pytest.raises(UserError, match=r"constant cannot .* is 0.600, .* reaches 0.600"):
        check_on_real_photos("constant", [[60, 0, 0], [40, 0, 0]])


def test_a_judge_must_not_prefer_generated_photos():
    truth = (0.7, 0.5, 0.4)
    below = _cell(0, (0.9, 0.4, 0.3), (0.4, 0.4, 0.3))  # the mean counts
    check_below_real_photos("fcn", [below], dict(zip(SCORES, truth, strict=True)))
    above = _cell(2, (0.6, 0.4, 0.41))
    with pytest.raises(UserError, match=r"class_iou that it gives real photos, 0.400, .* L1\+cGAN, 0.410"):
        check_below_real_photos("fcn", [below, above], dict(zip(SCORES, truth, strict=True)))
