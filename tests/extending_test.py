"""The recipes of docs/extending.md, each run as a script in an empty folder."""

import json
import re
import runpy
from pathlib import Path

import pytest

from tests.helpers import runs
from tfpix2pix.config import choices
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.pipelines.tasks import registry as tasks
from tfpix2pix.run import checkpoints

PAGE = (runs.ROOT / "docs" / "extending.md").read_text("utf-8")
RECIPES = dict(re.findall(r"^## (.+?)$.*?^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))


@pytest.fixture
def run_recipe(tmp_path, monkeypatch):
    """Runs a recipe in an empty folder; the tables are afterwards what they were."""
    tables = [choices.GENERATORS, choices.DISCRIMINATORS, choices.METHODS, choices.METRICS, tasks.TASKS]
    copies = [dict(table) for table in tables]
    monkeypatch.chdir(tmp_path)

    def run(title: str) -> Path:
        (tmp_path / "recipe.py").write_text(RECIPES[title])
        runpy.run_path("recipe.py", run_name="__main__")
        return tmp_path

    yield run
    for table, copy in zip(tables, copies, strict=True):
        table.clear()
        table.update(copy)


def test_there_are_five():
    titles = (
        "A feature-matching term",
        "A ResNet generator",
        "A metric",
        "A dataset with its palette",
        "A task",
    )
    assert tuple(RECIPES) == titles


def test_feature_matching_is_a_term_of_the_loss(run_recipe):
    folder = run_recipe("A feature-matching term")
    (line,) = [line for line in runs.read_metrics(folder / "runs/matching") if "training/l1_loss" in line]
    loss = line["training/generator_gan_loss"] + 10 * line["training/feature_matching_loss"]
    assert line["training/feature_matching_loss"] > 0
    assert line["training/generator_loss"] == pytest.approx(loss + 100 * line["training/l1_loss"], rel=1e-3)


@pytest.mark.skipif(not IS_KERAS_3, reason="files for other runtimes need Keras 3")
def test_the_resnet_generator_trains_and_is_exported(run_recipe):
    folder = run_recipe("A ResNet generator")
    assert json.loads((folder / "runs/resnet/config.json").read_text())["config"]["generator"] == "resnet"
    assert (folder / "saved_models/synthetic/1/saved_model.pb").is_file()
    for name in ("resnet.keras", "resnet.onnx"):
        report = json.loads((folder / f"{name}.json").read_text())
        assert report["max_error"] < 1e-4


def test_the_metric_picks_the_best_checkpoint_and_is_evaluated(run_recipe):
    folder = run_recipe("A metric")
    assert checkpoints.read_metadata(folder / "runs/sharp", 2)["best"]["metric"] == "sharpness"
    scores = json.loads((folder / "runs/sharp/eval/sharpness.json").read_text())["scores"]
    assert scores["sharpness"] > 0


def test_the_palette_of_a_folder_is_known(run_recipe):
    folder = run_recipe("A dataset with its palette")
    result = json.loads((folder / "runs/scenes/eval/label_accuracy.json").read_text())
    assert [each["class"] for each in result["per_class"]] == ["sky", "ground"]


def test_the_task_trains_and_is_exported(run_recipe):
    folder = run_recipe("A task")
    assert json.loads((folder / "runs/sharpen/config.json").read_text())["config"]["task"] == "sharpen"
    assert (folder / "saved_models/synthetic/1/saved_model.pb").is_file()
