"""How checkpoints are called below the folder of a run, on this machine and in a store.

TensorFlow is not imported. What a checkpoint holds, `checkpoints` knows.
"""

from pathlib import Path

# `folder_copy.MARKERS` has it, too, so that a checkpoint is uploaded when it is whole.
METADATA = "checkpoint.json"
CHECKPOINTS = "checkpoints"
# Ends the name of a checkpoint, and a dot begins it, while another one of its step is put in its place.
REPLACED = ".replaced"
_PREFIX = "step-"


def name_checkpoint(step: int) -> str:
    """Returns where the checkpoint of a step is below the run, such as `checkpoints/step-00001000`."""
    return f"{CHECKPOINTS}/{_PREFIX}{step:08d}"


def read_step(name: str) -> int | None:
    """Returns the step of a folder below `CHECKPOINTS`, such as `step-00001000`; None for others."""
    number = name.removeprefix(_PREFIX)
    return int(number) if number != name and number.isdecimal() else None


def checkpoint_folder(workdir: Path, step: int) -> Path:
    """Returns where the checkpoint of a step is: where it was put aside, if its successor has not come."""
    folder = workdir / name_checkpoint(step)
    replaced = replaced_folder(folder)
    return replaced if replaced.exists() and not folder.exists() else folder


def replaced_folder(folder: Path) -> Path:
    """Returns where a checkpoint is put aside while another one of its step is put in its place."""
    return folder.with_name(f".{folder.name}{REPLACED}")


def list_steps(workdir: Path) -> list[int]:
    """Returns the steps that have a checkpoint, in ascending order."""
    folder = workdir / CHECKPOINTS
    names = [path.name for path in folder.glob(f"{_PREFIX}*")]
    names += [path.name[1:].removesuffix(REPLACED) for path in folder.glob(f".{_PREFIX}*{REPLACED}")]
    return sorted({step for step in map(read_step, names) if step is not None})
