"""Folders of many outputs, each of which is written, or uploaded, when it is whole."""

import functools
import posixpath
from pathlib import Path

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.paths import is_inner_name
from tfpix2pix.pipelines.base.places import url_of
from tfpix2pix.pipelines.remote.store import Entry, Store


class OutputFolder:
    """A folder of this machine, or a remote one. Several threads may use it at the same time.

    Args:
      folder: a path of this machine. That of the copy of a remote folder stands for the remote one, to which
        outputs then go without being written here.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        url = url_of(folder)
        self._store = Store(url) if url else None

    @functools.cached_property
    def _entries(self) -> dict[str, Entry]:
        """The files that the remote folder held when it was first asked for one."""
        return self._store.list_files() if self._store else {}

    def has(self, name: str) -> bool:
        """Tells whether there is an output of this name."""
        return name in self._entries if self._store else (self.folder / name).exists()

    def holds(self, name: str, size: int) -> bool:
        """Tells whether there is an output of this name with this number of bytes."""
        if self._store:
            return name in self._entries and self._entries[name].size == size
        file = self.folder / name
        return file.is_file() and file.stat().st_size == size

    def read(self, name: str) -> bytes | None:
        """Returns the contents of an output; None where there is none."""
        if self._store:
            return self._store.read(name)
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, contents: bytes) -> None:
        """Writes an output, which appears whole or not at all.

        Raises:
          UserError: if it cannot be written, or would not be in the folder; the text names it and the reason.
        """
        path = Path(name)  # It may come from a stranger.
        if path.drive or not is_inner_name(posixpath.normpath(path.as_posix())):
            raise UserError(f"{name!r} leads out of {self.folder}, so it is not written; rename the input")
        if self._store:
            self._store.write(name, contents)
        else:
            staging.write_output(self.folder / name, contents)
