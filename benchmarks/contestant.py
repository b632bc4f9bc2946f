"""A contestant's side of a comparison: calls when it is its turn, and the seconds they took.

The standard library alone, so that the interpreter of a peer needs nothing of ours.
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

_PR_SET_PDEATHSIG = 1  # of Linux's prctl(2)


def answer(function: Callable[[], object], warm_ups: int = 3, **facts: Any) -> None:
    """Does a contestant's turns until its standard input ends.

    Args:
      function: one call of what is measured, done when it returns.
      warm_ups: calls before the first turn.
      **facts: what to say of itself.
    """
    # Else a killed benchmark would leave stopped contestants behind, which notice nothing.
    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with os.fdopen(int(os.environ["BENCHMARK_REPLIES"]), "w") as replies:
        for _ in range(warm_ups):
            function()
        print("null", file=replies, flush=True)
        for line in sys.stdin:
            print(json.dumps([_seconds(function) for _ in range(int(line))]), file=replies, flush=True)
        peak_rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**facts, "peak_rss_mib": peak_rss_mib}), file=replies)


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
