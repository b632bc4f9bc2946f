"""A table of the paper, end to end through the command with the smallest nets; and what is read out of it."""

import json
import signal
import sys

import numpy as np
import pytest
from PIL import Image

from tests.helpers import runs
from tfpix2pix.config.config import make_config
from tfpix2pix.reproduce.grid import Cell, _configure, _write, name_run
from tfpix2pix.reproduce.paper_tables import TABLES

COLOURS = {"wall": [200, 0, 0], "sky": [0, 0, 200], "tree": [0, 200, 0]}


@pytest.fixture
def data_dir(tmp_path):
    """Six pairs for training and two to score: noise on the left, blocks of three classes on the right."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        folder = tmp_path / "tiny" / split
        folder.mkdir(parents=True)
        for number in range(count):
            ids = np.kron(draw.integers(0, 3, (4, 4)), np.ones((8, 8), int))
            labels = np.array(list(COLOURS.values()), np.uint8)[ids]
            photo = np.clip(labels + draw.integers(0, 50, labels.shape), 0, 255).astype(np.uint8)
            Image.fromarray(np.hstack([photo, labels])).save(folder / f"{number}.png")
    (tmp_path / "palette.json").write_text(json.dumps(COLOURS))
    return tmp_path


def test_a_grid_is_stopped_gone_on_with_and_shown(data_dir):
    workdir = data_dir / "grid"
    settings = {**runs.SETTINGS, "data_dir": data_dir, "steps": 3, "checkpoint_every_steps": 1}
    settings |= {"palette": data_dir / "palette.json", "fcn_epochs": 1, "fcn_width": 0.02}
    for name in ("export", "receptive_field"):  # the grid's own affair
        settings.pop(name)
    options = [f"--{name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "tfpix2pix.reproduce", "--table=2", f"--workdir={workdir}", *options]

    first_row = workdir / "encoder_decoder-l1-batch10"
    process = runs.start(command)
    runs.wait_until(lambda: (first_row / "checkpoints" / "step-00000001").exists(), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=runs.TIMEOUT_SEC)
    assert process.returncode == 143
    assert errors.strip().splitlines()[-1] == "stopped by SIGTERM. Run the same command to go on"
    assert not (workdir / "table2.md").exists()
    fcn = sorted((workdir / "fcn" / "checkpoints").glob("*/state.index"))
    written = [file.stat().st_mtime_ns for file in fcn]

    done = runs.run(command)
    assert done.returncode == 0, done.stderr
    assert written and [file.stat().st_mtime_ns for file in fcn] == written
    table = json.loads((workdir / "table2.json").read_text())
    assert [row["title"] for row in table["rows"]] == [row.title for row in TABLES[2].rows]
    for row in table["rows"]:
        assert 0 <= row["ours"]["class_iou"] <= row["ours"]["pixel_accuracy"] <= 1
        assert row["ground_truth"] == table["rows"][0]["ground_truth"]
    assert done.stdout.strip() == (workdir / "table2.md").read_text().strip()
    page = (workdir / "table2.html").read_text()
    assert page.count("<article>") == 2 and page.count("<img") == 2 * 6
    assert (workdir / "unet-l1+cgan-70px-batch10/eval/pictures/000001_generated.png").is_file()


def test_rows_are_what_the_paper_compares():
    given = {"dataset": "cityscapes", "image_size": 128, "epochs": 3}

    def names(number):
        table = TABLES[number]
        configs = [_configure(table, row, given) for row in table.rows]
        assert all(config.epochs == 3 and not config.export for config in configs)
        return [name_run(config) for config in configs]

    assert names(1) == ["unet-l1", "unet-gan-70px", "unet-cgan-70px", "unet-l1+gan-70px", "unet-l1+cgan-70px"]
    assert names(3) == [f"unet-l1+cgan-{size}px" for size in (1, 16, 70, 286)]
    assert names(2)[0] == "encoder_decoder-l1-batch10"
    assert names(6) == ["unet-l1-to-labels", "unet-cgan-70px-to-labels", "unet-l1+cgan-70px-to-labels"]


def test_a_table_says_which_orders_hold(tmp_path):
    table = TABLES[6]
    ours = [(0.5, 0.3, 0.2), (0.4, 0.3, 0.1), (0.6, 0.2, 0.1)]  # L1, cGAN, L1+cGAN
    names = ("pixel_accuracy", "class_accuracy", "class_iou")
    cells = [
        Cell(row, tmp_path / "run", dict(zip(names, scores, strict=True)), {})
        for row, scores in zip(table.rows, ours, strict=True)
    ]
    text = _write(6, tmp_path, cells, make_config(dataset="camvid"), "val")
    assert "| cGAN | 0.400 | 0.300 | 0.100 | 0.74 | 0.28 | 0.22 |\n" in text
    assert "| L1 above L1+cGAN | does not | holds | holds |\n" in text
    assert "| L1+cGAN above cGAN | holds | does not | does not |\n" in text


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["--table=1"], "expected --table=NUMBER --dataset=NAME"),
        (["--table=4", "--dataset=camvid"], "--table"),
        (["--table=1", "--dataset=camvid", "--split=all"], "--split"),
        (["--table=1", "--dataset=camvid", "--objective=l1"], "objective"),
        (["--table=1", "--dataset=camvid", "--image_size=0"], "--image_size takes N or HxW"),
    ],
)
def test_a_wrong_call_names_what_is_wrong(tmp_path, arguments, reason):
    command = [sys.executable, "-m", "tfpix2pix.reproduce", *arguments]
    process = runs.run(command, cwd=tmp_path)
    assert process.returncode == 2 and reason in runs.last_line(process)
    assert not list(tmp_path.iterdir())
