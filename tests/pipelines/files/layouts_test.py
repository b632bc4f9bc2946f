"""The folders that people have: which are found, what is said of them, and what validates."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.files import finding
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.tasks.tasks import make_task

INPUT, TARGET = (10, 20, 130), (200, 100, 50)


def _write(file: Path, *colours: tuple[int, int, int]) -> None:
    """Writes an image of 4x4 px squares, one of each colour, side by side."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([np.full((4, 4, 3), colour, np.uint8) for colour in colours], 1)).save(
        file
    )


def _colours(source: Source) -> list[list[int]]:
    return [image[0, 0].numpy().tolist() for image in source.read(tf.constant(0, tf.int64))]


TWO_FOLDERS = [
    ("train/input", "train/target"),
    ("train/photos", "train/labels"),
    ("train/A", "train/B"),
    ("train/masks", "train/images"),
    ("train/Labels", "train/JPEGImages"),
    ("train/edges", "train/photos"),
    ("training/sketches", "training/rgb"),
    ("trainA", "trainB"),
    ("train_A", "train_B"),
    ("A/train", "B/train"),
    ("masks/train", "images/train"),
]


@pytest.mark.parametrize("a, b", TWO_FOLDERS)
def test_two_folders_are_found_and_told(tmp_path, capsys, a, b):
    for split in ("train", "val"):
        _write(tmp_path / "mine" / a.replace("train", split) / "1.png", INPUT)
        _write(tmp_path / "mine" / b.replace("train", split) / "1.png", TARGET)
    source = datasets.open_split("mine", "train", data_dir=tmp_path)
    assert _colours(source) == [list(INPUT), list(TARGET)]
    inside = Path(a).parts[0] if Path(a).parts[0] == Path(b).parts[0] else ""
    left, right = (side.removeprefix(f"{inside}/") for side in (a, b))
    told = f"{tmp_path / 'mine' / inside}: 1 pair; input {left}/ (A), target {right}/ (B)\n"
    assert capsys.readouterr().err == told
    backward = datasets.open_split("mine", "train", data_dir=tmp_path, direction="BtoA")
    assert _colours(backward) == [list(TARGET), list(INPUT)]
    assert f"; input {right}/ (B), target {left}/ (A)\n" in capsys.readouterr().err


def test_side_by_side_files_are_told(tmp_path, capsys):
    _write(tmp_path / "mine/train/1.png", INPUT, TARGET)
    _write(tmp_path / "mine/train/2.png", INPUT, TARGET)
    _write(tmp_path / "mine/valid/1.png", INPUT, TARGET)
    assert len(datasets.open_split("mine", "train", data_dir=tmp_path)) == 2
    told = f"{tmp_path}/mine/train: 2 pairs; input left half (A), target right half (B)\n"
    assert capsys.readouterr().err == told


def test_files_of_pairs_win_over_new_folders_beside_them(tmp_path):
    _write(tmp_path / "mine/train/1.png", INPUT, TARGET)
    for name in ("masks", "images"):
        _write(tmp_path / f"mine/train/{name}/2.png", INPUT)
    assert datasets.open_split("mine", "train", data_dir=tmp_path, val_percent=0).example_ids == ("1",)


def test_three_folders_are_not_guessed_at(tmp_path):
    for name in ("masks", "edges", "images"):
        _write(tmp_path / f"mine/train/{name}/2.png", INPUT)
    with pytest.raises(UserError, match="train holds edges/, images/, masks/; expected"):
        datasets.open_split("mine", "train", data_dir=tmp_path)


@pytest.mark.parametrize("inside", ["", "A/", "B/"])
def test_images_in_folders_of_a_split_are_warned_of(tmp_path, capsys, inside):
    for number in range(4):
        for side in ("A/", "B/") if inside else ("",):
            _write(tmp_path / f"mine/train/{side}{number}.png", INPUT, TARGET)
    for nested in ("street/4.png", "street/deep/5.png", "town/6.png", "instances/0.png", ".hidden/7.png"):
        _write(tmp_path / f"mine/train/{inside}{nested}", INPUT, TARGET)
    (tmp_path / f"mine/train/{inside}notes").mkdir()
    for split in ("train", "val"):
        datasets.open_split("mine", split, data_dir=tmp_path)
    told = (
        f"{tmp_path / 'mine/train' / inside}: ignored 3 images in street/, town/, because only images in the "
        "folder itself are read\n"
    )
    printed = capsys.readouterr().err
    assert told in printed and printed.count("ignored") == 1


def test_photos_in_folders_of_a_split_are_warned_of(tmp_path, capsys):
    for file in ("1.png", "street/2.png"):
        _write(tmp_path / "mine/val" / file, INPUT)
    datasets.open_split("mine", "val", data_dir=tmp_path, task=make_task("inpaint"))
    assert "mine/val: ignored 1 image in street/, because only" in capsys.readouterr().err


def test_a_split_with_images_in_folders_alone(tmp_path):
    for name in ("park", "street", "town"):
        _write(tmp_path / f"mine/train/{name}/1.png", INPUT, TARGET)
    match = "labels/; ignored 3 images in park/, street/, town/, because only images in the folder itself are"
    with pytest.raises(UserError, match=match):
        datasets.open_split("mine", "train", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_the_names_of_the_validation_split(tmp_path, name):
    for split in ("train", name, "test"):
        _write(tmp_path / f"mine/{split}/{split}.png", INPUT, TARGET)
    assert datasets.open_split("mine", "val", data_dir=tmp_path).example_ids == (name,)
    assert datasets.open_split("mine", "train", data_dir=tmp_path).example_ids == ("train",)


@pytest.mark.parametrize("write", [str.capitalize, str.upper])
@pytest.mark.parametrize("place", ["{}", "{}/A {}/B", "A/{} B/{}", "{}A {}B"])
def test_the_names_of_splits_in_capitals(tmp_path, write, place):
    for split in ("train", "valid"):
        for folder in place.format(*[write(split)] * 2).split():
            _write(tmp_path / f"mine/{folder}/{split}.png", INPUT, TARGET)
    for split, name in (("train", "train"), ("val", "valid")):
        assert datasets.open_split("mine", split, data_dir=tmp_path).example_ids == (name,)


def test_two_splits_that_differ_in_capitals_only(tmp_path):
    for split in ("train", "Train", "val"):
        _write(tmp_path / f"mine/{split}/1.png", INPUT, TARGET)
    with pytest.raises(UserError, match="mine holds train/ and Train/, whose names differ in capitals only"):
        datasets.open_split("mine", "train", data_dir=tmp_path)


def test_the_test_split_validates_where_there_is_no_other(tmp_path, capsys):
    for split in ("train", "test"):
        _write(tmp_path / f"mine/{split}/{split}.png", INPUT, TARGET)
    assert datasets.open_split("mine", "val", data_dir=tmp_path).example_ids == ("test",)
    assert capsys.readouterr().err.endswith("; there is no folder val/, so test/ validates\n")
    assert datasets.open_split("mine", "train", data_dir=tmp_path).example_ids == ("train",)


@pytest.mark.parametrize("inside", ["train/", ""])
def test_a_share_of_the_training_pairs_validates_where_nothing_else_does(tmp_path, capsys, inside):
    names = [f"photo {number}" for number in range(30)]
    for name in names:
        _write(tmp_path / f"mine/{inside}{name}.png", INPUT, TARGET)
    told = "there is no val or test, so 6 of the 30 (`val_percent=20`), drawn by their names, validate"
    splits = {}
    for split in ("train", "val"):
        splits[split] = datasets.open_split("mine", split, data_dir=tmp_path, val_percent=20).example_ids
        assert told in capsys.readouterr().err
    assert sorted(splits["train"] + splits["val"]) == sorted(names)
    # A run that is started again, on any machine, must not train on what it has validated on.
    assert splits["val"] == ("photo 6", "photo 9", "photo 14", "photo 16", "photo 21", "photo 27")
    with pytest.raises(UserError, match="no such folder"):
        datasets.open_split("mine", "val", data_dir=tmp_path, val_percent=0)


def test_both_parts_of_a_share_are_warned_of_once(tmp_path, capsys):
    for number in range(4):
        _write(tmp_path / f"mine/train/{number}.png", (200, 9, 9))  # one square image
    (tmp_path / "mine/train/notes.txt").write_text("")
    for split in ("train", "val"):
        datasets.open_split("mine", split, data_dir=tmp_path)
    told = capsys.readouterr().err
    assert told.count("ignored 1 file that is not") == 1
    assert told.count("not about twice as wide as high") == 1


def test_a_share_is_at_least_one_and_never_all():
    assert len(finding.hold_out(["a", "b"], 1)) == 1
    assert len(finding.hold_out(["a", "b"], 99)) == 1
    before = finding.hold_out(map(str, range(100)), 10)
    after = finding.hold_out(map(str, range(101)), 10)
    assert len(before & after) >= 9


def test_two_folders_without_splits(tmp_path, capsys):
    for number in range(4):
        _write(tmp_path / f"mine/masks/{number}.png", INPUT)
        _write(tmp_path / f"mine/images/{number}.jpg", TARGET)
    assert len(datasets.open_split("mine", "train", data_dir=tmp_path)) == 3
    assert len(datasets.open_split("mine", "val", data_dir=tmp_path / "mine")) == 1
    assert "input masks/ (A), target images/ (B); there is no val or test" in capsys.readouterr().err


@pytest.mark.parametrize("inside", ["", "train/"])
def test_one_pair_alone_is_told_that_another_one_has_to_validate(tmp_path, inside):
    _write(tmp_path / f"mine/{inside}A/1.png", INPUT)
    _write(tmp_path / f"mine/{inside}B/1.png", TARGET)
    with pytest.raises(UserError, match="mine holds one pair, and another one has to validate"):
        datasets.open_split("mine", "val", data_dir=tmp_path)


@pytest.mark.parametrize("inside", ["", "images/", "photos/"])
def test_a_flat_folder_of_photos(tmp_path, capsys, inside):
    for number in range(4):
        _write(tmp_path / f"mine/{inside}{number}.png", INPUT)
    task = make_task("inpaint")
    assert len(datasets.open_split("mine", "train", data_dir=tmp_path, task=task)) == 3
    assert f"{tmp_path}/mine: 3 photos; there is no val or test" in capsys.readouterr().err
    assert len(datasets.open_split("mine", "val", data_dir=tmp_path, task=task)) == 1


def test_the_photos_of_pairs(tmp_path):
    _write(tmp_path / "mine/val/masks/1.png", INPUT)
    _write(tmp_path / "mine/val/images/1.png", TARGET)
    source = datasets.open_split("mine", "val", data_dir=tmp_path, task=make_task("inpaint"))
    assert _colours(source) == [list(TARGET)]


def test_a_dataset_that_can_be_downloaded_is_never_guessed_at(tmp_path):
    _write(tmp_path / "maps/1.png", INPUT, TARGET)
    with pytest.raises(UserError, match="maps is there without train/, val/ or test/"):
        datasets.open_split("maps", "train", data_dir=tmp_path)


def test_ids_in_masks_are_coloured_on_their_side(tmp_path):
    for split in ("train", "val"):
        _write(tmp_path / f"mine/{split}/images/1.png", TARGET)
        (tmp_path / f"mine/{split}/masks").mkdir()
        Image.fromarray(np.ones((4, 4), np.uint8)).save(tmp_path / f"mine/{split}/masks/1.png")
    palette = '{"a": [1, 1, 1], "b": [2, 3, 4], "void": [[0, 0, 0]]}'
    (tmp_path / "mine/palette.json").write_text(palette)
    assert _colours(datasets.open_split("mine", "train", data_dir=tmp_path)) == [[2, 3, 4], list(TARGET)]
    backward = datasets.open_split("mine", "train", data_dir=tmp_path, direction="BtoA")
    assert _colours(backward) == [list(TARGET), [2, 3, 4]]
