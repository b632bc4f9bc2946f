"""A run exported: what it says itself, and what the caller decides."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import runs
from tests.helpers.tiny_run import CONFIG, write_run
from tfpix2pix.config.config import make_config
from tfpix2pix.export.run import export_run
from tfpix2pix.export.servable import Servable
from tfpix2pix.pipelines.base import processor
from tfpix2pix.run.generator import load_generator
from tfpix2pix.translate.translator import Translator


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    config = dataclasses.replace(CONFIG, serving_noise="random")
    return write_run(tmp_path_factory.mktemp("runs") / "run", config)


@pytest.fixture(scope="module")
def exported(workdir, tmp_path_factory):
    """The folder of a model, and the cards of the two versions that were written to it; one is left."""
    generator, config, step = load_generator(workdir)
    folder = tmp_path_factory.mktemp("saved_models") / "mine"
    cards = []
    for settings in ({}, {"noise": "fixed", "max_pixels": 20_000, "keep_versions": 1}):
        version = export_run(generator, config, step, workdir, folder, **settings)
        cards.append(json.loads((version / "model_card.json").read_text()))
    return folder, cards


@pytest.mark.slow
def test_the_run_decides_what_the_caller_leaves_open(exported):
    folder, cards = exported
    assert [path.name for path in folder.iterdir()] == ["2"]
    assert [card["noise"]["policy"] for card in cards] == ["random", "fixed"]
    assert [card["noise"]["seed"] for card in cards] == [None, 5]
    assert [card["input"]["max_pixels"] for card in cards] == [16777216, 20_000]
    for card in cards:
        assert (card["dataset"], card["step"], card["task"]) == ("synthetic", 2, "pairs")
        assert (card["scale"]["image_size"], card["scale"]["mode"]) == ([32, 32], "resized")
        assert card["config"]["direction"] == "BtoA" and card["config"]["image_size"] == [32, 32]


@pytest.mark.slow
def test_files_are_translated_as_the_translator_translates_them(workdir, exported):
    """At the size of the training, and the export was tried in a fresh process before it appeared."""
    version = exported[0] / "2"
    pixels = np.random.default_rng(0).integers(0, 256, (15, 17, 3), np.uint8).repeat(6, 0).repeat(6, 1)
    servable, translator = Servable(version), Translator(workdir)
    contents = np.array([tf.io.encode_png(pixels).numpy()], object)
    inputs = {"image_bytes": contents, "noise_seed": np.array([[3, 0]], np.int32)}
    answer = tf.io.decode_png(servable("serving_default_seeded", inputs)["image_bytes"][0]).numpy()
    assert np.abs(answer.astype(int) - translator(pixels, 3)).max() <= 1
    assert np.abs(answer.astype(int) - Translator(version)(pixels, 3)).max() <= 1
    # Arrays keep their size.
    inputs = {"input_image": pixels[None], "noise_seed": np.array([[3, 0]], np.int32)}
    native = servable("uint8_seeded", inputs)["generated_image"][0]
    assert np.abs(native.astype(int) - Translator(workdir, image_size="native")(pixels, 3)).max() <= 1
    assert np.abs(native.astype(int) - answer).max() > 20


@pytest.mark.slow
def test_pix2pixhd_is_exported_by_the_ways_that_commands_take(tmp_path):
    """They choose themselves whether oneDNN is used; what ways round differently adds up over many blocks."""
    config = make_config(dataset="synthetic", method="pix2pixhd", base_filters=4, image_size=64)
    workdir = write_run(tmp_path / "run", config)
    environment = runs.environment()
    environment.pop(processor.VARIABLE, None)
    command = [sys.executable, "-m", "tfpix2pix.export", f"--workdir={workdir}", f"--output={tmp_path}"]
    process = runs.run(command, env=environment)
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "synthetic" / "1" / "saved_model.pb").exists()
