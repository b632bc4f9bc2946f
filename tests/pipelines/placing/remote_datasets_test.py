"""Datasets of stores: found by their name or as they are, fetched as far as they changed, told if missing."""

import sys
import time
from pathlib import Path

import pytest

from tests.helpers import runs, stores
from tests.helpers.http_servers import web_server
from tfpix2pix.pipelines import prepare
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.places import name_urls, url_of
from tfpix2pix.pipelines.catalogue import find_dataset
from tfpix2pix.pipelines.datasets import open_split
from tfpix2pix.pipelines.placing.dataset_folder import find_dataset_folder, prepare_dataset
from tfpix2pix.pipelines.placing.pack import pack_shards
from tfpix2pix.pipelines.placing.remote_datasets import _find, fetch_list
from tfpix2pix.pipelines.remote import copies
from tfpix2pix.pipelines.remote.store import Store


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("data") / "tiny", train=2, val=1)


def test_a_dataset_is_found_below_a_url_or_at_it(data, s3):
    bucket = s3.make_bucket()
    stores.send(data, f"{bucket}/sets/tiny")
    Store(bucket).write("sets/other/large.bin", b"0")
    for data_dir in (f"{bucket}/sets", f"{bucket}/sets/tiny/"):
        folder = find_dataset_folder("tiny", Path(data_dir))
        assert url_of(folder) == f"{bucket}/sets/tiny"
        assert sorted(file.name for file in (folder / "train").iterdir()) == ["train-0.png", "train-1.png"]
    assert not (folder.parent / "other").exists()
    source = open_split("tiny", "train", data_dir=f"{bucket}/sets", direction="AtoB")
    assert len(source) == 2 and source.read(0)[0].shape == (32, 32, 3)


def test_a_dataset_that_is_not_there_is_told(data, s3):
    bucket = s3.make_bucket()
    with pytest.raises(UserError, match=f"there is nothing at {bucket}/sets"):
        find_dataset_folder("tiny", Path(f"{bucket}/sets"))
    Store(bucket).write("sets/notes.txt", b"0")
    with pytest.raises(UserError, match=f"no train/, val/ or test/ in {bucket}/sets .*holds notes.txt"):
        find_dataset_folder("tiny", Path(f"{bucket}/sets"))
    Store(bucket).write("sets/tiny/notes.txt", b"0")
    assert find_dataset_folder("tiny", Path(f"{bucket}/sets")) is None
    with pytest.raises(UserError) as failed:
        prepare_dataset(find_dataset("tiny"), Path(f"{bucket}/sets"))
    assert f"There is no folder {bucket}/sets/tiny, and no train/" in name_urls(str(failed.value))


def test_a_misspelt_dataset_is_told_and_nothing_beside_it_is_fetched(data, s3, tmp_path):
    bucket = s3.make_bucket()
    for name in ("tiny", "maps"):
        stores.send(data, f"{bucket}/sets/{name}")
    expected = rf"There is no folder {bucket}/sets/tinny, .* holds maps/, tiny/.*; did you mean tiny\?"
    with pytest.raises(UsageError, match=expected):
        open_split("tinny", "train", data_dir=f"{bucket}/sets")
    with pytest.raises(UsageError, match="/val-0.png is a file; `data_dir` takes the folder of the pairs"):
        open_split("tiny", "train", data_dir=f"{bucket}/sets/tiny/val/val-0.png")
    assert not list((tmp_path / "cache").rglob("*.png"))


@pytest.mark.parametrize(
    "names",
    [
        ["1.png", "2.png"],
        ["shards.json", "train-0.tar"],
        ["Training/a/1.jpg"],
        ["trainA/1.png", "trainB/1.png"],
        ["A/val/1.png", "B/val/1.png", "notes.txt"],
        ["inputs/1.npy", "targets/1.npy"],
        ["masks/1.png", "images/1.jpg"],
        ["train/1.gif"],
        ["gtFine/train/aachen/a_gtFine_color.png"],
    ],
)
def test_what_looks_like_a_dataset_is_one_of_any_name(names):
    url = f"memory://bucket-{time.time_ns()}"
    for name in names:
        Store(url).write(name, b"")
    assert _find("mine", url) == (url, None)


def test_shards_of_a_web_server_that_lists_nothing_are_fetched(data, tmp_path, monkeypatch):
    pytest.importorskip("aiohttp", reason="needs the extra [remote]")
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / "cache"))
    pack_shards(data, tmp_path / "shards")
    with web_server(tmp_path / "shards", lists=False) as url:
        source = open_split("tiny", "train", data_dir=url, direction="AtoB")
    plain = open_split("tiny", "train", data_dir=data, direction="AtoB")
    assert source.example_ids == plain.example_ids
    assert (source.read(1)[0].numpy() == plain.read(1)[0].numpy()).all()


def test_a_fetch_that_was_cut_short_goes_on_where_it_ended(s3, tmp_path):
    store = Store(f"{s3.make_bucket()}/many")
    for number in range(40):
        store.write(f"{number:02d}", b"1")
    copy = copies.Copy(store, tmp_path / "many")

    def choose(entries):
        store.remove("39")  # after the store was listed
        return sorted(entries)

    with pytest.raises(UserError, match="there is nothing at .*/many/39"):
        copy.pull(choose)
    came = {file: file.stat().st_mtime_ns for file in (tmp_path / "many").iterdir() if file.is_file()}
    assert 20 < len(came) < 40
    copies.Copy(store, tmp_path / "many").pull()
    assert {file: file.stat().st_mtime_ns for file in came} == came
    assert len([file for file in (tmp_path / "many").iterdir() if file.is_file()]) == 39


def test_a_remote_list_is_fetched_with_its_files_and_its_palette_alone(data, s3, tmp_path):
    bucket = s3.make_bucket()
    stores.send(data, f"{bucket}/set")
    store = Store(f"{bucket}/set")
    lines = "input,target\ntrain/train-0.png,train/train-1.png\nval/val-0.png,val/val-0.png\n"
    store.write("list.csv", lines.encode())
    store.write("palette.json", b'{"road": [0, 0, 0], "void": [[9, 9, 9]]}')
    source = open_split("mine", "train", pairs=f"{bucket}/set/list.csv", val_percent=0)
    assert source.example_ids == ("train-0", "val-0")
    local = tmp_path / "local.csv"
    local.write_text(lines.replace("train/", f"{data}/train/").replace("val/", f"{data}/val/"))
    expected = open_split("mine", "train", pairs=local, val_percent=0)
    assert all((a.numpy() == b.numpy()).all() for a, b in zip(source.read(0), expected.read(0), strict=True))
    copy = fetch_list(f"{bucket}/set/list.csv")
    names = {file.relative_to(copy.parent).as_posix() for file in copy.parent.rglob("*.*") if file.is_file()}
    listed = {"train/train-0.png", "train/train-1.png", "val/val-0.png"}
    assert names - {".remote/index.json"} == {*listed, "list.csv", "palette.json"}
    store.write("dots.csv", lines.replace("train/train-0", "./train//train-0").encode())
    (copy.parent / "train" / "train-0.png").unlink()
    dotted = open_split("mine", "train", pairs=f"{bucket}/set/dots.csv", val_percent=0)
    assert (dotted.read(0)[0].numpy() == expected.read(0)[0].numpy()).all()
    for text, problem in (
        ("input,target\n../a.png,b.png\n", "lists ../a.png; the files of a remote list lie below"),
        ("input,target\na.png,b.png\n", "line 2: there is no file"),
        ("a,b\n", "there is no column input"),
    ):
        store.write("bad.csv", text.encode())
        with pytest.raises(UserError, match=problem):
            open_split("mine", "train", pairs=f"{bucket}/set/bad.csv")
    with pytest.raises(UserError, match="there is no such file"):
        fetch_list(f"{bucket}/set/none.csv")


def test_lists_of_one_folder_and_the_folder_itself_are_read_side_by_side(data, s3):
    bucket = s3.make_bucket()
    stores.send(data, f"{bucket}/set")
    for number in range(2):
        name = f"train/train-{number}.png"
        Store(bucket).write(f"set/{number}.csv", f"input,target\n{name},{name}\n".encode())
    for number in (0, 1, 0):
        source = open_split("mine", "train", pairs=f"{bucket}/set/{number}.csv", val_percent=0)
        assert source.example_ids == (f"train-{number}",) and source.read(0)[0].shape == (32, 64, 3)
    whole = open_split("tiny", "val", data_dir=f"{bucket}/set", direction="AtoB")
    source = open_split("mine", "train", pairs=f"{bucket}/set/1.csv", val_percent=0)
    assert whole.read(0)[0].shape == (32, 32, 3) and source.read(0)[0].shape == (32, 64, 3)


def test_shards_are_packed_of_a_remote_set_and_settings_are_read_from_a_store(data, s3, tmp_path):
    bucket = s3.make_bucket()
    stores.send(data, f"{bucket}/sets/tiny")
    prepare.main(
        ["prepare", f"--data_dir={bucket}/sets", "--dataset=tiny", f"--shards={tmp_path / 'shards'}"]
    )
    packed = open_split("tiny", "train", data_dir=tmp_path / "shards", direction="AtoB")
    plain = open_split("tiny", "train", data_dir=data, direction="AtoB")
    assert packed.example_ids == plain.example_ids and packed.content == plain.content
    Store(bucket).write("settings.json", b'{"dataset": "tiny", "image_size": 32, "base_filters": 4}')
    place = [
        f"--config={bucket}/settings.json",
        f"--data_dir={bucket}/sets/tiny",
        f"--workdir={tmp_path / 'run'}",
    ]
    done = runs.call([sys.executable, "-m", "tfpix2pix.train", "--dry_run", *place])
    assert done.returncode == 0 and "2 pairs" in done.stderr, done.stderr
