"""Files and folders that appear whole or not at all, even if two processes make them at the same time."""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from tfpix2pix.pipelines.base.errors import UserError

# What most file systems take.
_MAX_NAME_BYTES = 255
# What file systems answer that cannot sync a folder, such as some of those on a network.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


# What they answer that cannot lock a file.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class LongNameError(UserError):
    """A file cannot have the name that it should; the text names it."""


@contextlib.contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Makes an empty folder beside `target`, whose contents the caller fills and hands to `publish`.

    A second process that wants the same target waits until the first is done. If an earlier
    process was killed, what it left is removed first. At the end the folder is removed, with
    all that was not published.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _lock(target):
        staging = target.with_name(f".{target.name}.incomplete")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def try_lock(lock: FileLock, timeout_sec: float = -1) -> bool:
    """Acquires a lock; returns False where the disk has none, as some on a network.

    Args:
      lock: the lock.
      timeout_sec: raise `Timeout` if another process holds it for so long; -1 waits without an end.
    """
    try:
        lock.acquire(timeout=timeout_sec)
    except OSError as error:
        if isinstance(error, Timeout) or error.errno not in _NO_LOCKS:
            raise
        return False
    return True


@contextlib.contextmanager
def waiting_lock(file: Path, tell: Callable[[], None] = lambda: None, remove: bool = False) -> Iterator[None]:
    """Lets one process at a time into a block; on a disk without locks, all of them.

    Args:
      file: the file that is locked.
      tell: is called if another process holds the lock, so that this one has to wait.
      remove: whether the file is removed at the end.
    """
    lock = FileLock(file)
    try:
        try_lock(lock, 0)
    except Timeout:
        tell()
        try_lock(lock)
    try:
        yield
    finally:
        if remove:
            # Processes that wait notice that their file is gone, and make a new one.
            # Windows keeps an open file.
            with contextlib.suppress(PermissionError):
                file.unlink(missing_ok=True)
        lock.release()


def is_unfinished(target: Path) -> bool:
    """Tells whether a process is making `target`, or was killed and left files to remove."""
    return _lock_file(target).exists() and os.access(target.parent, os.W_OK)


def publish(folder: Path, target: Path) -> None:
    """Moves `folder` out of a staged folder to `target`, which must not exist yet.

    Raises:
      UserError: if there is something at `target` already.
    """
    if target.exists() or target.is_symlink():
        raise UserError(f"{target} has appeared in the meantime; nothing was replaced")
    if hasattr(os, "sync"):  # One call for all files, of which a dataset has many; Windows lacks it.
        os.sync()
    else:
        sync_folder(folder)
    os.rename(folder, target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Waits until the contents of a file, or the names in a folder, are on the disk.

    A power failure may otherwise leave a new name on a file without its contents, or the old name.
    """
    try:
        descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    except PermissionError:  # Windows opens no folders, and keeps their names in order itself.
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Waits until a folder and all that it holds are on the disk."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def write_file(path: Path, contents: bytes) -> None:
    """Writes a file under another name, then renames it; makes its folder if there is none.

    Raises:
      LongNameError: if the name is longer than the disk takes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    if len(os.fsencode(partial.name)) > _MAX_NAME_BYTES:
        partial = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}.partial")
    try:
        partial.write_bytes(contents)
        sync(partial)
        os.replace(partial, path)
        sync(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno == errno.ENAMETOOLONG:
            raise LongNameError(
                f"{path} cannot be written: the name is longer than the disk takes"
            ) from error
        raise


def write_output(path: Path, contents: bytes) -> None:
    """Writes one output of many as `write_file` does.

    Raises:
      UserError: if that fails; the text names the file and the reason, and the other outputs can go on.
    """
    try:
        write_file(path, contents)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def _lock_file(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


@contextlib.contextmanager
def _lock(target: Path) -> Iterator[None]:
    notice = f"Waiting for another process that is making {target}"
    with waiting_lock(_lock_file(target), lambda: print(notice, flush=True), remove=True):
        yield
