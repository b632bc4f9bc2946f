"""Files of stores, by real servers of their protocols: listed, copied, refused, and waited for."""

import builtins
import os
import resource
import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.helpers import stores
from tests.helpers.http_servers import web_server
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.places import check_url, copy_of, name_urls, public_url, settle_url, url_of
from tfpix2pix.pipelines.remote import copies
from tfpix2pix.pipelines.remote.failures import MissingError
from tfpix2pix.pipelines.remote.store import Store


@pytest.fixture
def folder(tmp_path):
    for name, text in (("a.txt", "a"), ("sub/ä b.txt", "bb"), ("sub/shards.json", "{}")):
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_text(text)
    return tmp_path / "folder"


@pytest.fixture(params=["s3", "gcs", "memory"])
def url(request):
    if request.param == "memory":
        pytest.importorskip("fsspec")
        return f"memory://bucket-{time.time_ns()}"
    return request.getfixturevalue(request.param).make_bucket()


def test_what_is_written_is_listed_read_and_deleted(url, folder, tmp_path):
    stores.send(folder, f"{url}/x")
    store = Store(f"{url}/x/")
    assert {name: entry.size for name, entry in store.list_files().items()} == {
        "a.txt": 1,
        "sub/ä b.txt": 2,
        "sub/shards.json": 2,
    }
    assert set(Store(url).list_files()) == {f"x/{name}" for name in store.list_files()}
    assert set(store.list_files("sub")) == {"sub/ä b.txt", "sub/shards.json"}
    assert set(Store(f"{url}/x/a.txt").list_files()) == {""} and Store(f"{url}/x/none").list_files() == {}
    assert store.read("sub/ä b.txt") == b"bb" and store.read("none") is None
    assert store.has("a.txt") and not store.has("a")
    assert store.write("b.txt", b"new", is_new=True)
    if not url.startswith("gs:"):  # whose emulator does not look at what is there
        assert not store.write("a.txt", b"new", is_new=True)
    store.fetch("a.txt", tmp_path / "new/a.txt", 1)
    assert (tmp_path / "new/a.txt").read_bytes() == b"a"
    store.remove("sub", with_all_below=True)
    store.remove("none")
    assert set(store.list_files()) == {"a.txt", "b.txt"}
    with pytest.raises(FileNotFoundError):
        store.send(tmp_path / "none", "none")
    with pytest.raises(MissingError, match=f"there is nothing at {url}/x/none"):
        store.fetch("none", tmp_path / "none")
    assert not list(tmp_path.rglob("*.partial")) and not (tmp_path / "none").exists()


def test_names_are_no_patterns(url, tmp_path):
    own, others = Store(f"{url}/runs/[test]*"), Store(f"{url}/runs/t")
    for name in ("a", "b/*", "b/[c]", "b/c"):
        assert own.write(name, b"own") and others.write(name, b"others'")
    (tmp_path / "[c]").write_text("sent")
    own.send(tmp_path / "[c]", "b/[c]")
    assert (
        own.read("b/[c]") == b"sent"
        and own.has("b/*")
        and set(own.list_files("b")) == {"b/*", "b/[c]", "b/c"}
    )
    own.fetch("b/*", tmp_path / "*", 3)
    own.remove("b/[c]")
    assert set(own.list_files()) == {"a", "b/*", "b/c"}
    own.remove("b/*")
    assert set(own.list_files()) == {"a", "b/c"}
    own.remove("b", with_all_below=True)
    assert set(own.list_files()) == {"a"} and len(others.list_files()) == 4
    own.remove("", with_all_below=True)
    assert own.list_files() == {} and len(others.list_files()) == 4


def test_a_file_that_came_short_is_no_file(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("TFPIX2PIX_REMOTE_RETRY_SEC", "0")
    store = Store(s3.make_bucket())
    store.write("a", b"12")
    with pytest.raises(UserError, match="does not answer .*2 of 3 bytes came.*gave up after 0 s"):
        store.fetch("a", tmp_path / "a", 3)
    assert list(tmp_path.glob("*a*")) == []


def test_a_missing_bucket_and_wrong_credentials_are_told(s3, monkeypatch):
    with pytest.raises(MissingError, match="there is nothing at s3://nobody/run, or no such bucket"):
        Store("s3://nobody/run").list_files()
    with pytest.raises(MissingError, match="s3://nobody/run/a"):
        Store("s3://nobody/run").write("a", b"")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(UserError, match=r"s3://b/a refuses access \(Unable to locate credentials\)"):
        Store("s3://b").write("a", b"")


def test_wrong_credentials_are_told(s3):
    store = Store(s3.make_bucket())
    s3.check_credentials_after("0")
    try:
        with pytest.raises(UserError, match=f"{store.url}/a refuses access .* Credentials are taken from"):
            store.write("a", b"")
        with pytest.raises(UserError, match=f"{store.url} refuses access"):
            store.list_files()
    finally:
        s3.check_credentials_after("inf")
    assert store.write("a", b"")


def test_a_server_that_is_away_for_some_seconds_is_waited_for(s3):
    store = Store(s3.make_bucket())
    s3.stop()
    timer = threading.Timer(2, s3.start)
    timer.start()
    try:
        assert store.write("a", b"1")
    finally:
        timer.join()
    assert store.read("a") == b"1"


def test_a_server_that_stays_away_is_told_after_a_limit(s3, monkeypatch):
    store = Store(s3.make_bucket())
    monkeypatch.setenv("TFPIX2PIX_REMOTE_RETRY_SEC", "0")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(
        UserError, match="does not answer .*Try again later, or set TFPIX2PIX_REMOTE_RETRY_SEC"
    ):
        Store(store.url).read("a")


def test_a_web_server_is_read_by_its_listing(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / "cache"))
    with web_server(folder) as url:
        assert set(Store(url).list_files()) == {"a.txt", "sub/ä b.txt", "sub/shards.json"}
        copy = copies.fetch_folder(f"{url}/sub")
        assert (copy / "ä b.txt").read_text() == "bb"
        assert Store(f"{url}/none").list_files() == {}
        with pytest.raises(UsageError, match="`output=http://.* cannot be written: http:// is only read"):
            check_url(f"{url}/out", "output", writes=True)


def test_links_that_sort_the_page_of_a_web_server_are_no_files(folder):
    (folder / "sub/what? #1 & 2.txt").write_text("")
    every = {"a.txt", "sub/ä b.txt", "sub/shards.json", "sub/what? #1 & 2.txt"}
    with web_server(folder, lists="apache") as url:
        assert set(Store(url).list_files()) == every
        assert set(Store(f"{url}/sub").list_files()) == {name[4:] for name in every if name != "a.txt"}
        assert {name: entry.size for name, entry in Store(f"{url}/a.txt").list_files().items()} == {"": 1}


def test_only_what_changed_is_fetched_again(s3, folder, monkeypatch):
    url = stores.send(folder, f"{s3.make_bucket()}/x")
    monkeypatch.setattr(copies, "_FRESH_SEC", 0)
    copy = copies.fetch_folder(url)
    before = {file: file.stat().st_mtime_ns for file in copy.rglob("*.*") if file.is_file()}
    store = Store(url)
    store.write("a.txt", b"A")
    store.remove("sub/ä b.txt")
    (copy / "sub/shards.json").unlink()
    assert copies.fetch_folder(url) == copy
    assert (copy / "a.txt").read_bytes() == b"A" and (copy / "sub/shards.json").read_text() == "{}"
    assert not (copy / "sub/ä b.txt").exists()
    now = (copy / "a.txt").stat().st_mtime_ns
    copies.fetch_folder(url)
    assert (copy / "a.txt").stat().st_mtime_ns == now != before[copy / "a.txt"]


def names_in(folder):
    """Returns the names of the files of a folder but hidden ones."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix() for file in files if ".remote" not in file.parts}


def test_no_choice_takes_the_files_of_another(s3, folder, monkeypatch):
    url = stores.send(folder, f"{s3.make_bucket()}/x")
    every = {"a.txt", "sub/ä b.txt", "sub/shards.json"}

    def fetch(scope, *names):
        return names_in(copies.fetch_folder(url, lambda entries: list(names), scope))

    assert fetch("first", "a.txt", "sub/ä b.txt") == {"a.txt", "sub/ä b.txt"}
    assert fetch("second", "sub/shards.json", "sub/ä b.txt") == every
    assert fetch("first", "a.txt", "sub/ä b.txt") == every
    monkeypatch.setattr(copies, "_FRESH_SEC", 0)
    assert fetch("first", "sub/shards.json") == {"sub/ä b.txt", "sub/shards.json"}  # a.txt is nobody's now
    assert fetch("second", "sub/shards.json") == {"sub/shards.json"}
    assert names_in(copies.fetch_folder(url)) == every
    Store(url).remove("sub/ä b.txt")
    assert fetch("first", "a.txt") == {"a.txt", "sub/shards.json"}


def test_what_another_choice_has_changed_is_compared_anew(s3, folder):
    url = stores.send(folder, f"{s3.make_bucket()}/x")
    assert names_in(copies.fetch_folder(url, lambda entries: ["a.txt", "sub/ä b.txt"], "first"))
    store = Store(url)
    store.write("a.txt", b"A")
    store.write("sub/ä b.txt", b"B")
    copies.fetch_folder(url, lambda entries: ["a.txt"], "second")
    copy = copies.fetch_folder(url, lambda entries: ["a.txt", "sub/ä b.txt"], "first")
    assert (copy / "a.txt").read_text() == "A" and (copy / "sub/ä b.txt").read_text() == "B"


def test_readers_of_a_file_do_not_take_it_from_each_other(s3, folder):
    file = copy_of(f"{stores.send(folder, s3.make_bucket())}/sub/ä b.txt")
    with copies.fetch_file(file) as second:
        with copies.fetch_file(file) as first:
            assert first != second and url_of(first) == url_of(second) == url_of(file)
            assert name_urls(f"cannot read {first}") == f"cannot read {url_of(file)}"
        assert not first.exists() and second.read_text() == "bb"
    assert not second.exists() and not file.exists()
    with copies.fetch_file(folder / "a.txt") as own:
        assert own == folder / "a.txt"
    assert own.exists()


def test_two_fetch_a_file_at_the_same_time(tmp_path, monkeypatch):
    memory = pytest.importorskip("fsspec.implementations.memory").MemoryFileSystem
    store, both = Store(f"memory://bucket-{time.time_ns()}"), threading.Barrier(2, timeout=20)
    store.write("a", b"1")
    get_file, one_at_a_time = memory.get_file, threading.Lock()

    def get_together(*arguments, **named):
        with one_at_a_time:  # Readers of a file in memory share their place in it.
            get_file(*arguments, **named)
        both.wait()

    monkeypatch.setattr(memory, "get_file", get_together)
    store.map(lambda _: store.fetch("a", tmp_path / "a", 1), range(2))
    assert names_in(tmp_path) == {"a"}


def test_what_killed_downloads_have_left_is_deleted(s3, folder):
    url = stores.send(folder, f"{s3.make_bucket()}/x")
    for name, age_sec in ((".1.partial", 10), (".2.partial", 3 * 24 * 3600)):
        file = copy_of(url) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1")
        os.utime(file, (time.time() - age_sec,) * 2)
    assert ".1.partial" in names_in(copies.fetch_folder(url)) and not file.exists()


def test_a_changed_folder_is_uploaded_markers_last_and_others_files_stay(s3, tmp_path):
    url = f"{s3.make_bucket()}/models"
    copy = copies.open_output(url)
    (copy / "1").mkdir(parents=True)
    for name in ("saved_model.pb", "variables", ".hidden"):
        (copy / "1" / name).write_text(name)
    copies.send_folder(copy)
    store = Store(url)
    assert set(store.list_files()) == {"1/saved_model.pb", "1/variables"}
    store.write("1/notes.txt", b"")
    store.write("2/notes.txt", b"")
    (copy / "1/variables").unlink()
    copies.send_folder(copy)
    assert set(store.list_files()) == {"1/saved_model.pb", "1/notes.txt", "2/notes.txt"}
    (copy / "1/saved_model.pb").unlink()
    copies.send_folder(copy)
    assert set(store.list_files()) == {"2/notes.txt"}


def test_what_is_missing_here_for_another_reason_is_not_deleted_there(s3):
    url = f"{s3.make_bucket()}/models"
    outer = copies.open_output(url)
    (outer / "one/1").mkdir(parents=True)
    (outer / "one/1/saved_model.pb").write_text("")
    (outer / "notes.txt").write_text("")
    copies.send_folder(outer)
    store = Store(url)
    before = set(store.list_files())
    shutil.rmtree(outer / "one")  # by hand, to make room
    copies.Copy(store, outer).push()  # as another process does
    assert set(store.list_files()) == before == names_in(copies.open_output(url))
    shutil.rmtree(outer)  # while a command runs
    copies.send_folder(outer)
    copies.send_folder(outer)
    assert set(store.list_files()) == before


def test_what_was_deleted_here_is_deleted_there_after_an_upload_that_was_cut_short(s3, tmp_path, monkeypatch):
    store = Store(f"{s3.make_bucket()}/run")
    copy = copies.Copy(store, tmp_path)
    for name in ("old", "kept"):
        (tmp_path / name).write_text(name)
    copy.push()
    (tmp_path / "old").unlink()
    (tmp_path / "new").write_text("")
    monkeypatch.setenv("TFPIX2PIX_REMOTE_RETRY_SEC", "0")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3.stop()
    with pytest.raises(UserError, match="does not answer"):
        copy.push()
    s3.start()
    monkeypatch.setenv("TFPIX2PIX_REMOTE_RETRY_SEC", "20")
    copies.Copy(store, tmp_path).push()
    assert set(store.list_files()) == {"kept", "new"}


def test_a_copy_that_is_open_for_long_knows_what_others_have_copied(s3, tmp_path):
    store = Store(f"{s3.make_bucket()}/run")
    store.write(".hidden", b"1")
    store.write("own", b"1")
    opened = copies.Copy(store, tmp_path)
    opened.pull()
    store.write("two", b"1")
    copies.Copy(store, tmp_path).pull()  # another process
    store.write("two", b"newer")  # another machine
    (tmp_path / "own").write_text("changed")
    opened.push()
    assert (store.read("two"), store.read("own")) == (b"newer", b"changed")
    assert store.has(".hidden")


def test_what_a_fetch_that_was_cut_short_has_left_goes_with_its_choice(s3, tmp_path):
    store = Store(f"{s3.make_bucket()}/run")
    for name in ("1", "2", "3"):
        store.write(name, b"1")

    def choose(entries):
        store.remove("2")  # after the store was listed
        return ["1", "2"]

    with pytest.raises(UserError, match="there is nothing at"):
        copies.Copy(store, tmp_path).pull(choose, scope="latest")
    assert (tmp_path / "1").is_file()
    copies.Copy(store, tmp_path).pull(lambda entries: ["3"], scope="latest")
    assert not (tmp_path / "1").exists() and (tmp_path / "3").is_file()


def test_a_full_disk_is_told(s3, folder, monkeypatch, tmp_path):
    url = stores.send(folder, f"{s3.make_bucket()}/x")
    monkeypatch.setattr("secrets.token_hex", lambda number: "full")
    store = Store(url)
    # The kernel refuses every byte for this file as it does on a disk that is full.
    with pytest.raises(UserError, match="the disk of this machine is full .*TFPIX2PIX_CACHE"):
        _fetch_to_full_disk(store, tmp_path)


def test_a_disk_that_refuses_is_not_taken_for_the_store(s3, folder, monkeypatch, tmp_path):
    store, start = Store(stores.send(folder, f"{s3.make_bucket()}/x")), time.monotonic()
    monkeypatch.setattr("secrets.token_hex", lambda number: "taken")
    (tmp_path / ".taken.partial").symlink_to(tmp_path / "none/a.txt")
    refused = "{}: {} on this machine, while {} is copied. Let this process .*, or let TFPIX2PIX_CACHE"
    for place, reason, name in (
        ("folder/a.txt/below", "File exists", "folder/a.txt"),  # a file is where its folder should be
        ("b.txt", "No such file or directory", ".taken.partial"),
    ):
        with pytest.raises(UserError, match=refused.format(reason, (tmp_path / name).as_uri(), store.url)):
            store.fetch("a.txt", tmp_path / place)
    assert time.monotonic() - start < 10


def test_what_may_pass_on_this_machine_is_tried_again(tmp_path):
    store = Store(f"memory://bucket-{time.time_ns()}")
    store.write("a", b"1")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(lowest := os.dup(0))
    timer = threading.Timer(0.5, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))  # No file can be opened for a while.
    timer.start()
    try:
        store.fetch("a", tmp_path / "a")
    finally:
        timer.join()
    assert (tmp_path / "a").read_bytes() == b"1"


def test_a_file_that_vanishes_when_it_is_read_to_be_uploaded_is_told_as_such(tmp_path, monkeypatch):
    memory = pytest.importorskip("fsspec.implementations.memory").MemoryFileSystem
    put_file = memory.put_file

    def put_late(self, local, *arguments, **named):
        Path(local).unlink()
        put_file(self, local, *arguments, **named)

    monkeypatch.setattr(memory, "put_file", put_late)
    (tmp_path / "a").write_text("1")
    with pytest.raises(FileNotFoundError):
        Store(f"memory://bucket-{time.time_ns()}").send(tmp_path / "a", "a")


def _fetch_to_full_disk(store, tmp_path):
    (tmp_path / ".full.partial").symlink_to("/dev/full")
    store.fetch("a.txt", tmp_path / "full")


@pytest.mark.parametrize("name", ["../a", "x/../../a", "a//b"])
def test_names_that_leave_the_folder_are_refused(s3, name):
    url = f"{s3.make_bucket()}/x"
    store = Store(url)
    import fsspec

    fsspec.filesystem("s3", use_listings_cache=False).pipe_file(f"{url}/{name}", b"1")
    with pytest.raises(UserError, match="which is no name on this machine; rename it"):
        store.list_files()


def test_urls_and_copies_name_each_other(tmp_path, monkeypatch):
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path))
    copy = copy_of("s3://bucket/a b/c/")
    assert copy == tmp_path / "remote/fetched/s3/bucket/a b/c" and url_of(copy) == "s3://bucket/a b/c"
    assert url_of(copy_of("gs://b/run", written=True)) == "gs://b/run" and url_of(tmp_path / "x") is None
    assert name_urls(f"cannot read {copy}, in {copy.as_uri()}") == (
        f"cannot read s3://bucket/a b/c, in {copy.as_uri()}"
    )
    assert settle_url("S3:/bucket/run/") == "s3://bucket/run"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFPIX2PIX_CACHE", "beside")
    assert url_of(copy_of("s3://bucket/c").absolute()) == "s3://bucket/c"


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://user:token@host:8/a b/G.pth?X-Amz-Signature=1&b=/2#c", "https://host:8/a b/G.pth"),
        ("HTTP://token@host/runs/a@b", "HTTP://host/runs/a@b"),
        ("https:/user:p@ss@host/y", "https://host/y"),  # as `Path` has it
        ("file:///data@home/x", "file:///data@home/x"),
        ("https:/host/y", "https:/host/y"),
        ("s3://key:secret@bucket/what?/a#1.keras", "s3://bucket/what?/a#1.keras"),
        ("hf://user/repo@REVISION", "hf://user/repo@REVISION"),
        ("runs/a?b@c", "runs/a?b@c"),
    ],
)
def test_what_is_told_of_a_url_holds_no_secrets(url, public):
    assert public_url(url) == public
    assert name_urls("cannot read https://user:to@ken@host/a@b") == "cannot read https://host/a@b"


def test_what_fails_in_a_store_is_told_without_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path))
    with web_server(tmp_path) as served:
        url = f"{served.replace('//', '//user:hidden@')}/none?signature=hidden"
        copy = copy_of(url)
        copy.parent.mkdir(parents=True)
        copy.write_text("")  # where the folder of the copy should be
        for fail in (lambda: Store(url).look_at(["a"]), lambda: Store(url).fetch("a", copy / "a")):
            with pytest.raises(UserError) as failed:
                fail()
            assert "hidden" not in str(failed.value) and f"{served}/none" in str(failed.value)
    assert f"File exists: {tmp_path.as_uri()} on this machine" in str(failed.value)


def test_urls_that_cannot_be_used_are_refused_by_name(monkeypatch):
    with pytest.raises(UsageError, match="`workdir=hdfs://h:1/a` is a URL, and paths .* or begin with s3://"):
        check_url("hdfs://h:1/a", "workdir")
    for url in ("s3://", "s3://b/../c"):
        with pytest.raises(UsageError, match="expected s3://BUCKET/FOLDER"):
            check_url(url, "workdir")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "gcsfs" else builtins.object)
    with pytest.raises(UserError, match=r"^gs:// needs gcsfs: pip install 'tfpix2pix\[remote\]'$"):
        check_url("gs://bucket/run", "workdir")
