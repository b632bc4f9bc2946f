"""Compares downloaded files with what is known of them, and remembers what nobody knew."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a file held.

    Attributes:
      size: number of bytes.
      sha256: its SHA-256, 64 hexadecimal digits in lower case.
    """

    size: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.size} bytes with the SHA-256 {self.sha256}"


def read_sha256(text: str | None) -> str | None:
    """Returns a SHA-256 that a person has given in lower case; None if none was given.

    Raises:
      UsageError: if it is none.
    """
    if text and not _SHA256.fullmatch(text.strip()):
        raise UsageError(f"`sha256` takes 64 hexadecimal digits. Received: {text}")
    return text.strip().lower() if text else None


def hash_file(file: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal digits; a large file is read piece by piece."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def check_file(
    file: Path, source: str, record: Path, sha256: str | None = None, size: int | None = None
) -> Contents:
    """Compares a file with what a person knows of it, or else with its record, or else with its known size.

    Args:
      file: the file.
      source: what it is, for messages.
      record: where `remember` keeps what it held at the first download.
      sha256: what a person expects, from `read_sha256`; nothing else counts then.
      size: number of bytes that the file is known to have.

    Returns:
      What the file holds.

    Raises:
      UserError: if the file is another one, or its record cannot be read.
    """
    found = Contents(file.stat().st_size, hash_file(file))
    if sha256:
        if sha256 != found.sha256:
            raise UserError(
                f"{source} is not the file that was asked for: its SHA-256 is {found.sha256}, "
                f"and `sha256` is {sha256}"
            )
        return found
    known = _read_record(record)
    if known and known != found:
        raise UserError(
            f"{source} is not the file that it was at the first download: {found} instead of {known}. "
            f"If that is right, remove {record}, or give the new `sha256`"
        )
    if not known and size and size != found.size:
        raise UserError(
            f"{source} is not the file that is known: {found} instead of {size} bytes. If that is right, "
            "give this `sha256`"
        )
    return found


def remember(record: Path, url: str, contents: Contents) -> None:
    """Keeps what a download held, for `check_file`."""
    text = json.dumps({"url": url, **dataclasses.asdict(contents)}, indent=2) + "\n"
    if not record.is_file() or record.read_text("utf-8") != text:
        staging.write_file(record, text.encode())


def _read_record(record: Path) -> Contents | None:
    try:
        known = json.loads(record.read_text("utf-8"))
        return Contents(known["size"], known["sha256"])
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(f"{record} cannot be read: {error}. Remove it") from error
