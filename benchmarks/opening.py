"""Measures how long a data set takes to open: from the start of `train` to the end of its first step.

    python -m benchmarks.opening [--pairs=10000] [--photos=0]

The files are tiny, 64x32 px JPEGs in a temporary folder, and the network is tiny too, so that what is
measured is the work on files: to list them, to read their headers, to decode them. There is a first start and
one that goes on with the run. CPU times are those of the whole process, with the import of TensorFlow and the
compilation of the step; --pairs=100 tells how much that is. Photos are opened alone, without a network; many
of them are names of the same file, so that a million need no more of the disk than a few hundred.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from benchmarks.measurement import ROOT, show_table, write_json
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import show_progress

HEIGHT_PX, WIDTH_PX = 32, 64
KINDS = 257  # of files, which is prime, so that no order of theirs repeats with the digits of their names
VALIDATION_PAIRS = 4
FIRST_STEPS, MORE_STEPS = 2, 3
PHOTOS = "photos, opened alone"


def main(argv: Sequence[str]) -> None:
    """Measures, prints a table, and writes JSON if `--json` asks for it."""
    flag_values = command_line.new_flags()
    flags.DEFINE_integer("pairs", 10_000, "Train on this many pairs.", 1, flag_values=flag_values)
    flags.DEFINE_integer("photos", 0, "Open this many photos besides.", 0, flag_values=flag_values)
    flags.DEFINE_string("json", None, "Write the numbers to this file, as JSON.", flag_values=flag_values)
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    with tempfile.TemporaryDirectory() as place:
        numbers = _measure(Path(place), values["pairs"], values["photos"])
        # Before the files are removed, which may take longer than all else.
        counts = {name: values["photos" if name == PHOTOS else "pairs"] for name in numbers}
        show_table(
            ["", "files", "CPU time, s", "wall time, s", "peak memory, MiB"],
            [_row(name, counts[name], each) for name, each in numbers.items()],
        )
        sys.stdout.flush()
        if values["json"]:
            write_json(values["json"], {"files": counts, "openings": numbers})


def _measure(root: Path, pairs: int, photos: int) -> dict[str, dict[str, Any]]:
    write_files(root / "pairs/train", pairs, WIDTH_PX)
    write_files(root / "pairs/val", VALIDATION_PAIRS, WIDTH_PX)
    numbers = {
        name: _run("train", root / "pairs", root / "run", steps)
        for name, steps in (("first start", FIRST_STEPS), ("going on", MORE_STEPS))
    }
    if photos:
        write_files(root / "alone/train", photos, HEIGHT_PX, links=True)
        numbers[PHOTOS] = _run("photos", root / "alone")
    return numbers


def _row(name: str, count: int, numbers: Mapping[str, float]) -> list[str]:
    cpu_sec, wall_sec, peak = (numbers[key] for key in ("cpu_sec", "wall_sec", "peak_rss_mib"))
    return [name, f"{count:,}", f"{cpu_sec:.1f}", f"{wall_sec:.1f}", f"{peak:.0f}"]


def write_files(folder: Path, count: int, width_px: int, links: bool = False) -> None:
    """Writes JPEG files of large flat squares, of which many are the same, or are hard links to others."""
    command_line.import_tensorflow(with_keras=False)
    import tensorflow as tf

    draw = np.random.default_rng(0)
    kinds = []
    for _ in range(min(count, KINDS)):
        squares = draw.integers(0, 256, (HEIGHT_PX // 8, width_px // 8, 3), np.uint8)
        kinds.append(tf.io.encode_jpeg(squares.repeat(8, 0).repeat(8, 1)).numpy())
    folder.mkdir(parents=True)
    with show_progress(f"Writing {folder.parent.name}", count, "files") as progress:
        for number in range(count):
            file = folder / f"{number:07d}.jpg"
            if links and number >= len(kinds):
                file.hardlink_to(folder / f"{number % len(kinds):07d}.jpg")
            else:
                file.write_bytes(kinds[number % len(kinds)])
            progress.update()


def _run(what: str, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.first_step", what, *map(str, arguments)]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    if process.returncode:
        raise UserError(f"{' '.join(command)} failed: {process.stderr.strip()}")
    numbers: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return numbers


if __name__ == "__main__":
    command_line.run(main)
