"""What the processor can do, and whether TensorFlow computes with oneDNN on it."""

import os
import platform
import re
from collections.abc import Collection
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
# TensorFlow reads this variable when it is imported.
VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
# Without the variable, TensorFlow takes oneDNN only on processors with one of these, by the names of Linux.
# Source: tensorflow/core/util/util.cc.
_TAKES_IT = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}


def read_features(file: Path | None = None) -> list[str]:
    """Returns the features of the first core that Linux lists, sorted; on other systems, none.

    Args:
      file: the system's file; None takes /proc/cpuinfo.
    """
    file = file or CPU_INFO
    if not file.is_file():
        return []
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", file.read_text(), re.MULTILINE)
    return sorted(set(match[1].split())) if match else []


def take_onednn() -> None:
    """Lets TensorFlow, which is not imported yet, compute with oneDNN on x86, unless the variable is set.

    By itself it leaves processors with AVX2 to slower kernels: a pass of the paper's generator takes 1.4 to
    1.7 times as long with them, and a step of pix2pixHD twice as long (docs/results.md).
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault(VARIABLE, "1")


def onednn_is_used() -> bool:
    """Returns whether TensorFlow computes with oneDNN in this process."""
    return has_onednn(read_features(), os.environ.get(VARIABLE))


def has_onednn(features: Collection[str], value: str | None = None) -> bool:
    """Returns whether TensorFlow computes with oneDNN.

    Args:
      features: those of the processor.
      value: of the variable TF_ENABLE_ONEDNN_OPTS when TensorFlow was imported; None or "" where it was not
        set.
    """
    return value.lower() not in ("0", "false") if value else bool(_TAKES_IT.intersection(features))
