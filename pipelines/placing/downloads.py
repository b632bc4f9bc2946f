"""Downloads one file over HTTP: goes on where an earlier run ended, tries again, checks what arrives."""

import dataclasses
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.places import public_url
from tfpix2pix.pipelines.base.progress import show_progress

ATTEMPTS = 4  # in a row without a new byte
TIMEOUT_SEC = 30
CHUNK_BYTES = 1 << 18
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
# OSError as a whole would include a full disk.
_CONNECTION_ERRORS = (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException)


@dataclasses.dataclass(frozen=True)
class _Version:
    """What a server says about a file, by which two answers can be told to be parts of the same file."""

    url: str
    size: int | None
    etag: str | None
    last_modified: str | None

    def contradicts(self, other: "_Version") -> bool:
        # The status 206 may come without what the 200 before it said, so only what both say counts.
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)


def local_file(url: str) -> Path | None:
    """Returns the path of a `file://` URL; None for any other URL."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "file":
        return None
    return Path(urllib.request.url2pathname(parts.path))


def download(url: str, partial: Path, first_wait_sec: float = 1.0) -> None:
    """Fetches `url` into the file `partial`; returns when the file is complete.

    If the call ends early, for whatever reason, the bytes that arrived stay. The file `<partial>.json`
    beside them says what version of what file they belong to. The next call goes on behind them if the
    server still has that version, and begins anew if not.

    Args:
      url: an `http://` or `https://` URL.
      partial: the file to fill, whose folder exists.
      first_wait_sec: pause in seconds before the first retry; it doubles each time.

    Raises:
      UserError: if the server refuses, does not answer, or the disk is too small.
    """
    at_start = furthest = _size(partial)
    failures = 0
    while not _is_complete(url, partial):
        try:
            _download_rest(url, partial)
        except (urllib.error.URLError, *_CONNECTION_ERRORS, ValueError) as error:
            arrived = _size(partial)
            failures = 1 if arrived > furthest else failures + 1
            furthest = max(furthest, arrived)
            if failures >= ATTEMPTS or not _may_pass(error, furthest > at_start):
                kept = f"; {arrived} bytes are kept in {partial} for the next run" if arrived else ""
                raise UserError(f"cannot download {public_url(url)}: {_reason(error)}{kept}") from error
            wait_sec = first_wait_sec * 2 ** (failures - 1)
            print(f"{public_url(url)}: {_reason(error)}; trying again in {wait_sec:g} s", file=sys.stderr)
            time.sleep(wait_sec)


def _is_complete(url: str, partial: Path) -> bool:
    """Tells whether `partial` holds all bytes of the version of `url` that `download` last saw."""
    version = _read_version(url, partial)
    return version is not None and version.size is not None and version.size == _size(partial)


def forget_download(partial: Path) -> None:
    """Removes `partial` and the file that says what it belongs to."""
    partial.unlink(missing_ok=True)
    _version_file(partial).unlink(missing_ok=True)


def _download_rest(url: str, partial: Path) -> None:
    known = _read_version(url, partial)
    start = _size(partial) if known else 0
    headers = {"User-Agent": "tfpix2pix", **(_range_headers(known, start) if known and start else {})}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SEC)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return forget_download(partial)
        raise
    with response:
        version, first = _read_headers(url, response.status, response.headers)
        if start and not first:
            print(f"{public_url(url)}: the server cannot go on where the last download ended; starting again")
        if first and known and start:
            if first != start or known.contradicts(version):
                return forget_download(partial)
            version = dataclasses.replace(known, size=known.size or version.size)
            print(f"{public_url(url)}: going on after {first / 1e6:.1f} MB")
        elif first:
            raise ValueError("the server sent a part of the file where all of it was asked for")
        _check_room(version, first, partial)
        if first == 0:
            partial.write_bytes(b"")
        _write_version(version, partial)
        _receive(response, version.size, partial)
    if version.size is None:
        _write_version(dataclasses.replace(version, size=_size(partial)), partial)


def _range_headers(known: _Version, start: int) -> Mapping[str, str]:
    headers = {"Range": f"bytes={start}-"}
    # If-Range does not take weak validators. The headers of the answer then tell a changed file.
    strong_etag = known.etag if known.etag and not known.etag.startswith("W/") else None
    if validator := strong_etag or known.last_modified:
        headers["If-Range"] = validator
    return headers


def _read_headers(url: str, status: int, headers: Mapping[str, str]) -> tuple[_Version, int]:
    """Returns the version that the server sends, and the place of the first byte that it sends."""
    size_text, first = headers.get("Content-Length"), 0
    if status == http.client.PARTIAL_CONTENT:
        content_range = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", "").strip())
        if not content_range:
            raise ValueError(f"the server sent a part without saying which: {headers.get('Content-Range')}")
        first, size_text = int(content_range[1]), content_range[2]
    size = int(size_text) if size_text and size_text.isdecimal() else None
    return _Version(_identify(url), size, headers.get("ETag"), headers.get("Last-Modified")), first


def _check_room(version: _Version, first: int, partial: Path) -> None:
    if version.size is None:
        return
    # Images hardly shrink in an archive, so the unpacked files need about as much room again.
    needed, free = 2 * version.size - first, shutil.disk_usage(partial.parent).free
    if needed > free:
        raise UserError(
            f"cannot download {public_url(version.url)}: with its contents unpacked it takes "
            f"{needed / 1e9:.1f} GB more, and {partial.parent} has {free / 1e9:.1f} GB free"
        )


def _receive(response: http.client.HTTPResponse, size: int | None, partial: Path) -> None:
    done = _size(partial)
    with open(partial, "ab") as file, show_progress(partial.stem, size, "B", done) as bar:
        while chunk := response.read(CHUNK_BYTES):
            file.write(chunk)
            bar.update(len(chunk))
    if size is not None and _size(partial) < size:
        raise ConnectionError(f"the connection ended after {_size(partial)} of {size} bytes")


def _may_pass(error: Exception, network_worked: bool) -> bool:
    """Tells whether the next attempt may succeed although this one failed."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in TRANSIENT_STATUSES
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror):
        # If the host is unknown from the start, there is no network, and waiting would only hide that.
        return network_worked
    # The errors of bad certificates and bad URLs are ValueErrors too.
    return isinstance(cause, (OSError, http.client.HTTPException)) and not isinstance(cause, ValueError)


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    if isinstance(cause, http.client.IncompleteRead):
        return "the connection ended early"
    return " ".join(str(getattr(cause, "strerror", None) or cause).split()) or type(cause).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _version_file(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _read_version(url: str, partial: Path) -> _Version | None:
    try:
        version = _Version(**json.loads(_version_file(partial).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return version if version.url == _identify(url) else None


def _identify(url: str) -> str:
    """Returns a URL as it is kept on the disk: a digest takes the place of what may be a secret."""
    public = public_url(url)
    return url if public == url else f"{public}#{hashlib.sha256(url.encode()).hexdigest()}"


def _write_version(version: _Version, partial: Path) -> None:
    written = _version_file(partial).with_suffix(".new")
    written.write_text(json.dumps(dataclasses.asdict(version)))
    os.replace(written, _version_file(partial))
