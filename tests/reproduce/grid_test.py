"""A table of the paper, end to end through the command with the smallest nets; and what is read out of it."""

import dataclasses
import json
import signal
import sys

import numpy as np
import pytest
from PIL import Image

from tests.helpers import runs
from tfpix2pix.config.config import config_from_flags, define_flags
from tfpix2pix.config.options import text
from tfpix2pix.pipelines.base.command_line import new_flags
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.reproduce import grid, report
from tfpix2pix.reproduce.__main__ import main
from tfpix2pix.reproduce.grid import _configure, list_options, name_run
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


@pytest.fixture
def segmenter(tmp_path):
    return runs.write_segmenter(tmp_path / "nearest.keras", np.array(list(COLOURS.values())))


def _command(data_dir, **own):
    settings = {**runs.SETTINGS, "data_dir": data_dir, "steps": 3, "checkpoint_every_steps": 1}
    settings |= {"palette": data_dir / "palette.json", "table": 2, "workdir": data_dir / "grid", **own}
    for name in ("export", "receptive_field"):  # The grid sets these itself.
        settings.pop(name)
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "tfpix2pix.reproduce", *options]


def _times(folder):
    return {file: file.stat().st_mtime_ns for file in folder.glob("**/checkpoints/*/state.index")}


@pytest.mark.slow
def test_a_grid_is_stopped_gone_on_with_and_shown(data_dir, segmenter, monkeypatch, capsys):
    workdir = data_dir / "grid"
    command = _command(data_dir, fcn_width=0.02)
    first_row = workdir / "encoder_decoder-l1-batch10"
    process = runs.start(command)
    runs.wait_until(lambda: (first_row / "checkpoints" / "step-00000001").exists(), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=runs.TIMEOUT_SEC)
    assert process.returncode == 143
    assert errors.strip().splitlines()[-1] == "stopped by SIGTERM. Run the same command to go on"
    assert not (workdir / "table2.md").exists()
    assert [path.name for path in (workdir / "fcn" / "checkpoints").iterdir()] == ["step-00000003"]
    written = _times(workdir / "fcn")

    # A segmentation network of three steps cannot judge.
    refused = runs.call(command)
    assert refused.returncode == 1
    assert "cannot judge the rows: its pixel_accuracy on real photos is" in runs.last_line(refused)
    assert "Name a better one with --segmenter" in runs.last_line(refused)
    assert written and _times(workdir / "fcn") == written
    assert not (workdir / "table2.md").exists()

    # Two of its rows go on to two seeds; what one seed has trained is kept.
    table = TABLES["2"]
    two_rows = dataclasses.replace(table, rows=table.rows[:2], orders=table.orders[-1:])
    for module in (grid, report):
        monkeypatch.setattr(module, "TABLES", {"2": two_rows})
    rows = {file: time for folder in workdir.glob("*-batch10") for file, time in _times(folder).items()}
    main([*_command(data_dir)[2:], f"--segmenter={segmenter}", "--seeds=2"])
    now = _times(workdir)
    assert {file: now[file] for file in rows} == rows
    folders, folders_now = ({file.parents[2] for file in files} for files in (rows, now))
    assert len(folders) == 4 and len(folders_now - folders) == 1 + 2
    _check_table_of_two_seeds(workdir)
    assert capsys.readouterr().out.strip() == (workdir / "table2.md").read_text().strip()
    page = (workdir / "table2.html").read_text()
    assert page.count("<article>") == 2 and page.count("<img") == 2 * 4
    assert (workdir / "encoder_decoder-l1-batch10/eval/pictures/000001_generated.png").is_file()


def _check_table_of_two_seeds(workdir):
    table = json.loads((workdir / "table2.json").read_text())
    assert table["seeds"] == [0, 1]
    for row in table["rows"]:
        assert 0 <= row["ours"]["class_iou"] <= row["ours"]["pixel_accuracy"] <= 1
        assert row["ground_truth"] == table["rows"][0]["ground_truth"]
        first, second = (scores["pixel_accuracy"] for scores in row["by_seed"])
        assert row["ours"]["pixel_accuracy"] == pytest.approx((first + second) / 2)
        assert row["spread"]["pixel_accuracy"] == pytest.approx(abs(first - second) / 2**0.5)
    assert any(row["by_seed"][0] != row["by_seed"][1] for row in table["rows"])
    saved = json.loads((workdir / "encoder_decoder-l1-batch10-seed1" / "config.json").read_text())
    assert saved["config"]["seed"] == 1
    text, page = ((workdir / f"table2.{kind}").read_text() for kind in ("md", "html"))
    assert "seed 0, 1\n" in text and "Student's t-test" in text
    verdict = table["orders"][0]["verdicts"]["class_iou"]
    assert f"| {verdict} (" in text and f"<td>{verdict} (" in page
    assert f"L1: class IoU {table['rows'][0]['ours']['class_iou']:.3f}</figcaption>" in page


def test_rows_are_what_the_paper_compares():
    given = {"dataset": "cityscapes", "image_size": 128, "epochs": 3}

    def names(number):
        table = TABLES[number]
        configs = [_configure(table, row, given) for row in table.rows]
        assert all(config.epochs == 3 and not config.export for config in configs)
        return [name_run(config) for config in configs]

    assert names("1") == [
        "unet-l1",
        "unet-gan-70px",
        "unet-cgan-70px",
        "unet-l1+gan-70px",
        "unet-l1+cgan-70px",
    ]
    assert names("3") == [f"unet-l1+cgan-{size}px" for size in (1, 16, 70, 286)]
    assert names("2")[0] == "encoder_decoder-l1-batch10"
    assert names("6") == ["unet-l1-to-labels", "unet-cgan-70px-to-labels", "unet-l1+cgan-70px-to-labels"]


def test_hd_rows_are_of_one_scale_and_take_the_settings_that_they_have():
    given = {"dataset": "camvid", "image_size": 64, "base_filters": 16, "residual_blocks": 2, "steps": 9}
    configs = [_configure(TABLES["hd"], row, given) for row in TABLES["hd"].rows]
    names = ["unet-l1+cgan-70px", "unet-l1+cgan-70px-one-hot", "pix2pixhd-global-cgan-one-hot"]
    assert [name_run(config) for config in configs] == names
    for config in configs:
        assert (config.base_filters, config.steps, config.direction) == (16, 9, "BtoA")
    assert [config.residual_blocks for config in configs] == [None, None, 2]
    assert [config.boundaries for config in configs] == [False, True, True]


@pytest.mark.parametrize(
    "given",
    [{}, {"resize": "none"}, {"jitter": False}, {"preset": "fast"}],
    ids=["plain", "windows", "no jitter", "preset"],
)
@pytest.mark.parametrize("number", TABLES)
def test_the_command_of_each_row_makes_its_configuration(given, number):
    table = TABLES[number]
    rows = [row for row in table.rows if "preset" not in given or "method" not in row.settings]
    for row in rows:
        config = _configure(table, row, {"dataset": "camvid", "image_size": 96, "epochs": 3, **given})
        flag_values = new_flags()
        define_flags(flag_values)
        options = [f"--{name}={text(value)}" for name, value in list_options(config).items()]
        flag_values(["train", *options])
        assert config_from_flags(flag_values) == config


def test_a_row_whose_setting_would_have_no_effect_is_refused():
    given = {"dataset": "cityscapes", "discriminator": "pyramid"}
    table = TABLES["3"]
    with pytest.raises(
        UsageError, match=r"the row 1x1 sets `receptive_field`, .*unused: discriminator=pyramid"
    ):
        _configure(table, table.rows[0], given)


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"segmenter": "five.keras"}, "five.keras finds 5 classes, and not the 3 of the label maps"),
        ({"palette": "nothing.json"}, "--palette takes a JSON file or one of"),
        (
            {"metric": "label_accuracy", "direction": "AtoB", "palette": "camvid"},
            "--palette camvid has other",
        ),
        ({"split": "test"}, "tiny/test: no such folder"),
    ],
    ids=["classes", "no palette", "colours", "split"],
)
def test_what_cannot_be_scored_is_refused_before_the_rows_are_trained(
    data_dir, segmenter, own, reason, monkeypatch
):
    runs.write_segmenter(data_dir / "five.keras", np.eye(5, 3))
    monkeypatch.chdir(data_dir)
    settings = {**runs.SETTINGS, "data_dir": ".", "palette": "palette.json", "direction": "BtoA"}
    settings |= {"segmenter": segmenter, **own}
    options = [f"--{name}={value}" for name, value in settings.items()]
    process = runs.call([sys.executable, "-m", "tfpix2pix.reproduce.check", *options])
    assert process.returncode in (1, 2) and reason in runs.last_line(process)


def test_a_network_that_is_none_trains_nothing(data_dir):
    (data_dir / "empty").mkdir()
    process = runs.call(_command(data_dir, segmenter=data_dir / "empty"))
    assert process.returncode == 2
    assert "empty was not written by python -m tfpix2pix.metrics.fcn" in runs.last_line(process)
    assert not (data_dir / "grid").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("own", "status"), [({"split": "test"}, 1), ({"palette": "nothing.json"}, 2)])
def test_a_grid_begins_with_that_check(data_dir, segmenter, own, status):
    process = runs.call(_command(data_dir, segmenter=segmenter, **own))
    assert process.returncode == status and not (data_dir / "grid").exists()
    reason = "error: the rows could not be scored, for the reason above; nothing was trained"
    assert runs.last_line(process) == reason


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["--table=1"], "expected --table=NAME --dataset=NAME"),
        (["--table=4", "--dataset=camvid"], "--table"),
        (["--table=1", "--dataset=camvid", "--split=all"], "--split"),
        (["--table=1", "--dataset=camvid", "--seeds=0"], "--seeds"),
        (["--table=1", "--dataset=camvid", "--objective=l1"], "objective"),
        (
            ["--table=1", "--dataset=camvid", "--segmenter=fcn", "--fcn_epochs=3", "--fcn_width=1"],
            "--fcn_epochs and --fcn_width would have no effect: --segmenter names a network that is trained "
            "already. Leave them out",
        ),
        (
            ["--table=6", "--dataset=camvid", "--segmenter=fcn", "--fcn_width=1"],
            "--fcn_width and --segmenter would have no effect: --table=6 needs no segmentation network",
        ),
        (["--table=1", "--dataset=camvid", "--image_size=0"], "--image_size takes N or HxW"),
    ],
)
def test_a_wrong_call_names_what_is_wrong(tmp_path, arguments, reason):
    command = [sys.executable, "-m", "tfpix2pix.reproduce", *arguments]
    process = runs.call(command, cwd=tmp_path)
    assert process.returncode == 2 and reason in runs.last_line(process)
    assert not list(tmp_path.iterdir())
