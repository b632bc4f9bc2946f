"""What the errors of stores' clients mean: which will not go away by themselves, and how people are told."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UserError, explain, shorten
from tfpix2pix.pipelines.base.places import uri_of

# What clients raise where they find no credentials, or bad ones, besides PermissionError.
_REFUSED = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "RefreshError")
_FULL = (errno.ENOSPC, errno.EDQUOT)
# With what a disk refuses a file for good; other errors of a disk may pass.
_OWN = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
)


class MissingError(UserError):
    """A store has no such file, folder or bucket."""


def give_up_at_once(url: str, error: Exception) -> None:
    """Raises UserError for an error that will not go away by itself."""
    status = _read_status(error)
    if isinstance(error, FileNotFoundError) or status == 404:
        raise MissingError(f"there is nothing at {url}, or no such bucket; compare the name") from error
    if isinstance(error, PermissionError) or status in (401, 403) or type(error).__name__ in _REFUSED:
        scheme = url.partition(":")[0]
        raise UserError(
            f"{url} refuses access ({describe(error)}). Credentials are taken from where the client of "
            f"{scheme}:// finds them, such as the variables of its environment"
        ) from error
    if isinstance(error, OSError) and error.errno in _FULL:
        raise UserError(
            f"the disk of this machine is full ({explain(error)}) while {url} is copied to it. Make room, or "
            "let TFPIX2PIX_CACHE name a folder on another disk"
        ) from error
    if isinstance(error, ImportError | TypeError | ValueError | NotImplementedError):
        raise UserError(f"{url} cannot be used: {describe(error)}") from error


@contextlib.contextmanager
def telling_own(file: Path, url: str) -> Iterator[None]:
    """Raises UserError where it is this machine that refuses a file, or a folder above it, in the block.

    A full disk is left to `give_up_at_once`, and what may pass is raised as it is.

    Args:
      file: the file of this machine that is copied.
      url: the store that it is copied from or to.
    """
    try:
        yield
    except OSError as error:
        name = error.filename
        if error.errno not in _OWN or not isinstance(name, str) or Path(name) not in (file, *file.parents):
            raise
        raise UserError(
            f"{error.strerror}: {uri_of(Path(name))} on this machine, while {url} is copied. Let "
            "this process read and write it, or let TFPIX2PIX_CACHE name another folder for copies"
        ) from error


def _read_status(error: Exception) -> int | None:
    """Returns the status of HTTP that an error tells of, if it does."""
    status = str(getattr(error, "status", None) or getattr(error, "code", None) or "")
    return int(status) if status.isdecimal() else None


def describe(error: Exception) -> str:
    """Returns what an error of a client says, or else what it is."""
    return shorten(error) or type(error).__name__


def is_taken(error: Exception) -> bool:
    """Tells whether a file was not written because there is one."""
    texts = ("PreconditionFailed", "conditionNotMet", "At least one of the pre-conditions")
    return (
        isinstance(error, FileExistsError)
        or _read_status(error) in (409, 412)
        or any(text in str(error) for text in texts)
    )
