"""Validations during training: which metrics they score, what is refused, how the best is picked."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from tests.helpers import runs
from tfpix2pix.config.config import make_config
from tfpix2pix.metrics.registry import Metric, Result, Tools
from tfpix2pix.metrics.segmentation_scores import confusion_matrices, segmentation_scores
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.catalogue import CATALOGUE
from tfpix2pix.pipelines.files import sources
from tfpix2pix.run import checkpoints, splits
from tfpix2pix.train.training import train_and_evaluate
from tfpix2pix.train.validation import build_judgement, compute_validation_scores

COLOURS = np.array(list(CATALOGUE["camvid"].palette.values()), np.uint8)


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
    return runs.write_segmenter(tmp_path_factory.mktemp("segmenter") / "nearest.keras", COLOURS)


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
    scores = _validate(config, splits.open_split(config, "val"))
    assert scores["fcn_score"] == 1.0
    assert set(scores) == {"l1", "psnr", "ssim", "fcn_score"}


def _validate(config, source):
    class Trained:
        validated_generator = _copies()

    return build_judgement(config, source)(Trained()).validate().scores


def test_the_score_is_the_class_iou_of_one_confusion_matrix(data_dir, segmenter):
    ids = np.array([[[0, 1], [1, 255]]], np.uint8)
    confusion = confusion_matrices(ids, np.array([[[0, 1], [0, 0]]], np.uint8), 11).sum(0)
    assert confusion.shape == (11, 12) and confusion.sum() == 3
    assert confusion[0, 0] == confusion[1, 1] == confusion[1, 0] == 1
    assert segmentation_scores(confusion)["class_iou"] == 0.5  # 1/2 and 1/2; absent classes do not count


def test_training_keeps_the_best_by_fcn_score(data_dir, segmenter, tmp_path, capsys, monkeypatch):
    tuned = runs.record_autotuning(monkeypatch)
    every = {"validate_every_steps": 1, "checkpoint_every_steps": 1, "summary_every_steps": 9}
    config = _config(
        data_dir, segmenter, best_metric="fcn_score", steps=3, keep_checkpoints=9, learning_rate=0.01, **every
    )
    result = train_and_evaluate(config, tmp_path)
    assert tuned and not any(tuned)
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
    # The name of a dataset is compared with the files, whatever the training makes of them.
    warning = "the images in {} are not those of camvid: train/ holds 3 examples instead of 367; val/ holds 2"
    told = capsys.readouterr().err
    assert warning.format(data_dir) in told and "has the colours" not in told


def test_a_validation_may_look_at_the_first_examples_alone(data_dir, tmp_path):
    config = runs.tiny_config(data_dir, dataset="camvid", steps=1, validate_examples=1)
    result = train_and_evaluate(config, tmp_path)
    whole = splits.open_split(config, "val")
    first = whole.take(1)
    assert (first.example_ids, len(whole)) == (("0",), 2)
    for source, is_it in ((first, True), (whole, False)):
        scores = compute_validation_scores(result.generator, source, config.image_size)
        assert (result.scores == pytest.approx(scores)) == is_it


def test_a_segmenter_changes_nothing_but_the_score(data_dir, segmenter, tmp_path):
    states = []
    for name, given in (("with", segmenter), ("without", "")):
        train_and_evaluate(_config(data_dir, given, steps=2), tmp_path / name)
        states.append(runs.read_state(tmp_path / name, 2))
    runs.assert_same_state(*states)


def test_the_score_takes_a_segmenter():
    with pytest.raises(UsageError, match="`best_metric=fcn_score` takes `segmenter`"):
        make_config(dataset="camvid", best_metric="fcn_score")


def test_segmenters_that_do_not_fit_leave_no_run(data_dir, tmp_path):
    cases = [
        (
            runs.write_segmenter(tmp_path / "five.keras", COLOURS[:5]),
            "five.keras finds 5 classes, and not the 11 of the label maps",
        ),
        (tmp_path / "nil.keras", "`segmenter` takes a folder"),
    ]
    for path, reason in cases:
        with pytest.raises(UsageError, match=reason):
            train_and_evaluate(_config(data_dir, path, steps=1), tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_models_that_make_label_maps_are_not_judged(segmenter):
    photos = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    source = sources.from_arrays(photos, COLOURS[np.zeros((1, 32, 32), int)])
    config = make_config(dataset="camvid", direction="AtoB", segmenter=str(segmenter))
    with pytest.raises(UsageError, match="fcn_score judges generated photos, and this model generates label"):
        build_judgement(config, source)


def test_pairs_without_label_maps_are_not_judged(segmenter):
    photos = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    config = make_config(dataset="camvid", direction="BtoA", segmenter=str(segmenter))
    with pytest.raises(UsageError, match="fcn_score needs label maps"):
        build_judgement(config, sources.from_arrays(photos, photos))


@pytest.mark.parametrize("reads_labels", [False, True])
def test_label_maps_are_read_only_for_metrics_that_look_at_them(reads_labels, data_dir):
    config = runs.tiny_config(data_dir, dataset="camvid")
    seen = []

    def watch_labels(_: Tools) -> Metric:
        def measure(examples):
            seen.append(examples.label_ids)
            return {"x": np.zeros(len(examples.target_image))}

        return Metric(measure, lambda _: Result({"labels": 0.0}), None, reads_labels=reads_labels)

    source = splits.open_split(config, "val")
    build_judgement(config, source, {"labels": watch_labels})(
        SimpleNamespace(validated_generator=_copies())
    ).validate()
    assert [None if ids is None else ids.shape for ids in seen] == [(2, 32, 32) if reads_labels else None]


def _share_of_bright_pixels(_: Tools) -> Metric:
    """Share of pixels above the middle gray."""

    def measure(examples):
        return {"bright": (examples.generated_picture > 127).mean((1, 2, 3))}

    return Metric(measure, lambda partials: Result({"bright": float(partials["bright"].mean())}), True)


def test_a_metric_of_the_callers_own_is_scored_at_each_validation(data_dir, tmp_path):
    config = runs.tiny_config(data_dir, dataset="camvid", steps=2, validate_every_steps=1)
    result = train_and_evaluate(config, tmp_path, metrics={"bright": _share_of_bright_pixels})
    lines = [line for line in runs.read_metrics(tmp_path) if "validation/l1" in line]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(0 <= line["validation/bright"] <= 1 for line in lines)
    assert result.scores["bright"] == lines[-1]["validation/bright"]


def test_a_metric_with_several_scores_and_no_headline_is_refused(data_dir, tmp_path):
    def two_scores(_: Tools) -> Metric:
        return Metric(lambda examples: {"x": np.zeros(1)}, lambda _: Result({"a": 1.0, "b": 2.0}), None)

    config = runs.tiny_config(data_dir, dataset="camvid", steps=1)
    with pytest.raises(UsageError, match="pair has several scores, and none stands for all of them: a, b"):
        train_and_evaluate(config, tmp_path / "run", metrics={"pair": two_scores})
