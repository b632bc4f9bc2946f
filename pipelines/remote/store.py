"""The files below a URL: lists, reads and writes them, and tries again for a while where nothing answers.

Credentials, endpoints and other settings are those of fsspec and of the package that it calls for the scheme.
"""

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.paths import is_inner_name
from tfpix2pix.pipelines.base.places import READ_ONLY, check_url, public_url, settle_url
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.remote.failures import MissingError, describe, give_up_at_once, is_taken, telling_own

Result = TypeVar("Result")
Item = TypeVar("Item")

# How long an operation is tried again; a variable of the environment says otherwise.
RETRY_SEC = 60
_RETRY_VARIABLE = "TFPIX2PIX_REMOTE_RETRY_SEC"
_LONGEST_WAIT_SEC = 10
# Operations at the same time. Most of each is waiting for an answer.
AT_ONCE = 16
# What tells one version of a file from another, from the best to the worst.
_VERSIONS = ("ETag", "etag", "md5Hash", "generation", "Last-Modified", "LastModified", "updated", "created")


class Entry(NamedTuple):
    """What a store says of a file.

    Attributes:
      size: number of bytes; None where the store does not say it.
      version: differs if the file was written anew, where the store tells.
    """

    size: int | None
    version: str


class Store:
    """The files below a URL, by their names relative to it.

    Every method raises UserError, in one sentence, if the store does not answer for `RETRY_SEC`, refuses, or
    does not have what is asked for.

    Args:
      url: such as `s3://bucket/folder`.

    Attributes:
      url: the same, as `settle_url` returns it.
      title: the URL as it is told, without what may be a secret.
    """

    def __init__(self, url: str):
        check_url(url, "url")
        import fsspec

        self.url = settle_url(url)
        self.title = public_url(self.url)
        self._scheme = self.url.partition(":")[0]
        self._files: Any = None

        def connect() -> Any:
            return fsspec.filesystem(self._scheme, use_listings_cache=False)

        self._files = self._persist(connect)
        self._root = self._files._strip_protocol(self.url)

    def list_files(self, folder: str = "") -> dict[str, Entry]:
        """Returns all files below a folder of the store, by name; none where there is nothing.

        The store itself may be one file: it then has the empty name.
        """
        root = self._path(folder)

        def find() -> dict[str, Any]:
            try:
                return self._files.find(root, detail=True)
            except FileNotFoundError:
                if self._scheme in READ_ONLY or not _lacks_bucket(self._files, root):
                    return {}
                raise

        start = len(self._root)
        found = {path[start:]: about for path, about in self._persist(find).items() if path[-1:] != "/"}
        if self._scheme in READ_ONLY:  # whose page tells names alone, among links that sort it
            links = [unescape(name.lstrip("/")) for name in found]
            return self.look_at([unquote(link) for link in links if not set("?#") & set(link)])
        entries = {name.lstrip("/"): _read_entry(about) for name, about in found.items()}
        return {name: entry for name, entry in entries.items() if self._check_name(name)}

    def look_at(self, names: Sequence[str]) -> dict[str, Entry]:
        """Returns what the store says of each of these files."""

        def look(name: str) -> Entry:
            self._check_name(name)
            return _read_entry(self._persist(lambda: self._files.info(self._path(name)), name))

        return dict(zip(names, self.map(look, names), strict=True))

    def _check_name(self, name: str) -> bool:
        if name and not is_inner_name(name):
            raise UserError(
                f"{self.title} holds a file {name!r}, which is no name on this machine; rename it"
            )
        return True

    def _path(self, name: str) -> str:
        name = quote(name) if self._scheme in READ_ONLY else name
        return f"{self._root}/{name}" if name else self._root

    def has(self, name: str) -> bool:
        """Tells whether there is a file of this name."""
        return bool(self._persist(lambda: self._files.isfile(self._path(name))))

    def read(self, name: str) -> bytes | None:
        """Returns the contents of a file; None where there is none."""
        try:
            return self._persist(lambda: self._files.cat_file(self._path(name)))
        except MissingError:
            return None

    def fetch(self, name: str, file: Path, size: int | None = None) -> None:
        """Downloads a file, which appears whole or not at all.

        Args:
          name: its name; the store itself, where that is one file, has the empty name.
          file: where it is written, with the folders above it.
          size: how many bytes it must have; None takes what comes.
        """
        partial = file.with_name(f".{secrets.token_hex(8)}.partial")  # Others may fetch the same file.

        def get() -> None:
            with telling_own(partial, self.title):
                file.parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(self._path(name), str(partial))
                if size is not None and partial.stat().st_size != size:
                    raise OSError(errno.EIO, f"{partial.stat().st_size:,} of {size:,} bytes came")
                os.replace(partial, file)

        try:
            self._persist(get, name)
        finally:
            with suppress(OSError):
                partial.unlink()

    def send(self, file: Path, name: str) -> None:
        """Uploads a file. Stores show it when it is whole, and not before.

        Raises:
          FileNotFoundError: if it is not there any more.
        """

        def put() -> None:
            try:
                with telling_own(file, self.title):
                    self._files.put_file(str(file), self._path(name))
            except Exception:
                if not file.is_file():
                    raise _GoneError(file) from None
                raise

        try:
            self._persist(put, name)
        except _GoneError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file)) from None

    def write(self, name: str, contents: bytes, is_new: bool = False) -> bool:
        """Writes a file; returns whether it did.

        Args:
          name: its name.
          contents: its contents.
          is_new: does nothing if there is one of this name. Of several that call this at the same time, one
            writes.
        """
        mode = "create" if is_new else "overwrite"

        def pipe() -> bool:
            try:
                self._files.pipe_file(self._path(name), contents, mode=mode)
            except Exception as error:
                if is_new and is_taken(error):
                    return False
                raise
            return True

        return self._persist(pipe, name)

    def remove(self, name: str, with_all_below: bool = False) -> None:
        """Deletes a file, or a folder with all below it; nothing happens where there is none."""

        def delete(path: str) -> None:
            # Not `rm`, which takes a name with [, ] or * for a pattern, and deletes what others have.
            with suppress(MissingError):
                self._persist(lambda: self._files.rm_file(path), name)

        path = self._path(name)
        with suppress(MissingError):
            paths = self._persist(lambda: self._files.find(path), name) if with_all_below else [path]
            self.map(delete, paths)

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Returns what `work` returns for each item, of which `AT_ONCE` are worked on at the same time."""
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            return list(pool.map(work, items))
        finally:
            pool.shutdown(cancel_futures=True)

    def _persist(self, work: Callable[[], Result], name: str = "") -> Result:
        """Returns what `work` returns, which is tried again where the store does not answer."""
        url = f"{self.title}/{name}" if name else self.title
        start, wait_sec, told = time.monotonic(), 0.2, False
        while True:
            try:
                return work()
            except (UserError, _GoneError):
                raise
            except Exception as error:  # Clients of stores raise errors of many kinds.
                give_up_at_once(url, error)
                passed_sec = time.monotonic() - start
                if passed_sec + wait_sec > retry_sec():
                    raise UserError(
                        f"{url} does not answer ({describe(error)}); gave up after {passed_sec:.0f} s. Try "
                        f"again later, or set {_RETRY_VARIABLE} to wait longer"
                    ) from error
                if not told and passed_sec > 1:
                    told = True
                    say(f"{url} does not answer ({describe(error)}); trying again")
            time.sleep(wait_sec)
            wait_sec = min(2 * wait_sec, _LONGEST_WAIT_SEC)


class _GoneError(Exception):
    """A file of this machine that was to be uploaded is not there any more."""


def retry_sec() -> float:
    """Returns how long an operation is tried again, in seconds."""
    try:
        return float(os.environ.get(_RETRY_VARIABLE, RETRY_SEC))
    except ValueError:
        raise UserError(
            f"{_RETRY_VARIABLE} is a number of seconds. Received: {os.environ[_RETRY_VARIABLE]}"
        ) from None


def _lacks_bucket(files: Any, path: str) -> bool:
    """Tells whether it is the bucket of a path that is missing."""
    try:
        return not files.exists(path.strip("/").split("/")[0])
    except FileNotFoundError:
        return True


def _read_entry(about: dict[str, Any]) -> Entry:
    version = next((str(about[name]) for name in _VERSIONS if about.get(name)), "")
    return Entry(about.get("size"), version)
