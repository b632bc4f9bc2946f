"""Reads the answers of a study without writing to them, also where nothing can be written."""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tfpix2pix.study.store import Store


@contextlib.contextmanager
def read_store(path: Path) -> Iterator[Store]:
    """Yields a copy in memory of the answers in a file, as they are at this moment.

    A server may write the file meanwhile. The file and its folder may be read-only.

    Args:
      path: where `answers.sqlite` is.

    Raises:
      sqlite3.Error: when the file cannot be read, or is something else.
    """
    with _open_for_reading(path) as source, Store(None, source) as store:
        yield store


@contextlib.contextmanager
def _open_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(contextlib.closing(_connect(path)))
            connection.execute("SELECT COUNT(*) FROM sqlite_master")
        except sqlite3.OperationalError:
            # SQLite keeps notes beside a file that it reads. Where it may not, it gets a copy of the file.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for suffix in ("", "-wal"):
                if (file := path.with_name(path.name + suffix)).is_file():
                    shutil.copyfile(file, folder / file.name)
            connection = stack.enter_context(contextlib.closing(sqlite3.connect(folder / path.name)))
        yield connection


def _connect(path: Path) -> sqlite3.Connection:
    # Without a log beside it nobody writes the file, and SQLite need not leave one there.
    is_open = path.with_name(f"{path.name}-wal").exists()
    mode = "mode=ro" if is_open else "immutable=1"
    return sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=30)
