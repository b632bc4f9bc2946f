"""Record shards: the files' own bytes, found and read as the files are, and damage that is named."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.pipelines import datasets, prepare
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.files.shards import MANIFEST
from tfpix2pix.pipelines.placing.pack import pack_shards
from tfpix2pix.pipelines.tasks.tasks import make_task

PALETTE = {"sky": [120, 180, 255], "ground": [90, 60, 30], "void": [[0, 0, 0]]}


def _write_folders(folder: Path, suffix: str = ".png", train: int = 5) -> Path:
    draw = np.random.default_rng(1)
    for split, count in (("train", train), ("val", 2)):
        for side, end in (("A", ".jpg"), ("B", suffix)):
            (folder / split / side).mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (24, 20 + number, 3), np.uint8)
                runs.write_image(folder / split / side / f"{number}{end}", pixels)
    return folder


def _shards_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tfrecord"))


def _open(folder: Path, split: str = "train", **more):
    return datasets.open_split("mine", split, data_dir=folder, direction="AtoB", **more)


def _batches(source) -> list[dict[str, np.ndarray]]:
    arguments = {"image_size": 16, "load_size": 18, "batch_size": 2, "mirror": True, "seed": 3}
    return list(build_dataset(source, training=True, **arguments).take(4).as_numpy_iterator())


def test_records_are_the_bytes_of_the_files(tmp_path):
    folder = _write_folders(tmp_path / "set")
    assert pack_shards(folder, tmp_path / "shards", shard_mib=0.005) == {"train": 5, "val": 2}
    shards = _shards_of(tmp_path / "shards")
    assert [shard.name for shard in shards[:2]] == ["train-00000.tfrecord", "train-00001.tfrecord"]
    records = [record.numpy() for record in tf.data.TFRecordDataset([str(each) for each in shards])]
    files = [
        folder / split / side / f"{number}{end}"
        for split, count in (("train", 5), ("val", 2))
        for number in range(count)
        for side, end in (("A", ".jpg"), ("B", ".png"))
    ]
    assert records == [file.read_bytes() for file in files]
    told = json.loads((tmp_path / "shards" / MANIFEST).read_text())["splits"]["train"]
    assert told["count"] == 5 and sum(shard["records"] for shard in told["shards"]) == 10
    assert [shard["bytes"] for shard in told["shards"]] == [
        each.stat().st_size for each in shards if each.name.startswith("train")
    ]


@pytest.mark.parametrize("cache_mib", [0, 100])
def test_maps_of_instances_are_packed_with_their_pairs(tmp_path, cache_mib):
    folder = _write_folders(tmp_path / "set", train=2)
    for split in ("train", "val"):
        for number in range(2):
            ids = np.random.default_rng(number).integers(0, 2**16, (24, 20 + number, 1), np.uint16)
            runs.write_image(folder / split / "instances" / f"{number}.png", ids)
    assert pack_shards(folder, tmp_path / "shards", shard_mib=0.005) == {"train": 2, "val": 2}
    task = make_task("pairs", boundaries=True)
    files, shards = (_open(place, cache_mib=cache_mib, task=task) for place in (folder, tmp_path / "shards"))
    assert shards.has_instances and shards.content == files.content
    for index in range(2):
        for image, expected in zip(
            *(each.read(tf.constant(index, tf.int64)) for each in (shards, files)), strict=True
        ):
            np.testing.assert_array_equal(image, expected)
    # A training without boundaries takes the pairs as if there were no maps.
    assert len(_open(tmp_path / "shards", cache_mib=cache_mib).read(tf.constant(0, tf.int64))) == 2


@pytest.mark.parametrize(("suffix", "cache_mib"), [(".png", 0), (".tif", 0), (".npy", 0), (".png", 100)])
def test_training_sees_the_same_bits_in_the_same_order(tmp_path, suffix, cache_mib):
    folder = _write_folders(tmp_path / "set", suffix)
    pack_shards(folder, tmp_path / "shards", shard_mib=0.005)
    files, shards = (_open(place, cache_mib=cache_mib) for place in (folder, tmp_path / "shards"))
    assert shards.content == files.content and shards.meaning == files.meaning
    for expected, batch in zip(_batches(files), _batches(shards), strict=True):
        for name in expected:
            np.testing.assert_array_equal(batch[name], expected[name])


def test_a_share_validates_and_a_list_can_be_packed(tmp_path):
    runs.write_dataset(tmp_path / "set", train=10)
    lines = [f"set/train/train-{number}.png,set/train/train-{number}.png" for number in range(10)]
    file = tmp_path / "list.csv"
    file.write_text("\n".join(["input,target", *lines]))
    pack_shards(file, tmp_path / "shards")
    for split, count in (("train", 8), ("val", 2)):
        listed = datasets.open_split("mine", split, pairs=file, val_percent=20)
        packed = _open(tmp_path / "shards", split, val_percent=20)
        assert packed.example_ids == listed.example_ids and len(packed) == count
    with pytest.raises(UserError, match="lists no pairs of test, but of train"):
        _open(tmp_path / "shards", "test")


def test_class_ids_keep_their_meaning(tmp_path):
    folder = tmp_path / "set"
    ids = np.zeros((16, 16), np.uint8)
    ids[8:] = 1
    for side, pixels in (("labels", ids), ("photos", np.full((16, 16, 3), 7, np.uint8))):
        (folder / "train" / side).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(pixels).save(folder / "train" / side / f"{number}.png")
    (folder / "palette.json").write_text(json.dumps(PALETTE))
    pack_shards(folder, tmp_path / "shards")
    source = _open(tmp_path / "shards", val_percent=0, cache_mib=0)
    assert source.meaning.target.ids == (0, 1)
    label_map = source.read(tf.constant(0, tf.int64))[1].numpy()
    assert label_map[0, 0].tolist() == [120, 180, 255] and label_map[15, 0].tolist() == [90, 60, 30]


def test_photos(tmp_path):
    folder = tmp_path / "set"
    for number in range(2):
        pixels = np.full((8, 8, 3), 50 + number, np.uint8)
        runs.write_image(folder / "train" / "photos" / f"{number}.png", pixels)
    pack_shards(folder, tmp_path / "shards", photos=True)
    source = _open(tmp_path / "shards", task=make_task("colorize"), val_percent=0)
    assert [int(source.read(tf.constant(index, tf.int64))[-1][0, 0, 0]) for index in (0, 1)] == [50, 51]
    with pytest.raises(
        UserError, match=r"holds shards of photos, and the task takes pairs.*without `photos`"
    ):
        _open(tmp_path / "shards")


@pytest.mark.parametrize(("cache_mib", "suffix"), [(0, ".png"), (100, ".png"), (0, ".tif")])
def test_a_damaged_record_is_named(tmp_path, cache_mib, suffix):
    pack_shards(_write_folders(tmp_path / "set", suffix), tmp_path / "shards")
    shard = tmp_path / "shards" / "train-00000.tfrecord"
    contents = bytearray(shard.read_bytes())
    place = contents.index((tmp_path / "set" / "train" / "A" / "2.jpg").read_bytes())
    contents[place + 300] ^= 1
    shard.write_bytes(contents)
    expected = re.escape(f"{shard}, record 4 (2.jpg) is a damaged record; copy the shard again")
    with pytest.raises(BadImageError, match=expected):
        source = _open(tmp_path / "shards", cache_mib=cache_mib)
        with source.naming_bad_files():
            _batches(source)


def test_a_set_that_is_not_whole_is_told(tmp_path):
    pack_shards(_write_folders(tmp_path / "set"), tmp_path / "shards", shard_mib=0.005)
    second = _shards_of(tmp_path / "shards")[1]
    contents = second.read_bytes()
    second.write_bytes(contents[:-1])
    size = f"{len(contents) - 1:,} bytes, and should have {len(contents):,}"
    with pytest.raises(UserError, match=f"{second} has {size}; copy it again"):
        _open(tmp_path / "shards")
    second.unlink()
    with pytest.raises(UserError, match=f"{second} is missing"):
        _open(tmp_path / "shards")
    (tmp_path / "shards" / MANIFEST).write_text('{"version": 1, "spl')
    with pytest.raises(UserError, match=f"{MANIFEST} is damaged"):
        _open(tmp_path / "shards")
    (tmp_path / "shards" / MANIFEST).write_text('{"version": 2}')
    with pytest.raises(UserError, match="is of version 2, and version 1 is read"):
        _open(tmp_path / "shards")


def test_nothing_is_left_of_a_set_that_cannot_be_made(tmp_path):
    folder = _write_folders(tmp_path / "set")
    (folder / "val" / "A" / "1.jpg").write_bytes(b"no image")
    with pytest.raises(BadImageError, match=r"1 of 2 pairs cannot be used.*1\.jpg is not a"):
        pack_shards(folder, tmp_path / "shards")
    assert [each.name for each in tmp_path.iterdir()] == ["set"]
    assert pack_shards(folder, tmp_path / "shards", on_bad_image="skip") == {"train": 5, "val": 1}
    with pytest.raises(UserError, match="exists already"):
        pack_shards(folder, tmp_path / "shards")


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path):
    folder, refusal = _write_folders(tmp_path / "set"), r"cannot write .*shards: .+; nothing is left"
    with runs.full_disk(2_000), pytest.raises(UserError, match=refusal):
        pack_shards(folder, tmp_path / "shards")
    assert [each.name for each in tmp_path.iterdir()] == ["set"]


@pytest.mark.slow
def test_a_run_goes_from_files_to_shards(tmp_path, capsys):
    """One step on the files and one on the shards give the weights of two steps on the files."""
    files, shards = runs.write_dataset(tmp_path / "tiny"), tmp_path / "my shards"
    prepare.main(["prepare", f"--data_dir={files}", f"--shards={shards}"])
    told = (
        f"{shards} holds 6 of train, 2 of val (pairs). Train on them: python -m tfpix2pix.train --data_dir='"
    )
    assert capsys.readouterr().out.startswith(told)
    for workdir, steps, data_dir in (("straight", 2, files), ("moved", 1, files), ("moved", 2, shards)):
        command = runs.train_command(data_dir, tmp_path / workdir, steps=steps, cache_mib=0)
        assert runs.call(command).returncode == 0
    states = [runs.read_state(tmp_path / workdir, 2) for workdir in ("straight", "moved")]
    runs.assert_same_state(*states)
    scores = [
        evaluate_model(tmp_path / "moved", metrics=["l1"], data_dir=place).results["l1"].scores
        for place in (files, shards)
    ]
    assert scores[0] == scores[1]


def test_flags_that_do_not_go_together():
    for flags in (
        ["--shards=x", "--dataset=facades", "--pairs=list.csv"],
        ["--photos"],
        ["--shards=x", "--combine"],
    ):
        with pytest.raises(UsageError, match="expected --shards=DIR with --data_dir=DIR"):
            prepare.main(["prepare", *flags])
    with pytest.raises(UsageError, match="is generated while training"):
        prepare.main(["prepare", "--shards=x", "--dataset=synthetic"])
