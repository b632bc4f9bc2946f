"""What the bits of a training on a CPU depend on beside its settings: threads, the processor, the libraries.

TensorFlow divides sums among its threads and chooses kernels by what the processor can do, and another order
of additions rounds in another way. Each checkpoint holds what it was computed with, and a start goes on so.
"""

import os
import platform
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpix2pix.pipelines.base import processor
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.progress import say, warn
from tfpix2pix.run import checkpoints

KEY = "computed_with"  # of the metadata of checkpoints
# What TensorFlow divides one operation among, and what it runs several operations with at the same time.
_KINDS = ("intra_op", "inter_op")
# The features by which TensorFlow and its libraries choose kernels: the sizes of vectors, fused products.
_FEATURES = re.compile(r"(avx|fma|amx|sse4|f16c|asimd|sve|bf16|i8mm)\w*")
_SETTINGS = ("ONEDNN_MAX_CPU_ISA",)


def settle_threads(workdir: Path, threads: int) -> None:
    """Lets TensorFlow compute with as many threads as the run in `workdir` was computed with so far.

    The argument wins over the variables TF_NUM_INTRAOP_THREADS and TF_NUM_INTEROP_THREADS, and these over
    what the latest checkpoint tells. If the start differs from that checkpoint, a warning says how.

    Args:
      workdir: folder of the run, which need not have begun.
      threads: the number of both kinds of threads that is asked for; 0 asks for none.
    """
    before = _read_latest(workdir)
    recorded = {kind: count for kind in _KINDS if (count := before.get(f"{kind}_threads"))}
    for kind in _KINDS:
        if count := threads or (0 if _named(kind) else recorded.get(kind, 0)):
            with suppress(RuntimeError):  # TensorFlow has begun to compute, and keeps the threads that it has
                _setter(kind)(count)
    here = describe_computing()
    if differences := _describe_differences(before, here):
        warn(
            f"{workdir} was computed with {' and '.join(differences)} now, so the last bits of its weights "
            "will not be those of a run without interruption"
        )
    elif recorded and max(recorded.values()) > _count_cores():
        say(
            f"{workdir} goes on with {count_of(max(recorded.values()), 'thread')}, as it began, on "
            f"{count_of(_count_cores(), 'core')}; `threads={_count_cores()}` may be faster and changes the "
            "last bits of its weights"
        )


def describe_computing() -> dict[str, Any]:
    """Returns what the bits of a training depend on in this process, in types of JSON."""
    return {
        **{f"{kind}_threads": _count_threads(kind) for kind in _KINDS},
        "processor": _list_features(),
        "onednn": processor.onednn_is_used(),
        "tensorflow": tf.__version__,
        **{name: os.environ[name] for name in _SETTINGS if name in os.environ},
    }


def _read_latest(workdir: Path) -> Mapping[str, Any]:
    """Returns what the latest sound checkpoint was computed with; nothing for those of older versions."""
    for step in reversed(checkpoints.list_steps(workdir)):
        with suppress(OSError, ValueError):  # Whoever restores it says so.
            told = checkpoints.read_metadata(workdir, step).get(KEY, {})
            return _complete(told) if told and isinstance(told, dict) else {}
    return {}


def _complete(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what a checkpoint tells, with whether oneDNN was used, which older ones tell by a variable."""
    others = {name: value for name, value in told.items() if name != processor.VARIABLE}
    had = processor.has_onednn(told.get("processor") or (), told.get(processor.VARIABLE))
    return {"onednn": had, **others}


def _describe_differences(before: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    if not before:
        return []
    return [
        f"{_show(name, before.get(name))} and is with {_show(name, here.get(name))}"
        for name in (*before, *(name for name in here if name not in before))
        if before.get(name) != here.get(name)
    ]


def _show(name: str, value: Any) -> str:
    if name.endswith("_threads"):
        return f"{value} {name.replace('_threads', '').replace('_', '-')} threads"
    if name == "processor":
        return f"a processor of {platform.machine()} with {' '.join(value or ()) or 'no known features'}"
    if name == "onednn":
        return f"{processor.VARIABLE}={int(value)}"
    return f"TensorFlow {value}" if name == "tensorflow" else f"{name}={value}"


def _named(kind: str) -> str:
    """Returns the value of TensorFlow's variable for the number of threads; empty where it is not set."""
    return os.environ.get(f"TF_NUM_{kind.replace('_', '').upper()}_THREADS", "")


def _setter(kind: str) -> Callable[[int], None]:
    return getattr(tf.config.threading, f"set_{kind}_parallelism_threads")


def _count_threads(kind: str) -> int:
    """Returns the number of threads that TensorFlow has, or will have when it begins to compute."""
    asked = getattr(tf.config.threading, f"get_{kind}_parallelism_threads")()
    named = _named(kind)
    return asked or (int(named) if named.isdecimal() else 0) or _count_cores()


def _count_cores() -> int:
    """Returns the number of cores that this process may use, which TensorFlow makes as many threads for."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _list_features() -> list[str]:
    """Returns the features by which kernels are chosen, or the processor's name where no file lists them."""
    features = [name for name in processor.read_features() if _FEATURES.fullmatch(name)]
    return features or [platform.processor() or platform.machine()]
