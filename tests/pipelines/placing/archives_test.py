"""Archives from the network: ordinary ones unpack whole, hostile ones leave nothing."""

import io
import stat
import tarfile
import zipfile

import pytest

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.placing import archives
from tfpix2pix.pipelines.placing.archives import unpack_archive

FILES = {
    "facades/train/1.jpg": b"one" * 1000,
    "facades/train/2.jpg": bytes(range(256)) * 2,  # 512 bytes: no padding in a tar
    "facades/val/1.jpg": b"v",
    "facades/test/\u00fcber \u30d5.png": b"names beyond ASCII",
    "facades/notes.txt": b"",
}
TAR_MODES = ("w", "w:gz", "w:bz2", "w:xz")


def write_tar(path, files=FILES, mode="w:gz", tar_format=tarfile.PAX_FORMAT):
    with tarfile.open(path, mode, format=tar_format) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_zip(path, files=FILES, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def read_tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuse(archive, match):
    """Checks that `archive` is refused with a message that names it, and that nothing was written."""
    folder = archive.parent / "unpacked"
    before = set(archive.parent.rglob("*"))
    with pytest.raises(UserError, match=match) as caught:
        unpack_archive(archive, folder)
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert set(archive.parent.rglob("*")) == before


@pytest.mark.parametrize("mode", TAR_MODES)
@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_tar_unpacks_whole(tmp_path, mode, tar_format):
    archive = write_tar(tmp_path / "misnamed.bin", mode=mode, tar_format=tar_format)
    assert unpack_archive(archive, tmp_path / "out") == 5
    assert read_tree(tmp_path / "out") == FILES


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_zip_unpacks_whole(tmp_path, compression):
    archive = write_zip(tmp_path / "misnamed.bin", compression=compression)
    assert unpack_archive(archive, tmp_path / "out") == 5
    assert read_tree(tmp_path / "out") == FILES


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_what_macos_adds_is_left_out(tmp_path, write):
    junk = ("__MACOSX/train/._1.jpg", "train/._1.jpg", "train/.DS_Store", "._train")
    archive = write(tmp_path / "a", {"train/1.jpg": b"1", **dict.fromkeys(junk, b"junk")})
    assert unpack_archive(archive, tmp_path / "out") == 1
    assert read_tree(tmp_path / "out") == {"train/1.jpg": b"1"}


def test_leading_dots_long_names_and_folders(tmp_path):
    long_name = "train/" + "x" * 200 + ".jpg"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in (".", "./train", "./train"):
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
        archive.addfile(tarfile.TarInfo(f"./{long_name}"))
    unpack_archive(tmp_path / "a.tar", tmp_path / "out")
    assert read_tree(tmp_path / "out") == {long_name: b""}


@pytest.mark.parametrize("write", ["tar", "zip"])
def test_modes_are_not_kept(tmp_path, write):
    if write == "tar":
        member = tarfile.TarInfo("program")
        member.mode, member.uid, member.uname = 0o6777, 12345, "nobody"
        with tarfile.open(tmp_path / "a", "w") as archive:
            archive.addfile(member)
    else:
        entry = zipfile.ZipInfo("program")
        entry.external_attr = (stat.S_IFREG | 0o6777) << 16
        with zipfile.ZipFile(tmp_path / "a", "w") as archive:
            archive.writestr(entry, b"")
    unpack_archive(tmp_path / "a", tmp_path / "out")
    (tmp_path / "plain").touch()
    assert (tmp_path / "out/program").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "out/program").stat().st_uid == (tmp_path / "plain").stat().st_uid


HOSTILE_NAMES = {
    "/etc/evil": "absolute",
    "//evil": "absolute",
    "C:/evil": "absolute",
    "C:evil": "absolute",
    "../evil": "leads out",
    "train/../../evil": "leads out",
    "train/..": "leads out",
    "__MACOSX/../../evil": "leads out",
    "..\\evil": "backslash",
    "train\\1.jpg": "backslash",
    "train/a\nb.jpg": "cannot be printed",
    "train/\x1b[2J.jpg": "cannot be printed",
    "train/\u202egpj.exe": "cannot be printed",
    "train/\u2067gpj.exe": "cannot be printed",
    "train/a\u2028b.jpg": "cannot be printed",
    "train/a\x85b.jpg": "cannot be printed",
    "train/" + "x" * 256: "overlong",
    "a/" * 11 + "x": "overlong",
}


@pytest.mark.parametrize("write", [write_tar, write_zip])
@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_refused(tmp_path, write, name):
    archive = write(tmp_path / "evil.bin", {"train/1.jpg": b"fine", name: b"evil"})
    refuse(archive, HOSTILE_NAMES[name])


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        archive.addfile(tarfile.TarInfo("train/stra\u00dfe.jpg"))
    refuse(tmp_path / "a.tar", r"member 'train/stra\\udcdfe.jpg' .*cannot be printed")


def test_a_nul_in_a_zip_name_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"train/1.jpgX.exe": b"evil"})
    archive.write_bytes(archive.read_bytes().replace(b"1.jpgX", b"1.jpg\0"))
    refuse(archive, r"'train/1.jpg\\x00.exe' has .*cannot be printed|damaged")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a special file"),
        (tarfile.BLKTYPE, "a special file"),
        (tarfile.FIFOTYPE, "a special file"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (b"V", "a special file"),
    ],
)
def test_special_tar_members_are_refused(tmp_path, kind, said):
    member = tarfile.TarInfo("train/2.jpg")
    member.type, member.linkname = kind, "train/1.jpg"
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("train/1.jpg"))
        archive.addfile(member)
    refuse(tmp_path / "a.tar", f"member 'train/2.jpg' is {said}")


@pytest.mark.parametrize(
    ("kind", "said"), [(stat.S_IFLNK, "a symbolic link"), (stat.S_IFIFO, "a special file")]
)
def test_special_zip_members_are_refused(tmp_path, kind, said):
    entry = zipfile.ZipInfo("train/2.jpg")
    entry.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    refuse(tmp_path / "a.zip", f"member 'train/2.jpg' is {said}")


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"1.jpg": b"x"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    refuse(archive, "'1.jpg' is encrypted")


@pytest.mark.parametrize(
    "first, second", [("a/1.jpg", "a/1.jpg"), ("a/1.jpg", "a/./1.jpg"), ("a", "a/1.jpg")]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("write", ["tar", "zip"])
def test_duplicate_members_are_refused(tmp_path, write, first, second):
    if write == "tar":
        with tarfile.open(tmp_path / "a", "w") as archive:
            for name in (first, second):
                archive.addfile(tarfile.TarInfo(name))
    else:
        with zipfile.ZipFile(tmp_path / "a", "w") as archive:
            for name in (first, second):
                archive.writestr(name, b"")
    refuse(tmp_path / "a", r"member 'a/.*1.jpg' is there twice, or as a file and a folder")


@pytest.mark.parametrize("write", [write_tar, write_zip])
@pytest.mark.parametrize("name", ["train/bomb.png", "__MACOSX/bomb"])
def test_absurd_expansion_is_refused(tmp_path, write, name):
    archive = write(tmp_path / "bomb", {name: bytes(100 << 20)})
    assert archive.stat().st_size < 200_000
    refuse(archive, f"'{name}' makes it unpack to more than [0-9]+ bytes")


def test_many_small_files_are_no_bomb(tmp_path):
    files = {f"train/{number}.png": b"x" for number in range(2000)}
    assert unpack_archive(write_tar(tmp_path / "a.tar.xz", files, "w:xz"), tmp_path / "out") == 2000


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 4)
    refuse(write_tar(tmp_path / "a.tar"), "more than 4 members")
    refuse(write_zip(tmp_path / "a.zip"), "more than 4 members")


def test_too_large_a_total_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 3000)
    refuse(write_tar(tmp_path / "a.tar"), "'facades/train/2.jpg' makes it unpack to more than 3000 bytes")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_that_would_fill_the_memory_are_refused(tmp_path, mode, kind):
    header = tarfile.TarInfo("header")
    header.type, header.size = kind, 50 << 20
    with tarfile.open(tmp_path / "a.tar", mode) as archive:
        archive.addfile(tarfile.TarInfo("train/1.jpg"))
        archive.addfile(header, io.BytesIO(bytes(50 << 20)))
    refuse(tmp_path / "a.tar", "a header of more than 1048576 bytes")


def negative_size_tar(path, kind):
    header = tarfile.TarInfo("train/1.jpg")
    header.type, header.size = kind, -1024
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    path.write_bytes(tarfile.TarInfo("train/0.jpg").tobuf() + bytes(block) + bytes(10240))
    return path


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.DIRTYPE, b"V"])
def test_negative_sizes_are_refused(tmp_path, kind):
    refuse(negative_size_tar(tmp_path / "a.tar", kind), "unpack to more|header of more|special file|damaged")


def test_endless_chains_of_headers_are_refused(tmp_path):
    chain = tarfile.TarInfo("x")
    chain.type = tarfile.XHDTYPE
    (tmp_path / "a.tar").write_bytes(chain.tobuf() * 20000 + bytes(10240))
    refuse(tmp_path / "a.tar", "header of more|damaged|neither")


@pytest.mark.parametrize("keep", [0, 0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("mode", TAR_MODES)
def test_a_tar_that_is_cut_short_is_refused(tmp_path, mode, keep):
    archive = write_tar(tmp_path / "a.tar", {f"train/{n}.jpg": bytes([n]) * 3000 for n in range(20)}, mode)
    content = archive.read_bytes()
    # A plain tar ends in up to 10 kB of zeros that say nothing.
    content = content.rstrip(b"\0") if mode == "w" else content
    archive.write_bytes(content[: int(len(content) * keep)])
    refuse(archive, "damaged, cut short|neither a zip nor a tar")


def test_a_plain_tar_that_ends_between_members_is_refused(tmp_path):
    archive = write_tar(tmp_path / "a.tar", {"1.jpg": bytes(512), "2.jpg": bytes(512)}, "w")
    archive.write_bytes(archive.read_bytes()[:1024])
    refuse(archive, "damaged, cut short.*end mark")


def test_a_plain_tar_with_a_damaged_header_is_refused(tmp_path):
    archive = write_tar(tmp_path / "a.tar", {"1.jpg": bytes(512), "2.jpg": bytes(512)}, "w")
    content = bytearray(archive.read_bytes())
    content[1024] ^= 1
    archive.write_bytes(content)
    refuse(archive, "damaged, cut short")


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.99])
def test_a_zip_that_is_cut_short_is_refused(tmp_path, keep):
    archive = write_zip(tmp_path / "a.zip")
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * keep)])
    refuse(archive, "damaged, cut short")


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_flipped_bits_are_noticed(tmp_path, write):
    archive = write(tmp_path / "a", {"train/1.jpg": bytes(range(256)) * 40})
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)
    refuse(archive, "damaged, cut short")


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><title>Log in", b"\xff\xd8\xff\xe0" + bytes(2000)])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.tar.gz").write_bytes(content)
    refuse(tmp_path / "a.tar.gz", "neither a zip nor a tar archive")


def test_an_unknown_zip_method_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"1.jpg": b"x"})
    content = archive.read_bytes()
    for signature, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = content.index(signature) + place
        content = content[:at] + b"\x09\x00" + content[at + 2 :]
    archive.write_bytes(content)
    refuse(archive, "unknown kind")


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(FileExistsError):
        unpack_archive(write_tar(tmp_path / "a.tar"), tmp_path / "out")
    assert (tmp_path / "out/mine.txt").read_text() == "mine"
