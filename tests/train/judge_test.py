"""The FCN-score during training: what it measures, when it is refused, how it picks the best."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs
from tfpix2pix.config.config import make_config
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.catalogue import CATALOGUE
from tfpix2pix.pipelines.files import sources
from tfpix2pix.run import checkpoints, splits
from tfpix2pix.train import judge, validation
from tfpix2pix.train.training import train_and_evaluate

COLOURS = np.array(list(CATALOGUE["camvid"].palette.values()), np.uint8)


def _write_segmenter(path, classes=11):
    """Writes a network that takes the nearest colour of the palette for the class."""
    images = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(classes, 1)
    network = keras.Model(images, layer(images))
    colours = COLOURS[np.arange(classes) % 11] / 127.5 - 1
    layer.set_weights([colours.T[None, None], -np.square(colours).sum(-1) / 2])
    network.save(path)
    return path


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Pairs of a photo and its label map in which the photo has the label map's colours."""
    folder, draw = tmp_path_factory.mktemp("judge"), np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        for kind in ("photos", "labels"):
            (folder / "camvid" / split / kind).mkdir(parents=True)
        for number in range(count):
            ids = draw.integers(0, 4, (4, 4)).repeat(8, 0).repeat(8, 1)
            for kind in ("photos", "labels"):
                Image.fromarray(COLOURS[ids]).save(folder / "camvid" / split / kind / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    return _write_segmenter(tmp_path_factory.mktemp("segmenter") / "nearest.keras")


def _config(data_dir, segmenter, **settings):
    return runs.tiny_config(
        data_dir, dataset="camvid", segmenter=str(segmenter), jitter=False, mirror=False, **settings
    )


def _copies():
    """A generator whose photo is its input, the label map."""
    images, seeds = keras.Input((None, None, 3)), keras.Input((2,), dtype="int32")
    return keras.Model([images, seeds], keras.layers.Activation("linear")(images))


def test_photos_that_show_their_labels_score_1(data_dir, segmenter):
    config = _config(data_dir, segmenter)
    source = splits.open_split(config, "val")
    scores = validation.compute_validation_scores(
        _copies(), source, config.image_size, batch_size=1, judge=judge.Judge(config, source)
    )
    assert scores["fcn_score"] == 1.0
    assert set(scores) == {"l1", "psnr", "ssim", "fcn_score"}


def test_confusions_add_up_over_the_split(data_dir, segmenter):
    config = _config(data_dir, segmenter)
    judged = judge.Judge(config, splits.open_split(config, "val"))
    ids = np.array([[[0, 1], [1, 255]]], np.uint8)
    photo = tf.constant(COLOURS[[[[0, 1], [0, 0]]]] / 127.5 - 1, tf.float32)
    confusion = judged.confuse(ids, photo)
    assert confusion.shape == (11, 12) and confusion.sum() == 3
    assert confusion[0, 0] == confusion[1, 1] == confusion[1, 0] == 1
    assert judge.fcn_score(confusion) == 0.5  # 1/2 and 1/2; absent classes do not count


def test_training_keeps_the_best_by_fcn_score(data_dir, segmenter, tmp_path):
    every = {"validate_every_steps": 1, "checkpoint_every_steps": 1, "summary_every_steps": 9}
    config = _config(
        data_dir, segmenter, best_metric="fcn_score", steps=3, keep_checkpoints=9, learning_rate=0.01, **every
    )
    result = train_and_evaluate(config, tmp_path)
    by_step = {
        line["step"]: line["validation/fcn_score"]
        for line in runs.read_metrics(tmp_path)
        if "validation/fcn_score" in line
    }
    best = checkpoints.read_metadata(tmp_path, 3)["best"]
    assert set(by_step) == {1, 2, 3} and result.scores["fcn_score"] == by_step[3]
    assert best == {
        "step": max(by_step, key=by_step.get),
        "metric": "fcn_score",
        "score": max(by_step.values()),
    }


def test_a_segmenter_changes_nothing_but_the_score(data_dir, segmenter, tmp_path):
    states = []
    for name, given in (("with", segmenter), ("without", "")):
        train_and_evaluate(_config(data_dir, given, steps=2), tmp_path / name)
        states.append(runs.read_state(tmp_path / name, 2))
    runs.assert_same_state(*states)


def test_the_score_takes_a_segmenter():
    with pytest.raises(UsageError, match="--best_metric=fcn_score takes --segmenter"):
        make_config(dataset="camvid", best_metric="fcn_score")


def test_segmenters_that_do_not_fit_leave_no_run(data_dir, tmp_path):
    cases = [
        (_write_segmenter(tmp_path / "five.keras", 5), "five.keras knows 5 classes, and camvid has 11"),
        (tmp_path / "nil.keras", "--segmenter takes a folder"),
    ]
    for path, reason in cases:
        with pytest.raises(UsageError, match=reason):
            train_and_evaluate(_config(data_dir, path, steps=1), tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_models_that_make_label_maps_are_not_judged(segmenter):
    photos = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    source = sources.from_arrays(photos, COLOURS[np.zeros((1, 32, 32), int)])
    config = make_config(dataset="camvid", direction="AtoB", segmenter=str(segmenter))
    with pytest.raises(UsageError, match="judges photos made from label maps; the input images of camvid"):
        judge.Judge(config, source)
