"""--resize_method=bicubic: pictures are resized alike in training, evaluation and use."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs
from tests.helpers.tiny_run import CONFIG, export, write_run
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.networks.inference import sample_seed
from tfpix2pix.pipelines.batches import build_dataset, keep_resized
from tfpix2pix.pipelines.files.sources import Source, from_arrays
from tfpix2pix.pipelines.tasks.tasks import Inpaint, make_task
from tfpix2pix.run.folder import CONFIG_FILE, read_config
from tfpix2pix.translate.translator import Translator

LARGE = np.random.default_rng(0).integers(0, 256, (50, 75, 3), np.uint8)


def resize_with_pillow(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    channels = [Image.fromarray(channel.astype(np.float32)) for channel in np.moveaxis(image, -1, 0)]
    resized = [channel.resize(size[::-1], Image.Resampling.BICUBIC) for channel in channels]
    return np.clip(np.stack(resized, -1), 0, 255)


def bicubic_source(input_images: np.ndarray, target_images: np.ndarray) -> Source:
    task = make_task("pairs", resize_method="bicubic")
    return dataclasses.replace(from_arrays(input_images, target_images), task=task)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bicubic")
    data_dir = str(runs.write_dataset(folder / "data"))
    return write_run(
        folder / "run",
        dataclasses.replace(
            CONFIG, dataset="mine", data_dir=data_dir, resize_method="bicubic", dropout="none"
        ),
    )


@pytest.fixture(scope="module")
def version(run) -> Path:
    return export(run)


@pytest.mark.parametrize("training", [True, False])
def test_batches_are_resized_as_pillow_resizes(training):
    source = bicubic_source(LARGE[None], LARGE[None, ::-1])
    for size in ((20, 30), (90, 80)):
        for each in (source, keep_resized(source, size, cache_mib=1)):
            (batch,) = build_dataset(each, image_size=size, batch_size=1, training=training).take(1)
            expected = resize_with_pillow(LARGE, size)
            # TensorFlow takes the weights of an enlargement from a table, which is 0.12 levels off.
            np.testing.assert_allclose((batch["input_image"][0] + 1) * 127.5, expected, atol=0.2)
            np.testing.assert_allclose(
                (batch["target_image"][0] + 1) * 127.5, resize_with_pillow(LARGE[::-1], size), atol=0.2
            )


def test_what_is_no_picture_is_not_resized_so():
    ids = tf.constant(np.random.default_rng(1).integers(0, 3, (50, 75), np.uint8))
    source = bicubic_source(LARGE[None], LARGE[None])
    source = dataclasses.replace(source, read=lambda _: (tf.constant(LARGE), ids))
    options = {"image_size": (40, 40), "batch_size": 1, "training": False, "class_targets": True}
    (batch,) = build_dataset(source, **options)
    assert set(np.unique(batch["target_ids"])) <= {0, 1, 2}
    task = make_task("pairs", resize_method="bicubic", input_encoding="one_hot")
    assert set(np.unique(task.resize_input(tf.constant(LARGE), (90, 90)))) <= set(np.unique(LARGE))


def test_a_photo_with_holes_is_made_of_known_pixels():
    task = make_task("inpaint", resize_method="bicubic")
    picture = np.concatenate([LARGE, np.full_like(LARGE[..., :1], 255)], axis=-1) / np.float32(127.5) - 1
    picture[20:30, 10:30, 3] = -1
    resized = [task.resize_picture(tf.constant(picture), (90, 100)).numpy()]
    picture[20:30, 10:30, :3] = -picture[20:30, 10:30, :3]
    resized.append(task.resize_picture(tf.constant(picture), (90, 100)).numpy())
    np.testing.assert_array_equal(*resized)
    far = (resized[0][:20, :, :3] + 1) * 127.5
    np.testing.assert_allclose(far, resize_with_pillow(LARGE, (90, 100))[:20], atol=0.2)
    bilinear = Inpaint().resize_picture(tf.constant(picture), (90, 100)).numpy()
    np.testing.assert_array_equal(resized[0][..., 3], bilinear[..., 3])


@pytest.mark.slow
def test_run_and_saved_model_translate_and_score_alike(run, version, tmp_path):
    expected = Translator(run)(LARGE, 3).astype(int)
    np.testing.assert_allclose(Translator(version)(LARGE, 3), expected, atol=1)
    signatures = tf.saved_model.load(str(version)).signatures
    png = tf.io.encode_png(LARGE)[None]
    answer = signatures["serving_default_seeded"](image_bytes=png, noise_seed=sample_seed(3)[None])
    np.testing.assert_allclose(tf.io.decode_png(answer["image_bytes"][0]), expected, atol=1)
    scores = [
        evaluate_model(model, tmp_path / name, metrics=["l1"], image_size=40, gallery_size=0, **given)
        .results["l1"]
        .scores["l1"]
        for name, model, given in (
            ("run", run, {}),
            ("version", version, {"data_dir": str(run.parent / "data")}),
        )
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_earlier_runs_are_bilinear_and_differ(run, tmp_path):
    shutil.copytree(run, tmp_path / "earlier")
    written = json.loads((run / CONFIG_FILE).read_text())
    assert written["config"].pop("resize_method") == "bicubic"
    (tmp_path / "earlier" / CONFIG_FILE).write_text(json.dumps(written))
    assert read_config(tmp_path / "earlier").resize_method == "bilinear"
    differences = Translator(tmp_path / "earlier")(LARGE, 3) - Translator(run)(LARGE, 3).astype(int)
    assert np.abs(differences).max() >= 1
