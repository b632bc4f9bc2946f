"""Three steps of pix2pixHD's own code, reproduced from its initial weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import references
from tests.helpers.references.torch_adam import build_torch_adam
from tfpix2pix.interop import torch_names
from tfpix2pix.interop.torch_export import read_weights
from tfpix2pix.interop.torch_import import assign_weights
from tfpix2pix.interop.torch_residual_names import (
    MultiscaleDiscriminator,
    ResidualGenerator,
    multiscale_table,
    residual_table,
)
from tfpix2pix.methods.losses import LossTerm, feature_matching
from tfpix2pix.methods.pix2pixhd import HDTrainStep
from tfpix2pix.networks.class_channels import encode_input
from tfpix2pix.networks.discriminators import multiscale_discriminator, with_features
from tfpix2pix.networks.residual import enhancer_generator, global_generator
from tfpix2pix.pipelines.meaning import Palette

DISCRIMINATOR_TABLE = multiscale_table(MultiscaleDiscriminator(2, 3, 4, 9))
TABLES = {
    "global": residual_table(ResidualGenerator(2, 2, 4, 6, 3)),
    "local": residual_table(ResidualGenerator(2, 2, 6, 6, 3, enhancers=1, enhancer_blocks=2)),
}
HUGE_RATE = 2.0**20  # one update by it turns the change of a weight into its gradient

cases = pytest.mark.parametrize("case", ["global", "local"])


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    return references.read("hd_step.npz")


def _build_generator(case: str) -> keras.Model:
    if case == "global":
        return global_generator(6, depth=2, residual_blocks=2, base_filters=4)
    return enhancer_generator(6, depth=2, residual_blocks=2, base_filters=6, enhancer_blocks=2)


@cases
def test_label_and_instance_ids_are_encoded_alike(recorded, case):
    """The networks' input is the same: a channel for each class, and one for the borders of instances."""
    colours = np.random.default_rng(0).permutation(256)[:15].reshape(5, 3).astype(np.uint8)
    palette = Palette(tuple("abcde"), colours, np.zeros((0, 3), np.uint8))
    label_maps = colours[recorded[f"{case}/label_ids"]] / 127.5 - 1
    ids = recorded[f"{case}/instance_ids"][..., None] / 32767.5 - 1
    input_image = keras.Input((None, None, 4))
    encode = keras.Model(input_image, encode_input(input_image, palette, palette))
    encoded = encode(np.concatenate([label_maps, ids], -1).astype(np.float32))
    np.testing.assert_array_equal(encoded, recorded[f"{case}/input"])


def _batch(recorded, case: str) -> dict[str, tf.Tensor]:
    images = {"input_image": recorded[f"{case}/input"], "target_image": recorded[f"{case}/target_image"]}
    return {
        **{name: tf.constant(image) for name, image in images.items()},
        "noise_seed": tf.zeros([1, 2], tf.int32),
    }


def _weights(recorded, case: str, network: str, moment: str) -> dict[str, np.ndarray]:
    values = references.below(recorded, f"{case}/{network}/{moment}/")
    table = TABLES[case] if network == "generator" else DISCRIMINATOR_TABLE
    assert values.keys() == table.keys()
    assert all(values[name].shape == place.shape for name, place in table.items())
    return torch_names.to_ours(values, table)


def _build_step(recorded, case: str, build_optimizer) -> HDTrainStep:
    generator = _build_generator(case)
    discriminator = multiscale_discriminator(2, input_channels=6, base_filters=4)
    assign_weights(generator, _weights(recorded, case, "generator", "initial"))
    assign_weights(discriminator, _weights(recorded, case, "discriminator", "initial"))
    return HDTrainStep(
        generator,
        discriminator,
        objective="cgan",
        gan_loss="least_squares",
        terms={"feature_matching": LossTerm(10.0, feature_matching, reads_features=True)},
        generator_optimizer=build_optimizer(),
        discriminator_optimizer=build_optimizer(),
    )


@cases
def test_first_output_and_features(recorded, case):
    train_step, batch = _build_step(recorded, case, build_torch_adam), _batch(recorded, case)
    generated_image = train_step.generator([batch["input_image"], batch["noise_seed"]], training=True)
    np.testing.assert_allclose(generated_image, recorded[f"{case}/generated_image"], atol=1e-5)
    model = with_features(train_step.discriminator)
    outputs = model([batch["input_image"], batch["target_image"]])
    assert len(outputs) == 10
    by_layer = dict(zip((tensor._keras_history[0].name for tensor in model.outputs), outputs, strict=True))
    for scale in (0, 1):
        names = [*(f"patch_{block}_relu" for block in (1, 2, 3, 4)), "patch_logits"]
        for number, name in enumerate(names):
            expected = recorded[f"{case}/discriminator/real_features/{scale}/{number}"]
            np.testing.assert_allclose(by_layer[f"scale_{scale + 1}_{name}"], expected, atol=1e-5)


@cases
@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_gradients_of_the_first_step(recorded, case, network):
    train_step = _build_step(recorded, case, lambda: keras.optimizers.SGD(HUGE_RATE))
    before = read_weights(getattr(train_step, network))
    train_step.replica_step(_batch(recorded, case))
    after = read_weights(getattr(train_step, network))
    expected = _weights(recorded, case, network, "gradient")
    largest = max(np.abs(values).max() for values in expected.values())
    for name, values in expected.items():
        gradient = (before[name].astype("float64") - after[name]) / HUGE_RATE
        # The gradient of a bias before a norm without offset is zero but for rounding.
        np.testing.assert_allclose(gradient, values, rtol=1e-4, atol=1e-5 * largest, err_msg=name)


@cases
def test_losses_and_weights_of_three_steps(recorded, case):
    train_step, batch = _build_step(recorded, case, build_torch_adam), _batch(recorded, case)
    for number in (1, 2, 3):
        values = train_step.replica_step(batch)
        real, generated, gan, matching = recorded[f"{case}/losses/{number}"]
        assert float(values["discriminator_real_loss"]) == pytest.approx(real, rel=1e-5)
        assert float(values["discriminator_generated_loss"]) == pytest.approx(generated, rel=1e-5)
        assert float(values["generator_gan_loss"]) == pytest.approx(gan, rel=1e-5)
        assert 10 * float(values["feature_matching_loss"]) == pytest.approx(matching, rel=1e-5)
        assert float(values["discriminator_loss"]) == pytest.approx((real + generated) / 2, rel=1e-5)
        assert float(values["generator_loss"]) == pytest.approx(gan + matching, rel=1e-5)
    for network in ("generator", "discriminator"):
        weights = read_weights(getattr(train_step, network))
        expected = _weights(recorded, case, network, "after_3_steps")
        gradient = _weights(recorded, case, network, "gradient")
        apart = np.concatenate([np.ravel(np.abs(weights[name] - expected[name])) for name in expected])
        clear = np.concatenate([np.ravel(np.abs(gradient[name]) > 1e-3) for name in expected])
        # The gradients reach 4, so that rounding in float32 moves each of them by up to 5e-6. Adam turns that
        # into a different step where a gradient is small, in the first step or in a later one.
        assert clear.mean() > 0.9
        assert np.mean(apart[clear] > 1e-5) < 0.005
        assert apart[clear].max() < 1e-4
        assert apart.max() < 1.21e-3
