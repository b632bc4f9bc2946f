"""One worker of a training on Ray: it runs the command `train` in a process of its own.

So a signal stops it after it has saved, which the threads of Ray's workers never see, and TensorFlow starts
anew after a failure.
"""

import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import ray

from tfpix2pix.cluster.desk import End, Line

# Runs a module as `python -m` does, and ends when the process that started it is killed (Linux's
# PR_SET_PDEATHSIG is 1), which has no time to end others then.
_RUN = """
import ctypes, os, runpy, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]): sys.exit(1)
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
_SECONDS_BETWEEN_QUESTIONS = 1


class WorkerFailed(Exception):
    """The training of a worker has failed, so that Ray starts all workers again."""


def take_part(task: Mapping[str, Any]) -> None:
    """Trains as one of the workers, and tells the desk how that ended.

    Args:
      task: `arguments` of the command `train`, the `folder` that it runs in, and the `desk`.

    Raises:
      WorkerFailed: when the training fails in a way that another start may mend.
    """
    from ray import train

    rank, desk = train.get_context().get_world_rank(), task["desk"]
    end = _Member(rank, desk).run(task["arguments"], Path(task["folder"]))
    ray.get(desk.tell.remote(rank, end))
    if end.status == 2:  # The flags are wrong: no other start helps, and the other workers need not wait.
        ray.get(desk.ring.remote("SIGTERM"))
    if end.status not in (0, 2) and not ray.get(desk.heard.remote()):
        raise WorkerFailed(f"worker {rank} ended with status {end.status}: {end.reason}")


class _Member:
    def __init__(self, rank: int, desk: Any):
        self._rank, self._desk = rank, desk
        self._new, self._last = collections.deque[Line](), ""

    def run(self, arguments: Sequence[str], folder: Path) -> End:
        """Runs the command `train`, whose lines go to the desk."""
        if not folder.is_dir():
            return End(2, f"error: {folder}, where the command was started, is not on every machine")
        command = [sys.executable, "-c", _RUN, str(os.getpid()), "tfpix2pix.train", *arguments]
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        streams = ((True, process.stdout), (False, process.stderr))
        readers = [threading.Thread(target=self._read, args=each, daemon=True) for each in streams]
        for reader in readers:
            reader.start()
        try:
            self._wait(process)
        finally:
            process.kill()
            process.wait()
        for reader in readers:
            reader.join()
        self._report()
        return End(process.returncode if process.returncode >= 0 else 128 - process.returncode, self._last)

    def _wait(self, process: subprocess.Popen) -> None:
        is_told = False
        while process.poll() is None:
            self._report()
            name = "" if is_told else ray.get(self._desk.heard.remote())
            if name:
                process.send_signal(signal.Signals[name])
                is_told = True
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_BETWEEN_QUESTIONS)

    def _read(self, is_result: bool, stream: TextIO) -> None:
        for text in stream:
            self._new.append(Line(self._rank, is_result, text.rstrip()))
            if text.strip() and not is_result:
                self._last = text.strip()

    def _report(self) -> None:
        lines = [self._new.popleft() for _ in range(len(self._new))]
        if lines:
            ray.get(self._desk.report.remote(lines))
