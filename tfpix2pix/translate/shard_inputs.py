"""Lists the images of record shards that a person means by a path: all, those of a split, or of one side.

A set of shards stands for the folder that it was packed of. TensorFlow is imported where a record is read.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.places import is_remote, settle_url
from tfpix2pix.pipelines.files.shards import ShardFile, is_sharded, read_shards
from tfpix2pix.pipelines.placing.remote_datasets import fetch_shards
from tfpix2pix.pipelines.remote.store import Store
from tfpix2pix.translate.image_inputs import InputFile

_SIDES = ("A", "B")
_DEEPEST = 2  # a split and a side


def list_sharded(pattern: str) -> list[InputFile]:
    """Returns the images of record shards that a path names; none where it names no shards.

    Args:
      pattern: the folder of a set, or in it a split, such as `shards/test`, or one side of the pairs of two
        files of a split, `shards/test/A` or `shards/test/B`; or a URL of these, whose set is fetched.

    Raises:
      UsageError: where the set has no such split or side.
      UserError: where the set cannot be read.
    """
    found = _find_set(pattern)
    if found is None:
        return []
    folder, inside = found
    start = "".join(f"{part}/" for part in inside)
    records = list(_list_all(folder))
    named = [(file, Path(path.removeprefix(start))) for file, path in records if path.startswith(start)]
    if not named:
        splits = ", ".join(dict.fromkeys(path.partition("/")[0] for _, path in records))
        raise UsageError(
            f"the shards of {folder} hold no {'/'.join(inside)}. Their splits are {splits}, each with "
            "the sides A and B if its pairs are two files"
        )
    files, titles = zip(*named, strict=True)
    return InputFile.list_named(files, titles)


def _find_set(pattern: str) -> tuple[Path, list[str]] | None:
    """Returns the folder of a set, and the parts of the path behind it; None if there is no set."""
    is_url = is_remote(pattern)
    parts = settle_url(pattern).rstrip("/").split("/")
    if is_url and (re.search(r"[*\[]", pattern) or Path(pattern).suffix):
        return None
    least = 3 if is_url else 1  # the scheme, nothing, and the bucket
    for depth in range(min(_DEEPEST + 1, len(parts) - least + 1)):
        place, inside = "/".join(parts[: len(parts) - depth]) or "/", parts[len(parts) - depth :]
        if not is_url and is_sharded(Path(place)):
            return Path(place), inside
        if is_url and (folder := fetch_shards(place)):
            return folder, inside
        if is_url and not depth and Store(place).list_files():  # It is no place in a set.
            return None
    return None


def _list_all(folder: Path) -> Iterator[tuple[ShardFile, str]]:
    """Yields the images of a set, with their paths in the folder that the set stands for."""
    for split, told in read_shards(folder).items():
        for name, files in told.pairs.items():
            for side, file in zip(_SIDES, files, strict=False):
                above = f"{split}/{side}" if len(files) > 1 else split
                yield file, f"{above}/{name}{file.suffix}"
