"""Lists the files of a store that a person means by a URL, which may end in a pattern."""

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path

from tfpix2pix.pipelines.base.places import check_url, copy_of, settle_url
from tfpix2pix.pipelines.remote.store import Store


def list_remote(url: str) -> tuple[Path, list[Path], bool]:
    """Returns what a URL names, as paths of the copies, which are fetched when they are read.

    Args:
      url: the URL of a file or a folder, or one of which the last parts are a pattern, such as
        `s3://bucket/photos/**/*.jpg`.

    Returns:
      The folder that the names of the files are relative to, the files, and whether there is one that the URL
      names itself.
    """
    check_url(url, "input")
    parts = settle_url(url).split("/")
    first = next((place for place, part in enumerate(parts) if re.search(r"[*\[]", part)), len(parts))
    base, pattern = "/".join(parts[:first]), parts[first:]
    names, root = Store(base).list_files(), copy_of(base)
    if not pattern and "" in names:
        return root.parent, [root], True
    wanted = pattern or ["**"]
    return root, [root / name for name in names if name and _fits(name.split("/"), wanted)], False


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tells whether the parts of a name fit those of a pattern; `**` stands for any folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[place:], pattern[1:] or ["*"]) for place in range(len(parts)))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
