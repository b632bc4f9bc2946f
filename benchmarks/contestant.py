"""The contestant's side of a comparison: it makes calls when it is its turn, and tells the seconds they took.

Only the standard library is imported, so that another interpreter can run this without our packages.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_PR_SET_PDEATHSIG = 1  # A constant of prctl(2) on Linux.


def answer(function: Callable[[], object], warm_ups: int = 3, **facts: Any) -> None:
    """Takes a contestant's turns until its standard input ends.

    Args:
      function: makes one call of what is measured, and returns when the call is done.
      warm_ups: number of calls before the first turn.
      **facts: what the contestant reports about itself, in types of JSON.
    """
    # Without this, a benchmark that is killed would leave stopped contestants behind for ever.
    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with os.fdopen(int(os.environ["BENCHMARK_REPLIES"]), "w") as replies:
        for _ in range(warm_ups):
            function()
        print("null", file=replies, flush=True)
        for line in sys.stdin:
            print(json.dumps([_seconds(function) for _ in range(int(line))]), file=replies, flush=True)
        print(json.dumps({**facts, **_memory()}), file=replies)


def _memory() -> dict[str, float]:
    """Returns the peak of what was resident, MiB, and, on Linux, that without the pages of files.

    Those are of the libraries, mostly. Processes share them, and the system can drop them at any time.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    memory = {"peak_rss_mib": peak}
    with suppress(OSError), open("/proc/self/status") as status:
        for name, _, value in (line.partition(":") for line in status):
            if name == "RssFile":
                memory["peak_own_mib"] = peak - int(value.split()[0]) / 1024
    return memory


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
