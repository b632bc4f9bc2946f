"""What a person reads on standard error: notices, warnings, and how far a long task has come.

Notices and warnings write arguments in backticks, as errors do; see `naming`.
"""

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

from tqdm.asyncio import tqdm_asyncio
from tqdm.auto import tqdm

from tfpix2pix.pipelines.base.naming import name_flags

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10
PROGRESS_AFTER_SEC = 2
_ITEMS_BETWEEN_LOOKS = 16
# tqdm takes widgets where a notebook can show them, which the output of ipykernel does not tell.
_HAS_WIDGETS = tqdm is not tqdm_asyncio
_told: set[str] = set()  # the warnings of `warn_once`


class _LineWriter:
    """Prints each state of a progress bar on a line of its own, so that a log stays readable."""

    def write(self, text: str) -> None:
        # The rate is not known before something is done.
        if line := re.sub(r", *\? ?\w+/s$", "", text.strip()):
            print(line, file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


def can_show_bars() -> bool:
    """Tells whether there is a terminal or a notebook with widgets; elsewhere, progress is lines of a log."""
    # A terminal that was not told its width, as in a container, has 0 columns, which no bar fits into.
    is_terminal = sys.stderr.isatty() and os.get_terminal_size(sys.stderr.fileno()).columns > 0
    return _HAS_WIDGETS or is_terminal


def follow(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yields the items, and shows a progress bar for as long as that takes, if it takes more than 2 s.

    A log has a line of it every 10 s.
    """
    if can_show_bars():
        return iter(tqdm(items, description, total, leave=False, delay=PROGRESS_AFTER_SEC))
    return _follow_in_lines(items, description, total)


def _follow_in_lines(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        # To ask for the time at every item would take as long as some items do.
        if done % _ITEMS_BETWEEN_LOOKS == 0 and (now := time.monotonic()) - last >= SECONDS_BETWEEN_LINES:
            last = now
            say(f"{description}: {done:,} of {total:,}, {done / (now - start):,.0f}/s")


def show_progress(description: str, total: int | None, unit: str, done: int = 0) -> tqdm:
    """Returns a progress bar, to be used in a `with` block: lines on standard error where there are no bars.

    Args:
      description: what is being done, to what.
      total: where the count ends; None if that is not known.
      unit: what is counted; bytes, `B`, are shown in kB, MB and GB.
      done: where the count starts.
    """
    is_bytes = unit == "B"
    common = {"desc": description, "total": total, "unit_scale": is_bytes, "initial": done}
    common["unit"] = unit if is_bytes else f" {unit}"
    if can_show_bars():
        return tqdm(**common)
    return tqdm(
        **common,
        file=_LineWriter(),
        mininterval=SECONDS_BETWEEN_LINES,
        bar_format="{desc}: {n_fmt}/{total_fmt}{unit}, {rate_noinv_fmt}",
    )


class _Outliving:
    """A stream that writes to another one until that fails, and from then on nowhere."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Returns the number of characters, as a stream does."""
        with self._giving_up():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._giving_up():
            self._stream.flush()

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self._stream = open(os.devnull, "w")  # noqa: SIM115 - it stays open until the process ends


@contextmanager
def outliving_readers() -> Iterator[None]:
    """Lets a long task go on when nobody reads standard error any more, as behind a pipe that has broken."""
    before = sys.stderr
    sys.stderr = _Outliving(before)
    try:
        yield
    finally:
        sys.stderr = before


def say(text: str) -> None:
    """Prints a notice on standard error; standard output is for results."""
    print(name_flags(text), file=sys.stderr, flush=True)


def warn_once(text: str) -> None:
    """Prints a warning as `warn` does, unless this process has printed the same one before."""
    if text not in _told:
        _told.add(text)
        warn(text)


def warn(text: str) -> None:
    """Prints a warning on standard error, above the progress bar if one is shown."""
    tqdm.write(f"warning: {name_flags(text)}", file=sys.stderr)
