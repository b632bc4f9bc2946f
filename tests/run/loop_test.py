"""What the trainings share."""

import platform
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource
import numpy as np
from tfpix2pix.run.memory import keep_freed_memory

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        np.empty(2**26, np.uint8).fill(1)  # 16,384 pages, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = count_faults()
keep_freed_memory()
np.empty(2**26, np.uint8).fill(1)
print(before, count_faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's malloc")
def test_freed_memory_is_kept():
    reply = subprocess.run([sys.executable, "-c", COUNT_FAULTS], check=True, capture_output=True, text=True)
    before, after = map(int, reply.stdout.split())
    # Huge pages, where the system gives them, are 512 pages each.
    assert before >= 4 * 2**26 // 2**21
    assert after < 16
