"""Which files belong together: the two files of a pair by their names, and a name for each pair."""

import collections
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.listing import count_of, join_some
from tfpix2pix.pipelines.files.shards import ShardFile

Paths: TypeAlias = tuple[Path, ...]
File: TypeAlias = Path | ShardFile
Files: TypeAlias = tuple[File, ...]  # one side-by-side file, the left and the right image, or a photo

# The ends of the names of A and B where both lie in one folder, such as 0_A.jpg and 0_B.jpg.
ENDS = (("A", "B"), ("input", "target"))


def name_files(files: Sequence[Path]) -> dict[str, Paths]:
    """Returns each file by its stem, or by its whole name where others have the same stem."""
    names = [file.stem for file in files]
    while True:
        counts = collections.Counter(names)
        longer = [file.name if counts[name] > 1 else name for file, name in zip(files, names, strict=True)]
        if longer == names:
            return {name: (file,) for name, file in zip(names, files, strict=True)}
        names = longer


def compose(name: str) -> str:
    """Returns a name with composed letters; some systems store an accent as a letter of its own."""
    return unicodedata.normalize("NFC", name)


def match_by_stem(inputs: Mapping[str, Path], targets: Mapping[str, Path]) -> dict[str, Paths]:
    """Returns the two files of each pair by the input's stem, in the order of the inputs.

    Args:
      inputs: the input files by their stems.
      targets: the target files by their stems.

    Raises:
      UserError: if one has no partner.
    """
    others = {compose(stem): file for stem, file in targets.items() if stem not in inputs}
    pairs: dict[str, Paths] = {}
    for stem, file in inputs.items():
        if partner := targets.get(stem) or others.pop(compose(stem), None):
            pairs[stem] = (file, partner)
    matched = {file for pair in pairs.values() for file in pair}
    if alone := [str(file) for file in (*inputs.values(), *targets.values()) if file not in matched]:
        raise UserError(
            f"{count_of(len(alone), 'image has', 'images have')} no partner of the same name: "
            f"{join_some(alone)}. Add the partners. Removing these is a way only where no run has begun with "
            "their pairs: a run goes on with all of its images (`on_bad_image=skip` is for files that cannot "
            "be read)"
        )
    return pairs


def match_by_end(files: Sequence[Path]) -> tuple[dict[str, Paths], tuple[str, str]] | None:
    """Returns the pairs of files in one folder whose names end alike, and what A and B are called.

    Args:
      files: the images of the folder.

    Returns:
      The two files of each pair by their common name, such as `0`, and the patterns of their names; None
      if the files are not such pairs, without a single exception.
    """
    for ends in ENDS:
        sides: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
        pattern = re.compile(rf"(.+)[_-]({'|'.join(ends)})")
        for file in files:
            if not (match := pattern.fullmatch(file.stem)):
                break  # one that is no half of a pair is enough
            sides[ends.index(match[2])].setdefault(match[1], file)
        if sides[0] and sides[0].keys() == sides[1].keys() and 2 * len(sides[0]) == len(files):
            pairs: dict[str, Paths] = {name: (file, sides[1][name]) for name, file in sides[0].items()}
            return pairs, (f"*_{ends[0]}", f"*_{ends[1]}")
    return None
