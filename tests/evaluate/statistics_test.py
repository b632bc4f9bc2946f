"""Scores of a network by the statistics of batches, as in training, and by those of each image."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs, tiny_run
from tests.helpers.references import numpy_layers
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.evaluate.statistics import check_statistics, tell_of_batches
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.networks.inference import compile_generator
from tfpix2pix.networks.normalization import StatelessNormalization
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.run.generator import load_generator
from tfpix2pix.run.splits import open_split


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_a_compiled_generator_normalises_as_numpy_does(batch_statistics):
    image, seed = keras.Input((None, None, 2)), keras.Input((2,), dtype="int32")
    layer = StatelessNormalization("batch")
    model = keras.Model([image, seed], layer(image))
    images = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype("float32")
    images *= np.reshape([1, 3, 0.2], (3, 1, 1, 1)).astype("float32")
    layer.beta.assign([0.5, -1])
    normalized = compile_generator(model, batch_statistics)(tf.constant(images), tf.zeros([3, 2], tf.int32))
    expected = numpy_layers.normalize(images, layer.gamma.numpy(), layer.beta.numpy(), not batch_statistics)
    np.testing.assert_allclose(normalized, expected, atol=1e-5)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("statistics")
    data_dir = runs.write_dataset(folder / "data" / "tiny", train=1, val=1)
    draw = np.random.default_rng(0)
    for place, contrast in enumerate((255, 20, 90, 255, 8)):
        pixels = draw.integers(0, contrast, (32, 64, 3), np.uint8)
        Image.fromarray(pixels).save(data_dir / "val" / f"val-{place}.png")
    config = dataclasses.replace(
        tiny_run.CONFIG, dataset="tiny", data_dir=str(data_dir), batch_size=3, direction="AtoB"
    )
    return tiny_run.write_run(folder / "run", config)


def _score_as_in_training(workdir) -> float:
    generator, config, _ = load_generator(workdir)
    source = open_split(config, "val")
    dataset = build_dataset(
        source, image_size=config.image_size, batch_size=3, training=False, seed=config.seed
    )
    distances = []
    for batch in dataset:
        generated_image = generator([batch["input_image"], batch["noise_seed"]], training=True).numpy()
        distances += list(np.abs(generated_image - batch["target_image"].numpy()).mean(axis=(1, 2, 3)))
    assert len(distances) == 5
    return float(np.mean(distances))


@pytest.mark.slow
def test_a_run_is_scored_in_the_batches_of_its_training(workdir, tmp_path, capsys):
    expected = _score_as_in_training(workdir)
    batch, instance = (
        evaluate_model(workdir, tmp_path / name, metrics=["l1"], gallery_size=0, inference_statistics=name)
        for name in ("batch", "instance")
    )
    assert batch.results["l1"].scores["l1"] == pytest.approx(expected, rel=1e-5)
    assert instance.results["l1"].scores["l1"] != pytest.approx(expected, rel=1e-3)
    assert batch.description["inference_statistics"] == "batch" and batch.description["batch_size"] == 3
    assert instance.description["inference_statistics"] == "instance"
    assert "batch_size" not in instance.description
    assert "normalised by the statistics of batches, as in training" in batch.page.read_text()
    assert capsys.readouterr().err.count("was trained with the statistics of batches of 3") == 1


def test_results_of_an_earlier_version_are_those_of_each_image(workdir, tmp_path):
    first = evaluate_model(workdir, tmp_path, metrics=["l1"], gallery_size=0)
    file = first.folder / "l1.json"
    text = file.read_text()
    file.write_text(text.replace('"inference_statistics": "instance",', ""))
    evaluate_model(workdir, tmp_path, metrics=["psnr"], gallery_size=0)
    assert file.is_file()
    evaluate_model(workdir, tmp_path, metrics=["psnr"], gallery_size=0, inference_statistics="batch")
    assert not file.exists()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"normalization": "instance"}, "was trained with `normalization=instance`"),
        ({"resize": "none"}, "was trained with `resize=none`"),
    ],
)
def test_what_has_no_batches_is_refused(tmp_path, settings, reason):
    config = dataclasses.replace(tiny_run.CONFIG, **settings)
    run = tiny_run.write_run(tmp_path / "run", config)
    with pytest.raises(UsageError, match=reason):
        check_statistics(run, "batch")
    check_statistics(run, "instance")


def test_a_saved_model_is_refused(workdir, tmp_path):
    generator, _, _ = load_generator(workdir)
    export_saved_model(generator, tmp_path / "saved", verify=False)
    with pytest.raises(UsageError, match="is a SavedModel, which normalises each image by its own"):
        evaluate_model(tmp_path / "saved", inference_statistics="batch")


def test_only_training_in_batches_is_told_of():
    batches = dataclasses.replace(tiny_run.CONFIG, batch_size=8)
    assert "batches of 8" in tell_of_batches(batches, "instance")
    assert tell_of_batches(batches, "batch") == ""
    assert tell_of_batches(tiny_run.CONFIG, "instance") == ""
    assert tell_of_batches(dataclasses.replace(batches, normalization="instance"), "instance") == ""
    assert tell_of_batches(None, "instance") == ""
