"""Paths of stores such as `s3://bucket/folder`, and the folders of this machine that stand for them.

What is at `s3://bucket/folder` has a copy in the cache, whose path follows from the URL alone, and the URL
from the path. So all that reads and writes files works with paths of this machine, and messages show the URL.
"""

import importlib.util
import os
import re
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UsageError, UserError

# The schemes that are supported, and the package that speaks each.
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "https": "aiohttp", "http": "aiohttp", "memory": "fsspec"}
READ_ONLY = ("http", "https")
# `Path` leaves one slash of the two behind the scheme.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
# The user and the password in a URL; the password may have @ in it.
_USER = re.compile(r"(?<=://)[^\s/]+@")
# The folders of the cache: copies of what is read, which may be deleted at any time, what is written here, of
# which some may not be in the store yet, and what is read once, in a folder for each reader.
_READ, _WRITTEN, _PASSING = "fetched", "written", "passing"


def cache_folder() -> Path:
    """Returns where downloads are kept: $TFPIX2PIX_CACHE, or `tfpix2pix` in the person's folder of caches."""
    if chosen := os.environ.get("TFPIX2PIX_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfpix2pix"


def is_url(path: str | Path) -> bool:
    """Tells whether a path is a URL of any scheme."""
    return bool(_URL.match(str(path)))


def is_remote(path: str | Path) -> bool:
    """Tells whether a path is a URL of a scheme that is supported."""
    return is_url(path) and settle_url(path).partition(":")[0] in PACKAGES


def settle_url(path: str | Path) -> str:
    """Returns a URL with both slashes behind its scheme, and none at its end."""
    match = _URL.match(str(path))
    return f"{match[1].lower()}://{match[2].rstrip('/')}" if match else str(path)


def check_url(path: str | Path, setting: str, writes: bool = False) -> None:
    """Raises an error, naming the setting, for a URL that cannot be used; other paths pass.

    Args:
      path: what was given.
      setting: the argument that it was given for.
      writes: whether something will be written there.

    Raises:
      UsageError: for a scheme that is not supported, or that can only be read.
      UserError: where the package that speaks the scheme is not installed.
    """
    if not is_url(path):
        return
    url = settle_url(path)
    scheme, _, rest = url.partition("://")
    if scheme not in PACKAGES:
        raise UsageError(
            f"`{setting}={url}` is a URL, and paths must be of this machine, or begin with "
            f"{', '.join(f'{each}://' for each in PACKAGES)}. Copy or mount what {scheme}:// names, and give "
            "the path of the copy"
        )
    if not rest or ".." in rest.split("/"):
        raise UsageError(f"`{setting}={url}` names no folder; expected {scheme}://BUCKET/FOLDER")
    if writes and scheme in READ_ONLY:
        raise UsageError(f"`{setting}={url}` cannot be written: {scheme}:// is only read. Name another place")
    if any(importlib.util.find_spec(name) is None for name in ("fsspec", PACKAGES[scheme])):
        raise UserError(f"{scheme}:// needs {PACKAGES[scheme]}: pip install 'tfpix2pix[remote]'")


def copy_of(path: str | Path, written: bool = False) -> Path:
    """Returns the path on this machine that stands for a path: itself, or for a URL its copy in the cache.

    Args:
      path: a path or a URL.
      written: whether it is written here, so that the copy is not only one of what is read.
    """
    if not is_remote(path):
        return Path(path)
    scheme, _, rest = settle_url(path).partition("://")
    return cache_folder() / "remote" / (_WRITTEN if written else _READ) / scheme / rest


def passing_folder() -> Path:
    """Returns the folder for copies that are deleted once they are read; each lies in a folder of its own."""
    return cache_folder() / "remote" / _PASSING


def url_of(path: str | Path) -> str | None:
    """Returns the URL that a path stands for; None for a path that is of this machine alone."""
    if is_remote(path):
        return settle_url(path)
    match = _copies().match(str(path))
    return f"{match[1]}://{str(path)[match.end() :]}" if match else None


def below(path: str | Path, name: str) -> str | Path:
    """Returns what is called `name` in a folder: a URL for a URL, and else a path."""
    return f"{settle_url(path)}/{name}" if is_remote(path) else Path(path) / name


def public_url(path: str | Path) -> str:
    """Returns a URL without what may be a secret; what has none is returned as it is.

    That is a user and a password, and of web servers what follows `?` or `#`.
    """
    match = _URL.match(str(path))
    if not match or match[1].lower() == "file":
        return str(path)
    url = f"{match[1]}://{match[2]}"
    public = _USER.sub("", url)
    public = re.split("[?#]", public)[0] if match[1].lower() in READ_ONLY else public
    return str(path) if public == url else public


def uri_of(path: Path) -> str:
    """Returns where a path lies on this machine, as `file://`: of a copy's, messages would show the URL.

    The cache's folder stands for a copy whose path has in it what may be a secret.
    """
    url = url_of(path)
    return (path if url is None or public_url(url) == url else cache_folder()).absolute().as_uri()


def name_urls(text: str) -> str:
    """Returns a text in which URLs take the place of their copies in the cache, but for those after `file://`.

    Users and passwords in URLs are left out.
    """
    return _USER.sub("", _copies().sub(r"\1://", text))


def _copies() -> re.Pattern[str]:
    """Returns what the paths of all copies begin with."""
    root = re.escape(str(cache_folder() / "remote"))
    folders = rf"(?:{_READ}|{_WRITTEN}|{_PASSING}/[^/]+)"
    return re.compile(rf"(?<!file://){root}/{folders}/({'|'.join(PACKAGES)})/")
