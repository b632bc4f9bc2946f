"""Measures how many images a second `cluster.translate` makes with one and two workers, beside `translate`.

    python -m benchmarks.cluster [--rounds=5] [--images=60] [--image_size=256] [--json=FILE]

Every contestant translates the same images with the same network, of weights after one step. In each round
each has one turn, as a command of its own. TensorFlow gets one thread in each process, so that two workers
have twice what one has on two cores; a last contestant has all threads in one process. Times are taken from
the outputs: the speed is that between the first and the last one, and what comes before the first is the
start. Outputs of contestants with one thread must be the same, byte for byte. Those with all threads may
differ by the rounding of sums, which TensorFlow divides among its threads; it is told by how much.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags
from PIL import Image

from benchmarks.measurement import show_table, summarise, write_json
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import show_progress

FILES_PER_PART = 5
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


class Contestant(NamedTuple):
    """A way to translate.

    Attributes:
      name: what the table calls it.
      module: the command.
      flags: flags of its own.
      variables: variables of its process.
    """

    name: str
    module: str
    flags: Sequence[str]
    variables: dict[str, str]


CONTESTANTS = (
    Contestant("translate, one thread", "translate", ("--batch_size=1",), ONE_THREAD),
    *(
        Contestant(
            f"cluster.translate, {count} worker{'s' * (count > 1)} of one thread",
            "cluster.translate",
            (f"--num_workers={count}", f"--files_per_part={FILES_PER_PART}", "--batch_size=1"),
            ONE_THREAD,
        )
        for count in (1, 2)
    ),
    Contestant("translate, all threads", "translate", (), {}),
)


class Turn(NamedTuple):
    """What one command took.

    Attributes:
      start_sec: from its start to its first output.
      images_per_sec: from its first output to its last.
      end_sec: from its last output to its end.
    """

    start_sec: float
    images_per_sec: float
    end_sec: float


def main(argv: Sequence[str]) -> None:
    """Makes the images and the network, takes the turns, prints a table."""
    flag_values = command_line.new_flags()
    for name, default, text in (
        ("rounds", 5, "Give each contestant this many turns."),
        ("images", 60, "Translate this many images in each turn."),
        ("image_size", 256, "The size of images and network in px."),
    ):
        flags.DEFINE_integer(name, default, text, 1, flag_values=flag_values)
    flags.DEFINE_string("json", None, "Write all numbers to this file.", flag_values=flag_values)
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    turns: dict[str, list[Turn]] = {contestant.name: [] for contestant in CONTESTANTS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, values["images"], values["image_size"])
        with show_progress("measuring", values["rounds"], "rounds") as progress:
            for number in range(values["rounds"]):
                for contestant in CONTESTANTS:
                    output = folder / f"{contestant.name}-{number}"
                    turns[contestant.name].append(take_turn(contestant, folder, output))
                progress.update()
        differences = compare_outputs({each.name: folder / f"{each.name}-0" for each in CONTESTANTS})
    for name, difference in differences.items():
        print(f"outputs of {name}: {difference.describe()}")
    show(turns)
    if values["json"]:
        numbers = {name: [turn._asdict() for turn in each] for name, each in turns.items()}
        differing = {name: difference._asdict() for name, difference in differences.items()}
        write_json(values["json"], {"turns": numbers, "differences": differing})
    if any(differences[each.name].files for each in CONTESTANTS if each.variables == ONE_THREAD):
        raise UserError("contestants with as many threads have written different outputs")


def prepare(folder: Path, images: int, size: int) -> None:
    """Writes `folder`/photos, and trains `folder`/run for one step."""
    (folder / "photos").mkdir()
    draw = np.random.default_rng(0)
    for number in range(images):
        pixels = draw.integers(0, 256, (size // 8, size // 8, 3), np.uint8)
        Image.fromarray(pixels).resize((size, size)).save(folder / "photos" / f"{number:05d}.png")
    settings = {"dataset": "synthetic", "steps": 1, "image_size": size, "precision": "float32"}
    given = [f"--{name}={value}" for name, value in settings.items()]
    _run(["tfpix2pix.train", *given, "--noexport", f"--workdir={folder / 'run'}"], {})


def take_turn(contestant: Contestant, folder: Path, output: Path) -> Turn:
    """Runs the command of a contestant."""
    given = [f"--model={folder / 'run'}", f"--input={folder / 'photos'}", f"--output={output}"]
    begin = time.time()
    _run([f"tfpix2pix.{contestant.module}", *contestant.flags, *given], contestant.variables)
    end = time.time()
    times = sorted(file.stat().st_mtime for file in output.glob("*.png"))
    return Turn(times[0] - begin, (len(times) - 1) / (times[-1] - times[0]), end - times[-1])


class Difference(NamedTuple):
    """How outputs differ from those of the first contestant.

    Attributes:
      files: number of files that are not the same, byte for byte.
      share: the share of their values that differ, of the values of all files.
      levels: by how many of 255 levels they differ at most.
    """

    files: int
    share: float
    levels: int

    def describe(self) -> str:
        """Returns it as words."""
        if not self.files:
            return "those of the first, byte for byte"
        return (
            f"{self.files} files differ, in {self.share:.2%} of the values, by {self.levels} levels at most"
        )


def compare_outputs(folders: Mapping[str, Path]) -> dict[str, Difference]:
    """Compares the outputs in a folder of each contestant with those of the first one, by name."""
    expected = sorted(next(iter(folders.values())).glob("*.png"))
    told = {}
    for name, folder in folders.items():
        gaps = []
        for file in expected:
            images = [np.asarray(Image.open(each), np.int16) for each in (file, folder / file.name)]
            gaps.append(np.abs(images[0] - images[1]))
        same = [(folder / file.name).read_bytes() == file.read_bytes() for file in expected]
        share = float(np.mean([np.mean(gap > 0) for gap in gaps]))
        told[name] = Difference(same.count(False), share, int(max(gap.max() for gap in gaps)))
    return told


def show(turns: dict[str, list[Turn]]) -> None:
    """Prints a table, with ratios to the first contestant of the same round."""
    base = np.array([turn.images_per_sec for turn in turns[CONTESTANTS[0].name]])
    rows = []
    for name, each in turns.items():
        ratio = summarise(np.array([turn.images_per_sec for turn in each]) / base)
        speed = np.median([turn.images_per_sec for turn in each])
        times = [np.median([turn.start_sec for turn in each]), np.median([turn.end_sec for turn in each])]
        spread = f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})"
        rows.append([name, f"{speed:.2f}", spread, *(f"{seconds:.1f}" for seconds in times)])
    show_table(["contestant", "images/s", "ratio", "s before the first image", "s after the last"], rows)


def _run(command: Sequence[str], variables: dict[str, str]) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **variables}
    done = subprocess.run(
        [sys.executable, "-m", *command], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"{command[0]} ended with status {done.returncode}: {done.stderr[-2000:]}")


if __name__ == "__main__":
    command_line.run(main)
