"""How checkpoints are called below the folder of a run, on this machine and in a store.

TensorFlow is not imported. What a checkpoint holds, `checkpoints` knows.
"""

from pathlib import Path

# `folder_copy.MARKERS` has it, too, so that a checkpoint is uploaded when it is whole.
METADATA = "checkpoint.json"
CHECKPOINTS = "checkpoints"
_PREFIX = "step-"


def name_checkpoint(step: int) -> str:
    """Returns where the checkpoint of a step is below the run, such as `checkpoints/step-00001000`."""
    return f"{CHECKPOINTS}/{_PREFIX}{step:08d}"


def read_step(name: str) -> int | None:
    """Returns the step of a folder below `CHECKPOINTS`, such as `step-00001000`; None for others."""
    number = name.removeprefix(_PREFIX)
    return int(number) if number != name and number.isdecimal() else None


def checkpoint_folder(workdir: Path, step: int) -> Path:
    """Returns where the checkpoint of a step is."""
    return workdir / name_checkpoint(step)


def list_steps(workdir: Path) -> list[int]:
    """Returns the steps that have a checkpoint, in ascending order."""
    steps = (read_step(path.name) for path in (workdir / CHECKPOINTS).glob(f"{_PREFIX}*"))
    return sorted(step for step in steps if step is not None)
