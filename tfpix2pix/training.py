"""What the trainings of pix2pix and of FCN-8s share: step after step, what is kept between, how it stops."""

import ctypes
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf

from pipelines.command_line import UserError
from pipelines.sources import Source
from tfpix2pix import checkpoints
from tfpix2pix.interruption import TrainingStopped, noted_signals
from tfpix2pix.summaries import LossMeter, Progress

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


class Run(Protocol):
    """One start of a training."""

    workdir: Path
    val_source: Source
    step: int
    total_steps: int
    meter: LossMeter

    def advance(self, batches: Iterator, progress: Progress) -> None:
        """Takes one step or several, and counts them."""


class Records(Protocol):
    """What is written down during a training."""

    def keep(self, step: int, last: bool, stopping: bool, meter: LossMeter, progress: Progress) -> Any:
        """Writes what is due at `step`."""


def take_steps(run: Run, batches: Iterator, records: Records | None, progress: Progress) -> None:
    """Takes the steps that are left.

    Args:
      run: the training.
      batches: endless, from the run's step on.
      records: None where another process keeps them.
      progress: for people.

    Raises:
      UserError: when a step fails, or what is due cannot be written.
      TrainingStopped: on Ctrl-C or SIGTERM, after saving.
    """
    keep_freed_memory()
    with noted_signals() as signals:
        while run.step < run.total_steps:
            run.advance(batches, progress)
            # A signal that comes while records are kept waits for the next step's.
            stopping = signals[:1]
            if records:
                _keep(run, records, bool(stopping), progress)
            if stopping and run.step < run.total_steps:
                raise TrainingStopped(
                    f"stopped by {stopping[0]} at step {run.step} of {run.total_steps}; "
                    f"saved in {run.workdir}. Run the same command to go on"
                )


def keep_freed_memory() -> None:
    """Has the C library keep what a step frees for the next step; without glibc, nothing changes.

    Large tensors otherwise go back to the system, and come again page by page: 30,000
    page faults a step where a distributed iterator feeds it (docs/results.md, Speed).
    The peak stays what it is. It holds for the whole process, as long as it lives.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def _keep(run: Run, records: Records, stopping: bool, progress: Progress) -> None:
    try:
        records.keep(run.step, run.step == run.total_steps, stopping, run.meter, progress)
    except (OSError, tf.errors.OpError) as error:
        bad_files = run.val_source.describe_failure(range(len(run.val_source)))
        reason = bad_files or f"could not write to {run.workdir} ({checkpoints.shorten(error)})"
        remedy = "Mend them" if bad_files else "Make room"
        raise UserError(
            f"{reason}; the last checkpoint remains. {remedy} and run the same command to go on"
        ) from error
