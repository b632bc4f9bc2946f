"""What a dry run tells of a training, and what is told of images that are not the catalogue's."""

import json
import shutil
import sys
import types

import keras
import numpy as np
import pytest

from tests.helpers import runs
from tests.helpers.tiny_run import write_run
from tfpix2pix.config.config import make_config
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.catalogue import FACADES_PALETTE
from tfpix2pix.pipelines.files.sources import from_arrays
from tfpix2pix.train.dry_run import describe_training
from tfpix2pix.train.fit import find_misfit
from tfpix2pix.train.training import train_and_evaluate

PHOTO, LABELS = np.random.default_rng(0).integers(0, 256, (2, 1, 32, 32, 3)).astype(np.uint8)
HD = {"depth": 2, "residual_blocks": 1, "receptive_field": 70, "boundaries": True}
LABELS[:] = next(iter(FACADES_PALETTE.values()))


def _told(text):
    return {name: words.strip() for name, words in (line.split(":", 1) for line in text.splitlines())}


def test_it_opens_the_data_counts_and_writes_nothing(tmp_path):
    data_dir = runs.write_dataset(tmp_path / "tiny")
    run = tmp_path / "run"
    config = runs.tiny_config(data_dir, epochs=3, batch_size=4)
    before = sorted(tmp_path.rglob("*"))
    told = _told(describe_training(config, run))
    assert told["train"] == "6 examples, files of 32x32 px of 3 channels -> 32x32 px of 3 channels"
    assert told["trained at"] == "32x32 px, to which they are resized"
    assert told["val"].startswith("2 examples, ")
    assert told["steps"] == "5"  # 3 epochs of 6 examples in batches of 4
    # Convolutions of 2, 4 and 8 filters and back, 4x4, the bias of the last one, and 3 norms.
    down, up = 16 * (3 * 2 + 2 * 4 + 4 * 8), 16 * (8 * 4 + 8 * 2 + 4 * 3)
    assert told["generator"] == f"unet, {down + up + 3 + 2 * (4 + 4 + 2):,} parameters"
    assert told["discriminator"].startswith("patch, 16 px, ")
    assert "CPU" in told["device"] and told["device"].endswith("float32")
    assert told["run"] == f"{run} is new: it would start at step 0"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_that_is_nearly_the_catalogues_is_told(tmp_path, capsys):
    data_dir = runs.write_dataset(tmp_path / "tiny")
    for name, meant in (("Facades", "facades"), ("facade", "facades"), ("tiny", None)):
        describe_training(runs.tiny_config(data_dir, dataset=name), tmp_path / "run")
        told = f"warning: `dataset={name}` is not a name of the catalogue; did you mean {meant}?"
        assert (told in capsys.readouterr().err) == (meant is not None)


def test_it_tells_where_a_run_would_go_on(tmp_path):
    run = write_run(
        tmp_path / "run", config := make_config(dataset="synthetic", image_size=32, depth=3, steps=9)
    )
    text = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**text, "training_set": None}))
    assert _told(describe_training(config, run))["run"] == f"{run} would go on from step 2"
    shutil.rmtree(run / "checkpoints" / "step-00000002")
    assert _told(describe_training(config, run))["run"] == f"{run} would go on from step 1"
    with pytest.raises(UsageError, match="`seed` was 0, is 1"):
        describe_training(make_config(dataset="synthetic", image_size=32, depth=3, steps=9, seed=1), run)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"best_metric": "hole_l1"}, "hole_l1 "),
        ({"normalization": "instance", "norm_backend": "addons"}, "`norm_backend=addons` needs"),
        ({"method": "pix2pixhd", "instance_features": 3, **HD}, "`instance_features` needs scikit-learn"),
    ],
)
def test_what_the_training_refuses_is_refused(tmp_path, monkeypatch, settings, reason):
    for name in ("sklearn.cluster", "tensorflow_addons"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    config = runs.tiny_config(runs.write_dataset(tmp_path / "tiny"), **settings)
    for start in (describe_training, train_and_evaluate):
        with pytest.raises(UserError, match=reason):
            start(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_it_downloads_no_network_of_a_metric(tmp_path, monkeypatch):
    def fail(**_):
        raise OSError("no route to host")

    monkeypatch.setattr(keras.applications, "InceptionV3", fail)
    monkeypatch.setitem(sys.modules, "lpips", types.ModuleType("lpips"))  # as if it were installed
    data_dir = runs.write_dataset(tmp_path / "tiny")
    for name in ("kid", "lpips"):
        describe_training(runs.tiny_config(data_dir, best_metric=name), tmp_path / "run")
    with pytest.raises(UserError, match="cannot be downloaded"):
        train_and_evaluate(runs.tiny_config(data_dir, best_metric="kid"), tmp_path / "run")
    with pytest.raises(UsageError, match="`best_metric=lpips_diversity` cannot tell a better"):
        describe_training(runs.tiny_config(data_dir, best_metric="lpips_diversity"), tmp_path / "run")
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(UserError, match="lpips is missing"):
        describe_training(runs.tiny_config(data_dir, best_metric="lpips"), tmp_path / "run")


def _pairs(count, sides=(LABELS, PHOTO)):
    return from_arrays(*(np.repeat(side, count, 0) for side in sides))


@pytest.mark.parametrize(
    ("settings", "train", "val", "fault"),
    [
        ({"dataset": "facades"}, _pairs(400), _pairs(100), None),
        ({"dataset": "facades"}, _pairs(7), _pairs(100), "train/ holds 7 examples instead of 400. "),
        ({"dataset": "facades"}, _pairs(400, (PHOTO, PHOTO)), _pairs(100), "neither side of the pairs has"),
        ({"dataset": "facades"}, _pairs(400, (PHOTO, LABELS)), _pairs(100), "and they are on the left"),
        ({"dataset": "facades", "direction": "AtoB"}, _pairs(400, (PHOTO, LABELS)), _pairs(100), None),
        ({"dataset": "maps"}, _pairs(1096), _pairs(5), None),
        ({"dataset": "maps"}, _pairs(7), _pairs(5), "train/ holds 7 examples instead of 1096. "),
        ({"dataset": "my_facades"}, _pairs(7), _pairs(5), None),
    ],
)
def test_a_name_of_the_catalogue_needs_its_data(settings, train, val, fault):
    config = make_config(**settings)
    misfit = find_misfit(config, train, val)
    if fault is None:
        assert misfit is None
    else:
        assert fault in misfit and f"`dataset=my_{config.dataset}`" in misfit
        assert f"the direction {config.direction}, the paper's recipe of 200 epochs" in misfit


@pytest.mark.parametrize(
    ("dataset", "training_set", "batch_size"),
    [
        ("edges2shoes", {"examples": 49825}, 4),
        ("edges2shoes", {"examples": 7}, None),
        ("edges2shoes", None, None),
        ("mine", {"examples": 49825}, None),
        ("synthetic", {"examples": 400}, None),
    ],
)
def test_a_model_card_has_the_papers_recipe_only_for_the_papers_data(
    tmp_path, dataset, training_set, batch_size
):
    config = make_config(dataset=dataset, image_size=32, depth=3, base_filters=2)
    run = write_run(tmp_path / "run", config)
    text = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**text, "training_set": training_set}))
    recipe = describe_run(run, config, 2)["recipe"]
    assert recipe == batch_size or recipe["batch_size"] == batch_size


def test_training_warns_of_it_once(tmp_path):
    data_dir = runs.write_dataset(tmp_path / "tiny")
    process = runs.call(runs.train_command(data_dir, tmp_path / "run", dataset="facades", steps=1))
    assert process.returncode == 0, process.stderr
    warnings = [line for line in process.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1 and "val/ holds 2 examples instead of 100" in warnings[0]
    assert warnings[0].endswith("such as --dataset=my_facades")
