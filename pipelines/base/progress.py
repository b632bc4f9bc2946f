"""What a person reads on standard error: notices, warnings, and how far a long task has come.

Notices and warnings write arguments in backticks, as errors do; see `naming`.
"""

import re
import sys

from tqdm import tqdm

from tfpix2pix.pipelines.base.naming import name_flags

SECONDS_BETWEEN_LINES = 10


class _LineWriter:
    """Prints each state of a progress bar on a line of its own, so that a log stays readable."""

    def write(self, text: str) -> None:
        # The rate is not known before something is done.
        if line := re.sub(r", *\? ?\w+/s$", "", text.strip()):
            print(line, file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


def show_progress(description: str, total: int | None, unit: str, done: int = 0) -> tqdm:
    """Returns a progress bar on standard error, to be used in a `with` block.

    Args:
      description: what is being done, to what.
      total: where the count ends; None if that is not known.
      unit: what is counted; bytes, `B`, are shown in kB, MB and GB.
      done: where the count starts.
    """
    is_bytes = unit == "B"
    common = {"desc": description, "total": total, "unit_scale": is_bytes, "initial": done}
    common["unit"] = unit if is_bytes else f" {unit}"
    if sys.stderr.isatty():
        return tqdm(**common)
    return tqdm(
        **common,
        file=_LineWriter(),
        mininterval=SECONDS_BETWEEN_LINES,
        bar_format="{desc}: {n_fmt}/{total_fmt}{unit}, {rate_noinv_fmt}",
    )


def say(text: str) -> None:
    """Prints a notice on standard error; standard output is for results."""
    print(name_flags(text), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Prints a warning on standard error, above the progress bar if one is shown."""
    tqdm.write(f"warning: {name_flags(text)}", file=sys.stderr)
