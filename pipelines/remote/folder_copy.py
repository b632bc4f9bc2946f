"""A folder of this machine that is the copy of a remote one; what changed is copied, and nothing else.

A copy holds an index of what the store said of each file when it was copied, and what the disk said. So
an interrupted copy goes on where it ended, and a file that was changed on either side is found. Several
commands may each have chosen some of its files, which the index tells, too: none takes those of another.
The copies of two URLs of which one lies inside the other know nothing of each other.
"""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.places import uri_of
from tfpix2pix.pipelines.base.progress import show_progress
from tfpix2pix.pipelines.remote.failures import MissingError
from tfpix2pix.pipelines.remote.store import Entry, Store

Names = Sequence[str]
# Returns which of the store's files are wanted, in the order in which they are fetched.
Choice = Callable[[Mapping[str, Entry]], Names]
# What is uploaded after all other files of its folder, and deleted before them: whoever finds one of these
# finds a whole checkpoint, SavedModel, set of shards or page.
MARKERS = ("checkpoint.json", "saved_model.pb", "shards.json", "index.html", "exported.json")
_WHOLE = "/saved_model.pb"  # The folder of a version is deleted with it.
INDEX = ".remote/index.json"  # in a hidden folder, which nothing lists
_SECONDS_BETWEEN_SAVES = 5
# A download that has not grown for so long was killed.
_ABANDONED_SEC = 24 * 3600


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
        self._seen: set[str] = set()  # What was here when this object last looked.
        self._guard = threading.Lock()

    @property
    def names(self) -> Collection[str]:
        """The files that were in step with the store when they were last copied."""
        return self._index.keys()

    def pull(self, choose: Choice | None = None, names: Names | None = None, scope: str = "") -> bool:
        """Downloads the files that are missing here or changed there, and deletes those that are gone there.

        Files that this choice took before, and no choice takes now, are deleted here, too: old checkpoints
        and SavedModels would fill the disk. The arguments are those of `fetch_folder`.

        Returns:
          Whether anything was downloaded or deleted.

        Raises:
          MissingError: if there is nothing in the store.
          UserError: if files cannot be fetched; those that came stay.
        """
        entries = self.store.look_at(names) if names else self.store.list_files()
        if not entries:
            raise MissingError(f"there is nothing at {self.store.title}; compare the name")
        wanted = list(choose(entries) if choose else entries)
        has_dropped = False
        for name in self._index.keys() - set(wanted):  # Names that were given tell of no others.
            has_dropped |= self._drop(name, scope, is_gone=not names and name not in entries)
        stale = [name for name in wanted if not self._is_current(name, entries[name])]
        self._check_room([entries[name] for name in stale])
        if stale:
            self._fetch_all(stale, entries, scope)
        for name in wanted:
            if scope not in self._index[name][4:]:
                self._index[name].append(scope)
        self._seen = set(self._index)
        self._save()
        return has_dropped or bool(stale)

    def _drop(self, name: str, scope: str, is_gone: bool) -> bool:
        """Lets a choice go without a file, which is deleted here if nobody else wants it; returns whether."""
        file, scopes = self._place(name), self._index[name][4:]
        others = [each for each in scopes if each != scope]
        is_unwanted = is_gone or (scope in scopes and not others)
        if is_unwanted:
            file.unlink(missing_ok=True)
        if is_unwanted or not file.exists():
            del self._index[name]
        else:
            self._index[name][4:] = others
        return is_unwanted

    def _place(self, name: str) -> Path:
        return self.folder / name if name else self.folder

    def _is_current(self, name: str, entry: Entry) -> bool:
        told = self._index.get(name)
        return told is not None and told[:2] == list(entry) and told[2:4] == _look_at(self._place(name))

    def _check_room(self, entries: Sequence[Entry]) -> None:
        needed = sum(entry.size or 0 for entry in entries)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder.parent).free
        if needed > free:
            raise UserError(
                f"{self.store.title} needs {needed / 1e6:,.1f} MB more on this machine, and the disk of "
                f"{uri_of(self.folder.parent)} has {free / 1e6:,.1f} MB free. Make room, or let "
                "TFPIX2PIX_CACHE name a folder on another disk"
            )

    def _fetch_all(self, names: Names, entries: Mapping[str, Entry], scope: str) -> None:
        saved = time.monotonic()
        self._sweep({self._place(name).parent for name in names})

        def fetch(name: str) -> None:
            nonlocal saved
            self.store.fetch(name, self._place(name), entries[name].size)
            with self._guard:
                scopes = {*self._index.get(name, [])[4:], scope}  # at once, as the fetch may be cut short
                self._index[name] = [*entries[name], *(_look_at(self._place(name)) or [0, 0]), *scopes]
                bar.update()
                if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                    saved = time.monotonic()
                    self._save()

        try:
            with show_progress(f"fetching {self.store.title}", len(names), "files") as bar:
                self.store.map(fetch, names)
        finally:
            self._save()

    def _sweep(self, folders: Iterable[Path]) -> None:
        """Deletes what downloads have left that were killed."""
        for file in (file for folder in folders for file in folder.glob(".*.partial")):
            told = _look_at(file)
            if told and time.time() - told[1] / 1e9 > _ABANDONED_SEC:
                file.unlink(missing_ok=True)

    def push(self, names: Names | None = None) -> None:
        """Uploads the files that were changed here, and deletes there what this object has seen vanish here.

        Files come before the markers of their folders. What others have put into the store stays, as does
        what was not here at the last `pull` or `push` of this object: nobody knows why it is missing.

        Args:
          names: what to look at; None takes all files of the folder but hidden ones, and only then are files
            deleted.
        """
        if self._file.exists():  # Another process may have copied files since.
            self._index = _read_index(self._file)
        local = {name: stat for name in names or self._walk() if (stat := _look_at(self._place(name)))}
        changed = [name for name, stat in local.items() if self._index.get(name, [])[2:4] != stat]
        if names is None:
            self._note_deleted(local)
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
                self._delete([name for name, told in self._index.items() if not told])
        finally:
            self._save()

    def expect(self, names: Iterable[str]) -> None:
        """Lets the next `push` delete files in the store that are not here, as if they had been here."""
        self._seen |= set(names) & self._index.keys()

    def forget_missing(self, entries: Collection[str]) -> None:
        """Lets the next `push` upload what was in the store, and is not there any more.

        Args:
          entries: the files that the store holds.
        """
        if missing := self._index.keys() - set(entries):
            self._index = {name: told for name, told in self._index.items() if name not in missing}
            self._save()

    def _note_deleted(self, local: Collection[str]) -> None:
        """Empties the entries of files that were deleted here, which a killed upload so does not forget."""
        gone = {name for name in self._seen & self._index.keys() - set(local) if not _is_hidden(name)}
        if gone and self._file.exists():  # Without its index the copy itself was deleted, as a cache may be.
            self._index |= {name: [] for name in gone}
            self._save()
        self._seen = set(local)

    def _delete(self, names: Collection[str]) -> None:
        for name in sorted(names, key=lambda name: not _is_marker(name)):
            self.store.remove(name)
            if name.endswith(_WHOLE):  # The other files of an older version were never here.
                self.store.remove(name.removesuffix(_WHOLE), with_all_below=True)
            del self._index[name]

    def _walk(self) -> Iterator[str]:
        for above, folders, files in os.walk(self.folder):
            folders[:] = sorted(each for each in folders if not _is_hidden(each))
            for name in sorted(each for each in files if not _is_hidden(each)):
                yield Path(above, name).relative_to(self.folder).as_posix()

    def _save(self) -> None:
        if not self.folder.is_file():  # A single file is fetched anew.
            staging.write_file(self._file, json.dumps(self._index, separators=(",", ":")).encode())


def _is_hidden(name: str) -> bool:
    """Tells whether a file or a folder above it is hidden: such files are neither sent nor deleted."""
    return any(part[:1] == "." for part in name.split("/"))


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
