"""How far a long task has come, as a log, a terminal and a notebook show it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tfpix2pix.pipelines.base import progress
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


def test_a_log_has_lines_of_what_takes_long(capsys, monkeypatch):
    assert list(progress.follow(iter(range(40)), "Checking train", 40)) == list(range(40))
    assert not capsys.readouterr().err
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    assert list(progress.follow(iter(range(1040)), "Checking train", 1040)) == list(range(1040))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 65 and re.fullmatch(r"Checking train: 1,040 of 1,040, [\d,]+/s", lines[-1])


CODE = """
from tfpix2pix.pipelines.base.progress import follow, show_progress
with show_progress("translating", 2, "images") as bar:
    bar.update(2)
assert list(follow(iter("ab"), "looking", 2)) == ["a", "b"]
"""


def _environment():
    folders = [str(Path(__file__).resolve().parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


@pytest.mark.parametrize("columns, last", [(80, "| 2/2 ["), (0, "translating: 2/2 images")])
def test_a_terminal_shows_a_bar_if_it_has_a_width(columns, last):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    subprocess.run([sys.executable, "-c", CODE], stderr=theirs, env=_environment(), check=True, timeout=60)
    shown = os.read(ours, 10_000).decode()
    assert last in shown and "looking" not in shown


def test_a_notebook_shows_a_widget():
    pytest.importorskip("ipywidgets")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    NotebookClient(notebook, timeout=60).execute(env=_environment())
    (output,) = notebook.cells[0].outputs
    assert "application/vnd.jupyter.widget-view+json" in output.data
    assert output.data["text/plain"].startswith("translating:")
