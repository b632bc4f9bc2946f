"""Keeps the memory that a training step frees for the next step."""

import ctypes
from contextlib import suppress

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


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
