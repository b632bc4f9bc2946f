"""The commands that others print when they end: they say what was asked for, and name files that exist."""

import dataclasses
import shlex

import numpy as np
import pytest

from tests.helpers import runs
from tfpix2pix.config import config as configs
from tfpix2pix.config.config import make_config
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.run import next_commands


def _parse(command: str) -> configs.Config:
    flag_values = command_line.new_flags()
    configs.define_flags(flag_values)
    words = shlex.split(command)
    assert words[1:4] == ["-m", "tfpix2pix.train", "--workdir=a run"]
    command_line.parse_flags(flag_values, "", ["train", *words[4:]])
    return configs.config_from_flags(flag_values)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dataset": "facades", "image_size": "64x96", "load_size": "70x100", "steps": 5, "seed": 3},
        {"dataset": "edges2shoes", "jitter": False, "lambda_l1": 10.0, "best_metric": "psnr"},
        {"data_dir": "my pairs", "resize": "none", "normalization": "instance", "export": False},
        {"dataset": "mine", "task": "inpaint", "hole": "random", "mirror": False},
        {"dataset": "mine", "task": "colorize", "image_size": 64},
        {"pairs": "all/list.csv", "direction": "BtoA", "val_percent": 20},
        {"dataset": "mine", "input_channels": 1, "output_channels": 4, "exif": False},
    ],
)
def test_the_flags_of_a_configuration_give_it_back(settings, tmp_path):
    config = make_config(**settings)
    assert _parse(next_commands.train(config, "a run")) == config


def _inputs(config, tmp_path) -> list[str]:
    command = next_commands.translate(tmp_path / "model", config, tmp_path / "run")
    words = shlex.split(command)
    assert words[1:4] == ["-m", "tfpix2pix.translate", f"--model={tmp_path / 'model'}"]
    assert words[-1] == f"--output={tmp_path / 'run' / 'translated'}"
    return words[4:-1]


def test_side_by_side_pairs_are_cut_to_their_input(tmp_path, capsys):
    folder = runs.write_dataset(tmp_path / "my pairs")
    (folder / "val" / "notes.txt").touch()
    config = make_config(data_dir=str(folder))
    assert _inputs(config, tmp_path) == [f"--input={folder / 'val'}", "--crop=left"]
    turned = dataclasses.replace(config, direction="BtoA")
    assert _inputs(turned, tmp_path) == [f"--input={folder / 'val'}", "--crop=right"]
    assert not capsys.readouterr().err, "the training has warned of the notes already"


def test_of_a_share_that_validates_one_input_is_named(tmp_path):
    folder = runs.write_dataset(tmp_path / "pairs", train=5, val=0)
    (folder / "val").rmdir()
    file, crop = _inputs(make_config(data_dir=str(folder)), tmp_path)
    assert file.removeprefix("--input=") in [str(each) for each in (folder / "train").iterdir()]
    assert crop == "--crop=left"


def test_two_folders_need_no_cut(tmp_path):
    for side in "AB":
        for name in ("1", "2"):
            for split in ("train", "val"):
                runs.write_image(
                    tmp_path / "data" / split / side / f"{name}.png", np.zeros((32, 32, 3), np.uint8)
                )
    config = make_config(data_dir=str(tmp_path / "data"))
    assert _inputs(config, tmp_path) == [f"--input={tmp_path / 'data/val/A'}"]
    turned = dataclasses.replace(config, direction="BtoA")
    assert _inputs(turned, tmp_path) == [f"--input={tmp_path / 'data/val/B'}"]


@pytest.mark.parametrize(
    ("task", "flags"), [("inpaint", ["--hole=center"]), ("edges", ["--draw_edges=true"]), ("colorize", [])]
)
def test_photos_become_what_a_model_of_the_task_takes(tmp_path, task, flags):
    for split in ("train", "val"):
        runs.write_image(tmp_path / "photos" / split / "1.png", np.zeros((32, 32, 3), np.uint8))
    config = make_config(data_dir=str(tmp_path / "photos"), task=task)
    assert _inputs(config, tmp_path) == [f"--input={tmp_path / 'photos/val'}", *flags]


def test_what_has_no_files_is_not_translated(tmp_path):
    for settings in ({"dataset": "synthetic"}, {"dataset": "mine", "data_dir": str(tmp_path)}):
        assert next_commands.translate(tmp_path, make_config(**settings), tmp_path) is None
    assert shlex.split(next_commands.score(tmp_path / "a run"))[1:] == [
        "-m",
        "tfpix2pix.evaluate",
        f"--model={tmp_path / 'a run'}",
    ]
