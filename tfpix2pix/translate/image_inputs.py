"""From --input to the files it names, and from these to the names of what is written."""

import collections
import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.listing import join_some
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.catalogue import IMAGE_SUFFIXES


def find_inputs(pattern: str, output: Path) -> tuple[Path, list[Path]]:
    """Finds what --input names; warns of files of other kinds, which are left out.

    Args:
      pattern: a file, a folder or a glob.
      output: a folder whose contents are no inputs.

    Returns:
      The folder that names are relative to, and the image files, sorted.

    Raises:
      UsageError: when there are none, or `output` is their folder.
    """
    path = Path(pattern)
    if path.is_file():
        root, files = path.parent, [path]
    elif path.is_dir():
        root, files = path, list(path.rglob("*"))
    else:
        plain = [part for part in path.parts if not glob.has_magic(part)]
        root = Path(*plain[: next((i for i, part in enumerate(path.parts) if glob.has_magic(part)), 0)])
        files = list(map(Path, glob.glob(pattern, recursive=True)))
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output takes a folder, and {output} is a file")
    if output.resolve() == root.resolve():
        raise UsageError(f"--output={output} is the folder of the inputs; choose another one")
    if root.resolve() in output.resolve().parents and not path.is_file():
        files = [file for file in files if output.resolve() not in file.resolve().parents]
    if not path.is_file():
        files = _sift(pattern, [file for file in files if file.is_file() and not _is_hidden(file, root)])
    if not files:
        raise UsageError(f"no JPEG, PNG or BMP image matches --input={pattern}")
    return root, sorted(files)


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part[0] == "." for part in file.relative_to(root).parts)


def _sift(pattern: str, files: Sequence[Path]) -> list[Path]:
    """Returns the images among files, and says how many others there are."""
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    kinds = (file.suffix.lower() or file.name for file in files)
    others = collections.Counter(kind for kind in kinds if kind not in IMAGE_SUFFIXES)
    if others:
        counts = join_some([f"{count} {kind}" for kind, count in others.most_common()])
        ignored = f"--input={pattern}: {counts} are not JPEG, PNG or BMP"
        if not images:
            raise UsageError(f"{ignored}; convert them to PNG or JPEG")
        warn(f"{ignored} and are left out")
    return images


def name_outputs(files: Sequence[Path]) -> list[str]:
    """Returns a name without suffix for each file: its own, or with its suffix where others share it.

    Names that differ in case alone count as the same, as on some disks they are.
    """
    names = [str(file.with_suffix("")) for file in files]
    while True:
        counts = collections.Counter(name.lower() for name in names)
        longer = [
            str(file) if counts[name.lower()] > 1 else name for file, name in zip(files, names, strict=True)
        ]
        if longer == names:
            return names
        names = longer


def check_outputs(inputs: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Raises UsageError when an output would overwrite an input."""
    taken = {file.resolve() for file in inputs}
    for output in outputs:
        if output.resolve() in taken:
            raise UsageError(f"{output} is an input; choose another --output")
