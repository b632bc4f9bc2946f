"""The lock of a run: only one process at a time writes to its folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.paths import check_writable
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
    with (workdir / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"{workdir} is in use by process {file.read().strip() or 'unknown'}; "
                "wait for it, or choose another `workdir`"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            if not is_begun(workdir):  # the run never began: leave nothing behind
                (workdir / ".lock").unlink(missing_ok=True)
                with suppress(OSError):  # something else is in it
                    for folder in made or [workdir]:
                        folder.rmdir()
