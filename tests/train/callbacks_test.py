"""Trainings that callbacks watch and stop."""

import csv

import pytest

from tests.helpers import runs
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.run.callbacks import Callback, CsvLog, EarlyStopping
from tfpix2pix.train.training import train_and_evaluate

NEVER_BETTER = 1e9  # no score improves by that


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return runs.tiny_config(
        runs.write_dataset(tmp_path_factory.mktemp("data"), train=2, val=1),
        steps=6,
        summary_every_steps=1,
        validate_every_steps=1,
        checkpoint_every_steps=2,
        sample_every_steps=100,
    )


class Witness(Callback):
    """Notes what it sees; fails at a step."""

    def __init__(self, fail_at=None):
        self.seen, self._fail_at = [], fail_at

    def on_steps(self, moment):
        self.seen.append(("steps", moment.step, sorted(moment.scores)))
        assert moment.losses["l1_loss"] > 0
        if moment.step == self._fail_at:
            raise RuntimeError("as if the process were killed")

    def on_validation(self, moment):
        self.seen.append(("validation", moment.step, sorted(moment.scores)))

    def on_checkpoint(self, moment):
        assert (moment.workdir / "checkpoints" / f"step-{moment.step:08d}").is_dir()
        self.seen.append(("checkpoint", moment.step, moment.best["step"]))


@pytest.fixture(scope="module")
def stopped(config, tmp_path_factory):
    """A run that was never interrupted: its folder, its result, what was seen."""
    workdir, witness = tmp_path_factory.mktemp("stopped"), Witness()
    callbacks = [witness, EarlyStopping(3, min_delta=NEVER_BETTER), CsvLog()]
    return workdir, train_and_evaluate(config, workdir, callbacks=callbacks), witness


def test_callbacks_have_three_moments_and_see_scores(stopped):
    scores = ["l1", "psnr", "ssim"]
    assert stopped[2].seen[:4] == [
        ("steps", 1, []),
        ("validation", 1, scores),
        ("checkpoint", 1, 1),
        ("steps", 2, scores),
    ]


def test_a_run_that_stops_early_ends_whole(stopped):
    workdir, result, _ = stopped
    assert result.step == 4
    assert result.stop_reason.startswith("l1 has not improved for 3 validations")
    assert runs.read_state(workdir, 4)


def test_a_run_that_was_killed_stops_at_the_same_step(config, stopped, tmp_path):
    callbacks = [EarlyStopping(3, min_delta=NEVER_BETTER), CsvLog()]
    with pytest.raises(UserError, match="on_steps of the callback Witness failed"):
        train_and_evaluate(config, tmp_path, callbacks=[*callbacks, Witness(fail_at=4)])
    result = train_and_evaluate(config, tmp_path, callbacks=callbacks)
    assert (result.step, result.stop_reason) == (stopped[1].step, stopped[1].stop_reason)
    rows, expected = (
        list(csv.DictReader((folder / "metrics.csv").open())) for folder in (tmp_path, stopped[0])
    )
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["l1_loss"] for row in rows] == [row["l1_loss"] for row in expected]
    assert [row["validation_l1"] for row in rows] == [row["validation_l1"] for row in expected]


@pytest.mark.slow
def test_a_stopped_run_is_finished_until_it_is_told_to_go_on(config, stopped, capfd):
    workdir = stopped[0]
    assert train_and_evaluate(config, workdir, callbacks=[EarlyStopping(3, min_delta=NEVER_BETTER)]).step == 4
    assert "is finished: it was stopped at step 4, because l1 has not improved" in capfd.readouterr().err
    assert train_and_evaluate(config, workdir, callbacks=[EarlyStopping(4, min_delta=NEVER_BETTER)]).step == 5
    result = train_and_evaluate(config, workdir)
    assert (result.step, result.stop_reason) == (6, "")


def test_a_run_without_callbacks_keeps_nothing_of_them(config, stopped):
    train_and_evaluate(config, stopped[0])
    assert "callbacks" not in (stopped[0] / "checkpoints/step-00000006/checkpoint.json").read_text()
