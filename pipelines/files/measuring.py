"""What the headers of all files of a split say, in arrays with a row for each pair.

Arrays take a tenth of the memory of objects. A run keeps them, with the size and the times of each file, in a
manifest: the next start then reads the headers of those files alone that have changed.
"""

import dataclasses
import io
import itertools
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import shorten
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.files.bad_files import examine_all
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.files.matching import File, FileList, Files, FolderFiles
from tfpix2pix.pipelines.files.pair_files import Measured
from tfpix2pix.pipelines.files.reading import Reading
from tfpix2pix.pipelines.files.shards import ShardFile

VERSION = 1
_TYPES = {np.dtype(each).num: np.dtype(each) for each in (np.uint8, np.uint16, np.float32)}
_ABSENT = -1  # stands for the size of a file that cannot be looked at
Rows = npt.NDArray[np.integer]


@dataclasses.dataclass(frozen=True)
class Table:
    """What is known of N pairs of F files and I images each.

    Attributes:
      names: the names of the pairs.
      sizes: int32 [N, I, 2], (height, width) in px of each image, from left to right.
      dtypes: uint8 [N, P], the number of the type of each image as it is stored, but for maps of instances.
      in_graph: bool [N], see `pair_files.Measured`.
      turned: bool [N], whether the EXIF orientation of a file is not upright.
      digests: uint8 [N, 32], see `pair_files.Measured`.
      stats: int64 [N, F, 3], size and times of each file; [N, 0, 3] where nobody asked for them.
      decoded: bool [N], whether the pair was decoded once.
      key: how and where the files were read; rows that were read in another way are of no use.
    """

    names: Sequence[str]
    sizes: Rows
    dtypes: Rows
    in_graph: npt.NDArray[np.bool_]
    turned: npt.NDArray[np.bool_]
    digests: Rows
    stats: Rows
    decoded: npt.NDArray[np.bool_]
    key: str = ""

    @classmethod
    def empty(
        cls, names: Sequence[str], reading: Reading, stats: Rows | None = None, key: str = ""
    ) -> "Table":
        """Returns a table whose rows are to be filled."""
        count = len(names)
        return cls(
            names,
            np.zeros((count, reading.num_images, 2), np.int32),
            np.zeros((count, len(reading.formats)), np.uint8),
            np.zeros(count, bool),
            np.zeros(count, bool),
            np.zeros((count, 32), np.uint8),
            np.zeros((count, 0, 3), np.int64) if stats is None else stats,
            np.zeros(count, bool),
            key,
        )

    def put(self, row: int, measured: Measured) -> None:
        """Fills a row."""
        self.sizes[row] = measured.sizes
        self.dtypes[row] = [each.num for each in measured.dtypes]
        self.in_graph[row] = measured.in_graph
        self.turned[row] = bool(measured.turned)
        self.digests[row] = np.frombuffer(measured.digest, np.uint8)

    def take(self, rows: Sequence[int] | Rows) -> "Table":
        """Returns some of the rows."""
        if len(rows) == len(self.names):
            return self
        return dataclasses.replace(
            self,
            names=[self.names[row] for row in rows],
            **{name: getattr(self, name)[np.asarray(rows, np.int64)] for name in _ARRAYS},
        )

    def list_dtypes(self) -> list[tuple[np.dtype, ...]]:
        """Returns the combinations of types that the images of pairs have."""
        # Mostly, all rows are alike; to sort a hundred thousand of them takes a tenth of a second.
        rows = self.dtypes[:1] if (self.dtypes == self.dtypes[:1]).all() else np.unique(self.dtypes, axis=0)
        return [tuple(_TYPES[number] for number in row) for row in rows.tolist()]


_ARRAYS = ("sizes", "dtypes", "in_graph", "turned", "digests", "stats", "decoded")


def measure_pairs(
    reading: Reading, pairs: Mapping[str, Files], title: str, manifest: Path | None = None
) -> tuple[Table, list[str]]:
    """Returns what the headers of the files of all good pairs say, and what is wrong with the others.

    Args:
      reading: how the files are read.
      pairs: the files of each pair by its name.
      title: the title of the progress bar.
      manifest: where an earlier start may have kept the same, so that files that have not changed since then
        are not read; None reads all of them.
    """
    names = list(pairs)
    key, stats = (_describe(reading, pairs), _stat_files(pairs)) if manifest else ("", None)
    table = Table.empty(names, reading, stats, key)
    unknown: Sequence[int] = range(len(names))
    if manifest and (before := read_table(manifest)) and before.key == key:
        unknown = _copy_unchanged(before, table)
    reasons, is_bad = [], np.zeros(len(names), bool)
    for row, outcome in examine_all(lambda row: reading.measure(pairs[names[row]]), unknown, title, True):
        if isinstance(outcome, BadImageError):
            reasons.append(str(outcome))
            is_bad[row] = True
        else:
            table.put(row, outcome)
    return table.take(np.flatnonzero(~is_bad)), reasons


def _copy_unchanged(before: Table, table: Table) -> list[int]:
    """Copies the rows of files that are as they were; returns the rows of the others."""
    if before.names == table.names:
        old = np.arange(len(table.names))
    else:
        rows = {name: row for row, name in enumerate(before.names)}
        old = np.array([rows.get(name, -1) for name in table.names], np.int64)
    here = np.flatnonzero(old >= 0)
    same = (before.stats[old[here]] == table.stats[here]).all((1, 2)) & (table.stats[here] >= 0).all((1, 2))
    here = here[same]
    for name in _ARRAYS:
        getattr(table, name)[here] = getattr(before, name)[old[here]]
    is_known = np.zeros(len(old), bool)
    is_known[here] = True
    return np.flatnonzero(~is_known).tolist()


def _describe(reading: Reading, pairs: Mapping[str, Files]) -> str:
    """Returns what decides, beside the files, on what is found out of them."""
    formats = [(each.channels, each.exif) for each in reading.formats]
    options = [bool(reading.draw), reading.resize_input_to_target, reading.with_instances]
    places = [os.path.realpath(_folder_of(file)) for file in next(iter(pairs.values()), ())]
    return json.dumps([VERSION, formats, options, places])


def _folder_of(file: File) -> Path:
    return file.shard if isinstance(file, ShardFile) else file.parent


def _stat_files(pairs: Mapping[str, Files]) -> Rows:
    """Returns size, time of the last writing and time of the last change of each file, in bytes and ns."""
    numbers = np.fromiter(itertools.chain.from_iterable(_stat_all(pairs)), np.int64)
    return numbers.reshape(len(pairs), len(next(iter(pairs.values()), ())), 3)


def _stat_all(pairs: Mapping[str, Files]) -> Iterator[tuple[int, int, int]]:
    if not isinstance(pairs, FolderFiles) or os.stat not in os.supports_dir_fd:
        yield from map(_stat, itertools.chain.from_iterable(FileList(pairs, list(pairs)).list_paths()))
        return
    # The system finds a file a quarter faster from its folder than by its path.
    folder = os.open(pairs.start, os.O_RDONLY)
    try:
        for name in pairs.list_rests(pairs):
            yield _stat(name, folder)
    finally:
        os.close(folder)


def _stat(path: str, folder: int | None = None) -> tuple[int, int, int]:
    try:
        told = os.stat(path, dir_fd=folder)
    except OSError:  # Whoever reads it says so.
        return _ABSENT, _ABSENT, _ABSENT
    return told.st_size, told.st_mtime_ns, told.st_ctime_ns


def read_table(file: Path) -> Table | None:
    """Returns what `write_table` wrote; None if there is no such file, or if it is damaged, which is told."""
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as told:
            arrays = {name: told[name] for name in _ARRAYS}
            names = json.loads(told["names"].tobytes())
            if {len(array) for array in arrays.values()} != {len(names)}:
                raise ValueError("its parts do not fit together")
            return Table(names, **arrays, key=str(told["key"]))
    except (OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile) as error:
        warn(f"{file} is damaged ({shorten(error)}): all headers are read, and it is made anew")
        return None


def write_table(file: Path, table: Table) -> None:
    """Keeps a table for the next start, whole or not at all."""
    contents = io.BytesIO()
    names = np.frombuffer(json.dumps(list(table.names)).encode(), np.uint8)
    np.savez(contents, names=names, key=table.key, **{name: getattr(table, name) for name in _ARRAYS})
    staging.write_file(file, contents.getvalue())
