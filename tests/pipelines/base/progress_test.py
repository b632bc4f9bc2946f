"""How far a long task has come, as a log shows it."""

import re

from tfpix2pix.pipelines.base.progress import show_progress


def test_a_log_has_no_unknown_rate_and_counts_per_second(capsys):
    with show_progress("translating", 3, "images") as bar:
        bar.update(3)
    first, last = capsys.readouterr().err.splitlines()
    assert first == "translating: 0/3 images"
    assert re.fullmatch(r"translating: 3/3 images, +[\d.]+ images/s", last)


def test_bytes_are_shown_in_megabytes(capsys):
    with show_progress("maps", 3_000_000, "B") as bar:
        bar.update(3_000_000)
    first, last = capsys.readouterr().err.splitlines()
    assert first == "maps: 0.00/3.00MB"
    assert re.fullmatch(r"maps: 3.00M/3.00MB, +[\d.]+[kMG]?B/s", last)
