"""Unpacks tar and zip archives that cannot be trusted.

The members are written one by one, as plain files, into a new folder. What an archive says about
links, owners, modes or places outside the folder is never followed, on any version of Python.
"""

import bz2
import contextlib
import dataclasses
import gzip
import io
import lzma
import re
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tqdm.auto import tqdm

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import show_progress

# ImageNet, the largest set of the paper, has 1.3 million files and 150 GB, which do not compress further.
MAX_MEMBERS = 5_000_000
MAX_TOTAL_BYTES = 2 << 40
# How far an archive may unpack: flat label maps and the headers of many small files compress very well.
MAX_RATIO = 200
FREE_BYTES = 64 << 20
MAX_HEADER_BYTES = 1 << 20
MAX_DEPTH = 10
MAX_NAME_BYTES = 255
CHUNK_BYTES = 1 << 18

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError)
_DECOMPRESSORS: Mapping[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
# Control characters, lone surrogates, and ends of lines and paragraphs; and what turns the order of letters
# around, with which "gpj.exe" is shown as "exe.jpg".
_CONTROL_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNS_OF_DIRECTION = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_JUNK = frozenset({"__MACOSX", ".DS_Store"})


class _Refused(Exception):
    """The archive is not unpacked; the text says why, to follow the archive's name."""


@dataclasses.dataclass(frozen=True)
class _Member:
    """What an archive says about one of its members.

    Attributes:
      name: the path of the member.
      kind: `file`, `folder`, or words for what else it is.
      size: length of the content in bytes.
      stream: a stream that stands at the first byte of the content.
    """

    name: str
    kind: str
    size: int
    stream: IO[bytes]


def unpack_archive(archive: Path, folder: Path) -> int:
    """Writes the files of an archive into a new folder.

    Files that macOS adds (`._x`, `.DS_Store`, `__MACOSX`) are left out.

    Args:
      archive: a zip, or a tar that is plain or compressed by gzip, bzip2 or xz. It is recognised by
        its content, not by its name.
      folder: the folder to make, which must not exist yet. It is removed again on any failure.

    Returns:
      The number of files written.

    Raises:
      UserError: if the archive is damaged, or if it holds anything but ordinary files and folders with
        ordinary names in reasonable amounts.
    """
    folder.mkdir()
    try:
        with open(archive, "rb") as raw, show_progress(f"Unpacking {archive.name}", _end(raw), "B") as bar:
            return _write_members(_read_members(raw, bar), folder, _allowed_bytes(_end(raw)))
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, _Refused):
            raise UserError(f"{archive}: {error}; nothing was unpacked") from error
        if isinstance(error, (*_DAMAGE, ValueError, RuntimeError)) or _is_damage(error):
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{archive}: damaged, cut short, or of an unknown kind ({reason})") from error
        raise


def _is_damage(error: BaseException) -> bool:
    # gzip and bz2 report bad data as OSError without a number; errors of the operating system have one.
    return isinstance(error, OSError) and error.errno is None


def _end(raw: IO[bytes]) -> int:
    here = raw.tell()
    end = raw.seek(0, io.SEEK_END)
    raw.seek(here)
    return end


def _allowed_bytes(archive_bytes: int) -> int:
    return min(MAX_TOTAL_BYTES, FREE_BYTES + MAX_RATIO * archive_bytes)


def _write_members(members: Iterator[_Member], folder: Path, allowed_bytes: int) -> int:
    written = total_bytes = 0
    for number, member in enumerate(members, start=1):
        shown = ascii(member.name if len(member.name) <= 200 else f"{member.name[:200]}...")
        if number > MAX_MEMBERS:
            raise _Refused(f"more than {MAX_MEMBERS} members")
        parts = _check_name(member.name, shown)
        if member.kind not in ("file", "folder"):
            raise _Refused(f"member {shown} is {member.kind}, and only files and folders are accepted")
        total_bytes += member.size
        if member.size < 0 or total_bytes > allowed_bytes:
            raise _Refused(f"member {shown} makes it unpack to more than {allowed_bytes} bytes")
        if any(part in _JUNK or part.startswith("._") for part in parts):
            continue
        try:
            _write_member(member, folder.joinpath(*parts))
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise _Refused(f"member {shown} is there twice, or as a file and a folder") from None
        written += member.kind == "file"
    return written


def _check_name(name: str, shown: str) -> tuple[str, ...]:
    """Returns the parts of a member's path below the folder; refuses any path that might lead elsewhere."""
    parts = PurePosixPath(name).parts
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        raise _Refused(f"member {shown} has an absolute path")
    if ".." in parts:
        raise _Refused(f"member {shown} leads out of the folder")
    if "\\" in name or any(map(_is_control, name)):
        raise _Refused(f"member {shown} has a backslash or a character in its name that cannot be printed")
    if not name or len(parts) > MAX_DEPTH or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise _Refused(f"member {shown} has an empty or overlong name")
    return parts


def _is_control(character: str) -> bool:
    """Tells whether a character controls how a name is shown; spaces and joiners of any kind do not.

    A byte that is not UTF-8 is read as a lone surrogate.
    """
    is_control = unicodedata.category(character) in _CONTROL_CATEGORIES
    return is_control or unicodedata.bidirectional(character) in _TURNS_OF_DIRECTION


def _write_member(member: _Member, path: Path) -> None:
    if member.kind == "folder":
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Mode "x" never follows or replaces a file, whatever names the file system takes for the same.
    with open(path, "xb") as file:
        missing = member.size
        while missing:
            chunk = member.stream.read(min(missing, CHUNK_BYTES))
            if not chunk:
                raise EOFError(f"{missing} bytes of {member.name} are missing")
            file.write(chunk)
            missing -= len(chunk)


def _read_members(raw: IO[bytes], bar: tqdm) -> Iterator[_Member]:
    """Yields the members. The stream of each must be read before the next one is asked for."""
    start = raw.read(6)
    raw.seek(0)
    if start.startswith(_ZIP_STARTS):
        yield from _read_zip(raw, bar)
        return
    openers = [opener for magic, opener in _DECOMPRESSORS.items() if start.startswith(magic)]
    with openers[0](raw) if openers else contextlib.nullcontext(raw) as unpacked:
        for member in _read_tar(unpacked, _allowed_bytes(_end(raw))):
            yield member
            bar.update(raw.tell() - bar.n)
    bar.update(_end(raw) - bar.n)


def _read_zip(raw: IO[bytes], bar: tqdm) -> Iterator[_Member]:
    with zipfile.ZipFile(raw) as archive:
        for member in archive.infolist():
            if member.flag_bits & 0x1:
                raise _Refused(f"member {ascii(member.filename)} is encrypted")
            kind = "folder" if member.is_dir() else _kind_of_mode(member.external_attr >> 16)
            # zipfile cuts a name at a NUL, so the name is taken as the archive has it.
            with archive.open(member) as stream:
                yield _Member(member.orig_filename, kind, member.file_size, stream)
            bar.update(member.compress_size)


def _kind_of_mode(mode: int) -> str:
    # Zip files from systems without Unix modes have the type 0.
    if stat.S_IFMT(mode) in (0, stat.S_IFREG):
        return "file"
    return "a symbolic link" if stat.S_ISLNK(mode) else "a special file"


def _read_tar(unpacked: IO[bytes], allowed_bytes: int) -> Iterator[_Member]:
    headers = _TarHeaders(unpacked, allowed_bytes)
    try:
        archive = tarfile.TarFile(fileobj=headers)  # type: ignore[arg-type]
    except tarfile.ReadError as error:
        raise _Refused("neither a zip nor a tar archive (plain, gzip, bzip2 or xz)") from error
    while (member := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined]  # otherwise it keeps all in memory
        yield _Member(member.name, _kind_of_tar_member(member), member.size, unpacked)
        headers.bytes_read = 0
    # tarfile takes any block that is not a header for the end, but only a block of zeros is the end.
    if headers.last_block != bytes(tarfile.BLOCKSIZE):
        raise EOFError("the end mark is missing")
    # The checksums of gzip, bzip2 and xz come after the last byte, so everything is read.
    while unpacked.read(CHUNK_BYTES):
        headers.seek(unpacked.tell())


def _kind_of_tar_member(member: tarfile.TarInfo) -> str:
    if member.issym():
        return "a symbolic link"
    if member.islnk():
        return "a hard link"
    if member.issparse():
        return "a sparse file"
    if member.isdir():
        return "folder"
    return "file" if member.isreg() else "a special file"


class _TarHeaders:
    """The unpacked bytes of a tar, as a stream for `tarfile`, which believes any length in a header.

    The stream refuses in time: headers that would fill the memory, seeking farther than the archive
    may unpack, and seeking backwards.
    """

    def __init__(self, unpacked: IO[bytes], allowed_bytes: int) -> None:
        self._unpacked = unpacked
        # Headers and padding come on top of the files' own bytes.
        self._allowed_bytes = 2 * allowed_bytes
        self.bytes_read = 0
        self.last_block = b""

    def tell(self) -> int:
        return self._unpacked.tell()

    def seek(self, position: int) -> int:
        if position > self._allowed_bytes:
            raise _Refused(f"it unpacks to more than {self._allowed_bytes} bytes")
        if position < self._unpacked.tell():
            raise tarfile.ReadError("a header points backwards")
        return self._unpacked.seek(position)

    def read(self, size: int) -> bytes:
        self.bytes_read += size
        if size < 0 or self.bytes_read > MAX_HEADER_BYTES:
            raise _Refused(f"it has a header of more than {MAX_HEADER_BYTES} bytes")
        self.last_block = self._unpacked.read(size)
        return self.last_block
