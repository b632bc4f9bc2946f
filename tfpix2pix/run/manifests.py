"""What a run keeps of the files of its data, so that its next start reads the headers of changed files."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tfpix2pix.pipelines.files.measuring import write_table
from tfpix2pix.pipelines.files.sources import Source

FOLDER = "manifests"


def manifest_of(workdir: Path, split: str) -> Path:
    """Returns where a run keeps what it knows of the files of a split."""
    return workdir / FOLDER / f"{split}.npz"


def keep_manifests(workdir: Path, sources: Mapping[str, Source]) -> None:
    """Writes what is known of the files of each split; data that does not come from files has nothing.

    A run goes on without them, only slower to start, so a disk that takes none is no error.
    """
    for split, source in sources.items():
        if source.table is not None and source.table.key:
            with suppress(OSError):
                write_table(manifest_of(workdir, split), source.table)
