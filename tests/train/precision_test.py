"""Images deeper than 8 bits are trained in float32, unless otherwise asked for, and keep their levels."""

import importlib.util
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs, runtimes
from tfpix2pix.config import precision
from tfpix2pix.export.files.export_file import export_file
from tfpix2pix.export.files.formats import PACKAGES, FileOptions
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.pipelines.tasks.transforms import to_uint16, to_unit_range
from tfpix2pix.run.folder import read_config
from tfpix2pix.train.dry_run import describe_training
from tfpix2pix.train.training import train_and_evaluate
from tfpix2pix.translate.translator import Translator

# Random depths: 1,024 pixels that have nearly as many levels.
DEPTHS = np.random.default_rng(0).integers(0, 2**16, (32, 32), np.uint16)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deep")
    for split in ("train", "val"):
        for side in ("input", "target"):
            runs.write_image(folder / "depth" / split / side / "a.png", DEPTHS[..., None])
    return folder


@pytest.fixture(autouse=True)
def fast_bfloat16(monkeypatch):
    """A machine on which `precision=auto` takes bfloat16."""
    monkeypatch.setattr(precision, "choose_precision", lambda: "mixed_bfloat16")


def _config(data_dir, **settings):
    depth = {
        "dataset": "depth",
        "input_channels": 1,
        "output_channels": 1,
        "depth": 2,
        "dropout": "none",
        "learning_rate": 0.02,
    }
    return runs.tiny_config(data_dir, **{**depth, "steps": 20, "precision": "auto", **settings})


def _count_levels(pixels):
    return len(np.unique(pixels))


@pytest.mark.slow
def test_auto_keeps_the_levels_of_16_bits_in_a_run_and_in_its_saved_model(data_dir, tmp_path, capsys):
    config = _config(data_dir, export=True, saved_model_dir=str(tmp_path / "models"))
    result = train_and_evaluate(config, tmp_path / "run")
    told = "float32 (chosen by `precision=auto`, because the images are deeper than 8 bits)"
    assert told in capsys.readouterr().err
    assert read_config(tmp_path / "run").precision == "float32"
    assert told in describe_training(config, tmp_path / "other")
    written = Translator(tmp_path / "run")(DEPTHS[None, ..., None])[0]
    assert written.dtype == np.uint16 and _count_levels(written) > 900
    signature = tf.saved_model.load(str(result.saved_model)).signatures["serving_default"]
    file = io.BytesIO()
    Image.fromarray(DEPTHS).save(file, "PNG")
    contents = signature(image_bytes=tf.constant([file.getvalue()]))["image_bytes"][0].numpy()
    served = np.asarray(Image.open(io.BytesIO(contents)))
    np.testing.assert_allclose(served, written[..., 0], atol=1)
    assert_files_keep_the_levels(result.generator, written, tmp_path)


def assert_files_keep_the_levels(generator, written, folder):
    floats, seeds = to_unit_range(DEPTHS[None, ..., None], 2**16 - 1).numpy(), np.zeros((1, 2), np.int32)
    for file_format, quantization, off in (
        ("keras", "none", 1),
        ("onnx", "none", 1),
        ("tflite", "none", 1),
        ("tflite", "float16", 50),  # of 65,535; the weights of the file are rounded
    ):
        if not IS_KERAS_3 or not all(map(importlib.util.find_spec, PACKAGES[file_format])):
            continue
        options = FileOptions(file_format, (32, 32), quantization=quantization)
        file = folder / options.name_file("depth")
        export_file(generator, file, options)
        made = to_uint16(runtimes.run_file(file, floats, seeds)[0]).numpy()
        assert _count_levels(made) > 900
        np.testing.assert_allclose(made.astype(int), written, atol=off)


def test_what_was_asked_for_stays_and_is_warned_of(data_dir, tmp_path, capsys):
    train_and_evaluate(_config(data_dir, precision="mixed_bfloat16"), tmp_path)
    assert "warning: `precision=mixed_bfloat16` does not keep all levels" in capsys.readouterr().err
    assert _count_levels(Translator(tmp_path)(DEPTHS[None, ..., None])) < 700


def test_a_run_that_goes_on_keeps_its_precision(data_dir, tmp_path, capsys):
    train_and_evaluate(_config(data_dir, precision="mixed_bfloat16"), tmp_path)
    train_and_evaluate(_config(data_dir, steps=21), tmp_path)
    assert "mixed_bfloat16 (chosen by `precision=auto`)" in capsys.readouterr().err
    assert read_config(tmp_path).precision == "mixed_bfloat16"


def test_8_bits_are_trained_in_what_the_machine_is_fast_in(tmp_path, capsys):
    data = runs.write_dataset(tmp_path / "data")
    train_and_evaluate(runs.tiny_config(data, steps=1, precision="auto"), tmp_path / "run")
    assert read_config(tmp_path / "run").precision == "mixed_bfloat16"
    assert "does not keep all levels" not in capsys.readouterr().err
