"""What callbacks see, keep and decide, without a training."""

import dataclasses
import math

import pytest

from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run.callbacks import Callback, Callbacks, CsvLog, EarlyStopping, Moment


@pytest.fixture
def moment(tmp_path):
    return Moment(0, 0, 0.0, tmp_path, {}, {}, None, "l1", False)


def _validate(callback, moment, scores):
    """Lets a callback see one validation after the other; returns the step at which it stops the run."""
    for step, score in enumerate(scores, 1):
        callback.on_validation(dataclasses.replace(moment, step=step, scores={"l1": score, "psnr": -score}))
        if callback.stop_reason:
            return step
    return None


@pytest.mark.parametrize(
    ("settings", "scores", "expected"),
    [
        ({}, [0.5, 0.4, 0.4, 0.45], 4),
        ({}, [0.5, 0.4, 0.45, 0.3, 0.35], None),
        ({"min_delta": 0.2}, [0.5, 0.4, 0.31], 3),
        ({}, [0.5, math.nan, math.nan], 3),
        ({}, [math.nan, 0.5, 0.6], None),
        ({"metric": "psnr", "higher_is_better": True}, [0.5, 0.4, 0.45, 0.45], 4),
        ({"metric": "psnr", "higher_is_better": False}, [0.5, 0.4, 0.3], 3),
    ],
)
def test_a_run_stops_when_two_validations_bring_nothing(moment, settings, scores, expected):
    assert _validate(EarlyStopping(2, **settings), moment, scores) == expected


def test_the_reason_names_the_score_and_its_step(moment):
    stopping = EarlyStopping(1)
    _validate(stopping, moment, [0.25, 0.5])
    assert stopping.stop_reason == ("l1 has not improved for 1 validations (the best is 0.2500 at step 1)")


def test_a_run_that_goes_on_goes_on_waiting(moment):
    before, after = EarlyStopping(3), EarlyStopping(3)
    assert _validate(before, moment, [0.5, 0.6, 0.7]) is None
    after.set_state(before.get_state())
    assert _validate(after, moment, [0.55]) == 1


def test_what_was_stopped_stays_stopped_until_it_gets_more_patience(moment):
    stopped = EarlyStopping(1)
    _validate(stopped, moment, [0.5, 0.6])
    states = Callbacks([stopped]).get_states()
    for patience, is_stopped in ((1, True), (2, False)):
        callbacks = Callbacks([EarlyStopping(patience)])
        callbacks.restore(states)
        assert bool(callbacks.stop_reason) is is_stopped
    callbacks = Callbacks([stopped])
    callbacks.restore({})  # the same object in a new run
    assert not callbacks.stop_reason


def test_an_own_callback_that_has_stopped_a_run_has_stopped_it():
    own = Callback()
    own.stop_reason = "enough"
    states = Callbacks([own]).get_states()
    again = Callback()
    Callbacks([again]).restore(states)
    assert again.stop_reason == "enough"


def test_callbacks_of_one_kind_have_states_of_their_own():
    callbacks = Callbacks([EarlyStopping(1), EarlyStopping(2), CsvLog()])
    assert list(callbacks.get_states()) == ["EarlyStopping", "EarlyStopping_2", "CsvLog"]


def test_a_csv_file_has_a_row_for_each_step(moment, tmp_path):
    log = CsvLog()
    log.on_steps(dataclasses.replace(moment, step=5, epoch=0.5, losses={"l1_loss": 0.25}))
    step = dataclasses.replace(moment, step=10, epoch=1.0, losses={"l1_loss": 0.125}, scores={"psnr": 9.5})
    log.on_steps(step)
    log.on_validation(step)
    expected = "step,epoch,l1_loss,validation_psnr\n5,0.5,0.25,\n10,1.0,0.125,9.5\n"
    assert (tmp_path / "metrics.csv").read_text() == expected
    again = CsvLog()
    again.on_steps(dataclasses.replace(moment, step=10, first_step=5, epoch=1.0, losses={"l1_loss": 0.5}))
    assert (tmp_path / "metrics.csv").read_text() == "step,epoch,l1_loss\n5,0.5,0.25\n10,1.0,0.5\n"


def test_what_cannot_be_called_is_refused(moment):
    with pytest.raises(UsageError, match=r"`callbacks` takes objects .*tfpix2pix.Callback. Received: <func"):
        Callbacks([lambda: None])
    with pytest.raises(UsageError, match="`patience` must be at least 1. Received: 0"):
        EarlyStopping(0)
    with pytest.raises(UsageError, match="`metric` and `higher_is_better` of EarlyStopping"):
        EarlyStopping(metric="l1")
    with pytest.raises(UsageError, match="no score `metric=fid`: validations have l1, psnr"):
        _validate(EarlyStopping(metric="fid", higher_is_better=False), moment, [0.5])


def test_a_failure_names_the_callback_and_keeps_its_cause(moment):
    class Upload(Callback):
        def on_checkpoint(self, moment):
            raise ConnectionError("no route to host")

    with pytest.raises(
        UserError, match=r"on_checkpoint of the callback Upload failed \(no route to"
    ) as found:
        Callbacks([Upload()]).tell("on_checkpoint", moment)
    assert isinstance(found.value.__cause__, ConnectionError)


def test_a_state_that_is_no_json_is_refused():
    class Odd(Callback):
        def get_state(self):
            return {"set": {1}}

    with pytest.raises(UserError, match="get_state of the callback Odd failed"):
        Callbacks([Odd()]).get_states()
