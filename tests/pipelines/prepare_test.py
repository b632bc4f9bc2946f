"""Datasets come into place whole or not at all, from the network or a local archive."""

import dataclasses
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import types
import zipfile
from pathlib import Path

import pytest

from tests.helpers.http_servers import QuietHandler, running
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.catalogue import CATALOGUE, custom_dataset
from tfpix2pix.pipelines.placing.dataset_folder import find_dataset_folder, prepare_dataset

REPOSITORY = Path(__file__).resolve().parents[2]
FACADES_COUNTS = {"train": 400, "val": 100, "test": 106}
MINE = custom_dataset("mine")


def image_bytes(number):
    return b"not decoded here " + bytes([number % 256]) * 500


def write_archive(path, counts, top="facades/", extra=None):
    files = {f"{top}{split}/{n}.jpg": image_bytes(n) for split, count in counts.items() for n in range(count)}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {**files, **(extra or {})}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def count_files(folder):
    return {split.name: len(list(split.iterdir())) for split in folder.iterdir() if split.is_dir()}


def names_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def spec_of(url=None, **counts):
    return dataclasses.replace(MINE, url=url, counts=types.MappingProxyType(counts))


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "datasets"


def test_the_folder_of_a_dataset(tmp_path):
    assert find_dataset_folder("mine", tmp_path) is None
    (tmp_path / "mine").mkdir()
    assert find_dataset_folder("mine", tmp_path) is None
    (tmp_path / "val").mkdir()
    assert find_dataset_folder("mine", tmp_path) == tmp_path
    (tmp_path / "mine/test").mkdir()
    assert find_dataset_folder("mine", tmp_path) == tmp_path / "mine"
    assert find_dataset_folder("mine", tmp_path / "absent") is None


@pytest.mark.parametrize("top", ["mine/", "", "./", "other-main/", "datasets/mine/"])
def test_the_folders_around_the_splits_do_not_matter(tmp_path, data_dir, top):
    archive = write_archive(tmp_path / "a.tar.gz", {"train": 3, "val": 1}, top)
    assert prepare_dataset(MINE, data_dir, archive) == data_dir / "mine"
    assert count_files(data_dir / "mine") == {"train": 3, "val": 1}
    assert (data_dir / "mine/train/2.jpg").read_bytes() == image_bytes(2)
    assert names_in(data_dir) == ["mine"]
    assert archive.exists()


@pytest.mark.parametrize(
    "beside", ["docs/readme.txt", "docs/page.png", ".git/config", "__MACOSX/other/._1.png"]
)
@pytest.mark.parametrize("top", ["other/", "around/other/"])
def test_folders_beside_the_dataset_do_not_matter(tmp_path, data_dir, beside, top):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in (beside, ".ipynb_checkpoints/a.ipynb", f"{top}train/1.png"):
            archive.writestr(name, b"x")
    prepare_dataset(MINE, data_dir, tmp_path / "a.zip")
    assert names_in(data_dir / "mine/train") == ["1.png"]


def test_documents_beside_pairs_without_splits(tmp_path, data_dir):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("docs/readme.txt", ".git/config", "other/A/1.png", "other/B/1.png"):
            archive.writestr(name, b"x")
    prepare_dataset(MINE, data_dir, tmp_path / "a.zip")
    assert names_in(data_dir / "mine") == ["A", "B"]


@pytest.mark.parametrize(
    "character", ["\u202f", "\u00a0", "\u3000", "\u200b", "\u200c", "\u200d", "\ufeff", "\u00ad", "\u200e"]
)
def test_names_with_spaces_and_joiners_of_any_width(tmp_path, data_dir, character):
    name = f"Screenshot 9.15.00{character}AM.png"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(f"train/{name}", b"x")
    prepare_dataset(MINE, data_dir, tmp_path / "a.zip")
    assert names_in(data_dir / "mine/train") == [name]


def test_archives_that_hold_images_of_one_name_are_refused(tmp_path, data_dir):
    for name in ("photos", "labels"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr("LICENSE", b"x")
            archive.writestr("1.png", name)
    archives = tmp_path / "photos.zip", tmp_path / "labels.zip"
    with pytest.raises(UserError, match="labels.zip and an archive before it hold an image 1.png: let each"):
        prepare_dataset(MINE, data_dir, *archives)
    assert not (data_dir / "mine").exists()


def test_a_zip_with_input_and_target_folders(tmp_path, data_dir):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for side in ("input", "target"):
            archive.writestr(f"mine/train/{side}/1.png", b"x")
    prepare_dataset(spec_of(train=1), data_dir, tmp_path / "a.zip")
    assert (data_dir / "mine/train/target/1.png").exists()


def test_a_second_run_finds_the_dataset(tmp_path, data_dir, capsys):
    archive = write_archive(tmp_path / "a.tar.gz", {"train": 3})
    prepare_dataset(MINE, data_dir, archive)
    archive.unlink()
    assert prepare_dataset(MINE, data_dir) == data_dir / "mine"
    assert f"mine is complete in {data_dir}/mine: train 3" in capsys.readouterr().out


def test_a_folder_that_holds_the_splits_itself(tmp_path, data_dir):
    prepare_dataset(MINE, data_dir, write_archive(tmp_path / "a.tar.gz", {"train": 3}))
    assert prepare_dataset(MINE, data_dir / "mine") == data_dir / "mine"


@pytest.mark.parametrize(
    ("counts", "extra", "message"),
    [
        (
            {"train": 2, "val": 1},
            {},
            r"train/ holds 2 images instead of 3\. To use it as it is: `dataset=my_mine`",
        ),
        ({"train": 3}, {}, "there is no folder val/"),
        (
            {"train": 3, "val": 1},
            {"facades/test/readme.txt": b"x"},
            "test/ holds no JPEG, PNG, BMP, ",
        ),
        ({"train": 3}, {"facades/val/1.png": b""}, r"val/1.png is empty \(0 bytes\)"),
        ({}, {"facades/photos/1.jpg": b"x"}, "there is no folder train/, val/ or test/"),
        ({}, {"a/train/1.jpg": b"x", "b/train/1.jpg": b"x"}, "there is no folder train/, val/ or test/"),
        ({"train": 3}, {"facades/val/input/1.png": b"x"}, "val/target/ holds no JPEG"),
    ],
)
def test_archives_that_hold_something_else(tmp_path, data_dir, counts, extra, message):
    archive = write_archive(tmp_path / "a.tar.gz", counts, extra=extra)
    with pytest.raises(UserError, match=f"{archive} does not hold a complete mine: {message}"):
        prepare_dataset(spec_of(train=3, val=1), data_dir, archive)
    assert names_in(data_dir) == []


def test_a_hostile_archive_leaves_nothing(tmp_path, data_dir):
    archive = write_archive(tmp_path / "a.tar.gz", {"train": 3}, extra={"../../evil": b"x"})
    with pytest.raises(UserError, match="leads out of the folder"):
        prepare_dataset(MINE, data_dir, archive)
    assert names_in(data_dir) == []
    assert names_in(tmp_path) == ["a.tar.gz", "datasets"]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_is_there_is_not_replaced(tmp_path, data_dir, make):
    archive = write_archive(tmp_path / "a.tar.gz", {"train": 3})
    data_dir.mkdir()
    make(data_dir / "mine")
    with pytest.raises(UserError, match=f"{data_dir}/mine is there without train/, .*move it away"):
        prepare_dataset(MINE, data_dir, archive)
    assert names_in(data_dir) == ["mine"]


def test_a_folder_of_ones_own_without_splits_says_what_it_lacks(data_dir):
    for name in ("x/1.png", "y/1.png"):
        (data_dir / "mine" / name).parent.mkdir(parents=True)
        (data_dir / "mine" / name).touch()
    mine = data_dir / "mine"
    lack = f"{mine} holds x/, y/; expected folders train/ and val/, .* --combine {mine}/x {mine}/y"
    with pytest.raises(UserError, match=lack):
        prepare_dataset(MINE, data_dir)


def test_an_incomplete_dataset_is_not_replaced(tmp_path, data_dir):
    archive = write_archive(tmp_path / "a.tar.gz", {"train": 3})
    prepare_dataset(spec_of(train=3), data_dir, archive)
    (data_dir / "mine/train/1.jpg").unlink()
    with pytest.raises(
        UserError, match="not a complete mine: train/ holds 2 images instead of 3; move it away"
    ):
        prepare_dataset(spec_of(train=3), data_dir, archive)
    with pytest.raises(UserError, match="train/ holds 2 images instead of 3; name another `data_dir`"):
        prepare_dataset(spec_of(train=3), data_dir / "mine", archive)
    assert count_files(data_dir / "mine") == {"train": 2}


def test_file_urls(tmp_path, data_dir):
    archive = write_archive(tmp_path / "my set.tar.gz", {"train": 3})
    assert prepare_dataset(spec_of(archive.as_uri()), data_dir) == data_dir / "mine"
    assert archive.exists()
    with pytest.raises(UserError, match=r"file:///no/such.zip: there is no such file.*--archive=FILE"):
        prepare_dataset(spec_of("file:///no/such.zip"), data_dir / "other")


def test_a_missing_archive(tmp_path, data_dir):
    with pytest.raises(UserError, match=f"^`archive={tmp_path}/no.zip`: there is no such file"):
        prepare_dataset(MINE, data_dir, tmp_path / "no.zip")


def test_sets_without_a_download_say_what_to_do(data_dir):
    with pytest.raises(
        UserError, match=r"thermal2color cannot be downloaded\. It must not be redistributed.*--archive=FILE"
    ):
        prepare_dataset(CATALOGUE["thermal2color"], data_dir)
    with pytest.raises(
        UserError,
        match=r"facade is not one of synthetic, .*; did you mean facades\?.*`data_dir=DIR` where DIR/facade ",
    ):
        prepare_dataset(custom_dataset("facade"), data_dir)
    assert not data_dir.exists()


def test_where_a_dataset_was_looked_for_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    looked = f"There is no folder {tmp_path}/data/mine, and no train/, val/ or test/ in {tmp_path}/data "
    with pytest.raises(UserError, match=re.escape(f"{looked}(`data_dir`), which does not exist")):
        prepare_dataset(MINE, Path("data"))
    (tmp_path / "data/other").mkdir(parents=True)
    with pytest.raises(UserError, match=re.escape(f"{looked}(`data_dir`), which holds other/")):
        prepare_dataset(MINE, Path("data"))


@pytest.mark.parametrize("name", ["../mine", "a/b", "", ".", "..", "/tmp", ".hidden"])
def test_names_that_are_paths(data_dir, name):
    with pytest.raises(UsageError, match="`dataset` is a name, not a path"):
        prepare_dataset(custom_dataset(name), data_dir)


def test_a_data_dir_that_is_a_file(tmp_path, data_dir):
    data_dir.touch()
    with pytest.raises(UserError, match=f"cannot put mine into {data_dir}: "):
        prepare_dataset(MINE, data_dir, write_archive(tmp_path / "a.tar.gz", {"train": 3}))


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at any path, with Range, as a server or as a proxy.

    While `gate` is closed, it stops after the first half.
    """

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.gate = content, [], threading.Event()
        self.gate.set()
        self.url = f"http://127.0.0.1:{self.server_port}"
        # The archive of facades is known to be larger.
        self.sha256 = f"--sha256={hashlib.sha256(content).hexdigest()}"

    def handle_error(self, *_):
        pass


class Handler(QuietHandler):
    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        start, total = int(re.sub(r"\D", "", server.ranges[-1] or "0")), len(server.content)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(total - start))
        self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("ETag", '"one"')
        self.end_headers()
        middle = max(start, total // 2)
        self.wfile.write(server.content[start:middle])
        self.wfile.flush()
        server.gate.wait(60)
        self.wfile.write(server.content[middle:])


@pytest.fixture(scope="module")
def facades_archive(tmp_path_factory):
    # Incompressible, so that half of it is more than the program reads at once.
    extra = {"facades/noise.bin": os.urandom(2_000_000)}
    return write_archive(tmp_path_factory.mktemp("server") / "facades.tar.gz", FACADES_COUNTS, extra=extra)


@pytest.fixture
def server(facades_archive, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with running(Server(facades_archive.read_bytes())) as server:
        yield server
        server.gate.set()


def test_a_damaged_download_is_removed(server, data_dir):
    server.content = server.content[:-1000]
    url = f"{server.url}/mine.tar.gz"
    with pytest.raises(UserError, match=r"mine.tar.gz.partial: damaged.*Removed it.*downloads it again"):
        prepare_dataset(spec_of(url), data_dir)
    assert names_in(data_dir) == []


def test_an_unexpected_download_is_kept(server, data_dir):
    with pytest.raises(
        UserError, match="train/ holds 400 images instead of 401. To use it as it is: "
    ) as caught:
        prepare_dataset(spec_of(f"{server.url}/mine.tar.gz", train=401), data_dir)
    archive = Path(str(caught.value).rpartition("`archive=")[2].removesuffix("`"))
    assert prepare_dataset(custom_dataset("my_mine"), data_dir, archive) == data_dir / "my_mine"


def test_another_archive_than_at_the_first_download_is_refused(server, data_dir):
    spec, sha256 = spec_of(f"{server.url}/mine.tar.gz"), hashlib.sha256(server.content).hexdigest()
    folder = prepare_dataset(spec, data_dir)
    record = json.loads((data_dir / "mine.tar.gz.json").read_text())
    assert record == {"url": spec.url, "size": len(server.content), "sha256": sha256}
    shutil.rmtree(folder)
    prepare_dataset(spec, data_dir)
    shutil.rmtree(folder)
    server.content = server.content + bytes(1)
    with pytest.raises(UserError, match=f"{len(server.content)} bytes .* instead of {record['size']} bytes"):
        prepare_dataset(spec, data_dir)
    assert names_in(data_dir) == ["mine.tar.gz.json"]
    with pytest.raises(UserError, match="is not the file that was asked for"):
        prepare_dataset(spec, data_dir, sha256=sha256)
    new = hashlib.sha256(server.content).hexdigest()
    prepare_dataset(spec, data_dir, sha256=new.upper())
    assert json.loads((data_dir / "mine.tar.gz.json").read_text())["sha256"] == new


def test_an_archive_of_another_size_than_the_known_one_is_refused(server, data_dir):
    spec = dataclasses.replace(spec_of(f"{server.url}/mine.tar.gz"), archive_bytes=7)
    with pytest.raises(UserError, match=r"instead of 7 bytes.*prepare --dataset=mine --sha256=HEX"):
        prepare_dataset(spec, data_dir)
    assert names_in(data_dir) == []


def test_a_local_archive_is_compared_with_what_is_expected(tmp_path, data_dir):
    archive = write_archive(tmp_path / "a.tar.gz", {"train": 3})
    with pytest.raises(UserError, match=f"{archive} is not the file that was asked for"):
        prepare_dataset(MINE, data_dir, archive, sha256="0" * 64)
    with pytest.raises(UsageError, match="`sha256` takes 64 hexadecimal digits. Received: abc"):
        prepare_dataset(MINE, data_dir, archive, sha256="abc")
    with pytest.raises(UsageError, match="`sha256` is for one `archive`"):
        prepare_dataset(MINE, data_dir, archive, archive, sha256="0" * 64)
    assert names_in(data_dir) == []
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert prepare_dataset(MINE, data_dir, archive, sha256=sha256) == data_dir / "mine"
    assert names_in(data_dir) == ["mine"]


def start(*arguments, cwd, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "tfpix2pix.pipelines.prepare", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "no_proxy": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Returns exit status, standard output, and the last line of standard error."""
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, (errors.splitlines() or [""])[-1]


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.001)


def test_the_command_downloads_facades_and_finds_it_again(server, data_dir, tmp_path):
    status, out, _ = finish(start("--dataset=facades", server.sha256, cwd=tmp_path, http_proxy=server.url))
    assert status == 0
    assert "facades is ready in datasets/facades: train 400, val 100, test 106" in out
    assert "Removed the downloaded archive datasets/facades.tar.gz.partial" in out
    assert count_files(data_dir / "facades") == FACADES_COUNTS
    assert names_in(data_dir) == ["facades", "facades.tar.gz.json"]

    status, out, _ = finish(start("--dataset=facades", server.sha256, cwd=tmp_path, http_proxy=server.url))
    assert status == 0
    assert out == "facades is complete in datasets/facades: train 400, val 100, test 106\n"
    assert server.ranges == [None]


def test_killed_while_downloading(server, data_dir, tmp_path):
    server.gate.clear()
    process = start("--dataset=facades", server.sha256, cwd=tmp_path, http_proxy=server.url)
    partial = data_dir / "facades.tar.gz.partial"
    wait_until(lambda: partial.exists() and partial.stat().st_size > 500_000)
    process.send_signal(signal.SIGKILL)
    finish(process)
    server.gate.set()
    arrived = partial.stat().st_size
    assert find_dataset_folder("facades", data_dir) is None

    status, out, _ = finish(start("--dataset=facades", server.sha256, cwd=tmp_path, http_proxy=server.url))
    assert status == 0
    assert "going on after" in out
    assert server.ranges == [None, f"bytes={arrived}-"]
    assert count_files(data_dir / "facades") == FACADES_COUNTS
    assert names_in(data_dir) == ["facades", "facades.tar.gz.json"]


def test_interrupted_while_downloading(server, data_dir, tmp_path):
    server.gate.clear()
    process = start("--dataset=facades", server.sha256, cwd=tmp_path, http_proxy=server.url)
    partial = data_dir / "facades.tar.gz.partial"
    wait_until(lambda: partial.exists() and partial.stat().st_size > 500_000)
    process.send_signal(signal.SIGINT)
    status, _, reason = finish(process)
    assert (status, reason) == (130, "stopped by Ctrl-C")
    assert names_in(data_dir) == ["facades.tar.gz.partial", "facades.tar.gz.partial.json"]


def test_killed_while_unpacking(data_dir, tmp_path):
    archive = write_archive(tmp_path / "a.tar.gz", {"train": 4000})
    process = start("--dataset=mine", f"--archive={archive}", cwd=tmp_path)
    first = data_dir / ".mine.incomplete/unpacked/facades/train/0.jpg"
    wait_until(first.exists)
    process.send_signal(signal.SIGKILL)
    assert finish(process)[0] == -signal.SIGKILL
    assert first.exists()
    assert find_dataset_folder("mine", data_dir) is None

    assert finish(start("--dataset=mine", f"--archive={archive}", cwd=tmp_path))[0] == 0
    assert count_files(data_dir / "mine") == {"train": 4000}
    assert names_in(data_dir) == ["mine"]


def test_killed_after_the_dataset_appeared(data_dir, tmp_path):
    archive = write_archive(tmp_path / "mine.zip", {"train": 3})
    prepare_dataset(MINE, data_dir, archive)
    for name in (".mine.lock", "mine.zip.partial", "mine.zip.partial.json"):
        (data_dir / name).touch()
    (data_dir / ".mine.incomplete").mkdir()
    prepare_dataset(spec_of("http://no-such-host.invalid/mine.zip"), data_dir)
    assert names_in(data_dir) == ["mine"]
    assert count_files(data_dir / "mine") == {"train": 3}


def test_a_second_process_waits_for_the_first(server, data_dir, tmp_path):
    server.gate.clear()
    first = start("--dataset=facades", server.sha256, cwd=tmp_path, http_proxy=server.url)
    wait_until(lambda: server.ranges)
    second = start("--dataset=facades", server.sha256, cwd=tmp_path, http_proxy=server.url)
    assert second.stdout.readline() == "Waiting for another process that is making datasets/facades\n"
    server.gate.set()
    assert finish(first)[0] == 0
    status, out, _ = finish(second)
    assert (status, out) == (0, "facades is complete in datasets/facades: train 400, val 100, test 106\n")
    assert server.ranges == [None]
    assert names_in(data_dir) == ["facades", "facades.tar.gz.json"]


def test_no_network(tmp_path):
    proxy = "http://no-such-host.invalid:1"
    status, _, reason = finish(start("--dataset=facades", cwd=tmp_path, http_proxy=proxy))
    assert status == 1
    assert reason.startswith(f"error: cannot download {CATALOGUE['facades'].url}: ")
    for way_out in ("--archive=FILE", "--data_dir=DIR where DIR/facades holds", "--dataset=synthetic"):
        assert way_out in reason


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ([], 2, "error: expected --dataset=NAME"),
        (["facades"], 2, "error: expected --dataset=NAME"),
        (["--dataset=facades", "--no_such_flag"], 2, "error: there is no flag --no_such_flag"),
        (["--dataset=facades", "--output=x"], 2, "error: expected --dataset=NAME"),
        (["--dataset=a/b"], 2, "error: --dataset is a name, not a path"),
        (
            ["--combine", "one", "--output=x"],
            2,
            "error: expected --combine INPUT_DIR TARGET_DIR --output=DIR",
        ),
        (["--combine", "one", "two"], 2, "error: expected --combine INPUT_DIR TARGET_DIR --output=DIR"),
        (["--dataset=mine", "--on_bad_image=skip"], 2, "error: --on_bad_image is for --combine and --shards"),
        (["--dataset=mine", "--archive=no.zip"], 1, "error: --archive=no.zip: there is no such file"),
        (["--dataset=thermal2color"], 1, "error: thermal2color cannot be downloaded"),
        (["--dataset=synthetic"], 0, ""),
    ],
)
def test_exit_status_and_reason(tmp_path, arguments, status, reason):
    found_status, _, found_reason = finish(start(*arguments, cwd=tmp_path))
    assert found_status == status
    assert found_reason.startswith(reason) if reason else found_reason == ""
    assert names_in(tmp_path) in ([], ["datasets"])


@pytest.mark.parametrize("address", ["pipelines.prepare", "tfpix2pix.pipelines.prepare"])
def test_both_addresses_work_from_the_checkout(address):
    command = [sys.executable, "-m", address, "--help"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "python -m tfpix2pix.pipelines.prepare --dataset=facades\n" in done.stdout
    assert "--dataset=cityscapes \\\n      --archive=leftImg8bit" in done.stdout


def test_help_does_not_import_tensorflow(tmp_path):
    program = (
        "import sys, tfpix2pix.pipelines.prepare as prepare\n"
        "try: prepare.main(['prepare', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'tensorflow' not in sys.modules"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--archive" in done.stdout
    assert "--combine" in done.stdout
