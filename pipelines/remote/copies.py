"""Folders of this machine that are copies of remote ones; what changed is copied, and nothing else.

A copy holds an index of what the store said of each file when it was copied, and what the disk said. So
an interrupted copy goes on where it ended, and a file that was changed on either side is found.
"""

import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from filelock import FileLock, Timeout

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.places import (
    check_url,
    copy_of,
    is_remote,
    passing_folder,
    settle_url,
    url_of,
)
from tfpix2pix.pipelines.base.progress import say, show_progress
from tfpix2pix.pipelines.remote.store import Entry, MissingError, Store

Names = Sequence[str]
File = TypeVar("File")
# What is uploaded after all other files of its folder, and deleted before them: whoever finds one of these
# finds a whole checkpoint, SavedModel, set of shards or page.
MARKERS = ("checkpoint.json", "saved_model.pb", "shards.json", "index.html", "exported.json")
_WHOLE = "/saved_model.pb"  # The folder of a version is deleted with it.
INDEX = ".remote/index.json"  # in a hidden folder, which nothing lists
# A copy that was compared so recently is not compared again.
_FRESH_SEC = 60
_SECONDS_BETWEEN_SAVES = 5
_compared: dict[tuple[str, str], float] = {}


def fetch_folder(
    path: str | Path,
    choose: Callable[[Mapping[str, Entry]], Names] | None = None,
    scope: str = "",
    names: Names | None = None,
) -> Path:
    """Returns a folder or file of this machine with what is at a path: that itself, or for a URL its copy.

    Args:
      path: a path or a URL.
      choose: returns which of the store's files are wanted, in the order in which they are fetched. None
        takes all. Other files of the copy are deleted.
      scope: tells one choice from another. The same one of the same URL is not made again within a minute.
      names: the files that there are, for a store that does not list them.

    Raises:
      UserError: if there is nothing, the store cannot be read, or the disk is full. What has come stays, and
        the next call goes on from there.
    """
    folder = copy_of(path)
    if not is_remote(path):
        return folder
    key = settle_url(path), scope
    if time.monotonic() - _compared.get(key, -_FRESH_SEC) >= _FRESH_SEC or not folder.exists():
        with _locked(folder):
            Copy(Store(key[0]), folder).pull(choose, names)
        _compared[key] = time.monotonic()
    return folder


def open_output(path: str | Path) -> Path:
    """Returns a folder of this machine to write to; that of a URL, or of a copy, has what is there already.

    `send_folder` uploads what is written.
    """
    url = url_of(path)
    if url is None:
        return Path(path)
    check_url(url, "output", writes=True)
    with contextlib.suppress(MissingError):
        fetch_folder(url)
    return copy_of(url)


@contextlib.contextmanager
def fetch_file(file: File) -> Iterator[File]:
    """Gives a file of this machine; that of a remote one is there for as long as the block lasts.

    Args:
      file: a path of this machine; or that of the copy of something read, which stands for the remote file,
        and a copy of this call's own is given; or a file that is no path, such as a record of a shard.
    """
    url = url_of(file) if isinstance(file, Path) else None
    if not isinstance(file, Path) or url is None or file.absolute() != copy_of(url).absolute():
        yield file
        return
    place = passing_folder()
    place.mkdir(parents=True, exist_ok=True)
    # Others may read the same file at the same time, and each deletes what it has fetched.
    with tempfile.TemporaryDirectory(dir=place, ignore_cleanup_errors=True) as own:
        copy = Path(own, *url.split("://", 1))
        Store(url).fetch("", copy)
        yield cast(File, copy)


def send_folder(folder: Path, names: Names | None = None) -> None:
    """Uploads what has changed in the copy of a remote folder, markers last; other folders stay as they are.

    Args:
      folder: a path of this machine.
      names: what may have changed, relative to it; None looks at all that it holds.

    Raises:
      UserError: if the store does not take it. It stays on this machine, and the text says where.
    """
    if url := url_of(folder):
        try:
            Copy(Store(url), folder).push(names)
        except UserError as error:
            raise UserError(f"{error}. Nothing is lost: it is in {folder.absolute().as_uri()}") from error


class Copy:
    """A folder of this machine that is the copy of a remote one.

    Args:
      store: the remote folder.
      folder: the folder of this machine, which need not be there.
    """

    def __init__(self, store: Store, folder: Path):
        self.store, self.folder = store, folder
        self._file = folder / INDEX
        self._index = _read_index(self._file)
        self._guard = threading.Lock()

    @property
    def names(self) -> Collection[str]:
        """The files that were in step with the store when they were last copied."""
        return self._index.keys()

    def pull(
        self, choose: Callable[[Mapping[str, Entry]], Names] | None = None, names: Names | None = None
    ) -> None:
        """Downloads the files that are missing here or changed there, and deletes those that are not wanted.

        The arguments are those of `fetch_folder`.

        Raises:
          MissingError: if there is nothing in the store.
          UserError: if files cannot be fetched; those that came stay.
        """
        entries = self.store.look_at(names) if names else self.store.list_files()
        if not entries:
            raise MissingError(f"there is nothing at {self.store.url}; compare the name")
        wanted = list(choose(entries) if choose else entries)
        for name in self._index.keys() - set(wanted):
            self._place(name).unlink(missing_ok=True)
            del self._index[name]
        stale = [name for name in wanted if not self._is_current(name, entries[name])]
        self._check_room([entries[name] for name in stale])
        if stale:
            self._fetch_all(stale, entries)
        self._save()

    def _place(self, name: str) -> Path:
        return self.folder / name if name else self.folder

    def _is_current(self, name: str, entry: Entry) -> bool:
        told = self._index.get(name)
        return told is not None and told[:2] == list(entry) and told[2:] == _look_at(self._place(name))

    def _check_room(self, entries: Sequence[Entry]) -> None:
        needed = sum(entry.size or 0 for entry in entries)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder.parent).free
        if needed > free:
            raise UserError(
                f"{self.store.url} needs {needed / 1e6:,.1f} MB more on this machine, and the disk of "
                f"{self.folder.parent.absolute().as_uri()} has {free / 1e6:,.1f} MB free. Make room, or let "
                "TFPIX2PIX_CACHE name a folder on another disk"
            )

    def _fetch_all(self, names: Names, entries: Mapping[str, Entry]) -> None:
        saved = time.monotonic()

        def fetch(name: str) -> None:
            nonlocal saved
            self.store.fetch(name, self._place(name), entries[name].size)
            with self._guard:
                self._index[name] = [*entries[name], *(_look_at(self._place(name)) or [0, 0])]
                bar.update()
                if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                    saved = time.monotonic()
                    self._save()

        try:
            with show_progress(f"fetching {self.store.url}", len(names), "files") as bar:
                self.store.map(fetch, names)
        finally:
            self._save()

    def push(self, names: Names | None = None, keep: Collection[str] = ()) -> None:
        """Uploads the files that were changed here, and deletes there what was copied and is gone here.

        Files come before the markers of their folders. What others have put into the store stays.

        Args:
          names: what to look at; None takes all files of the folder but hidden ones, and only then are files
            deleted.
          keep: what is not deleted.
        """
        local = {name: stat for name in names or self._walk() if (stat := _look_at(self._place(name)))}
        changed = [name for name, stat in local.items() if self._index.get(name, [])[2:] != stat]
        broken: set[str] = set()

        def send(name: str) -> None:
            try:
                self.store.send(self._place(name), name)
            except FileNotFoundError:  # It was deleted meanwhile, so that its folder is not whole.
                broken.add(name.rpartition("/")[0])
                return
            with self._guard:
                self._index[name] = [local[name][0], "", *local[name]]

        try:
            self.store.map(send, [name for name in changed if not _is_marker(name)])
            for name in sorted(filter(_is_marker, changed), key=lambda name: (-name.count("/"), name)):
                if not any(f"{each}/".startswith(_above(name)) for each in broken):
                    send(name)
            if names is None:
                self._delete(self._index.keys() - local.keys() - set(keep))
        finally:
            self._save()

    def _delete(self, names: Collection[str]) -> None:
        for name in sorted(names, key=lambda name: not _is_marker(name)):
            self.store.remove(name)
            if name.endswith(_WHOLE):  # The other files of an older version were never here.
                self.store.remove(name.removesuffix(_WHOLE), with_all_below=True)
            del self._index[name]

    def _walk(self) -> Iterator[str]:
        for above, folders, files in os.walk(self.folder):
            folders[:] = sorted(each for each in folders if each[0] != ".")
            for name in sorted(each for each in files if each[0] != "."):
                yield Path(above, name).relative_to(self.folder).as_posix()

    def _save(self) -> None:
        if not self.folder.is_file():  # A single file is fetched anew.
            staging.write_file(self._file, json.dumps(self._index, separators=(",", ":")).encode())


def _is_marker(name: str) -> bool:
    return name.rpartition("/")[2] in MARKERS


def _above(name: str) -> str:
    """Returns the folder of a name with a slash at its end; empty for what lies in no folder."""
    return "".join(name.rpartition("/")[:2])


def _look_at(file: Path) -> list[int] | None:
    """Returns the size of a file and when it was written, in ns; None where there is none."""
    try:
        told = file.stat()
    except OSError:
        return None
    return [told.st_size, told.st_mtime_ns] if file.is_file() else None


def _read_index(file: Path) -> dict[str, list]:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError):  # It is not there, or damaged: everything is copied anew.
        return {}


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time fetch a folder."""
    file = folder.with_name(f".{folder.name}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"waiting for another process that fetches {folder}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
