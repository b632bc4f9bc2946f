"""A CSV file in place of folders: what it may hold, and errors that name the line."""

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.config.config import make_config
from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.tasks.tasks import make_task
from tfpix2pix.run import splits


@pytest.fixture
def folder(tmp_path) -> Path:
    for number in range(1, 5):
        for place, side in enumerate(("in", "my targets")):
            (tmp_path / side).mkdir(exist_ok=True)
            level = 10 * number + place
            Image.fromarray(np.full((4, 4, 3), level, np.uint8)).save(tmp_path / f"{side}/{number}.png")
    return tmp_path


def _write(folder: Path, *lines: str) -> Path:
    file = folder / "list.csv"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def _levels(source) -> list[list[int]]:
    return [
        [int(image[0, 0, 0]) for image in source.read(tf.constant(index, tf.int64))]
        for index in range(len(source))
    ]


def test_pairs_and_splits_of_a_file(folder, capsys):
    file = _write(
        folder,
        "target,split,input",
        "my targets/3.png,train,in/3.png",
        "",
        f"{folder}/my targets/1.png,,in/1.png",
        '"my targets/2.png",validation,in/2.png',
        "my targets/4.png,Test,in/4.png",
    )
    opened = {split: datasets.open_split("facades", split, pairs=file) for split in ("train", "val", "test")}
    assert {split: source.example_ids for split, source in opened.items()} == {
        "train": ("3", "1"),
        "val": ("2",),
        "test": ("4",),
    }
    assert _levels(opened["train"]) == [[30, 31], [10, 11]]
    told = f"{file}: 2 pairs; input column input (A), target column target (B)\n"
    assert capsys.readouterr().err.startswith(told)
    backward = datasets.open_split("facades", "train", pairs=file, direction="BtoA")
    assert _levels(backward) == [[31, 30], [11, 10]]


@pytest.mark.parametrize(("delimiter", "name"), [(",", "list.csv"), (";", "list.txt"), ("\t", "list.TSV")])
def test_what_spreadsheets_write(folder, delimiter, name):
    lines = ["Input,Target", *(f"in/{number}.png,my targets/{number}.png" for number in range(1, 5))]
    text = "\r\n".join(lines).replace(",", delimiter)
    (folder / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    sources = [datasets.open_split("mine", split, pairs=folder / name) for split in ("train", "val")]
    assert [len(source) for source in sources] == [3, 1]
    assert sorted(sum((source.example_ids for source in sources), ())) == ["1", "2", "3", "4"]


def test_a_pair_that_is_listed_twice_is_told(folder, capsys):
    pair = "in/1.png,my targets/1.png"
    other = "in/2.png,my targets/2.png,val"
    file = _write(folder, "input,target,split", f"{pair},train", other, f"{pair},val")
    for split, count in (("train", 1), ("val", 2)):
        assert len(datasets.open_split("mine", split, pairs=file)) == count
    told = capsys.readouterr().err
    assert told.count("more than once") == 1
    assert f"{file} lists 1 pair more than once: line 4 (val) repeats line 2 (train). Each line" in told


def test_inputs_of_one_name_are_told_apart_by_their_lines(folder):
    file = _write(folder, "input,target", "in/1.png,my targets/1.png", "in/1.png,my targets/2.png")
    source = datasets.open_split("mine", "train", pairs=file, val_percent=0)
    assert source.example_ids == ("1_line2", "1_line3")


def test_the_setting(folder):
    file = _write(folder, "input,target", *(f"in/{n}.png,my targets/{n}.png" for n in range(1, 5)))
    config = make_config(pairs=str(file), image_size=32)
    assert (config.dataset, config.direction) == (re.sub(r"[^\w.-]", "_", folder.name), "AtoB")
    assert len(splits.open_split(config, "train")) == 3
    assert len(splits.open_split(config, "val")) == 1


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["in/1.png,my targets/1.png"], "line 1: there is no column input and no column target. The first"),
        (["input,goal", "a,b"], "line 1: there is no column target. .* Received: 'input,goal'"),
        (["input,target"], "lists no pairs: there is no row below the header"),
        (["input,target", "in/1.png,my targets/1.png", "in/2.png"], "line 3: the column target is empty"),
        (["input,target", "in/9.png,my targets/1.png"], "line 2: there is no file .*/in/9.png"),
        (
            ["input,target", "in/1.png,my targets/1.png", "in/2.png,my targets/2.png,val"],
            "line 3: there are 3 values for the 2 columns of line 1. Name each column there, and put",
        ),
        (
            ["input,target,Input", "in/1.png,my targets/1.png,in/2.png"],
            "line 1: there is more than one column input; keep one of them",
        ),
        (
            ["input,target,split", "in/1.png,my targets/1.png,trian"],
            "line 2: split must be train, val or test. Received: trian",
        ),
        (
            ["input,target,split", "in/1.png,my targets/1.png,val"],
            "lists no pairs of train, which",
        ),
    ],
)
def test_errors_name_the_file_and_the_line(folder, lines, reason):
    file = _write(folder, *lines)
    with pytest.raises(UserError, match=f"^{file} {reason}"):
        datasets.open_split("mine", "train", pairs=file)


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no.csv` cannot be read: No such file"):
        datasets.open_split("mine", "train", pairs=tmp_path / "no.csv")


def test_what_a_list_does_not_go_with(tmp_path):
    with pytest.raises(UsageError, match="`dataset=synthetic` is generated"):
        datasets.open_split("synthetic", "train", pairs=tmp_path / "a.csv")
    with pytest.raises(UsageError, match="the task takes single photos"):
        datasets.open_split("mine", "train", pairs=tmp_path / "a.csv", task=make_task("inpaint"))
