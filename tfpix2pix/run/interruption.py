"""Signals that ask a training to stop, noted and answered at the next safe moment, by all workers at once.

TensorFlow's own `PreemptionCheckpointHandler` agrees on a step, too, but it writes checkpoints of its own,
without what a run goes on exactly with (the losses since the last record, the best validation), and it
answers SIGTERM alone.
"""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tfpix2pix.pipelines.base.errors import Stopped

if TYPE_CHECKING:  # workers import TensorFlow, and commands that only start others need none
    from tfpix2pix.run.workers import Workers

# A second one of these acts as usual, and so ends a process that does not stop.
_INSISTING = ("SIGTERM", "SIGINT")
# A terminal that is closed, and what schedulers such as SLURM send ahead of the end. Windows has neither.
_WARNING = ("SIGHUP", "SIGUSR1")
# How often workers ask each other whether one has received a signal.
_SECONDS_BETWEEN_QUESTIONS = 1


class TrainingStopped(Stopped):
    """A signal ended the run early; everything is saved."""


@contextmanager
def noted_signals() -> Iterator[list[str]]:
    """Collects the names of signals that ask for a stop in a list.

    After a SIGTERM or Ctrl-C, a second one of them acts as usual. A SIGHUP that is ignored, as `nohup` does
    it, stays so. Outside the main thread nothing is collected, because only the main thread gets signals.
    """
    noted: list[str] = []
    before: dict[str, Any] = {}

    def note(number, _frame):
        name = signal.Signals(number).name
        noted.append(name)
        if name in _INSISTING:
            restore(_INSISTING)

    def restore(names):
        for name in names:
            if name in before:
                signal.signal(signal.Signals[name], before.pop(name))

    try:
        for name in (*_INSISTING, *_WARNING):
            number = getattr(signal, name, None)
            if number is None or (name in _WARNING and signal.getsignal(number) is signal.SIG_IGN):
                continue
            before[name] = signal.signal(number, note)
    except ValueError:
        pass
    try:
        yield noted
    finally:
        restore(list(before))


class StopQuestion:
    """Asks whether the training is to stop, so that all workers get the same answer at the same step.

    Workers ask each other about once a second, because that takes some milliseconds. All of them compute the
    step of the next question from what all have told, and so ask at the same one.

    Args:
      workers: all workers.
      signals: names of signals that this one has received; it grows meanwhile.
      step: number of steps taken.
    """

    def __init__(self, workers: "Workers", signals: Sequence[str], step: int):
        self._workers, self._signals = workers, signals
        self._asked_at, self._time, self._next = step, time.monotonic(), step + 1

    def ask(self, step: int) -> tuple[str, str] | None:
        """Returns the signal at which to stop after `step`, and a clause that says who received it."""
        if not self._workers.are_several:
            return (self._signals[0], "") if self._signals else None
        if step < self._next:
            return None
        now = time.monotonic()
        steps_per_sec = (step - self._asked_at) / max(now - self._time, 1e-6)
        told = self._workers.exchange([self._signals[0] if self._signals else "", steps_per_sec])
        # After the exchange, so that waiting for others does not count.
        self._asked_at, self._time = step, time.monotonic()
        slowest = min(speed for _, speed in told)
        self._next = step + max(1, int(slowest * _SECONDS_BETWEEN_QUESTIONS))
        for index, (name, _) in enumerate(told):
            if name:
                return name, f", which {self._workers.name(index)} received,"
        return None
