"""How messages list things: the first few of them, and how many more there are."""

from collections.abc import Sequence
from pathlib import Path

MAX_LISTED = 10


def join_some(texts: Sequence[str], separator: str = ", ") -> str:
    """Joins the first `MAX_LISTED` texts and says how many more there are."""
    more = [f"and {len(texts) - MAX_LISTED} more"] if len(texts) > MAX_LISTED else []
    return separator.join([*texts[:MAX_LISTED], *more])


def describe_folder(folder: Path) -> str:
    """Returns what to say of a folder, such as `holds a.png, train/` or `does not exist`."""
    if not folder.is_dir():
        return "is not a folder" if folder.exists() else "does not exist"
    names = [entry.name + "/" * entry.is_dir() for entry in folder.iterdir()]
    return f"holds {join_some(sorted(names)) or 'nothing'}"


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """Returns a number of things, such as `1 pair` or `1,200 pairs`; the plural ends with s if not given."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
