"""Exports of a run with features of instances draw them from the noise seed, as the run does."""

import json
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.boundaries_test import draw_ids, draw_label_map, write_dataset
from tests.helpers import runs, runtimes
from tests.helpers.tiny_run import write_run
from tfpix2pix.export.run import export_run
from tfpix2pix.networks.inference import sample_seed, silence
from tfpix2pix.networks.instance_features import find_features
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.run import splits
from tfpix2pix.run.generator import load_generator

EXPORT = runpy.run_module("tfpix2pix.export")["main"]
SETTINGS = {
    "method": "pix2pixhd",
    "depth": 2,
    "residual_blocks": 1,
    "receptive_field": 70,
    "boundaries": True,
}


def fill_clusters(train_step) -> None:
    layer = find_features(train_step.generator)
    centers, counts = (np.zeros(weight.shape) for weight in layer.weights)
    centers += np.random.default_rng(0).uniform(-4, 4, centers.shape)
    layer.set_weights([centers, counts + 3])


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    settings = {"instance_features": 2, "feature_depth": 2, "feature_filters": 2, "feature_clusters": 3}
    config = runs.tiny_config(write_dataset(folder / "data"), **SETTINGS, **settings)
    return write_run(folder / "run", config, splits.open_split(config, "train"), fill_clusters)


def _picture(number: int) -> tuple[np.ndarray, np.ndarray, tf.Tensor]:
    label_map, ids = draw_label_map(number), draw_ids(number)
    floats = np.concatenate([label_map / 127.5 - 1, ids[..., None] / 32767.5 - 1], -1)[None]
    return label_map, ids, tf.constant(floats, tf.float32)


@pytest.mark.slow
def test_a_saved_model_draws_features_in_the_graph(run, tmp_path):
    generator, config, step = load_generator(run)
    version = export_run(generator, config, step, run, tmp_path)
    signatures = tf.saved_model.load(str(version)).signatures
    label_map, ids, picture = _picture(6)
    answers = []
    for seed in (sample_seed(0)[None], sample_seed(9)[None]):
        expected = (generator([picture, seed]).numpy() + 1) * 127.5
        answer = signatures["uint8_instances_seeded"](
            input_image=tf.constant(label_map[None]),
            instance_ids=tf.constant(ids[None], tf.int32),
            noise_seed=seed,
        )["generated_image"]
        np.testing.assert_allclose(answer.numpy().astype(float), expected, atol=1)
        answers.append(answer.numpy().astype(int))
    assert np.abs(answers[0] - answers[1]).max() > 2
    card = json.loads((version / "model_card.json").read_text())
    assert "uint8_instances_seeded" in card["signatures"]


@pytest.mark.slow
@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 3 writes these files")
@pytest.mark.parametrize("file_format", ["keras", "tflite", "onnx"])
def test_files_for_other_runtimes_draw_the_same_features(run, tmp_path, file_format):
    runtimes.skip_without(file_format)
    EXPORT(["export", f"--workdir={run}", f"--output={tmp_path}", f"--format={file_format}"])
    (written,) = (file for file in tmp_path.iterdir() if file.suffix != ".json")
    picture, generator = _picture(7)[2].numpy(), load_generator(run)[0]
    outputs = []
    for seed in (np.array([[3, 0]], np.int32), np.array([[-4, 1]], np.int32)):
        expected = generator([tf.constant(picture), tf.constant(seed)], training=False).numpy()
        np.testing.assert_allclose(runtimes.run_file(written, picture, seed), expected, atol=1e-4)
        outputs.append(expected)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-2


@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 3 writes these files")
def test_a_file_without_noise_takes_the_first_clusters(run, tmp_path):
    EXPORT(["export", f"--workdir={run}", f"--output={tmp_path}", "--format=keras", "--noise=off"])
    (written,) = (file for file in tmp_path.iterdir() if file.suffix != ".json")
    picture = _picture(7)[2]
    expected = silence(load_generator(run)[0])([picture, tf.zeros([1, 2], tf.int32)]).numpy()
    np.testing.assert_allclose(keras.models.load_model(written)(picture), expected, atol=1e-4)
