"""The lock of a run: only one process at a time writes to its folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.paths import check_writable
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.run.folder import is_begun


@contextmanager
def lock(workdir: Path) -> Iterator[None]:
    """Makes `workdir` and holds it; the system frees it when the process ends, however it ends.

    Raises:
      UserError: when another process holds it, or it is a file.
    """
    check_writable(workdir, "workdir")
    made = [folder for folder in (workdir, *workdir.parents) if not folder.exists()]
    workdir.mkdir(parents=True, exist_ok=True)
    file = workdir / ".lock"
    held = FileLock(file)
    try:
        if not staging.try_lock(held, 0):
            warn(
                f"the disk of {workdir} has no locks, so nothing keeps a second process from writing there: "
                "start only one at a time"
            )
    except Timeout:
        raise UserError(
            f"{workdir} is in use by process {_read_holder(file)}; wait for it, or choose another `workdir`"
        ) from None
    try:
        with suppress(PermissionError):  # Windows locks the contents too.
            file.write_text(str(os.getpid()))
        yield
    finally:
        is_new = not is_begun(workdir)  # the run never began: leave nothing behind
        if is_new:
            # Before it is free: the next process would hold a file that is gone, and a third one a new one.
            with suppress(OSError):  # Windows keeps the open file
                file.unlink(missing_ok=True)
        held.release()
        if is_new:
            # After it is free: NFS keeps the open file under another name.
            with suppress(OSError):  # something else is in it
                for folder in made or [workdir]:
                    folder.rmdir()


def _read_holder(file: Path) -> str:
    with suppress(OSError):
        return file.read_text().strip() or "unknown"
    return "unknown"
