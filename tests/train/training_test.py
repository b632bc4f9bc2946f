"""train_and_evaluate in this process: what a run writes, refuses, survives and goes on from."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.helpers import runs
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.batches import example_indices
from tfpix2pix.run import checkpoints
from tfpix2pix.train.training import train_and_evaluate

LOSSES = (
    "discriminator_loss",
    "discriminator_real_loss",
    "discriminator_generated_loss",
    "generator_gan_loss",
    "l1_loss",
    "generator_loss",
)
EVERY = {
    "checkpoint_every_steps": 3,
    "summary_every_steps": 3,
    "validate_every_steps": 6,
    "sample_every_steps": 6,
    "keep_checkpoints": 20,
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("loop") / "tiny")


@pytest.fixture(scope="module")
def whole(data_dir, tmp_path_factory):
    """A run of twelve steps, profiled on the way."""
    workdir = tmp_path_factory.mktemp("whole")
    config = runs.tiny_config(data_dir, steps=12, profile_steps="4:6", **EVERY)
    return train_and_evaluate(config, workdir)


@pytest.fixture(scope="module")
def events(whole):
    accumulator = EventAccumulator(
        str(whole.workdir / "tensorboard" / whole.workdir.name), size_guidance={"tensors": 0}
    )
    return accumulator.Reload()


def _points(events, tag):
    return {event.step: tf.make_ndarray(event.tensor_proto) for event in events.Tensors(tag)}


def test_the_result(whole):
    assert whole.step == 12
    assert set(whole.scores) == {"l1", "psnr", "ssim"}
    assert whole.saved_model is None
    assert whole.generator.output_shape == (None, None, None, 3)


def test_metrics_hold_everything_at_its_step(whole):
    lines = [json.loads(line) for line in (whole.workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6, 6, 9, 12, 12]
    trained, validated = [lines[place] for place in (0, 1, 3, 4)], [lines[2], lines[5]]
    for named in trained:
        line = {name.removeprefix("training/"): value for name, value in named.items()}
        assert set(named) - {"step"} == {f"training/{name}" for name in line if name != "step"}
        assert set(line) == {"step", *LOSSES, "images_per_sec", "learning_rate", "epoch"}
        assert line["epoch"] == line["step"] / 6
        assert line["learning_rate"] == pytest.approx(2e-4)
        assert line["images_per_sec"] > 0
        mean = (line["discriminator_real_loss"] + line["discriminator_generated_loss"]) / 2
        assert line["discriminator_loss"] == pytest.approx(mean, rel=1e-5)
        total = line["generator_gan_loss"] + 100 * line["l1_loss"]
        assert line["generator_loss"] == pytest.approx(total, rel=1e-5)
    for line in validated:
        assert set(line) == {"step", "validation/l1", "validation/psnr", "validation/ssim"}
    assert validated[1]["validation/l1"] == whole.scores["l1"]


def test_tensorboard_has_the_same_scalars_with_the_losses_in_a_group_of_their_own(whole, events):
    moved = {f"training/{name}": f"progress/{name}" for name in ("epoch", "learning_rate")}
    for line in runs.read_metrics(whole.workdir):
        for name, value in line.items():
            if name != "step":
                points = _points(events, moved.get(name, name))
                assert points[line["step"]] == pytest.approx(value, rel=1e-6)
    assert set(_points(events, "progress/images_per_sec")) == {3, 6, 9, 12}
    tags = events.Tags()["tensors"]
    assert {tag for tag in tags if tag.startswith("training/")} == {f"training/{name}" for name in LOSSES}


@pytest.mark.parametrize("name, columns, legend_px", [("pictures", 3, 0), ("patches", 2, 40)])
def test_pictures_can_be_seen(whole, events, name, columns, legend_px):
    sheets = _points(events, f"samples/{name}")
    assert set(sheets) == {6, 12}
    for step, sheet in sheets.items():
        image = tf.io.decode_png(sheet[2]).numpy()
        assert image.shape == (20 + 2 * 36 + 4 + legend_px, columns * 36 + 4, 3)
        assert image[20:].std() > 5
        captions = image[:20]
        assert all((captions[:, left : left + 32] < 128).any() for left in range(4, 36 * columns, 36))
        file = whole.workdir / "samples" / f"step-{step:08d}-{name}.png"
        np.testing.assert_array_equal(tf.io.decode_png(file.read_bytes()).numpy(), image)


def test_the_configuration_is_in_tensorboard(whole, events):
    text = _points(events, "config")[0].item().decode()
    assert "    * image_size               32x32\n" in text and "      seed                     0\n" in text
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    for name in (b"lambda_l1", b"image_size", b"learning_rate", b"dataset"):
        assert name in content


def test_a_profile_was_written(whole):
    assert list(whole.workdir.glob("tensorboard/*/plugins/profile/*/*.xplane.pb"))


def test_a_profile_that_runs_past_the_end_is_written_too(data_dir, tmp_path):
    config = runs.tiny_config(data_dir, steps=2, profile_steps="1:9", **EVERY)
    train_and_evaluate(config, tmp_path)
    assert list(tmp_path.glob("tensorboard/*/plugins/profile/*/*.xplane.pb"))


def test_the_best_checkpoint_is_the_one_with_the_best_score(whole):
    scores = {
        line["step"]: line["validation/l1"]
        for line in runs.read_metrics(whole.workdir)
        if "validation/l1" in line
    }
    best = min(scores, key=scores.get)
    assert checkpoints.find_step(whole.workdir, "best") == best
    assert checkpoints.read_metadata(whole.workdir, 12)["best"] == {
        "step": best,
        "metric": "l1",
        "score": scores[best],
    }


def test_more_steps_go_on_from_a_finished_run_and_steps_per_call_change_no_bit(
    data_dir, whole, tmp_path, capsys
):
    for steps in (6, 12):
        config = runs.tiny_config(data_dir, steps=steps, steps_per_call=5, **EVERY)
        train_and_evaluate(config, tmp_path)
    assert "going on from step 6 of 12" in capsys.readouterr().err
    runs.assert_same_state(runs.read_state(tmp_path, 12), runs.read_state(whole.workdir, 12))
    assert runs.read_metrics(tmp_path) == runs.read_metrics(whole.workdir)


@pytest.mark.slow
def test_a_run_goes_on_with_other_images_if_that_is_asked_for(tmp_path, capsys):
    data, run = runs.write_dataset(tmp_path / "data", train=3), tmp_path / "run"
    config = runs.tiny_config(data, steps=2)
    train_and_evaluate(config, run)
    began_with = json.loads((run / "config.json").read_text())["training_set"]
    runs.write_image(data / "train" / "train-7.png", np.zeros((32, 64, 3), np.uint8))
    more = dataclasses.replace(config, steps=4)
    with pytest.raises(UsageError, match="3 examples then, 4 now, with other names") as refusal:
        train_and_evaluate(more, run)
    assert "`allow_new_data` to go on" in str(refusal.value) and f"`init_from={run}`" in str(refusal.value)
    capsys.readouterr()
    assert train_and_evaluate(more, run, allow_new_data=True).step == 4
    assert f"{run} goes on with another training set: 3 examples then, 4 now" in capsys.readouterr().err
    told = json.loads((run / "config.json").read_text())
    assert told["training_set"]["examples"] == 4 and told["earlier_training_sets"] == [began_with]
    assert train_and_evaluate(dataclasses.replace(config, steps=5), run).step == 5
    assert json.loads((run / "config.json").read_text())["earlier_training_sets"] == [began_with]


def test_damaged_checkpoints_are_passed_over(data_dir, whole, tmp_path, capsys):
    every = {**EVERY, "keep_checkpoints": 2}
    train_and_evaluate(runs.tiny_config(data_dir, steps=9, **every), tmp_path)
    newest = tmp_path / "checkpoints" / "step-00000009" / "state.data-00000-of-00001"
    newest.write_bytes(newest.read_bytes()[:1000])
    (tmp_path / "checkpoints" / ".step-00000010.partial").mkdir()
    train_and_evaluate(runs.tiny_config(data_dir, steps=12, **every), tmp_path)
    output = capsys.readouterr()
    assert f"{newest.parent} is damaged" in output.err and "going on from step 6 of 12" in output.err
    runs.assert_same_state(runs.read_state(tmp_path, 12), runs.read_state(whole.workdir, 12))
    assert runs.read_metrics(tmp_path) == runs.read_metrics(whole.workdir)
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_a_finished_run_says_so_and_does_nothing(data_dir, whole, capsys):
    before = {path: path.stat().st_mtime_ns for path in (whole.workdir / "checkpoints").rglob("*")}
    metrics = (whole.workdir / "metrics.jsonl").read_text()
    again = train_and_evaluate(runs.tiny_config(data_dir, steps=12, **EVERY), whole.workdir)
    told = f"{whole.workdir} is finished: 12 steps are done, 12 asked for. More `steps` or"
    assert told in capsys.readouterr().err
    assert (again.step, again.scores) == (12, whole.scores)
    assert {path: path.stat().st_mtime_ns for path in (whole.workdir / "checkpoints").rglob("*")} == before
    assert (whole.workdir / "metrics.jsonl").read_text() == metrics


def test_a_changed_setting_is_refused(data_dir, whole):
    with pytest.raises(UsageError, match="`lambda_l1` was 100.0, is 5.0"):
        train_and_evaluate(runs.tiny_config(data_dir, steps=12, lambda_l1=5.0, **EVERY), whole.workdir)


def test_a_changed_training_set_is_refused(whole, tmp_path):
    larger = runs.write_dataset(tmp_path / "tiny", train=7)
    with pytest.raises(UsageError, match="began with another training set: 6 examples then, 7 now"):
        train_and_evaluate(runs.tiny_config(larger, steps=20, **EVERY), whole.workdir)


@pytest.mark.slow
def test_a_run_without_jitter_goes_on(data_dir, tmp_path):
    for steps in (1, 2):
        config = runs.tiny_config(data_dir, steps=steps, jitter=False, objective="l1", **EVERY)
        assert train_and_evaluate(config, tmp_path).step == steps


@pytest.mark.parametrize("objective, step, losses", [("l1+cgan", 1, LOSSES), ("l1", 2, LOSSES[-2:])])
def test_a_loss_that_is_not_finite_stops_the_run(data_dir, tmp_path, objective, step, losses):
    every = {**EVERY, "checkpoint_every_steps": 1}
    config = runs.tiny_config(data_dir, steps=12, learning_rate=1e30, objective=objective, **every)
    with pytest.raises(UserError) as caught:
        train_and_evaluate(config, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"a loss is not finite in step {step}: ")
    assert all(name in message for name in losses) and "nan" in message
    assert "examples: train-" in message
    left = f"the checkpoint of step {step - 1} is intact" if step > 1 else "there is no checkpoint yet"
    assert f"; {left}. Try a lower `learning_rate`" in message
    assert checkpoints.list_steps(tmp_path) == list(range(1, step))


def test_a_weight_beyond_all_reason_is_advised_about(data_dir, tmp_path):
    config = runs.tiny_config(data_dir, steps=3, lambda_l1=1e38, **EVERY)
    with pytest.raises(UserError, match=r"there is no checkpoint yet\. Try a lower `lambda_l1`$"):
        train_and_evaluate(config, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_file_that_went_bad_during_the_run_is_named(data_dir, tmp_path, split):
    folder = runs.write_dataset(tmp_path / "tiny")
    bad = folder / split / f"{split}-1.png"
    bad.write_bytes(bad.read_bytes()[:900])  # the header is whole
    config = runs.tiny_config(folder, steps=6, cache_mib=0, **EVERY)
    with pytest.raises(UserError) as caught:
        train_and_evaluate(config, tmp_path / "run")
    assert str(bad) in str(caught.value)
    runs.Image.new("RGB", (64, 32)).save(bad)
    assert train_and_evaluate(config, tmp_path / "run").step == 6


def _break_file_of_step(folder, step):
    """Damages the file that a step, from 0, takes; returns the file and what it held."""
    (index,) = example_indices(step, seed=0, num_examples=6, global_batch_size=1)
    file = folder / "train" / f"train-{index}.png"
    contents = file.read_bytes()
    file.write_bytes(contents[:900])  # the header is whole
    return file, contents


@pytest.mark.slow
def test_a_run_that_a_bad_file_ended_saves_first_and_goes_on_to_the_same_weights(data_dir, whole, tmp_path):
    folder = shutil.copytree(data_dir, tmp_path / "tiny")
    bad, contents = _break_file_of_step(folder, 5)
    config = runs.tiny_config(folder, steps=12, cache_mib=0, **EVERY)
    for _ in range(2):  # the second finds the checkpoint, and nothing to save
        with pytest.raises(UserError) as caught:
            train_and_evaluate(config, tmp_path / "run")
        reason, _, advice = str(caught.value).partition("; ")
        assert reason.startswith(f"{bad} ") and advice == (
            "the checkpoint of step 5 is intact. Put a good image of that name there and run the same "
            "command again, or start anew in another `workdir` with `on_bad_image=skip`"
        )
        assert checkpoints.list_steps(tmp_path / "run") == [3, 5]
    bad.write_bytes(contents)
    train_and_evaluate(config, tmp_path / "run")
    runs.assert_same_state(runs.read_state(tmp_path / "run", 12), runs.read_state(whole.workdir, 12))
    assert runs.read_metrics(tmp_path / "run") == runs.read_metrics(whole.workdir)


@pytest.mark.parametrize(
    "place, settings, left",
    [
        (0, {}, "there is no checkpoint yet"),
        # Some of the steps of a call may be half done.
        (4, {"steps_per_call": 3}, "the checkpoint of step 3 is intact"),
    ],
)
def test_a_bad_file_is_not_saved_before_where_nothing_or_not_all_is_sure(
    data_dir, tmp_path, place, settings, left
):
    folder = shutil.copytree(data_dir, tmp_path / "tiny")
    _break_file_of_step(folder, place)
    config = runs.tiny_config(folder, steps=12, cache_mib=0, **{**EVERY, **settings})
    with pytest.raises(UserError, match=f"; {left}. Put a good image"):
        train_and_evaluate(config, tmp_path / "run")


def test_bad_files_can_be_skipped(tmp_path, capsys, caplog):
    folder = runs.write_dataset(tmp_path / "tiny")
    bad = folder / "train" / "train-1.png"
    bad.write_bytes(bad.read_bytes()[:900])
    config = runs.tiny_config(folder, steps=1, objective="l1", on_bad_image="skip", **EVERY)
    assert train_and_evaluate(config, tmp_path / "run").step == 1
    report = caplog.text + capsys.readouterr().err
    assert str(bad) in report and "1 of 6 pairs cannot be used and is left out" in report
