"""A message about a missing dataset holds the command for what is there, which works as it is printed."""

import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.placing import advice


@pytest.fixture
def data_dir(tmp_path) -> Path:
    folder = tmp_path / "my data"
    folder.mkdir()
    return folder


def _write(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 8, 3), np.uint8)).save(file)


def _message(data_dir: Path, name: str = "mine") -> str:
    with pytest.raises(UserError) as error:
        datasets.open_split(name, "train", data_dir=data_dir)
    return str(error.value)


def _open_as_told(message: str) -> int:
    told = dict(shlex.split(text)[0].split("=", 1) for text in re.findall(r"`(\w+=[^`]*)`", message))
    return len(datasets.open_split(told["dataset"], "train", data_dir=told["data_dir"]))


def _run_as_told(message: str, start: str) -> None:
    command = shlex.split(re.search(rf"python (-m {re.escape(start)}.*?)(, then|$)", message)[1])
    subprocess.run([sys.executable, *command], check=True, timeout=120)


def test_an_archive(data_dir):
    with zipfile.ZipFile(data_dir / "a set.zip", "w") as archive:
        archive.writestr("train/1.png", b"x")
    message = _message(data_dir)
    _run_as_told(message, "tfpix2pix.pipelines.prepare --dataset=mine")
    assert (data_dir / "mine/train/1.png").is_file()


def test_splits_further_down(data_dir):
    for split in ("train", "val"):
        _write(data_dir / f"mine/export 1/data/{split}/1.png")
    message = _message(data_dir)
    assert "The dataset is further down: `dataset=mine` `data_dir='" in message
    assert _open_as_told(message) == 1


def test_another_name(data_dir):
    for name in ("cats", "photos_of_dogs"):
        _write(data_dir / name / "train/1.png", data_dir / name / "val/1.png")
    message = _message(data_dir, "photo_of_dogs")
    assert f"There is a dataset photos_of_dogs: `dataset=photos_of_dogs` `data_dir='{data_dir}'`" in message
    assert _open_as_told(message) == 1


def test_a_folder_whose_name_is_no_name_of_a_dataset(data_dir):
    _write(data_dir / "my set/train/1.png", data_dir / "my set/val/1.png")
    assert _open_as_told(_message(data_dir)) == 1


def test_a_split_is_never_offered_as_a_dataset(data_dir):
    for split in ("tRain", "Validation", "TEST"):
        _write(data_dir / split / "1.png")
    assert "There is a dataset" not in advice.suggest("mine", data_dir)
    (data_dir / "mine").mkdir()
    (data_dir / "tRain").rename(data_dir / "mine/tRain")
    (data_dir / "TEST").rename(data_dir / "mine/tEST")
    assert advice.suggest("mine", data_dir) == ""


def test_two_folders_of_unknown_names(data_dir):
    for number in range(4):
        _write(data_dir / f"mine/before it/{number}.png", data_dir / f"mine/then/{number}.jpg")
    message = _message(data_dir)
    assert "If the first of these two folders holds the inputs" in message
    _run_as_told(message, "tfpix2pix.pipelines.prepare --combine")
    assert _open_as_told(message) == 3


def test_two_folders_of_unknown_names_in_a_split(data_dir):
    for split in ("train", "val"):
        _write(data_dir / f"mine/{split}/before/1.png", data_dir / f"mine/{split}/then/1.png")
    message = _message(data_dir)
    moves = message.partition("If before/ holds the inputs: ")[2]
    subprocess.run(moves, shell=True, check=True)
    assert len(datasets.open_split("mine", "train", data_dir=data_dir)) == 1


def test_an_empty_folder_of_the_name(tmp_path):
    (folder := tmp_path / "mine").mkdir()
    message = _message(folder)
    assert message == f"{folder} holds nothing; `data_dir` takes the folder of the pairs"


def test_nothing_that_helps(data_dir):
    message = _message(data_dir)
    assert "which holds nothing. mine is not one of " in message
    assert "Ways on: python -m tfpix2pix.pipelines.prepare --dataset=mine" in message
