"""Where a run stands by its validations, and when something is due."""

import math

import numpy as np
import pytest

from tfpix2pix.config.config import make_config
from tfpix2pix.run.records import Intervals, Standing
from tfpix2pix.run.summaries import LossMeter


def test_a_score_is_the_best_where_it_beats_the_best():
    standing = Standing()
    assert standing.take(1, {"l1": 0.5, "psnr": 9.0}, "l1", higher_is_better=False)
    assert not standing.take(2, {"l1": 0.5}, "l1", higher_is_better=False)
    assert standing.take(3, {"l1": 0.4, "psnr": 8.0}, "l1", higher_is_better=False)
    assert not standing.take(4, {"l1": 0.45}, "l1", higher_is_better=False)
    assert standing.best == {"step": 3, "metric": "l1", "score": 0.4}
    assert standing.best_scores == {"l1": 0.4, "psnr": 8.0}
    assert standing.scores == {"l1": 0.45}


def test_a_score_that_is_no_number_never_is_the_best_and_never_stays_it():
    standing = Standing()
    assert not standing.take(1, {"iou": math.nan}, "iou", higher_is_better=True)
    assert standing.best is None
    standing = Standing(best={"step": 1, "metric": "iou", "score": math.nan})  # of an older version
    assert standing.take(2, {"iou": 0.1}, "iou", higher_is_better=True)
    assert not standing.take(3, {"iou": math.nan}, "iou", higher_is_better=True)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, Standing()),
        ({"best": None, "scores": {"l1": 1.0}, "losses": {}}, Standing({"l1": 1.0})),
        (  # as FCN-8s wrote it before both kinds of training shared their records
            {"best": {"step": 2, "metric": "class_iou", "score": 0.5}, "best_scores": {"class_iou": 0.5}},
            Standing({}, {"step": 2, "metric": "class_iou", "score": 0.5}, {"class_iou": 0.5}),
        ),
    ],
)
def test_checkpoints_of_older_versions_tell_what_they_know(metadata, expected):
    assert Standing.of(metadata) == expected


def test_the_next_step_at_which_something_is_due():
    settings = {"summary_every_steps": 6, "sample_every_steps": 10, "validate_every_steps": 8}
    intervals = Intervals.of(make_config(**settings, checkpoint_every_steps=1000))
    assert [intervals.next_due(step) for step in (0, 5, 6, 8, 9, 12, 18)] == [6, 6, 8, 10, 10, 16, 20]
    profiled = Intervals.of(make_config(**settings, profile_steps="3:5"))
    assert profiled.next_due(0) == 1


def test_the_speed_leaves_out_the_call_that_compiles():
    meter, losses = LossMeter({}, 0), {"loss": np.array([2.0, 4.0])}
    meter.add(losses, 60.0)
    meter.add(losses, 0.5)
    meter.add(losses, 0.5)
    assert meter.read(batch_size=3) == {"loss": 3.0, "images_per_sec": 12.0}
    meter.add(losses, 1.0)
    assert meter.read(batch_size=3) == {"loss": 3.0, "images_per_sec": 6.0}
    only = LossMeter({}, 0)
    only.add(losses, 4.0)
    assert only.read(batch_size=3) == {"loss": 3.0, "images_per_sec": 1.5}
