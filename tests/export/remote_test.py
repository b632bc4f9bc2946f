"""SavedModels in a store: numbered on, uploaded, deleted, and fetched."""

import dataclasses
import json
import shutil
import sys

import pytest

from tests.helpers import runs
from tests.helpers.tiny_run import CONFIG, build_generator, write_run
from tfpix2pix.export.run import known_versions
from tfpix2pix.export.versions import fetch_model, find_version
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.places import url_of
from tfpix2pix.pipelines.remote import copies
from tfpix2pix.pipelines.remote.store import Store
from tfpix2pix.train.exporting import export_once


@pytest.fixture
def models(s3):
    store = Store(f"{s3.make_bucket()}/models/tiny")
    for version in ("9", "10"):
        for name in ("saved_model.pb", "variables/variables.index"):
            store.write(f"{version}/{name}", version.encode())
    return store


def _write_version(folder, version):
    (folder / version / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index"):
        (folder / version / name).write_text(version)


def test_a_new_version_is_uploaded_and_an_old_one_is_deleted_whole(models):
    with known_versions(models.url) as folder:
        assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == ["10", "9"]
        _write_version(folder, "11")
        shutil.rmtree(folder / "9")
    assert set(models.list_files()) == {
        f"{version}/{name}"
        for version in ("10", "11")
        for name in ("saved_model.pb", "variables/variables.index")
    }


@pytest.mark.slow
@pytest.mark.skipif(not IS_KERAS_3, reason="files for other runtimes need Keras 3")
def test_a_file_that_is_exported_beside_versions_leaves_them_whole(models, tmp_path):
    write_run(tmp_path / "run")
    output = models.url.removesuffix("/tiny")
    flags = [f"--workdir={tmp_path / 'run'}", f"--output={output}", "--format=keras"]
    for version in ("11", "12"):
        with known_versions(models.url) as folder:
            _write_version(folder, version)
        done = runs.call([sys.executable, "-m", "tfpix2pix.export", *flags])
        assert done.returncode == 0, done.stderr
    assert {name.partition("/")[0] for name in models.list_files()} == {"9", "10", "11", "12"}
    assert len(models.list_files()) == 8
    assert {name for name in Store(output).list_files() if "/" not in name} == {
        "synthetic.keras",
        "synthetic.keras.json",
    }


def test_the_newest_version_is_fetched(models):
    folder = fetch_model(models.url)
    assert find_version(folder) == folder / "10" and not (folder / "9").exists()
    assert (folder / "10/variables/variables.index").read_text() == "10"
    one = fetch_model(f"{models.url}/9")
    assert find_version(one) == one and (one / "variables/variables.index").read_text() == "9"
    models.write("x/notes.txt", b"")
    with pytest.raises(UsageError, match="neither the folder of a run"):
        find_version(fetch_model(f"{models.url}/x"))


def test_checkpoints_of_a_run_are_fetched_side_by_side(s3):
    store = Store(f"{s3.make_bucket()}/run")
    store.write("config.json", b"{}")

    def write(step):
        store.write(f"checkpoints/step-{step:08d}/state.data", b"")
        store.write(f"checkpoints/step-{step:08d}/checkpoint.json", b'{"best": {"step": 2}}')

    def list_fetched(which):
        return {file.parent.name[-1] for file in fetch_model(store.url, which).rglob("state.data")}

    write(2)
    write(4)
    assert [list_fetched(which) for which in ("best", "latest", "best")] == [{"2"}, {"2", "4"}, {"2", "4"}]
    write(6)
    copies._compared.clear()  # as a minute later
    assert list_fetched("latest") == {"2", "6"}  # Old ones would fill the disk.


def test_a_finished_training_finds_its_export_in_the_store(models, tmp_path):
    config = dataclasses.replace(CONFIG, dataset="tiny", saved_model_dir=models.url.removesuffix("/tiny"))
    (tmp_path / "exported.json").write_text(json.dumps({"step": 2, "path": f"{models.url}/10"}))
    assert url_of(export_once(build_generator(), config, tmp_path, 2)) == f"{models.url}/10"
    assert {name.partition("/")[0] for name in models.list_files()} == {"9", "10"}
