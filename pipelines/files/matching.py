"""Which files belong together: the two files of a pair by their names, and a name for each pair."""

import collections
import itertools
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.listing import count_of, join_some
from tfpix2pix.pipelines.files.shards import ShardFile

Paths: TypeAlias = tuple[Path, ...]
File: TypeAlias = Path | ShardFile
Files: TypeAlias = tuple[File, ...]  # one side-by-side file, the left and the right image, or a photo

# The ends of the names of A and B where both lie in one folder, such as 0_A.jpg and 0_B.jpg.
ENDS = (("A", "B"), ("input", "target"))
ADD_PARTNERS = (
    "Add the partners. Removing these is a way only where no run has begun with their pairs: a run goes on "
    "with all of its images (`on_bad_image=skip` is for files that cannot be read)"
)


class FolderFiles(Mapping[str, Paths]):
    """The only file of each pair by the pair's name, in one folder.

    Paths are made when they are asked for: they take ten times the memory of what is kept here, and a folder
    may hold a million files.

    Args:
      folder: the folder.
      suffixes: what follows the name of a pair in the name of its file, by the name of the pair.

    Attributes:
      start: what the path of each file begins with.
    """

    def __init__(self, folder: Path, suffixes: Mapping[str, str]):
        self._folder, self._suffixes = folder, suffixes
        self.start = os.path.join(folder, "")

    def __getitem__(self, name: str) -> Paths:
        return (self._folder / f"{name}{self._suffixes[name]}",)

    def __iter__(self) -> Iterator[str]:
        return iter(self._suffixes)

    def __len__(self) -> int:
        return len(self._suffixes)

    def __contains__(self, name: object) -> bool:
        return name in self._suffixes

    def list_rests(self, names: Iterable[str], start: int = 0) -> Iterator[str]:
        """Yields the names of the files of pairs, without their folder and so many first characters."""
        return (f"{name[start:]}{self._suffixes[name]}" for name in names)

    def choose(self, is_wanted: Callable[[str], bool]) -> "FolderFiles":
        """Returns the files of some of the pairs."""
        return FolderFiles(
            self._folder, {name: each for name, each in self._suffixes.items() if is_wanted(name)}
        )


class FileList(Sequence[Files]):
    """The files of pairs in the order of their names.

    Args:
      pairs: the files of each pair by its name.
      names: the names.
    """

    def __init__(self, pairs: Mapping[str, Files], names: Sequence[str]):
        self._pairs, self._names = pairs, names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return FileList(self._pairs, self._names[place])
        return self._pairs[self._names[place]]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def divide_paths(self) -> tuple[str, Iterator[str]]:
        """Returns what all paths that `list_paths` yields begin with, and the rest of each, one by one."""
        # What the first and the last text have in common, all have.
        if isinstance(self._pairs, FolderFiles):
            common = os.path.commonprefix([min(self._names), max(self._names)])
            return self._pairs.start + common, self._pairs.list_rests(self._names, len(common))
        start = os.path.commonprefix([find(map(find, self.list_paths())) for find in (min, max)])
        return start, (path[len(start) :] for path in itertools.chain.from_iterable(self.list_paths()))

    def list_paths(self) -> Iterator[tuple[str, ...]]:
        """Yields the paths of the files of each pair, as texts; those of records are of their shards."""
        if isinstance(self._pairs, FolderFiles):
            return ((f"{self._pairs.start}{rest}",) for rest in self._pairs.list_rests(self._names))
        return (tuple(map(_path_of, self._pairs[name])) for name in self._names)


def _path_of(file: File) -> str:
    return os.fspath(file.shard if isinstance(file, ShardFile) else file)


def choose_pairs(pairs: Mapping[str, Files], is_wanted: Callable[[str], bool]) -> Mapping[str, Files]:
    """Returns some of the pairs, by their names."""
    if isinstance(pairs, FolderFiles):
        return pairs.choose(is_wanted)
    return {name: files for name, files in pairs.items() if is_wanted(name)}


def name_files(folder: Path, files: Sequence[str]) -> FolderFiles:
    """Returns the files of a folder by their stems, or by their whole names where others have the same stem.

    Args:
      folder: the folder.
      files: the names of images in it, whose suffixes are not empty.
    """
    names = [file.rpartition(".")[0] for file in files]
    while len(set(names)) < len(names):
        counts = collections.Counter(names)
        names = [file if counts[name] > 1 else name for file, name in zip(files, names, strict=True)]
    suffixes = (sys.intern(file[len(name) :]) for file, name in zip(files, names, strict=True))
    return FolderFiles(folder, dict(zip(names, suffixes, strict=True)))


def compose(name: str) -> str:
    """Returns a name with composed letters; some systems store an accent as a letter of its own."""
    return unicodedata.normalize("NFC", name)


def drop_ends(
    inputs: Mapping[str, Path], targets: Mapping[str, Path]
) -> tuple[Mapping[str, Path], Mapping[str, Path]]:
    """Returns the files of two folders by the stems that they have without ends such as _A and _B.

    The stems stay as they are if the two folders have one in common, or if not all of them end so.
    """
    for ends in (*ENDS, *(each[::-1] for each in ENDS)) if inputs.keys().isdisjoint(targets) else ():
        sides = [_drop_end(files, end) for files, end in zip((inputs, targets), ends, strict=True)]
        if all(sides):
            return sides[0], sides[1]
    return inputs, targets


def _drop_end(files: Mapping[str, Path], end: str) -> Mapping[str, Path]:
    """Returns files by their stems without an end; none if not all have it."""
    matches = {stem: re.fullmatch(rf"(.+)[_-]{end}", stem) for stem in files}
    dropped = {match[1]: files[stem] for stem, match in matches.items() if match}
    return dropped if len(dropped) == len(files) else {}


def match_by_stem(
    inputs: Mapping[str, Path], targets: Mapping[str, Path], way_out: str = ADD_PARTNERS
) -> dict[str, Paths]:
    """Returns the two files of each pair by the input's stem, in the order of the inputs.

    Args:
      inputs: the input files by their stems.
      targets: the target files by their stems.
      way_out: what to do about images without a partner.

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
            f"{join_some(alone)}. {way_out}"
        )
    return pairs


def match_by_end(folder: Path, files: Sequence[str]) -> tuple[dict[str, Paths], tuple[str, str]] | None:
    """Returns the pairs of files in one folder whose names end alike, and what A and B are called.

    Args:
      folder: the folder.
      files: the names of its images, whose suffixes are not empty.

    Returns:
      The two files of each pair by their common name, such as `0`, and the patterns of their names; None
      if the files are not such pairs, without a single exception.
    """
    for ends in ENDS:
        sides: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
        pattern = re.compile(rf"(.+)[_-]({'|'.join(ends)})")
        for file in files:
            if not (match := pattern.fullmatch(file.rpartition(".")[0])):
                break  # one that is no half of a pair is enough
            sides[ends.index(match[2])].setdefault(match[1], folder / file)
        if sides[0] and sides[0].keys() == sides[1].keys() and 2 * len(sides[0]) == len(files):
            pairs: dict[str, Paths] = {name: (file, sides[1][name]) for name, file in sides[0].items()}
            return pairs, (f"*_{ends[0]}", f"*_{ends[1]}")
    return None
