"""Which steps of a run have a checkpoint, and where. TensorFlow is not imported."""

from pathlib import Path


def checkpoint_folder(workdir: Path, step: int) -> Path:
    """Returns where the checkpoint of a step is."""
    return workdir / "checkpoints" / f"step-{step:08d}"


def list_steps(workdir: Path) -> list[int]:
    """Returns the steps that have a checkpoint, in ascending order."""
    names = (path.name[5:] for path in (workdir / "checkpoints").glob("step-*"))
    return sorted(int(name) for name in names if name.isdecimal())
