"""The spread of wall colours by hand, and a line for a run."""

import numpy as np
import pytest

from benchmarks.variety import make_judge, measure, spread
from tests.helpers.tiny_run import CONFIG, write_run
from tfpix2pix.metrics.fcn.network import fcn8s
from tfpix2pix.metrics.fcn.segmenter import KerasSegmenter


def test_the_spread_by_hand():
    # Variances with N - 1: 2, 0 and 0 of the first set, 0.5, 0.5 and 0 of the second.
    colours = np.array([[[1, 0, 0], [-1, 0, 0]], [[0.5, 0, 1], [-0.5, 1, 1]]], float)
    assert spread(colours) == pytest.approx(((2 + 0.5 + 0.5) / 2) ** 0.5)


@pytest.mark.slow
def test_a_line_for_a_run(tmp_path):
    run = write_run(tmp_path / "tiny", CONFIG)
    cells = [cell.strip() for cell in measure(run, samples=2, count=3).strip("|").split("|")]
    assert cells[:2] == ["tiny", "2"] and cells[2].endswith("%")
    assert 0 < float(cells[4]) <= float(cells[3]) < 2
    assert (run / "variety.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.slow
def test_realism_of_a_checkpoint(tmp_path):
    run = write_run(tmp_path / "tiny", CONFIG)
    judge = make_judge(KerasSegmenter(fcn8s(12, width=0.01), "untrained"))
    line = measure(run, samples=2, count=3, checkpoint="1", judge=judge)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:2] == ["tiny", "1"] and len(cells) == 8
    # The scores start at 0, so all pixels are taken for the first class, the background.
    assert float(cells[5]) != 0 and 0 <= float(cells[6]) < 1 and 0 <= float(cells[7]) < 1
    photos = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    background = np.zeros((2, 32, 32), np.uint8)
    assert judge.scores(photos, background)["pixel_accuracy"] == 1
    assert judge.find_features(photos).shape == (2, 40)
