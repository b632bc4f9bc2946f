"""Which paths can be used: what a person types as a path, and what TensorFlow understands of it."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tfpix2pix.pipelines.base import places
from tfpix2pix.pipelines.base.errors import UsageError

# TensorFlow looks for a checkpoint by a pattern, in which these characters stand for others. It takes
# names in UTF-8 alone; Python keeps the bytes of other names as halves of surrogates.
_MISREAD = re.compile(r"[*?\[\]\\\udc80-\udcff]")


def settle_path(text: str, setting: str) -> str:
    """Returns a path as it was typed, with the home in place of `~`, which a shell leaves behind `=`.

    A text that is no path passes as it is. So does the name of something that begins with `~` and is there.

    Args:
      text: what was typed.
      setting: the argument that it was given for.

    Raises:
      UsageError: for a URL, and for bytes that are not UTF-8.
    """
    refuse_url(text, setting)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"`{setting}={show_name(text)}` is not valid UTF-8. Rename it, or give a symbolic link to it"
        ) from None
    return text if os.path.lexists(text) else os.path.expanduser(text)


def refuse_url(path: str | Path, setting: str) -> None:
    """Raises UsageError, naming the setting, for a URL; it would become a folder of this machine."""
    if places.is_url(path):
        scheme = str(path).partition(":")[0]
        raise UsageError(
            f"`{setting}={path}` is a URL, and paths must be of this machine. Copy or mount what "
            f"{scheme}:// names, and give the path of the copy"
        )


def check_writable(folder: Path, setting: str) -> None:
    """Raises UsageError, naming the setting, for a folder that is not there and cannot be made, or written.

    Args:
      folder: the folder that will be written.
      setting: the argument that it comes from.
    """
    refuse_url(folder, setting)
    shown = f"`{setting}={folder}`"
    try:
        for path in (folder, *folder.parents):
            if path.is_symlink() and not path.exists():
                raise UsageError(f"{shown} cannot be written: {path} is a link to what is not there")
            if path.exists() and not path.is_dir():
                raise UsageError(f"{shown} takes a folder, and {path} is a file; choose another one")
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
    except OSError as error:  # a name that is too long, or links in a circle
        raise UsageError(f"{shown} cannot be written: {error.strerror}") from error
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"{shown} cannot be written: you may not write to {nearest}")


def is_inner_name(name: str) -> bool:
    """Tells whether a name, whose parts slashes divide, leads below the folder that it is relative to.

    It does not where a part is empty, `.` or `..`, so also if it begins with a slash; nor with a NUL.
    """
    return not ({"", ".", ".."} & set(name.split("/")) or "\0" in name)


def show_name(path: str | Path) -> str:
    r"""Returns a path as text in which bytes that are not UTF-8 stand as `\xe9`."""
    if isinstance(path, str) and path.isascii():
        return path  # itself, so that a million names do not take their memory twice
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_plain(path: Path) -> bool:
    """Tells whether TensorFlow reads a path as it stands."""
    return not _MISREAD.search(str(path))


@contextlib.contextmanager
def plain_folder(folder: Path) -> Iterator[Path]:
    """Gives a folder a path that TensorFlow reads as it stands, for as long as the block lasts.

    Args:
      folder: a folder that is there, of any name.

    Yields:
      The folder itself where its name is plain, and else a symbolic link to it.
    """
    if is_plain(folder):
        yield folder
        return
    place = None if is_plain(Path(tempfile.gettempdir())) else "/tmp"
    with tempfile.TemporaryDirectory(prefix="tfpix2pix_", dir=place) as links:
        link = Path(links) / "folder"
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link
