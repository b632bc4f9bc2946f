"""What is at URLs, fetched to folders and files of this machine, and what is written here, uploaded."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar, cast

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
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.remote.failures import MissingError
from tfpix2pix.pipelines.remote.folder_copy import Choice, Copy, Names
from tfpix2pix.pipelines.remote.store import Store

File = TypeVar("File")
# A copy that was compared so recently is not compared again.
_FRESH_SEC = 60
_compared: dict[tuple[str, str], float] = {}
_opened: dict[Path, Copy] = {}  # by `open_output`


def fetch_folder(
    path: str | Path,
    choose: Choice | None = None,
    scope: str = "",
    names: Names | None = None,
) -> Path:
    """Returns a folder or file of this machine with what is at a path: that itself, or for a URL its copy.

    Args:
      path: a path or a URL.
      choose: returns which of the store's files are wanted, in the order in which they are fetched. None
        takes all. What this choice took before, and no choice takes now, is deleted here.
      scope: tells one choice from another. The same one of the same URL is not made again within a minute,
        unless anything was fetched or deleted meanwhile.
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
            if Copy(Store(key[0]), folder).pull(choose, names, scope):
                _compared.clear()  # Other choices and the copies of other URLs may share these files.
        _compared[key] = time.monotonic()
    return folder


def forget_copy(url: str) -> Path:
    """Deletes the copy of what is not at a URL any more, if there is one; returns its path."""
    folder = copy_of(url)
    if folder.exists():
        with _locked(folder):
            shutil.rmtree(folder, ignore_errors=True)
            _compared.clear()
    return folder


def open_output(path: str | Path, choose: Choice | None = None, written: bool = False) -> Path:
    """Returns a folder of this machine to write to; that of a URL, or of a copy, has what is there already.

    `send_folder` uploads what is written, and deletes there what is deleted here from now on.

    Args:
      path: a path, a URL, or the path of a copy.
      choose: as for `fetch_folder`.
      written: that of `places.copy_of`.
    """
    url = url_of(path)
    if url is None:
        return Path(path)
    check_url(url, "output", writes=True)
    folder = copy_of(url, written)
    with _locked(folder), contextlib.suppress(MissingError):
        _opened[folder] = Copy(Store(url), folder)
        _opened[folder].pull(choose)
    return folder


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
      folder: a path of this machine. What was deleted in it since `open_output` gave it is deleted there.
      names: what may have changed, relative to it; None looks at all that it holds.

    Raises:
      UserError: if the store does not take it. It stays on this machine, and the text says where.
    """
    if url := url_of(folder):
        try:
            with _locked(folder):
                (_opened.get(folder) or Copy(Store(url), folder)).push(names)
        except UserError as error:
            raise UserError(f"{error}. Nothing is lost: it is in {folder.absolute().as_uri()}") from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time fetch or send a folder."""
    file = folder.with_name(f".{folder.name}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    with staging.waiting_lock(file, lambda: say(f"waiting for another process that copies {folder}")):
        yield
