"""The average of the generator's weights: kept, validated, translated with, exported, and taken on."""

import json
import sys

import numpy as np
import pytest

from tests.helpers import runs, tiny_run
from tfpix2pix.config.config import make_config
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import read_config
from tfpix2pix.train.origin import read_origin
from tfpix2pix.train.training import train_and_evaluate
from tfpix2pix.translate.translator import Translator

STEPS = 4
DECAY = 0.15
IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("average") / "tiny")


@pytest.fixture(scope="module")
def workdir(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("averaged") / "run"
    settings = {
        "ema_decay": DECAY,
        "learning_rate": 0.02,
        "checkpoint_every_steps": 1,
        "keep_checkpoints": STEPS,
    }
    train_and_evaluate(runs.tiny_config(data_dir, steps=STEPS, **settings), workdir)
    return workdir


def test_the_average_is_that_of_the_weights_of_all_steps(workdir):
    kept = [checkpoints.read_weights(workdir, step, "generator") for step in range(1, STEPS + 1)]
    averages = [checkpoints.read_weights(workdir, step, "generator_average") for step in range(1, STEPS + 1)]
    assert averages[0].keys() == kept[0].keys()
    for name, average in averages[-1].items():
        np.testing.assert_array_equal(averages[0][name], kept[0][name])  # The first step counts in full.
        expected = kept[0][name]
        for step, weights in enumerate(kept[1:], start=2):
            # (2 - 1) / (2 + 9) is less than the decay of 0.15, and (3 - 1) / (3 + 9) is more.
            decay = 1 / 11 if step == 2 else 0.15
            expected = decay * expected + (1 - decay) * weights[name]
        np.testing.assert_allclose(average, expected, rtol=1e-5, atol=1e-7)
    assert any(np.abs(averages[-1][name] - kept[-1][name]).max() > 1e-4 for name in kept[-1])


def test_the_average_is_what_is_translated_with_and_scored(workdir, tmp_path):
    outputs, scores = {}, {}
    for weights in (None, "ema", "raw"):
        outputs[weights] = Translator(workdir, weights=weights)(IMAGE)
        command = [sys.executable, "-m", "tfpix2pix.evaluate", f"--model={workdir}", f"--output={tmp_path}"]
        told = runs.call([*command, "--metrics=l1", *([f"--weights={weights}"] if weights else [])])
        assert told.returncode == 0, told.stderr
        scores[weights] = json.loads((tmp_path / "l1.json").read_text())["scores"]["l1"]
    np.testing.assert_array_equal(outputs[None], outputs["ema"])
    assert np.abs(outputs["raw"].astype(int) - outputs["ema"]).max() > 0
    reported = checkpoints.read_metadata(workdir, STEPS)["scores"]["l1"]
    assert scores[None] == scores["ema"] == pytest.approx(reported, abs=1e-6)
    assert scores["raw"] != pytest.approx(reported, abs=1e-6)


def test_a_card_tells_the_scores_of_the_weights_that_it_describes(workdir):
    config, validation = read_config(workdir), checkpoints.read_metadata(workdir, STEPS)["scores"]

    def tell(weights: str | None) -> dict:
        card = describe_run(workdir, config, STEPS, weights)
        assert card["weights"] == (weights or "ema")
        return card["scores"]

    for evaluated in (None, "raw"):
        result = evaluate_model(workdir, metrics=["l1"], gallery_size=0, weights=evaluated)
        assert result.description["weights"] == (evaluated or "ema")
        file = workdir / "eval" / "l1.json"
        contents = json.loads(file.read_text())
        own = {"l1": pytest.approx({"split": "val", **contents["scores"]})}
        for is_older in (False, True):
            if is_older:  # An earlier version told the weights in the title of the model alone.
                del contents["evaluation"]["weights"], contents["evaluation"]["inference_statistics"]
                file.write_text(json.dumps(contents))
            for weights in (None, "ema", "raw"):
                scores = tell(weights)
                assert scores["validation"] == ({} if weights == "raw" else validation)
                assert scores["evaluation"] == (own if (weights == "raw") == (evaluated == "raw") else {})
        # They are of the same evaluation, so the other metric stays.
        evaluate_model(workdir, metrics=["psnr"], gallery_size=0, weights=evaluated)
        assert file.exists()
        contents["evaluation"]["inference_statistics"] = "batch"
        file.write_text(json.dumps(contents))
        assert "l1" not in tell(evaluated)["evaluation"]


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_an_export_says_which_weights_it_has(workdir, tmp_path, weights):
    command = [sys.executable, "-m", "tfpix2pix.export", f"--workdir={workdir}", f"--output={tmp_path}"]
    command += [f"--weights={weights}"]
    told = runs.call(command)
    assert told.returncode == 0, told.stderr
    card = json.loads((tmp_path / "tiny" / "1" / "model_card.json").read_text())
    assert card["weights"] == Translator(tmp_path / "tiny").weights == weights
    assert bool(card["scores"]["validation"]) == (weights == "ema")
    if IS_KERAS_3:
        told = runs.call([*command, "--format=keras"])
        assert told.returncode == 0, told.stderr
        assert json.loads((tmp_path / "tiny.keras.json").read_text())["weights"] == weights


def test_another_run_starts_from_the_average(workdir):
    expected = checkpoints.read_weights(workdir, STEPS, "generator_average")
    taken = read_origin(workdir).generator
    assert all(np.array_equal(taken[name], expected[name]) for name in expected)


@pytest.mark.parametrize("command", ["translate", "evaluate", "export"])
def test_weights_that_a_run_does_not_have_are_refused(command, data_dir, tmp_path):
    run = tiny_run.write_run(tmp_path / "run")
    place = f"--workdir={run}" if command == "export" else f"--model={run}"
    images = [f"--input={data_dir}", f"--output={tmp_path / 'out'}"] if command == "translate" else []
    told = runs.call([sys.executable, "-m", f"tfpix2pix.{command}", place, *images, "--weights=ema"])
    assert told.returncode == 2
    assert f"there are no --weights=ema: the training of {run} kept no average of its weights" in told.stderr


def test_a_share_of_one_would_never_learn():
    with pytest.raises(UsageError, match="`ema_decay` must be less than 1. Received: 1.0"):
        make_config(dataset="tiny", ema_decay=1.0)
