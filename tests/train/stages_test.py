"""Coarse to fine: the global generator alone, the enhancer alone, then both, in one run."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.methods.losses import LossTerm, feature_matching, mode_seeking
from tfpix2pix.methods.pix2pixhd import HDTrainStep
from tfpix2pix.networks.discriminators import multiscale_discriminator
from tfpix2pix.networks.residual import enhancer_generator, global_generator
from tfpix2pix.networks.variables import weights_of
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.origin import Origin, start_from
from tfpix2pix.train.training import train_and_evaluate

SETTINGS = {
    "method": "pix2pixhd",
    "generator": "enhancer",
    "depth": 2,
    "residual_blocks": 1,
    "base_filters": 4,
    "latent_size": 2,
    "lambda_mode_seeking": 0.5,
    "receptive_field": 70,
    "discriminator_layers": 1,
    "lr_schedule": "linear_decay",
    "steps": 6,
    "global_steps": 2,
    "enhancer_only_steps": 2,
    "checkpoint_every_steps": 1,
    "keep_checkpoints": 10,
    "summary_every_steps": 1,
    "sample_every_steps": 3,
    "validate_every_steps": 3,
}


def config_of(data_dir, **settings):
    return runs.tiny_config(data_dir, **{**SETTINGS, **settings})


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("stages") / "tiny", train=3, val=1)


@pytest.fixture(scope="module")
def uninterrupted(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("stages") / "run"
    process = runs.call(runs.train_command(data_dir, workdir, **SETTINGS))
    assert process.returncode == 0, process.stderr
    (workdir / "told.txt").write_text(process.stderr)
    return workdir


def weights_at(workdir, step: int) -> dict[str, np.ndarray]:
    """Returns the weights of the networks, without the optimizers and the step."""
    state = runs.read_state(workdir, step)
    return {name: value for name, value in state.items() if "kernel" in name and "_optimizer" not in name}


def moved_between(workdir, first: int, last: int) -> set[str]:
    """Returns which part of the networks changed from one step to another."""
    before, after = weights_at(workdir, first), weights_at(workdir, last)

    def name_part(name: str) -> str:
        if "discriminator" in name:
            return "discriminator"
        if "global_generator" in name:
            return "last of global"
        return "enhancer" if "enhancer_" in name or ".Slast_conv" in name else "global"

    parts = {name: name_part(name) for name in before}
    changed = {name: not np.array_equal(before[name], after[name]) for name in before}
    mixed = {part for part in parts.values() if len({changed[n] for n in parts if parts[n] == part}) > 1}
    assert not mixed and len(set(parts.values())) == 4
    return {parts[name] for name in before if changed[name]}


@pytest.mark.slow
def test_each_stage_trains_its_part(uninterrupted):
    assert moved_between(uninterrupted, 1, 2) == {"global", "last of global", "discriminator"}
    assert moved_between(uninterrupted, 2, 4) == {"enhancer", "discriminator"}
    assert moved_between(uninterrupted, 4, 6) == {"global", "enhancer", "discriminator"}


@pytest.mark.slow
def test_the_stages_are_told_and_their_rates_recorded(uninterrupted):
    told = (uninterrupted / "told.txt").read_text()
    for text in (
        "stage 1 of 3 (global, at 1/2 of the size) from step 1 on",
        "step 2/6  stage 1 of 3 (global, at 1/2 of the size)  epoch",
        "stage 2 of 3 (enhancer) from step 3 on",
        "stage 3 of 3 (all) from step 5 on",
        "step 6/6  stage 3 of 3 (all)  epoch",
    ):
        assert text in told, told
    # Of the next step. In two steps the rate stays in the first and falls in the second, but in stage 2.
    rates = [
        line["training/learning_rate"]
        for line in runs.read_metrics(uninterrupted)
        if "training/learning_rate" in line
    ]
    np.testing.assert_allclose(rates, [2e-4, 2e-4, 2e-4, 2e-4, 2e-4, 0], atol=1e-9)


@pytest.mark.slow
def test_a_run_that_breaks_in_any_stage_and_at_a_border_goes_on_to_the_same_bits(
    data_dir, uninterrupted, tmp_path
):
    config = config_of(data_dir)
    for step in (1, 2, 3, 5):
        with pytest.raises(UserError, match="broken"):
            train_and_evaluate(config, tmp_path, callbacks=[runs.BreakAt(step)])
    assert train_and_evaluate(config, tmp_path).step == 6
    runs.assert_same_state(runs.read_state(tmp_path, 6), runs.read_state(uninterrupted, 6))


@pytest.mark.slow
def test_one_call_may_take_the_steps_of_several_stages(data_dir):
    config = config_of(data_dir, steps=2, global_steps=1, enhancer_only_steps=0)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 2, 1, 32, 32, 3)).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices(
        {"input_image": images[0], "target_image": images[1], "noise_seed": np.zeros((2, 1, 2), np.int32)}
    )
    at_once, one_by_one = build_train_step(config, 2), build_train_step(config, 2)
    history = at_once.run_steps(iter(batches), 2)
    single = [one_by_one(batch) for batch in batches]
    for name, values in history.items():
        np.testing.assert_allclose(values, [float(each[name]) for each in single], rtol=1e-4)
    assert int(at_once.step) == 2


def test_the_first_stage_is_a_training_of_the_global_generator_on_half_the_size(data_dir):
    staged = build_train_step(config_of(data_dir), 6)
    generator = global_generator(depth=2, residual_blocks=1, base_filters=4, latent_size=2)
    inside = weights_of(staged.stages[0].step.generator)
    for name, variable in weights_of(generator).items():
        variable.assign(inside[name])
    discriminator = multiscale_discriminator(2, 1, base_filters=4)
    for mine, theirs in zip(discriminator.variables, staged.discriminator.variables, strict=True):
        mine.assign(theirs)
    plain = HDTrainStep(
        generator,
        discriminator,
        objective="cgan",
        gan_loss="least_squares",
        terms={
            "feature_matching": LossTerm(10.0, feature_matching, reads_features=True),
            "mode_seeking": LossTerm(0.5, mode_seeking, reads_second_sample=True),
        },
    )
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), np.uint8)
    large = pixels / np.float32(127.5) - 1
    small = [
        np.stack(
            [
                np.asarray(Image.fromarray(channel).resize((16, 16), Image.Resampling.BILINEAR))
                for channel in image.transpose(2, 0, 1)
            ],
            -1,
        )
        for image in large
    ]
    seed = tf.zeros([1, 2], tf.int32)
    losses, expected = (
        step({"input_image": images[0][None], "target_image": images[1][None], "noise_seed": seed})
        for step, images in ((staged, large), (plain, small))
    )
    for name, value in expected.items():
        assert float(losses[name]) == pytest.approx(float(value), rel=1e-4), name


def test_what_is_shown_in_the_first_stage_is_enlarged(data_dir):
    staged = build_train_step(config_of(data_dir), 6)
    assert staged.validated_generator is staged.generator
    image, seed = tf.zeros([1, 32, 32, 3]), tf.zeros([1, 2], tf.int32)
    staged({"input_image": image, "target_image": image, "noise_seed": seed})
    shown = staged.validated_generator([image, seed])
    small = staged.stages[0].step.generator([tf.zeros([1, 16, 16, 3]), seed])
    np.testing.assert_allclose(shown, tf.image.resize(small, (32, 32)), atol=1e-6)
    assert staged.validated_generator == staged.validated_generator


def test_a_checkpoint_of_the_first_stage_is_warned_of(uninterrupted, capfd):
    load_generator(uninterrupted, "2")
    assert "only the global generator was trained" in capfd.readouterr().err
    assert isinstance(load_generator(uninterrupted)[0], keras.Model)
    assert "was trained" not in capfd.readouterr().err


def test_an_enhancer_starts_around_the_weights_of_a_global_generator(capfd):
    inside = global_generator(depth=2, residual_blocks=1, base_filters=4)
    generator = enhancer_generator(depth=2, residual_blocks=1, base_filters=4)
    before = {name: variable.numpy() for name, variable in weights_of(generator).items()}
    weights = {name: variable.numpy() for name, variable in weights_of(inside).items()}
    start_from(Origin(Path("runs/small"), {}, weights), generator, None)
    told = capfd.readouterr().err
    assert (
        "enhancer_1_first_conv of the enhancer_generator and 8 more of its layers start with random" in told
    )
    assert "last_conv of the enhancer_generator starts with random weights: it takes the features" in told
    for name, variable in weights_of(generator).items():
        is_new = name.startswith("enhancer_") or name.startswith("last_conv")
        np.testing.assert_array_equal(variable, (before if is_new else weights)[name])


def test_what_cannot_be_done_in_stages_is_refused(data_dir, tmp_path):
    with pytest.raises(
        UsageError, match="`global_steps` is for `method=pix2pixhd` with `generator=enhancer`"
    ):
        config_of(data_dir, generator="global", enhancer_only_steps=0)
    with pytest.raises(UsageError, match="are 6 of 6 steps, and leave none to train the whole generator"):
        train_and_evaluate(config_of(data_dir, global_steps=4), tmp_path)
