"""What to do when a dataset is missing: the command for what lies in its place instead."""

import difflib
import shlex
from collections.abc import Iterator
from pathlib import Path

from tfpix2pix.pipelines.catalogue import SPLITS, is_name
from tfpix2pix.pipelines.files import cityscapes, layouts
from tfpix2pix.pipelines.files.image_listing import has_images

PREPARE = "python -m tfpix2pix.pipelines.prepare"
_ARCHIVE_ENDS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_MAX_LOOKED_AT = 200


def splits_in(folder: Path) -> list[str]:
    """Returns which of train, val and test a folder holds, under whatever names."""
    found = [split for split in SPLITS if layouts.find_folders(folder, split)]
    return found or cityscapes.official_splits(folder)


def suggest(name: str, data_dir: Path) -> str:
    """Looks at what is there in place of a dataset.

    Args:
      name: the dataset that is missing.
      data_dir: the folder that was searched for it.

    Returns:
      One sentence with the command for it; empty if nothing there looks like a dataset.
    """
    target = data_dir / name
    for archive in (*_files_in(target), *_files_in(data_dir)):
        if archive.name.lower().endswith(_ARCHIVE_ENDS):
            return f"Unpack the archive there: {_prepare(name, data_dir)} --archive={_quote(archive)}"
    if two := _two_folders_of_images(target):
        pairs = f"{name}_pairs"
        return (
            "If the first of these two folders holds the inputs and the other one the targets, join them: "
            f"{PREPARE} --combine {_quote(two[0])} {_quote(two[1])} --output={_quote(data_dir / pairs)}, "
            f"then take `dataset={pairs}` `data_dir={_quote(data_dir)}`"
        )
    for inside in _folders_below(target):
        if _is_dataset(inside):
            return f"The dataset is further down: `dataset={name}` `data_dir={_quote(inside)}`"
    others = [folder for folder in _folders_below(data_dir, depth=1) if _is_dataset(folder)]
    if not others:
        return ""
    names = [folder.name for folder in others]
    likely = others[names.index((difflib.get_close_matches(name, names, 1, 0) or names)[0])]
    if is_name(likely.name):
        return f"There is a dataset {likely.name}: `dataset={likely.name}` `data_dir={_quote(data_dir)}`"
    return f"There is a dataset in {likely}: `dataset={name}` `data_dir={_quote(likely)}`"


def _prepare(name: str, data_dir: Path) -> str:
    return f"{PREPARE} --dataset={name} --data_dir={_quote(data_dir)}"


def _quote(path: Path) -> str:
    return shlex.quote(str(path))


def _is_dataset(folder: Path) -> bool:
    # The images of a folder such as Val/ are a part of a dataset.
    return bool(splits_in(folder)) or (layouts.holds_unsplit(folder) and not layouts.names_split(folder.name))


def _files_in(folder: Path) -> list[Path]:
    return sorted(entry for entry in _entries(folder) if entry.is_file())


def _entries(folder: Path) -> Iterator[Path]:
    """Returns the first entries of a folder that are not hidden; there may be millions."""
    if folder.is_dir():
        for entry, _ in zip(folder.iterdir(), range(_MAX_LOOKED_AT), strict=False):
            if entry.name[0] != ".":
                yield entry


def _folders_below(folder: Path, depth: int = 2) -> Iterator[Path]:
    inside = sorted(entry for entry in _entries(folder) if entry.is_dir())
    yield from inside
    if depth > 1:
        for each in inside:
            yield from _folders_below(each, depth - 1)


def _two_folders_of_images(folder: Path) -> list[Path]:
    inside = [each for each in _folders_below(folder, depth=1) if has_images(each)]
    are_splits = any(layouts.names_split(each.name) for each in inside)
    return inside if len(inside) == 2 and not are_splits else []
