"""--feature_from: each instance looks as it does in a picture of the same scene."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.boundaries_test import draw_ids, draw_label_map, write_dataset
from tests.helpers import runs
from tests.helpers.tiny_run import write_run
from tfpix2pix.networks.instance_features import with_features
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run import splits
from tfpix2pix.run.generator import load_feature_encoder, load_generator
from tfpix2pix.translate.encoded_features import FeatureSource
from tfpix2pix.translate.options import Options
from tfpix2pix.translate.translator import Translator

TRANSLATE = runpy.run_module("tfpix2pix.translate")["main"]
SETTINGS = {
    "method": "pix2pixhd",
    "depth": 2,
    "residual_blocks": 1,
    "receptive_field": 70,
    "boundaries": True,
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("encoded") / "data")


@pytest.fixture(scope="module")
def run(data_dir) -> Path:
    config = runs.tiny_config(data_dir, **SETTINGS, instance_features=2, feature_depth=2, feature_filters=2)
    return write_run(data_dir.parent / "run", config, splits.open_split(config, "train"))


def draw_photo(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)


def translate_by_hand(run: Path, number: int, photo: np.ndarray) -> np.ndarray:
    """Returns the output for label map `number`, float32 [32, 32, 3] in [-1, 1]."""
    generator, _, step = load_generator(run)
    ids = draw_ids(number)
    label_map = np.concatenate([draw_label_map(number) / 127.5 - 1, ids[..., None] / 32767.5 - 1], -1)
    target = tf.constant(photo[None] / 127.5 - 1, tf.float32)
    features = load_feature_encoder(run, step)([target, tf.constant(ids[None], tf.int32)])
    images = [tf.constant(label_map[None], tf.float32), tf.zeros([1, 2], tf.int32), features]
    return with_features(generator)(images)[0].numpy()


def test_instances_look_as_in_a_picture_or_in_that_of_each_image(run, tmp_path):
    for number in (5, 6):
        runs.write_image(tmp_path / f"in/{number}.png", draw_label_map(number))
        runs.write_image(tmp_path / f"maps/{number}.png", draw_ids(number)[..., None])
        runs.write_image(tmp_path / f"photos/{number}.png", draw_photo(number))
    command = ["translate", f"--model={run}", f"--input={tmp_path}/in", f"--instances={tmp_path}/maps"]
    command += ["--format=npy", "--noise_seed=3"]
    TRANSLATE([*command, f"--output={tmp_path}/one", f"--feature_from={tmp_path}/photos/5.png"])
    TRANSLATE([*command, f"--output={tmp_path}/each", f"--feature_from={tmp_path}/photos"])
    TRANSLATE([*command, f"--output={tmp_path}/none"])
    written = {
        (name, number): np.load(tmp_path / name / f"{number}.npy").astype(int)
        for name in ("one", "each", "none")
        for number in (5, 6)
    }
    for name, number, photo in (("one", 5, 5), ("one", 6, 5), ("each", 5, 5), ("each", 6, 6)):
        expected = (translate_by_hand(run, number, draw_photo(photo)) + 1) * 127.5
        np.testing.assert_allclose(written[name, number], expected, atol=0.51)
    assert (written["none", 5] != written["one", 5]).any()
    (tmp_path / "photos/6.png").unlink()
    with pytest.raises(UserError, match="1 of 2 images could not be translated"):
        TRANSLATE([*command, f"--output={tmp_path}/missing", f"--feature_from={tmp_path}/photos"])


def test_features_of_a_picture_go_with_a_latent_vector(data_dir, tmp_path):
    own = {"instance_features": 2, "feature_depth": 2, "feature_filters": 2, "latent_size": 4}
    config = runs.tiny_config(data_dir, **SETTINGS, **own)
    run = write_run(tmp_path / "run", config, splits.open_split(config, "train"))
    runs.write_image(tmp_path / "in/5.png", draw_label_map(5))
    photo = runs.write_image(tmp_path / "photo.png", draw_photo(5))
    command = ["translate", f"--model={run}", f"--input={tmp_path}/in", f"--feature_from={photo}"]
    for name, more in (
        ("three", ["--latent_from=3"]),
        ("same", ["--latent_from=3", "--noise_seed=9"]),
        ("four", ["--latent_from=4"]),
        ("drawn", ["--noise_seed=3"]),
    ):
        TRANSLATE([*command, f"--output={tmp_path}/{name}", "--format=npy", *more])
    TRANSLATE([*command, f"--output={tmp_path}/between", "--interpolate=3:4:2"])
    strip = np.asarray(Image.open(tmp_path / "between" / "5_strip.png"))
    three, same, four, drawn = (
        np.load(tmp_path / name / "5.npy") for name in ("three", "same", "four", "drawn")
    )
    np.testing.assert_array_equal(three, same)
    np.testing.assert_array_equal(three, drawn)  # the latent vector that the seed 3 draws
    assert (three != four).any()
    np.testing.assert_array_equal(strip, np.concatenate([three, four], axis=1))


def test_a_picture_of_another_size_is_resized(run):
    source = FeatureSource(Translator(run))
    outputs = [
        source.take(np.full((*size, 3), 90, np.uint8))(
            draw_label_map(5), instance_ids=draw_ids(5), dtype="float32"
        )
        for size in ((32, 32), (50, 70))
    ]
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-5)


def test_what_has_no_encoder_is_refused(run, data_dir, tmp_path):
    config = runs.tiny_config(data_dir, **SETTINGS)
    without = write_run(tmp_path / "without", config, splits.open_split(config, "train"))
    with pytest.raises(UsageError, match="has no encoder of features; it was trained without `instance_feat"):
        FeatureSource(Translator(without))
    with pytest.raises(UsageError, match="`feature_from` decides the features"):
        Options(feature_from="photo.png", samples_per_image=2)
    command = ["translate", f"--model={run}", f"--input={data_dir}/val/labels", f"--output={tmp_path}/out"]
    with pytest.raises(UsageError, match="`feature_from` takes a picture or a folder of pictures"):
        TRANSLATE([*command, f"--feature_from={tmp_path}/nowhere"])
