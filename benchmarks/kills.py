"""Kills and stops two workers that train one run together, at random, and says whether anything is lost.

    python -m benchmarks.kills [--events=20] [--signals=SIGKILL] [--seed=0] [--folder=FOLDER]

Each start trains on this machine until one worker gets a SIGKILL or a signal that asks for a stop, at a
random moment after the first step of that start. Then both must end: after SIGKILL the other one with status
1 and a sentence that names the lost worker, after another signal both with 130 or 143 and the same step. The
last start trains to the end. Its weights are compared, bit for bit, with those of two workers that nobody
interrupted.
"""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags

from benchmarks.measurement import show_table
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UserError

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP")
STATUS = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143, "SIGHUP": 143}
TIMEOUT_SEC = 600
SETTINGS = {
    "dataset": "synthetic",
    "strategy": "multiworker",
    "image_size": 32,
    "depth": 3,
    "base_filters": 2,
    "receptive_field": 16,
    "batch_size": 2,
    "normalization": "instance",
    "precision": "float32",
    "checkpoint_every_steps": 50,
    "validate_every_steps": 1000000,
    "validate_examples": 2,
    "sample_every_steps": 1000000,
    "summary_every_steps": 10,
}


class Event(NamedTuple):
    """What happened to a start, and how it ended.

    Attributes:
      name: the signal.
      worker: the worker that got it.
      step: the step that the next start goes on from.
      seconds: until both workers had ended.
      fault: what was wrong; empty if nothing was.
    """

    name: str
    worker: int
    step: int
    seconds: float
    fault: str


def main(argv: Sequence[str]) -> int:
    """Runs the starts, and prints a table and a verdict."""
    flag_values = command_line.new_flags()
    for name, default, text in (
        ("events", 20, "Interrupt the training this many times."),
        ("steps_between", 200, "Let each start take about this many steps."),
        ("seed", 0, "Draw signals, workers and moments from this seed."),
    ):
        flags.DEFINE_integer(name, default, text, 0, flag_values=flag_values)
    text = "Draw from these signals."
    flags.DEFINE_multi_enum("signals", SIGNALS, SIGNALS, text, flag_values=flag_values)
    flags.DEFINE_string("folder", None, "Keep both runs in this new folder.", flag_values=flag_values)
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    folder = Path(values["folder"] or tempfile.mkdtemp())
    draw = random.Random(values["seed"])
    steps = (values["events"] + 2) * values["steps_between"]
    events = []
    for _ in range(values["events"]):
        name, worker = draw.choice(values["signals"]), draw.randrange(2)
        moment = draw.randrange(10, values["steps_between"]), draw.uniform(0, 0.5)
        events.append(interrupt(folder / "interrupted", steps, name, worker, moment))
        print(events[-1], flush=True)
    for name in ("interrupted", "uninterrupted"):
        finish(folder / name, steps)
    show_table(
        ["signal", "worker", "goes on from step", "s until both ended", "lost"],
        [[e.name, str(e.worker), str(e.step), f"{e.seconds:.1f}", e.fault or "nothing"] for e in events],
    )
    different = compare(folder / "interrupted", folder / "uninterrupted", steps)
    faults = sum(bool(event.fault) for event in events)
    print(f"{len(events)} interruptions, {faults} with a fault; {different} variables differ at step {steps}")
    return int(bool(different or faults))


def start(workdir: Path, steps: int) -> list[subprocess.Popen]:
    """Starts both workers, whose output goes to files beside the run."""
    workdir.parent.mkdir(parents=True, exist_ok=True)
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    given = {**SETTINGS, "steps": steps, "workdir": workdir}
    command = [sys.executable, "-m", "tfpix2pix.train", "--noexport"]
    command += [f"--{name}={value}" for name, value in given.items()]
    processes = []
    for index in range(2):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CONFIG": json.dumps(task)}
        with _log(workdir, index).open("w") as log:
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    return processes


def interrupt(workdir: Path, steps: int, name: str, worker: int, moment: tuple[int, float]) -> Event:
    """Starts both workers, interrupts one some steps and seconds later, and waits for both."""
    before = _last_step(workdir)
    processes = start(workdir, steps)
    try:
        _wait_for_step(workdir, before + moment[0], processes)
        time.sleep(moment[1])
        processes[worker].send_signal(signal.Signals[name])
        begin = time.monotonic()
        statuses = [process.wait(TIMEOUT_SEC) for process in processes]
        seconds = time.monotonic() - begin
    finally:
        for process in processes:
            process.kill()
    step = _last_checkpoint(workdir)
    return Event(name, worker, step, seconds, _find_fault(workdir, name, worker, statuses, step))


def _find_fault(workdir: Path, name: str, worker: int, statuses: Sequence[int], step: int) -> str:
    """Returns what is wrong with how two workers ended; an empty text if nothing is."""
    words = [_log(workdir, index).read_text().strip().splitlines()[-1] for index in range(2)]
    if name == "SIGKILL":
        other = 1 - worker
        told = re.search(rf"connection to worker {worker} .* is lost; (.*)\. Run", words[other])
        left = f"the checkpoint of step {step} is intact" if step else "there is no checkpoint yet"
        if statuses[other] != 1 or not told or told[1] != left:
            return f"worker {other} ended with {statuses[other]}: {words[other]}"
        return ""
    expected = rf"stopped by {name}, which worker {worker} .* received, at step {step} of"
    for index, text in enumerate(words):
        if statuses[index] != STATUS[name] or not re.match(expected, text):
            return f"worker {index} ended with {statuses[index]}, the last checkpoint is {step}: {text}"
    return ""


def finish(workdir: Path, steps: int) -> None:
    """Trains to the end."""
    statuses = [process.wait(TIMEOUT_SEC * 2) for process in start(workdir, steps)]
    if any(statuses):
        raise UserError(f"{workdir} ended with {statuses}: {_log(workdir, 0).read_text()}")


def compare(workdir: Path, other: Path, steps: int) -> int:
    """Returns how many variables of the last checkpoints differ."""
    import tensorflow as tf

    readers = [
        tf.train.load_checkpoint(str(run / "checkpoints" / f"step-{steps:08d}" / "state"))
        for run in (workdir, other)
    ]
    names = [name for name in readers[0].get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    return sum(bool((readers[0].get_tensor(name) != readers[1].get_tensor(name)).any()) for name in names)


def free_ports(count: int) -> list[int]:
    """Returns ports of this machine that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _log(workdir: Path, index: int) -> Path:
    return workdir.with_name(f"{workdir.name}-{index}.txt")


def _last_step(workdir: Path) -> int:
    """Returns the last step that metrics.jsonl tells of."""
    file = workdir / "metrics.jsonl"
    steps = re.findall(r'"step": (\d+)', file.read_text()) if file.exists() else []
    return int(steps[-1]) if steps else 0


def _last_checkpoint(workdir: Path) -> int:
    names = [path.name for path in (workdir / "checkpoints").glob("step-*")]
    return max((int(name.removeprefix("step-")) for name in names), default=0)


def _wait_for_step(workdir: Path, step: int, processes: Sequence[subprocess.Popen]) -> None:
    deadline = time.monotonic() + TIMEOUT_SEC
    while _last_step(workdir) < step:
        if any(process.poll() is not None for process in processes):
            raise UserError(f"a worker has ended too soon: {_log(workdir, 0).read_text()}")
        if time.monotonic() > deadline:
            raise UserError(f"{workdir} did not reach step {step} within {TIMEOUT_SEC} s")
        time.sleep(0.05)


if __name__ == "__main__":
    command_line.run(main)
