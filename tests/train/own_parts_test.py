"""Generators and steps that a caller brings: trained, resumed, opened, refused where they are missing."""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import runs
from tfpix2pix.methods.losses import LossTerm
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.networks.build import build_discriminator, build_generator
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.training import train_and_evaluate


def build_one_layer(input_channels, output_channels):
    """Returns a generator of one convolution."""
    images = keras.Input((None, None, input_channels), name="input_image")
    seeds = keras.Input((2,), dtype="int32", name="noise_seed")
    outputs = keras.layers.Conv2D(output_channels, 3, padding="same", activation="tanh", name="one")
    return keras.Model([images, seeds], outputs(images))


def build_step_without_l1(config, total_steps):
    """Returns pix2pix with a squared difference in place of the L1 loss."""
    squared = LossTerm(
        10.0, lambda pair: tf.reduce_mean((pair.target_image - pair.generated_image) ** 2, [1, 2, 3])
    )
    return TrainStep(
        build_generator(config),
        build_discriminator(config),
        lambda_l1=0.0,
        terms={"l2": squared},
        global_batch_size=config.batch_size,
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("data"))


@pytest.mark.slow
def test_an_own_generator_is_trained_resumed_and_opened(data_dir, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_and_evaluate(runs.tiny_config(data_dir, steps=4, depth=None), whole, generator=build_one_layer)
    for steps in (2, 4):
        result = train_and_evaluate(
            runs.tiny_config(data_dir, steps=steps, depth=None), parts, generator=build_one_layer
        )
    runs.assert_same_state(runs.read_state(parts, 4), runs.read_state(whole, 4))
    assert [layer.name for layer in result.generator.layers][-1] == "one"
    generator, _, step = load_generator(parts, generator=build_one_layer)
    assert step == 4
    np.testing.assert_array_equal(generator.get_weights()[0], result.generator.get_weights()[0])


def test_a_run_says_which_own_parts_it_needs(data_dir, tmp_path):
    config = runs.tiny_config(data_dir, steps=1, depth=None)
    train_and_evaluate(config, tmp_path, generator=build_one_layer)
    own = json.loads((tmp_path / "config.json").read_text())["own"]
    assert own == {"generator": f"{__name__}.build_one_layer"}
    with pytest.raises(
        UsageError, match="was trained with a generator of its own, .*build_one_layer: open it"
    ):
        load_generator(tmp_path)
    with pytest.raises(
        UsageError, match="was trained with .*build_one_layer; give it as `generator` to go on"
    ):
        train_and_evaluate(config, tmp_path)
    command = [sys.executable, "-m", "tfpix2pix.translate", f"--model={tmp_path}", "--input=x", "--output=y"]
    (tmp_path / "x").mkdir()
    runs.write_image(tmp_path / "x" / "1.png", np.zeros((32, 32, 3), np.uint8))
    refused = runs.call(command, cwd=tmp_path)
    assert refused.returncode == 2 and "a generator of its own" in runs.last_line(refused)


def test_a_run_without_own_parts_refuses_them(data_dir, tmp_path):
    config = runs.tiny_config(data_dir, steps=1)
    train_and_evaluate(config, tmp_path)
    assert "own" not in json.loads((tmp_path / "config.json").read_text())
    with pytest.raises(UsageError, match="was trained without a `generator` of your own"):
        train_and_evaluate(config, tmp_path, generator=build_one_layer)


def test_an_own_step_is_trained_and_its_losses_are_written(data_dir, tmp_path):
    config = runs.tiny_config(data_dir, steps=2, summary_every_steps=1)
    result = train_and_evaluate(config, tmp_path, build_step=build_step_without_l1)
    lines = [line for line in runs.read_metrics(tmp_path) if "training/l2_loss" in line]
    assert [line["step"] for line in lines] == [1, 2]
    for line in lines:
        expected = line["training/generator_gan_loss"] + 10 * line["training/l2_loss"]
        assert line["training/generator_loss"] == pytest.approx(expected, rel=1e-5)
    # The generator is the configuration's, so the run opens as any other.
    generator, _, _ = load_generator(tmp_path)
    np.testing.assert_array_equal(generator.get_weights()[0], result.generator.get_weights()[0])


def test_a_setting_that_an_own_generator_does_not_have_is_refused_and_leaves_no_run(data_dir, tmp_path):
    with pytest.raises(UsageError, match="`depth` has no effect on a generator of your own"):
        train_and_evaluate(
            runs.tiny_config(data_dir, steps=1, depth=3), tmp_path / "run", generator=build_one_layer
        )
    assert not (tmp_path / "run").exists()


def test_a_step_and_a_generator_exclude_each_other(data_dir, tmp_path):
    with pytest.raises(UsageError, match="`build_step` builds the generator too"):
        train_and_evaluate(
            runs.tiny_config(data_dir, steps=1),
            tmp_path / "run",
            generator=build_one_layer,
            build_step=build_step_without_l1,
        )
    assert not (tmp_path / "run").exists()
