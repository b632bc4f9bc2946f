"""The recipes of docs/extending.md, each run as a script in an empty folder."""

import dataclasses
import json
import re
import runpy
import sys
import types
from pathlib import Path

import pytest

from tests.helpers import runs
from tfpix2pix.config import choices
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.catalogue import CATALOGUE
from tfpix2pix.pipelines.tasks import registry as tasks
from tfpix2pix.run import checkpoints
from tfpix2pix.run.callbacks import Moment

PAGE = (runs.ROOT / "docs" / "extending.md").read_text("utf-8")
RECIPES = dict(re.findall(r"^## (.+?)$.*?^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))


@pytest.fixture
def run_recipe(tmp_path, monkeypatch):
    """Runs a recipe in an empty folder, with few generated pairs; the tables are afterwards as before."""
    tables = [choices.GENERATORS, choices.DISCRIMINATORS, choices.METHODS, choices.METRICS, tasks.TASKS]
    copies = [dict(table) for table in tables]
    few = dataclasses.replace(CATALOGUE["synthetic"], counts={"train": 6, "val": 2, "test": 2})
    monkeypatch.setattr(catalogue, "CATALOGUE", {**CATALOGUE, "synthetic": few})
    monkeypatch.chdir(tmp_path)

    def run(title: str) -> Path:
        (tmp_path / "recipe.py").write_text(RECIPES[title])
        runpy.run_path("recipe.py", run_name="__main__")
        return tmp_path

    yield run
    for table, copy in zip(tables, copies, strict=True):
        table.clear()
        table.update(copy)


def test_there_are_seven():
    titles = (
        "A feature-matching term",
        "A ResNet generator",
        "A metric",
        "A dataset with its palette",
        "Data in memory, tf.data, Hugging Face",
        "A task",
        "Callbacks",
    )
    assert tuple(RECIPES) == titles


def test_feature_matching_is_a_term_of_the_loss(run_recipe):
    folder = run_recipe("A feature-matching term")
    (line,) = [line for line in runs.read_metrics(folder / "runs/matching") if "training/l1_loss" in line]
    loss = line["training/generator_gan_loss"] + 10 * line["training/feature_matching_loss"]
    assert line["training/feature_matching_loss"] > 0
    assert line["training/generator_loss"] == pytest.approx(loss + 100 * line["training/l1_loss"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(not IS_KERAS_3, reason="files for other runtimes need Keras 3")
def test_the_resnet_generator_trains_and_is_exported(run_recipe):
    folder = run_recipe("A ResNet generator")
    assert json.loads((folder / "runs/resnet/config.json").read_text())["config"]["generator"] == "resnet"
    assert (folder / "saved_models/synthetic/1/saved_model.pb").is_file()
    for name in ("resnet.keras", "resnet.onnx"):
        report = json.loads((folder / f"{name}.json").read_text())
        assert report["max_error"] < 1e-4


@pytest.mark.slow
def test_the_metric_picks_the_best_checkpoint_and_is_evaluated(run_recipe):
    folder = run_recipe("A metric")
    assert checkpoints.read_metadata(folder / "runs/sharp", 2)["best"]["metric"] == "sharpness"
    scores = json.loads((folder / "runs/sharp/eval/sharpness.json").read_text())["scores"]
    assert scores["sharpness"] > 0


@pytest.mark.slow
def test_the_palette_of_a_folder_is_known(run_recipe):
    folder = run_recipe("A dataset with its palette")
    result = json.loads((folder / "runs/scenes/eval/label_accuracy.json").read_text())
    assert [each["class"] for each in result["per_class"]] == ["sky", "ground"]


@pytest.mark.slow
def test_given_data_are_trained_on_and_told(run_recipe):
    folder = run_recipe("Data in memory, tf.data, Hugging Face")
    told = [json.loads((folder / f"runs/{name}/config.json").read_text()) for name in ("arrays", "stream")]
    assert [each["training_set"].get("resumes_exactly", True) for each in told] == [True, False]
    assert [each["training_set"]["examples"] for each in told] == [6, 6]


@pytest.mark.slow
def test_the_task_trains_and_is_exported(run_recipe):
    folder = run_recipe("A task")
    assert json.loads((folder / "runs/sharpen/config.json").read_text())["config"]["task"] == "sharpen"
    assert (folder / "saved_models/synthetic/1/saved_model.pb").is_file()


def test_callbacks_watch_a_training(run_recipe):
    folder = run_recipe("Callbacks")
    lines = (folder / "runs/watched/metrics.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["step", "2", "4", "6"]


def test_callbacks_for_services_call_them_as_they_are_called(tmp_path, monkeypatch):
    (block,) = re.findall(r"^```python\n(import mlflow\n.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    calls = []
    # The signatures are those of the two packages.
    wandb, mlflow = types.ModuleType("wandb"), types.ModuleType("mlflow")
    wandb.log = lambda data, step=None, commit=None: calls.append(("wandb", data, step))
    mlflow.log_metrics = lambda metrics, step=None: calls.append(("mlflow", metrics, step))
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    names: dict = {}
    exec(block, names)  # noqa: S102
    moment = Moment(4, 0, 1.0, tmp_path, {"l1_loss": 0.5}, {"psnr": 9.0}, None, "l1", False)
    for kind in ("WandbLog", "MlflowLog"):
        callback = names[kind]()
        callback.on_steps(moment)
        callback.on_validation(moment)
    expected = [({"training/l1_loss": 0.5}, 4), ({"validation/psnr": 9.0}, 4)]
    assert calls == [(name, *call) for name in ("wandb", "mlflow") for call in expected]
