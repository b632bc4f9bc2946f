"""What tells `cluster.translate` that a part is done, and what has it done again."""

import json

import pytest

from tests.helpers.http_servers import web_server
from tfpix2pix.cluster import records
from tfpix2pix.pipelines.base.places import copy_of
from tfpix2pix.pipelines.remote.store import Store
from tfpix2pix.translate.image_inputs import InputFile
from tfpix2pix.translate.options import Options


@pytest.fixture(scope="session", autouse=True)
def ray():
    """Takes the place of the one that tests of this folder share: records need no Ray."""


@pytest.fixture
def folder(tmp_path):
    """A folder with a photo, weights of a run and of a SavedModel, and files that options name."""
    names = ("a.png", "run/config.json", "run/checkpoints/step-00000002/state.data", "ids/a.png", "style.png")
    for name in (*names, "saved/1/saved_model.pb", "saved/1/variables/variables.data"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    return tmp_path


def _divide(folder, model="run", checkpoint="2", image=None, **options):
    files = [InputFile(copy_of(image or folder / "a.png"), "a.png", "a")]
    settings = {"model": str(folder / model), "checkpoint": checkpoint}
    named = {name: value and str(value) for name, value in options.items()}
    (part,) = records.divide(files, 100, settings, Options(**named))
    return part


@pytest.mark.parametrize(
    ("changed", "options"),
    [
        ("run/checkpoints/step-00000002/state.data", {}),
        ("saved/1/variables/variables.data", {"model": "saved", "checkpoint": None}),
        ("a.png", {}),
        ("ids/a.png", {"instances": "ids"}),
        ("style.png", {"latent_from": "style.png"}),
        ("style.png", {"feature_from": "style.png"}),
        ("style.png", {"interpolate": "style.png:7:3"}),
    ],
)
def test_what_decides_outputs_has_a_part_done_again(folder, monkeypatch, changed, options):
    monkeypatch.chdir(folder)
    key = _divide(folder, **options).key
    (folder / "run/config.json").write_text('{"steps": 3}')  # The run goes on.
    (folder / "notes.txt").write_text("")
    assert _divide(folder, **options).key == key
    (folder / changed).write_text("others")
    assert _divide(folder, **options).key != key


def test_a_part_is_done_while_its_outputs_are_there(folder):
    part, output = _divide(folder), folder / "out"
    (output / "a").mkdir(parents=True)
    for name in ("a/1.png", "a/2.png"):
        (output / name).write_text("output")
    outputs = [records.describe_output(output, name) for name in ("a/1.png", "a/2.png")]
    images = [{"input": "a.png", "outputs": outputs}, {"input": "b.png", "error": "broken"}]
    records.write_record(output, part.name, part.key, "index.html", images)
    (record,) = records.read_records(output, [part])
    assert record["images"] == images and records.count_failed(record) == 1
    (output / "a/2.png").write_text("another output")
    assert records.read_records(output, [part]) == [None]
    (output / "a/2.png").unlink()
    assert records.read_records(output, [part]) == [None]


@pytest.mark.parametrize("contents", ["", "[]", "{}", '{"key": 1', '{"key": "KEY", "images": 3}'])
def test_a_damaged_record_is_none(folder, contents):
    part = _divide(folder)
    file = folder / "out" / part.name
    file.parent.mkdir(parents=True)
    file.write_text(contents.replace("KEY", part.key))
    assert records.read_records(folder / "out", [part]) == [None]


def test_outputs_in_a_store_are_looked_at(folder, s3):
    store, part = Store(f"{s3.make_bucket()}/out"), _divide(folder)
    output = copy_of(store.url, written=True)
    store.write("a.png", b"output")
    images = [{"input": "a.png", "outputs": [records.describe_output(output, "a.png")]}]
    records.write_record(output, part.name, part.key, "index.html", images)
    assert json.loads(store.read(part.name)) == records.read_records(output, [part])[0]
    store.remove("a.png")
    assert records.read_records(output, [part]) == [None]


def test_a_photo_of_a_server_that_lists_nothing_is_looked_at(folder, tmp_path, monkeypatch):
    pytest.importorskip("aiohttp", reason="needs the extra [remote]")
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / "cache"))
    with web_server(folder, lists=False) as url:
        key = _divide(folder, image=f"{url}/a.png").key
        assert _divide(folder, image=f"{url}/a.png").key == key
        (folder / "a.png").write_text("another")
        assert _divide(folder, image=f"{url}/a.png").key != key


def test_a_file_of_a_store_that_vanishes_is_left_to_its_worker(folder, s3):
    store = Store(f"{s3.make_bucket()}/photos")
    store.write("a.png", b"1")
    key = _divide(folder, image=f"{store.url}/a.png").key
    store.remove("a.png")
    assert _divide(folder, image=f"{store.url}/a.png").key != key
