"""Ctrl-C and SIGTERM, noted and answered at the next safe moment."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tfpix2pix.pipelines.base.errors import Stopped


class TrainingStopped(Stopped):
    """Ctrl-C or SIGTERM ended the run early; everything is saved."""


@contextmanager
def noted_signals() -> Iterator[list[str]]:
    """Collects the name of the first SIGTERM or Ctrl-C in a list; a second one acts as usual.

    Outside the main thread nothing is collected, because only the main thread gets signals.
    """
    noted: list[str] = []
    before: dict[int, Any] = {}

    def note(number, _frame):
        noted.append(signal.Signals(number).name)
        restore()

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, note)
    except ValueError:
        pass
    try:
        yield noted
    finally:
        restore()
