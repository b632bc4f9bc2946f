"""The run of a remote folder: uploaded, kept here while the store is away, held by one process at a time."""

import json
import shutil
import threading
import time

import pytest

from tests.helpers import runs, stores
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.places import copy_of
from tfpix2pix.pipelines.remote.folder_copy import MARKERS
from tfpix2pix.pipelines.remote.store import Store
from tfpix2pix.run.folder import read_config, write_config
from tfpix2pix.run.lease import FILE, Lease
from tfpix2pix.run.remote_workdir import fetch_run, list_whole_steps, remote_workdir
from tfpix2pix.run.steps import METADATA


def write_checkpoint(folder, step, text="state"):
    """Writes the files of a checkpoint, and what a run has besides."""
    inside = folder / f"checkpoints/step-{step:08d}"
    inside.mkdir(parents=True, exist_ok=True)
    if not (folder / "config.json").exists():
        (folder / "config.json").write_text("{}")
    for name in ("state.index", "state.data-00000-of-00001"):
        (inside / name).write_text(text)
    (inside / "checkpoint.json").write_text('{"best": {"step": 2}}')


@pytest.fixture
def url(s3):
    return f"{s3.make_bucket()}/run"


def test_a_checkpoint_is_uploaded_when_it_is_whole():
    assert METADATA in MARKERS


def test_what_is_written_is_uploaded_meanwhile_and_what_is_deleted_is_deleted(url):
    store = Store(url)
    with remote_workdir(url) as folder:
        write_checkpoint(folder, 2)
        stores.wait_until(lambda: list_whole_steps(store.list_files()) == [2])
        store.write("notes.txt", b"somebody's")
        write_checkpoint(folder, 4)
        shutil.rmtree(folder / "checkpoints/step-00000002")
        (folder / "metrics.jsonl").write_text("{}\n")
        (folder / ".metrics.jsonl.partial").write_text("")
    assert set(store.list_files()) == {
        "config.json",
        "metrics.jsonl",
        "notes.txt",
        *(f"checkpoints/step-00000004/{name}" for name in ("state.index", "checkpoint.json")),
        "checkpoints/step-00000004/state.data-00000-of-00001",
    }


@pytest.mark.slow
def test_nothing_is_lost_while_the_store_is_away(url, s3, monkeypatch, capsys):
    with pytest.raises(UserError) as failed, remote_workdir(url) as folder:
        monkeypatch.setenv("TFPIX2PIX_REMOTE_RETRY_SEC", "0")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        s3.stop()
        write_checkpoint(folder, 4)
    s3.start()
    assert "does not answer" in str(failed.value)
    assert f"the run is in {copy_of(url, written=True).as_uri()} on this machine" in str(failed.value)
    monkeypatch.setenv("TFPIX2PIX_REMOTE_RETRY_SEC", "20")
    assert list_whole_steps(Store(url).list_files()) == []
    with remote_workdir(url):
        assert f"uploading step 4 to {url}, which has step 0" in capsys.readouterr().err
    assert list_whole_steps(Store(url).list_files()) == [4] and Store(url).read(FILE) is None


def test_the_run_that_is_further_is_gone_on_with(url, tmp_path, monkeypatch):
    for machine, step in (("first", 2), ("second", 4)):
        monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / machine))
        with remote_workdir(url) as folder:
            write_checkpoint(folder, step, machine)
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / "first"))
    with remote_workdir(url) as folder:
        state = folder / "checkpoints/step-00000004/state.index"
        assert state.read_text() == "second"
    Store(url).remove("checkpoints/step-00000004/checkpoint.json")  # as if it were not whole yet
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / "third"))
    with remote_workdir(url) as folder:
        assert {file.name for file in (folder / "checkpoints").iterdir()} == {"step-00000002"}


def test_a_run_in_google_cloud_storage_is_gone_on_with(gcs, tmp_path, monkeypatch):
    url = f"{gcs.make_bucket()}/run"
    with remote_workdir(url) as folder:
        write_checkpoint(folder, 2)
    assert list_whole_steps(Store(url).list_files()) == [2]
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / "another machine"))
    with remote_workdir(url) as folder:
        assert (folder / "checkpoints/step-00000002/state.index").read_text() == "state"
        shutil.rmtree(folder / "checkpoints/step-00000002")
        write_checkpoint(folder, 4)
    assert list_whole_steps(Store(url).list_files()) == [4]


@pytest.mark.parametrize("which, step", [("latest", 4), ("best", 2), ("2", 2)])
def test_one_checkpoint_is_fetched_to_open_a_run(url, which, step):
    with remote_workdir(url) as folder:
        write_checkpoint(folder, 2)
        write_checkpoint(folder, 4)
        (folder / "samples").mkdir()
        (folder / "samples/a.png").write_text("")
    fetched = fetch_run(url, which)
    assert [file.parent.name for file in fetched.rglob("state.index")] == [f"step-{step:08d}"]
    assert len(list(fetched.rglob("checkpoint.json"))) == 2 and not list(fetched.rglob("*.png"))


def test_an_older_checkpoint_that_was_deleted_just_before_a_kill_is_deleted_there(url):
    with remote_workdir(url) as folder:
        write_checkpoint(folder, 2)
        write_checkpoint(folder, 4)
    assert list_whole_steps(Store(url).list_files()) == [2, 4]
    shutil.rmtree(folder / "checkpoints/step-00000002")  # and then the process was killed
    with remote_workdir(url):
        pass
    assert list_whole_steps(Store(url).list_files()) == [4]
    assert not [name for name in Store(url).list_files() if "step-00000002" in name]


def test_a_run_that_was_deleted_in_the_store_does_not_come_back(url):
    with remote_workdir(url) as folder:
        write_checkpoint(folder, 2)
    Store(url).remove("", with_all_below=True)
    with pytest.raises(UserError, match=f"{url} holds no run any more, and file:///.* Delete that folder"):
        with remote_workdir(url):
            pass
    shutil.rmtree(folder)
    with remote_workdir(url):
        pass


def test_a_reader_finds_nothing_of_a_run_that_was_deleted_in_the_store(url):
    with remote_workdir(url) as folder:
        write_checkpoint(folder, 2)
    with remote_workdir(url, writes=False) as read:
        assert (read / "config.json").is_file() and read != folder
    Store(url).remove("", with_all_below=True)
    with remote_workdir(url, writes=False) as read:
        assert not read.exists()
    write_checkpoint(folder, 4)
    stores.send(folder, url)
    with remote_workdir(url, writes=False) as read:
        assert (read / "checkpoints/step-00000004/checkpoint.json").is_file()


def test_a_checkpoint_that_was_deleted_in_the_store_is_uploaded_again(url, capsys):
    with remote_workdir(url) as folder:
        write_checkpoint(folder, 2)
        write_checkpoint(folder, 4)
    store = Store(url)
    before = set(store.list_files())
    store.remove("checkpoints/step-00000004", with_all_below=True)
    with remote_workdir(url):
        assert f"uploading step 4 to {url}, which has step 2" in capsys.readouterr().err
        assert set(store.list_files()) == before | {FILE}
    store.remove("checkpoints/step-00000004/state.index")
    with remote_workdir(url):
        pass
    assert set(store.list_files()) == before


def test_another_run_that_was_begun_at_the_url_is_not_mixed_with_the_one_here(url, tmp_path, monkeypatch):
    for machine, step in (("first", 2000), ("second", 500)):
        monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / machine))
        Store(url).remove("", with_all_below=True)
        with remote_workdir(url) as folder:
            write_config(folder, runs.tiny_config(tmp_path, dataset=machine), None)
            write_checkpoint(folder, step, machine)
        with remote_workdir(url):
            pass  # The same run goes on.
    there = stores.read_all(url)
    assert there["checkpoints/step-00000500/state.index"] == b"second"
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / "first"))
    with pytest.raises(
        UserError, match=f"{url} holds another run than file:///.*/first/.* holds step 2000 .* or"
    ):
        with remote_workdir(url) as folder:
            write_config(folder, runs.tiny_config(tmp_path, dataset="first"), None)
    assert stores.read_all(url) == there
    shutil.rmtree(copy_of(url, written=True))
    with remote_workdir(url) as folder:
        assert read_config(folder).dataset == "second"


@pytest.mark.parametrize("lacks_here", [True, False])
def test_a_run_that_an_earlier_version_has_gone_on_with_is_the_same(url, tmp_path, lacks_here, capsys):
    with remote_workdir(url) as folder:
        write_config(folder, runs.tiny_config(tmp_path), None)
        written = {**json.loads((folder / "config.json").read_text()), "training_set": {"ids_sha256": "ab"}}
        (folder / "config.json").write_text(json.dumps(written))
        write_checkpoint(folder, 2)
    write_checkpoint(folder, 4)  # which was not uploaded before the machine was lost

    def write_without_identity(names, **changed):
        settings = {**written["config"], "threads": 7, **changed}  # of another machine
        text = json.dumps({"config": settings, "training_set": {"ids_sha256": names}})
        (folder if lacks_here else tmp_path).joinpath("config.json").write_text(text)
        if not lacks_here:
            Store(url).send(tmp_path / "config.json", "config.json")

    for names, changed in (("ab", {"seed": 3}), ("cd", {})):
        write_without_identity(names, **changed)
        with pytest.raises(UserError, match="another run than .*, which holds step 4 of a run that is not"):
            with remote_workdir(url):
                pass
    write_without_identity("ab")
    with remote_workdir(url):
        assert f"uploading step 4 to {url}, which has step 2" in capsys.readouterr().err


def test_one_process_at_a_time_holds_a_run(url, tmp_path, monkeypatch, capsys):
    store, here, elsewhere = Store(url), tmp_path / "lease", tmp_path / "lease elsewhere"
    refused = "is in use by process .* choose another `workdir`"
    monkeypatch.setattr("tfpix2pix.run.lease._POLL_SEC", 0.1)
    with Lease(store, here):
        with pytest.raises(UserError, match=refused):
            Lease(store, here).__enter__()
        # Elsewhere nothing is known of the holder, which shows itself after a while.
        threading.Timer(0.5, lambda: store.write(FILE, b'{"renewals": 1}')).start()
        with pytest.raises(UserError, match=refused):
            Lease(store, elsewhere).__enter__()
        monkeypatch.setattr("tfpix2pix.run.lease.LEASE_SEC", 0.3)
        with Lease(store, elsewhere):
            assert "has left" in capsys.readouterr().err
    assert store.read(FILE) is None


def test_a_killed_holder_of_this_machine_is_not_waited_for(url, tmp_path, capsys):
    store, start = Store(url), time.monotonic()
    lease = Lease(store, tmp_path / "lease")
    lease.__enter__()
    lease._lock.release()  # as the system does when a process ends
    with Lease(store, tmp_path / "lease"):
        assert "waiting" not in capsys.readouterr().err and time.monotonic() - start < 60
