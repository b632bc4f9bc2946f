"""Mode seeking: its number by hand, a step of pix2pix and of pix2pixHD with it, replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.addends import most_addends
from tfpix2pix.config.config import make_config
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.methods.losses import LossTerm, Translated, mode_seeking
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.networks.discriminators import patch_discriminator
from tfpix2pix.networks.generators import unet_generator
from tfpix2pix.networks.latent import draw_normal, with_latent

SETTINGS = {"image_size": 32, "base_filters": 2, "depth": 3, "latent_size": 4}


def _batch() -> dict[str, tf.Tensor]:
    draw = np.random.default_rng(0)
    images = draw.uniform(-1, 1, (2, 2, 32, 32, 3)).astype("float32")
    return {
        "input_image": tf.constant(images[0]),
        "target_image": tf.constant(images[1]),
        "noise_seed": tf.constant([[1, 2], [3, 4]]),
    }


def _build(method: str, **settings):
    if method == "pix2pixhd":
        own = {"num_discriminators": 1, "discriminator_layers": 1}
    else:
        own = {"receptive_field": 16}
    config = make_config(dataset="facades", method=method, batch_size=2, **SETTINGS, **own, **settings)
    return build_train_step(config, total_steps=2)


def test_the_loss_by_hand():
    image = tf.zeros([2, 1, 2, 1])
    pair = Translated(
        image,
        image,
        generated_image=tf.constant([[[[0.5], [0.0]]], [[[1.0], [1.0]]]]),
        latent=tf.constant([[1.0, 0.0], [0.0, 0.0]]),
        second_image=tf.constant([[[[0.0], [0.1]]], [[[1.0], [1.0]]]]),
        second_latent=tf.constant([[0.0, 2.0], [1.0, 1.0]]),
    )
    # Images are 0.3 apart and z 1.5, so 1 / (0.2 + 1e-5); equal images give 1 / 1e-5.
    np.testing.assert_allclose(mode_seeking(pair), [4.99975, 1e5], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "network"),
    [
        ("pix2pix", {}),
        ("pix2pixhd", {"generator": "unet"}),
        ("pix2pixhd", {"residual_blocks": 1}),
    ],
)
def test_a_step_compares_two_samples_of_one_dropout(method, network):
    train_step, batch = _build(method, lambda_mode_seeking=0.5, lambda_l1=3.0, **network), _batch()
    generator, seeds = train_step.generator, batch["noise_seed"]
    one, other = (
        with_latent(generator)([batch["input_image"], seeds, draw_normal(seeds, 4, stream)], training=True)
        for stream in (-1, -2)
    )
    np.testing.assert_allclose(generator([batch["input_image"], seeds], training=True), one, atol=1e-6)
    of_images = np.abs(one - other).mean((1, 2, 3))
    of_latents = np.abs(draw_normal(seeds, 4, -1) - draw_normal(seeds, 4, -2)).mean(1)
    values = {name: float(value) for name, value in train_step(batch).items()}
    expected = np.mean(1 / (of_images / of_latents + 1e-5))
    assert values["mode_seeking_loss"] == pytest.approx(expected, rel=1e-4)
    rest = values["generator_gan_loss"] + 0.5 * values["mode_seeking_loss"]
    if method == "pix2pix":
        rest += 3.0 * values["l1_loss"]
    else:
        rest += 10 * values["feature_matching_loss"]
    assert values["generator_loss"] == pytest.approx(rest, rel=1e-4)


def test_no_tensor_gets_its_gradient_from_three_places():
    # L1, D and two terms read the generated image.
    train_step = _build("pix2pix", lambda_mode_seeking=1.0, lambda_feature_matching=1.0)
    assert most_addends(train_step.replica_step, _batch()) == 2


def test_samples_move_apart():
    batch = _batch()
    train_step = _build("pix2pix", lambda_mode_seeking=1.0, lambda_l1=1.0, objective="l1", learning_rate=5e-3)
    seen = [float(train_step(batch)["mode_seeking_loss"]) for _ in range(12)]
    # Samples are more than five times as far apart as in the beginning.
    assert seen[-1] < seen[0] / 5


def _sgd_step() -> TrainStep:
    """Builds a step of plain gradient descent: Adam would hide a wrong scale of the loss."""
    keras.utils.set_random_seed(0)
    kind = {"base_filters": 2, "normalization": "plain_instance"}
    generator = unet_generator((16, 16), depth=2, dropout_rate=0.5, latent_size=3, **kind)
    for variable in generator.variables:
        variable.assign(variable * 5)
    return TrainStep(
        generator,
        patch_discriminator(16, **kind),
        lambda_l1=1.0,
        terms={"mode_seeking": LossTerm(0.1, mode_seeking, reads_second_sample=True)},
        generator_optimizer=keras.optimizers.SGD(0.05),
        discriminator_optimizer=keras.optimizers.SGD(0.05),
        global_batch_size=4,
    )


@pytest.mark.slow
def test_two_replicas_equal_one(mirrored_strategy):
    draw = np.random.default_rng(0)
    images = draw.uniform(-1, 1, (2, 2, 4, 16, 16, 3)).astype("float32")
    seeds = draw.integers(-99, 99, (2, 4, 2)).astype("int32")
    batches = tf.data.Dataset.from_tensor_slices(
        {"input_image": images[:, 0], "target_image": images[:, 1], "noise_seed": seeds}
    )
    one = _sgd_step()
    history = [one.replica_step(batch) for batch in batches]
    with mirrored_strategy.scope():
        two = _sgd_step()
    two_history = two.run_steps(iter(mirrored_strategy.experimental_distribute_dataset(batches)), 2)
    for number, values in enumerate(history):
        for name, value in values.items():
            np.testing.assert_allclose(two_history[name][number], value, rtol=2e-5, atol=1e-6, err_msg=name)
    fresh, weights = _sgd_step().generator.get_weights(), one.generator.get_weights()
    for value, other in zip(weights, two.generator.get_weights(), strict=True):
        np.testing.assert_allclose(other, value, atol=3e-6)
    assert max(float(np.abs(start - value).max()) for start, value in zip(fresh, weights, strict=True)) > 1e-4
