"""Fair comparisons on a noisy machine: contestants take turns, each in a process of its own.

A shared machine changes its speed by the minute, so a time alone says little. Here each contestant has one
turn in every round, and two contestants are compared by the ratio of their times in the same round. The
median of the ratios is reported, with the quartiles as its spread.

A contestant is a command that calls `benchmarks.contestant.answer`.
"""

import dataclasses
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.command_line import import_tensorflow
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import say, show_progress

ROOT = Path(__file__).resolve().parents[1]
# A process that has just had its turn may spin on a core for a moment, waiting for more.
SETTLE_SEC = 0.2


@dataclasses.dataclass(frozen=True)
class Contestant:
    """One side of a comparison.

    Attributes:
      name: what tables call it.
      command: the command line to run, which calls `contestant.answer`.
    """

    name: str
    command: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a contestant did.

    Attributes:
      seconds: float64 [rounds], the median time of the calls in each round.
      facts: what the contestant reports about itself, such as `peak_rss_mib`.
    """

    seconds: np.ndarray
    facts: Mapping[str, Any]


def python_contestant(name: str, module: str, *arguments: str, python: str = sys.executable) -> Contestant:
    """Returns the contestant that runs a module of this folder with arguments."""
    return Contestant(name, (python, "-m", f"benchmarks.{module}", *arguments))


def take_turns(contestants: Iterable[Contestant], rounds: int, calls: int = 1) -> dict[str, Result]:
    """Runs every contestant in every round.

    Args:
      contestants: the contestants, each with a different name.
      rounds: number of turns that each contestant gets.
      calls: number of calls of the measured function in one turn.

    Returns:
      Name of the contestant -> what it did.

    Raises:
      UserError: when a contestant ends early; what it printed is shown above the message.
    """
    children: dict[str, _Child] = {}
    with ExitStack() as stack:
        # Contestants put their temporary files here too, because one that is killed cannot remove them.
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for contestant in contestants:
            children[contestant.name] = _Child(contestant, Path(folder))
            stack.callback(children[contestant.name].end)
        for child in children.values():
            child.read()
            child.pause()
        times: dict[str, list[float]] = {name: [] for name in children}
        with show_progress("measuring", rounds, "rounds") as progress:
            for _ in range(rounds):
                for name, child in children.items():
                    time.sleep(SETTLE_SEC)
                    times[name].append(float(np.median(child.take_turn(calls))))
                progress.update()
        return {name: Result(np.array(times[name]), child.finish()) for name, child in children.items()}


class _Child:
    def __init__(self, contestant: Contestant, folder: Path):
        self.name = contestant.name
        # Replies have a pipe of their own, so that what libraries print does not come between them.
        read_end, write_end = os.pipe()
        self.replies = os.fdopen(read_end)
        self.words = tempfile.TemporaryFile(dir=folder)  # This is shown only if the contestant fails.
        try:
            self.process = subprocess.Popen(
                contestant.command,
                stdin=subprocess.PIPE,
                stdout=self.words,
                stderr=self.words,
                text=True,
                cwd=ROOT,
                pass_fds=[write_end],
                env={
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                    **os.environ,
                    "BENCHMARK_REPLIES": str(write_end),
                    "TMPDIR": str(folder),
                },
            )
        finally:
            os.close(write_end)
        self.requests = cast(TextIO, self.process.stdin)

    def pause(self) -> None:
        """Stops all threads of the contestant, because one that fills buffers would slow down the others."""
        self.process.send_signal(signal.SIGSTOP)

    def take_turn(self, calls: int) -> list[float]:
        self.process.send_signal(signal.SIGCONT)
        with suppress(BrokenPipeError):  # If the contestant has ended, `read` says so.
            self.requests.write(f"{calls}\n")
            self.requests.flush()
        times = self.read()
        self.pause()
        return times

    def finish(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGCONT)
        self.requests.close()
        return self.read()

    def read(self) -> Any:
        line = self.replies.readline()
        if not line:
            self.words.seek(0)
            say(self.words.read().decode(errors="replace"))
            raise UserError(f"{self.name} ended early, with status {self.process.wait()}")
        return json.loads(line)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        with suppress(BrokenPipeError):
            self.requests.close()
        self.replies.close()
        self.words.close()


def summarise(values: np.ndarray) -> dict[str, float]:
    """Returns the median and the quartiles of repeated measurements."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return {"median": float(median), "low": float(low), "high": float(high)}


def has_module(python: str, module: str) -> bool:
    """Returns whether an interpreter can import a module."""
    return not subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode


def describe_machine() -> dict[str, Any]:
    """Returns what a reader of the numbers must know about the machine and the versions."""
    import_tensorflow()
    import keras
    import tensorflow as tf

    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "processor": _processor(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


def _processor() -> str:
    """Returns the processor's name and what it multiplies bfloat16 with, as far as Linux tells it."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        facts = {key.strip(): value.strip() for key, value in facts.items()}
        flags = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in facts.get("flags", "").split()]
        return " ".join([facts.get("model name", ""), *flags]).strip()
    return platform.processor()


def write_json(path: str, content: Mapping[str, Any]) -> None:
    """Writes a benchmark's numbers as JSON, with the command that measured them, without absolute paths."""
    given = (word.partition("=") for word in sys.argv[1:])
    words = (
        flag + sign + (Path(value).name if os.path.isabs(value) else value) for flag, sign, value in given
    )
    command = ["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *words]
    everything = {"command": shlex.join(command), **describe_machine(), **content}
    staging.write_file(Path(path), (json.dumps(everything, indent=2) + "\n").encode())


def show_table(header: list[str], rows: list[list[str]]) -> None:
    """Prints a Markdown table."""
    for cells in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(cells) + " |")
