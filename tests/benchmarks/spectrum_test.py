"""The spectrum of pictures: fine detail and grids, of images whose spectra are known."""

import numpy as np
import pytest

from benchmarks import spectrum
from tests.helpers.tiny_run import write_run

PLACES = np.arange(64)
NOISE = np.random.default_rng(0).normal(size=(50, 64, 64, 2)).astype(np.float32)


def draw_wave(period_px: float) -> np.ndarray:
    """Draws columns that swing by 1, [1, 64, 64, 1], whose power is 1/2."""
    wave = np.cos(2 * np.pi * (PLACES + 0.5) / period_px).astype(np.float32)
    return np.tile(wave, (64, 1))[None, ..., None]


def test_a_wave_is_fine_from_4_px_on():
    for period_px, expected in ((16, 0.0), (8, 0.0), (3, 0.5), (2.5, 0.5)):
        power = spectrum.measure_power(draw_wave(period_px) + 7)
        assert spectrum.sum_fine(power) == pytest.approx(expected, abs=0.01)


def test_white_noise_has_all_frequencies_alike_and_no_line():
    power = spectrum.measure_power(NOISE)
    # Five rows and columns are the line, and a circle of a quarter of a cycle per px covers pi / 16.
    assert spectrum.sum_fine(power) == pytest.approx((59 / 64) ** 2 - np.pi / 16, rel=0.02)
    assert spectrum.measure_line(power) == pytest.approx(1, abs=0.1)


def test_a_grid_of_2_px_is_a_line():
    grid = 0.3 * (PLACES % 2)[None, None, :, None].astype(np.float32)
    along_one, along_both = (
        spectrum.measure_line(spectrum.measure_power(NOISE + each))
        for each in (grid, grid + grid.transpose(0, 2, 1, 3))
    )
    assert along_one > 1.3 and along_both - 1 == pytest.approx(2 * (along_one - 1), rel=0.15)
    smooth = NOISE + 3 * draw_wave(32)
    assert spectrum.measure_line(spectrum.measure_power(smooth)) == pytest.approx(1, abs=0.1)


def test_the_share_of_a_period_of_2_px():
    # Of white noise, it is that of one row and one column of 64.
    power = spectrum.measure_power(NOISE)
    assert spectrum.share_at_half(power) == pytest.approx(127 / 64**2, rel=0.05)
    # The window spreads a line over the bins beside it, in which a third of its power is left.
    stripes = np.tile(PLACES % 2, (64, 1))[None, ..., None].astype(np.float32)
    assert spectrum.share_at_half(spectrum.measure_power(stripes)) == pytest.approx(2 / 3, abs=0.01)
    assert spectrum.share_at_half(spectrum.measure_power(draw_wave(4))) < 1e-6


@pytest.mark.slow
def test_the_command_compares_runs_with_their_targets(tmp_path, capsys):
    runs_given = [str(write_run(tmp_path / name)) for name in "ab"]
    spectrum.main(["spectrum", f"--models={','.join(runs_given)}"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 2 + 1 + 2
    assert [row.split(" | ")[4] for row in rows[2:4]] == [rows[2].split(" | ")[4]] * 2
    assert "| targets |  |  | 0.0000 | 1.000 |" in rows[4]
    bilinear, bicubic = (float(row.split(" | ")[4]) for row in rows[5:])
    assert 0 < bilinear < bicubic < 1
