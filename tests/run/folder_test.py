"""A run goes on with the images that it began with, wherever they are, and with no others."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout

from tests.helpers import runs
from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.files import sources
from tfpix2pix.run.folder import check_config, settle_config, write_config
from tfpix2pix.run.lock import lock


def _begin(workdir: Path, data_dir: Path) -> None:
    write_config(workdir, runs.tiny_config(data_dir), datasets.open_split("tiny", "train", data_dir=data_dir))


@pytest.fixture
def data_dir(tmp_path) -> Path:
    return runs.write_dataset(tmp_path / "one")


def test_the_same_images_in_another_folder_are_the_same_set(data_dir, tmp_path):
    _begin(tmp_path, data_dir)
    shutil.copytree(data_dir, tmp_path / "two/tiny")
    _begin(tmp_path, tmp_path / "two")
    assert json.loads((tmp_path / "config.json").read_text())["config"]["data_dir"] == str(tmp_path / "two")


def test_a_folder_of_any_name_can_be_a_set(tmp_path):
    _begin(tmp_path, runs.write_dataset(tmp_path / "two dirs"))
    assert json.loads((tmp_path / "config.json").read_text())["training_set"]["examples"] == 6


@pytest.mark.parametrize("suffix", [".png", ".npy"])  # arrays of one shape have one size
def test_other_images_of_the_same_names_are_refused(tmp_path, suffix):
    for number, name in enumerate(("one", "two")):
        runs.write_image(tmp_path / name / f"train/a{suffix}", np.full((4, 8, 3), number, np.uint8))
    _begin(tmp_path, tmp_path / "one")
    with pytest.raises(UsageError) as refusal:
        _begin(tmp_path, tmp_path / "two")
    message = str(refusal.value)
    assert "1 example then, 1 now, with the same names but other contents" in message
    assert f"`data_dir` was {tmp_path}/one, is {tmp_path}/two" in message
    assert "choose another `workdir`" in message


def test_after_files_were_mended_in_their_place_a_run_goes_on_and_says_so(data_dir, tmp_path, capsys):
    _begin(tmp_path, data_dir)
    runs.write_image(data_dir / "train/train-1.png", np.zeros((32, 64, 3), np.uint8))
    capsys.readouterr()
    _begin(tmp_path, data_dir)
    assert (
        f"warning: training images in {data_dir} have changed since {tmp_path} began"
        in capsys.readouterr().err
    )
    _begin(tmp_path, data_dir)
    assert "warning" not in capsys.readouterr().err


def test_a_run_of_an_older_version_goes_on_and_knows_its_images_from_then(data_dir, tmp_path):
    _begin(tmp_path, data_dir)
    file = tmp_path / "config.json"
    run = json.loads(file.read_text())
    content = run["training_set"].pop("content_sha256")
    file.write_text(json.dumps(run))
    _begin(tmp_path, data_dir)
    assert json.loads(file.read_text())["training_set"]["content_sha256"] == content


@pytest.mark.parametrize("name", ["o.txt", "o.txt/runs/1"])
def test_a_file_is_no_workdir(tmp_path, name):
    (tmp_path / "o.txt").touch()
    refusal = f"`workdir={tmp_path / name}` takes a folder, and {tmp_path}/o.txt is a file"
    with pytest.raises(UsageError, match=refusal):
        check_config(tmp_path / name, runs.tiny_config(tmp_path))
    with pytest.raises(UsageError, match=refusal), lock(tmp_path / name):
        pass


def test_a_set_without_files_is_known_by_its_names(tmp_path):
    pixels = np.zeros((2, 32, 32, 3), np.uint8)
    config = runs.tiny_config(tmp_path)
    for _ in range(2):
        write_config(tmp_path, config, sources.from_arrays(pixels, pixels))
    training_set = json.loads((tmp_path / "config.json").read_text())["training_set"]
    assert training_set.keys() == {"examples", "ids_sha256"}
    with pytest.raises(UsageError, match="2 examples then, 2 now, with other names"):
        write_config(tmp_path, config, sources.from_arrays(pixels, pixels, ["a", "b"]))


@pytest.mark.parametrize("setting", ["exif", "minimal_filtering"])
def test_a_run_that_began_before_there_was_a_setting_goes_on_without_it(setting, data_dir, tmp_path):
    _begin(tmp_path, data_dir)
    file = tmp_path / "config.json"
    contents = json.loads(file.read_text())
    now = runs.tiny_config(data_dir)
    assert getattr(settle_config(tmp_path, now), setting)
    del contents["config"][setting]
    file.write_text(json.dumps(contents))
    assert not getattr(settle_config(tmp_path, now), setting)


def test_a_run_that_never_began_leaves_no_folder_behind(tmp_path):
    (tmp_path / "kept").mkdir()
    with lock(tmp_path / "kept" / "runs" / "mine"):
        assert (tmp_path / "kept" / "runs" / "mine" / ".lock").is_file()
    assert list(tmp_path.rglob("*")) == [tmp_path / "kept"]


def test_a_run_that_never_began_is_held_until_its_file_is_gone(tmp_path, monkeypatch):
    unlink, found = os.unlink, []

    def unlink_after_trying(path, **options):
        try:
            FileLock(path).acquire(timeout=0)
            found.append("free")
        except Timeout:
            found.append("held")
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", unlink_after_trying)
    with lock(tmp_path / "run"):
        pass
    assert found == ["held"] and not (tmp_path / "run").exists()


def test_a_run_that_never_began_leaves_no_folder_on_nfs_either(tmp_path, monkeypatch):
    """There an open file has another name after it is deleted, and goes when it is closed."""
    release, hidden = FileLock.release, tmp_path / "run" / ".nfs0"

    def release_and_close(held, **options):
        release(held, **options)
        if hidden.exists():
            os.remove(hidden)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda file, missing_ok: file.rename(hidden))
        patch.setattr(FileLock, "release", release_and_close)
        with lock(tmp_path / "run"):
            pass
    assert not (tmp_path / "run").exists()
