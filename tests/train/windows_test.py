"""A run with `resize=none`: trained on windows, scored and translated as whole images of any size."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs
from tfpix2pix.config.config import describe, from_json
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.export.run import export_run
from tfpix2pix.export.servable import Servable
from tfpix2pix.networks.scale import Scale
from tfpix2pix.networks.tiles import generate_in_tiles
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.tasks.transforms import resize, to_unit_range
from tfpix2pix.run.generator import load_generator
from tfpix2pix.study.images import translate_split
from tfpix2pix.train.training import train_and_evaluate
from tfpix2pix.translate.translator import Translator

SIZES = ((70, 90), (32, 32), (20, 51))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, draws = tmp_path_factory.mktemp("windows"), np.random.default_rng(0)
    for split in ("train", "val"):
        (folder / split).mkdir()
        for place, (height, width) in enumerate(SIZES):
            pixels = draws.integers(0, 256, (height, 2 * width, 3), np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{place}.png")
    config = runs.tiny_config(folder, resize="none", steps=3, dropout="none", validate_every_steps=3)
    return train_and_evaluate(config, folder / "run")


def read_pairs(run) -> list[tuple[np.ndarray, np.ndarray]]:
    config = load_generator(run.workdir)[1]
    pairs = [np.asarray(Image.open(f"{config.data_dir}/val/{place}.png")) for place in range(len(SIZES))]
    return [(pair[:, : pair.shape[1] // 2], pair[:, pair.shape[1] // 2 :]) for pair in pairs]


@pytest.mark.slow
def test_the_scores_are_those_of_whole_images_in_windows(run, tmp_path):
    generator = load_generator(run.workdir)[0]
    generate = generate_in_tiles(lambda *inputs: generator(inputs, training=False), (32, 32))
    expected = []
    for source, target in read_pairs(run):
        generated = generate(to_unit_range(source)[None], tf.constant([[0, 0]]))[0]
        expected.append(np.abs(generated - to_unit_range(target)).mean())
    evaluation = evaluate_model(run.workdir, tmp_path, metrics=["l1", "ssim"])
    np.testing.assert_allclose(evaluation.results["l1"].per_image["l1"], expected, atol=1e-5)
    assert run.scores["l1"] == pytest.approx(np.mean(expected), abs=1e-5)
    assert json.loads((tmp_path / "l1.json").read_text())["evaluation"]["resize"] == "none"
    assert Image.open(tmp_path / "pictures" / "000000_generated.png").size == (90, 70)


@pytest.mark.slow
def test_a_size_that_is_asked_for_is_one_to_resize_to_as_in_translate(run, tmp_path):
    translator = Translator(run.workdir, image_size=32, output_size="trained")
    expected = []
    for source, target in read_pairs(run):
        generated, resized = translator(source) / 127.5 - 1, to_unit_range(resize(target, (32, 32)), 255)
        expected.append(np.abs(generated - resized).mean())
    evaluation = evaluate_model(run.workdir, tmp_path, image_size=32, metrics=["l1"])
    np.testing.assert_allclose(evaluation.results["l1"].per_image["l1"], expected, atol=1e-2)
    assert "resize" not in evaluation.description
    assert Image.open(tmp_path / "pictures" / "000000_generated.png").size == (32, 32)


@pytest.mark.slow
def test_run_and_servable_translate_in_the_same_windows(run, tmp_path):
    generator, config, step = load_generator(run.workdir)
    version = export_run(generator, config, step, run.workdir, tmp_path / "saved", verify=False)
    translators, servable = [Translator(run.workdir), Translator(version)], Servable(version)
    assert json.loads((version / "model_card.json").read_text())["config"]["resize"] == "none"
    generate = generate_in_tiles(lambda *inputs: generator(inputs, training=False), (32, 32))
    for source, _ in read_pairs(run):
        file = np.array([tf.io.encode_png(source).numpy()], object)
        answer = servable("serving_default", {"image_bytes": file})["image_bytes"][0]
        floats = generate(to_unit_range(source)[None], tf.constant([[0, 0]]))[0]
        for found in (*(each(source) for each in translators), tf.io.decode_png(answer).numpy()):
            assert found.shape == source.shape
            assert np.abs(found - (floats + 1) * 127.5).max() <= 1.01
    assert {each.scale for each in translators} == {Scale("tiled", (32, 32))}


def test_the_configuration_says_what_has_no_effect(run):
    config = load_generator(run.workdir)[1]
    assert from_json(config.to_json()) == config and not config.resizes
    unused = [line for line in describe(config).splitlines() if "resize=none cuts random windows" in line]
    assert [line.strip("* ").split()[0] for line in unused] == ["load_size", "jitter", "resize_method"]


def test_a_study_refuses_images_of_different_sizes(run):
    with pytest.raises(UsageError, match="trained with `resize=none`"):
        translate_split({"mine": run.workdir}, "val")
