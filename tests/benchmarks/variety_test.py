"""The spread of wall colours by hand, and a line for a run."""

import numpy as np
import pytest

from benchmarks.variety import measure, spread
from tests.helpers.tiny_run import CONFIG, write_run


def test_the_spread_by_hand():
    # Variances with N - 1: 2, 0 and 0 of the first set, 0.5, 0.5 and 0 of the second.
    colours = np.array([[[1, 0, 0], [-1, 0, 0]], [[0.5, 0, 1], [-0.5, 1, 1]]], float)
    assert spread(colours) == pytest.approx(((2 + 0.5 + 0.5) / 2) ** 0.5)


def test_a_line_for_a_run(tmp_path):
    run = write_run(tmp_path / "tiny", CONFIG)
    cells = [cell.strip() for cell in measure(run, samples=2, count=3).strip("|").split("|")]
    assert cells[:2] == ["tiny", "2"] and cells[2].endswith("%")
    assert 0 < float(cells[4]) <= float(cells[3]) < 2
    assert (run / "variety.png").read_bytes()[1:4] == b"PNG"
