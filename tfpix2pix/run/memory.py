"""Keeps the memory that a training step frees for the next step."""

import ctypes
from contextlib import suppress

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Makes the C library keep what a step frees for the next step; without glibc, nothing changes.

    Otherwise large tensors go back to the system and are fetched again page by page, which costs 30,000 page
    faults a step where a distributed iterator feeds it (docs/results.md, Speed). The peak of the memory does
    not change. The effect lasts until the process ends.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
