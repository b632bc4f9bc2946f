"""Three steps of the PyTorch reference, reproduced from its initial weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import references
from tests.helpers.references.torch_adam import build_torch_adam
from tfpix2pix.interop import torch_names
from tfpix2pix.interop.torch_export import read_weights
from tfpix2pix.interop.torch_import import assign_weights
from tfpix2pix.methods import optimizers
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.networks import discriminators, generators

TABLES = {
    "generator": torch_names.unet_table(torch_names.Unet(5, 2, 3, 3, affine=True, biased=False)),
    "discriminator": torch_names.discriminator_table(
        torch_names.PatchDiscriminator(3, 2, 6, affine=True, biased=False)
    ),
}
# One update by this rate turns the change of a weight into its gradient: the weight itself drowns.
HUGE_RATE = 2.0**20


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    return references.read("torch_step_32px.npz")


@pytest.fixture(scope="module")
def batch(recorded) -> dict[str, tf.Tensor]:
    images = {name: tf.constant(recorded[name]) for name in ("input_image", "target_image")}
    return {**images, "noise_seed": tf.zeros([1, 2], tf.int32)}


def _weights(recorded: dict[str, np.ndarray], network: str, moment: str) -> dict[str, np.ndarray]:
    values = references.below(recorded, f"{network}/{moment}/")
    assert values.keys() == TABLES[network].keys()
    return torch_names.to_ours(values, TABLES[network])


def _build_step(recorded, **optimizers: keras.optimizers.Optimizer) -> TrainStep:
    generator = generators.unet_generator(depth=5, base_filters=2, dropout_rate=0)
    discriminator = discriminators.patch_discriminator(70, base_filters=2)
    assign_weights(generator, _weights(recorded, "generator", "initial"))
    assign_weights(discriminator, _weights(recorded, "discriminator", "initial"))
    return TrainStep(generator, discriminator, **optimizers)


def test_first_output_and_logits(recorded, batch):
    train_step = _build_step(recorded)
    input_image, target_image = batch["input_image"], batch["target_image"]
    generated_image = train_step.generator([input_image, batch["noise_seed"]], training=True)
    real_logits = train_step.discriminate(input_image, target_image, training=True)
    generated_logits = train_step.discriminate(input_image, generated_image, training=True)
    np.testing.assert_allclose(generated_image, recorded["generated_image"], atol=1e-5)
    np.testing.assert_allclose(real_logits, recorded["real_logits"], atol=1e-5)
    np.testing.assert_allclose(generated_logits, recorded["generated_logits"], atol=1e-5)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_gradients_of_the_first_step(recorded, batch, network):
    # G's gradient is taken after D's update by Adam, D's before anything moved.
    train_step = _build_step(recorded, **{f"{network}_optimizer": keras.optimizers.SGD(HUGE_RATE)})
    before = read_weights(getattr(train_step, network))
    train_step.replica_step(batch)
    after = read_weights(getattr(train_step, network))
    for name, expected in _weights(recorded, network, "gradient").items():
        gradient = (before[name].astype("float64") - after[name]) / HUGE_RATE
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("build_optimizer", "smallest_gradient", "most_apart"),
    [(build_torch_adam, 1e-6, 1e-5), (optimizers.build_adam, 1e-5, 3e-4)],
)
def test_losses_and_weights_of_three_steps(recorded, batch, build_optimizer, smallest_gradient, most_apart):
    train_step = _build_step(
        recorded, generator_optimizer=build_optimizer(), discriminator_optimizer=build_optimizer()
    )
    losses = [train_step.replica_step(batch) for _ in range(3)]
    for number, values in enumerate(losses, start=1):
        real, generated, gan, l1 = recorded[f"losses/{number}"]
        assert float(values["discriminator_real_loss"]) == pytest.approx(real, abs=1e-5)
        assert float(values["discriminator_generated_loss"]) == pytest.approx(generated, abs=1e-5)
        assert float(values["generator_gan_loss"]) == pytest.approx(gan, abs=1e-5)
        assert float(values["l1_loss"]) == pytest.approx(l1, abs=1e-5)
        assert float(values["discriminator_loss"]) == pytest.approx((real + generated) / 2, abs=1e-5)
        assert float(values["generator_loss"]) == pytest.approx(gan + 100 * l1, abs=1e-4)
    for network in ("generator", "discriminator"):
        weights = read_weights(getattr(train_step, network))
        initial = _weights(recorded, network, "initial")
        gradients = _weights(recorded, network, "gradient")
        for name, expected in _weights(recorded, network, "after_3_steps").items():
            # Adam moves a weight by the rate however small its gradient: rounding, or epsilon, decides there.
            clear = np.abs(gradients[name]) > smallest_gradient
            np.testing.assert_allclose(weights[name][clear], expected[clear], atol=1e-5, err_msg=name)
            np.testing.assert_allclose(weights[name], expected, atol=most_apart, err_msg=name)
            assert np.median(np.abs(expected - initial[name])[clear]) > 1e-4, name
