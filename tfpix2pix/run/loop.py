"""What the trainings of pix2pix and of FCN-8s share: step after step, what is kept between, how it stops."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UserError, shorten
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.run import checkpoints
from tfpix2pix.run.interruption import TrainingStopped, noted_signals
from tfpix2pix.run.summaries import LossMeter, Progress

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


class BadFileError(UserError):
    """A training file cannot be read.

    Args:
      reason: names the file.
      intact: whether nothing at all of the step that wanted it was done.
    """

    def __init__(self, reason: str, intact: bool):
        super().__init__(reason)
        self.intact = intact


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

    def save(self, meter: LossMeter) -> None:
        """Writes a checkpoint."""

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
            try:
                run.advance(batches, progress)
            except BadFileError as error:
                _save_before(error, run, records)
                raise UserError(
                    f"{error}; {checkpoints.tell_latest(run.workdir)}. "
                    "Put a good image of that name there and run the same command again, or start anew in "
                    "another --workdir with --on_bad_image=skip"
                ) from error
            # A signal that comes while records are kept waits for the next step's.
            stopping = signals[:1]
            if records:
                last = run.step == run.total_steps
                with _told_failures(run):
                    records.keep(run.step, last, bool(stopping), run.meter, progress)
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


def _save_before(error: BadFileError, run: Run, records: Records | None) -> None:
    """Saves the step before the one that failed, where a run that goes on from it loses no bit."""
    if error.intact and records and run.step and run.step not in checkpoints.list_steps(run.workdir):
        with _told_failures(run):
            records.save(run.meter)


@contextmanager
def _told_failures(run: Run) -> Iterator[None]:
    """Says what to do about failures of records."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        bad_files = run.val_source.describe_failure(range(len(run.val_source)))
        reason = bad_files or f"could not write to {run.workdir} ({shorten(error)})"
        remedy = "Mend them" if bad_files else "Make room"
        raise UserError(
            f"{reason}; {checkpoints.tell_latest(run.workdir)}. {remedy} and run the same command to go on"
        ) from error
