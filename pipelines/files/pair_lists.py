"""A CSV file that lists pairs: the columns input and target, and split where the file has splits."""

import collections
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.listing import count_of, join_some
from tfpix2pix.pipelines.base.progress import warn_once
from tfpix2pix.pipelines.files.layouts import SPLIT_NAMES

SUFFIXES = (".csv", ".tsv", ".txt")
_COLUMNS = ("input", "target")
_SPLIT = "split"
_DELIMITERS = ",;\t"
_ALIASES = {alias: split for split, aliases in SPLIT_NAMES.items() for alias in aliases}


class _Row(NamedTuple):
    line: int
    files: tuple[Path, ...]
    split: str


def read_list(file: Path) -> dict[str, dict[str, tuple[Path, ...]]]:
    """Reads which pairs a file lists.

    Args:
      file: a CSV file with a header. Its paths are relative to its own folder. A row without a split is
        of `train`.

    Returns:
      For each split that the file names, the two files of each pair by its name, in the order of the rows.
      The name is the stem of the input file, with the number of the line where others have the same.

    Raises:
      UserError: for a file that cannot be read, or a row that names no two files; it names the line.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(_read_rows(file, stream.read().splitlines(keepends=True)))
    except OSError as error:
        raise UserError(f"`pairs={file}` cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} is not a CSV file in UTF-8: {error}") from error
    if not rows:
        raise UserError(f"{file} lists no pairs: there is no row below the header")
    _warn_of_repeats(file, rows)
    stems = collections.Counter(row.files[0].stem for row in rows)
    splits: dict[str, dict[str, tuple[Path, ...]]] = {}
    for row in rows:
        stem = row.files[0].stem
        name = stem if stems[stem] == 1 else f"{stem}_line{row.line}"
        splits.setdefault(row.split, {})[name] = row.files
    return splits


def list_names(file: Path, contents: bytes) -> list[str]:
    """Returns the files that a list names, as they stand there, whether they are there or not.

    Args:
      file: what the list is called.
      contents: its contents.

    Raises:
      UserError: if it is no CSV file with the two columns.
    """
    try:
        lines = contents.decode("utf-8-sig").splitlines(keepends=True)
        rows = [cells for _, cells in _read_cells(file, lines)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} is not a CSV file in UTF-8: {error}") from error
    return [text for cells in rows for name in _COLUMNS if (text := (cells.get(name) or "").strip())]


def _warn_of_repeats(file: Path, rows: Sequence[_Row]) -> None:
    first: dict[tuple[Path, ...], _Row] = {}
    repeats = [
        f"line {row.line} ({row.split}) repeats line {before.line} ({before.split})"
        for row in rows
        if (before := first.setdefault(row.files, row)) is not row
    ]
    if repeats:
        warn_once(
            f"{file} lists {count_of(len(repeats), 'pair')} more than once: {join_some(repeats)}. Each line "
            "counts, and a pair that is trained on says nothing where it validates. Remove what is too much"
        )


def _read_rows(file: Path, lines: list[str]) -> Iterator[_Row]:
    return (_read_row(file, line, cells) for line, cells in _read_cells(file, lines))


def _read_cells(file: Path, lines: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the number and the cells of each line that has any, by the names of their columns."""
    first = lines[0] if lines else ""
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(lines, delimiter=delimiter)
    header = [name.strip().lower() for name in next(reader, [])]
    if missing := [name for name in _COLUMNS if name not in header]:
        raise UserError(
            f"{file} line 1: there is no column {' and no column '.join(missing)}. The first line must name "
            f"the columns: {','.join((*_COLUMNS, _SPLIT))} (split may be left out). "
            f"Received: {first.strip()!r:.80}"
        )
    if twice := [name for name in (*_COLUMNS, _SPLIT) if header.count(name) > 1]:
        raise UserError(f"{file} line 1: there is more than one column {twice[0]}; keep one of them")
    for cells in reader:
        if any(cell.strip() for cell in cells[len(header) :]):
            # A split without its column would be lost, and images for validation would be trained on.
            raise UserError(
                f"{file} line {reader.line_num}: there are {len(cells)} values for the {len(header)} columns "
                f"of line 1. Name each column there, and put a path that holds {delimiter!r} in double quotes"
            )
        if any(cell.strip() for cell in cells):
            yield reader.line_num, dict(zip(header, cells, strict=False))


def _read_row(file: Path, line: int, cells: dict[str, str]) -> _Row:
    files = []
    for name in _COLUMNS:
        text = cells.get(name, "").strip()
        if not text:
            raise UserError(f"{file} line {line}: the column {name} is empty")
        path = file.parent / text
        if not path.is_file():
            raise UserError(f"{file} line {line}: there is no file {path}")
        files.append(path)
    told = cells.get(_SPLIT, "").strip().lower() or "train"
    if told not in _ALIASES:
        raise UserError(f"{file} line {line}: split must be train, val or test. Received: {told}")
    return _Row(line, tuple(files), _ALIASES[told])
