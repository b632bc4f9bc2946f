"""Two steps of BicycleGAN's own code, reproduced from its initial weights and its noise."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import references
from tests.helpers.references.torch_adam import build_torch_adam
from tfpix2pix.interop.torch_export import read_weights
from tfpix2pix.interop.torch_import import assign_weights
from tfpix2pix.methods.bicyclegan import BicycleTrainStep, Networks
from tfpix2pix.networks.discriminators import pyramid_discriminator
from tfpix2pix.networks.encoders import latent_encoder
from tfpix2pix.networks.generators import unet_generator

DEPTH = 7
# Our name of a network -> that of the original code.
NETWORKS = {"generator": "G", "encoder": "E", "discriminator": "D", "discriminator_2": "D2"}
WEIGHTS = {"G_L1": 10.0, "kl": 0.01, "z_L1": 0.5}
LOSSES = {
    "discriminator_loss": "D",
    "discriminator_2_loss": "D2",
    "generator_gan_loss": "G_GAN",
    "generator_gan_2_loss": "G_GAN2",
    "l1_loss": "G_L1",
    "kl_loss": "kl",
    "latent_loss": "z_L1",
}


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    return references.read("bicycle_step.npz")


def _layer_names() -> dict[str, dict[str, str]]:
    """Returns for each network: our layer -> the original code's."""
    generator, place = {}, "model"
    for block in range(1, DEPTH + 1):
        outermost = block == 1
        generator[f"encoder_{block}_conv"] = f"{place}.down.{0 if outermost else 1}"
        generator[f"decoder_{block}_conv"] = f"{place}.up.1"
        place += ".submodule"
    discriminator = {
        f"scale_{scale + 1}_patch_{name}_conv": f"model_{scale}.{number}"
        for scale in (0, 1)
        for name, number in (("1", 0), ("2", 2), ("3", 5), ("logits", 8))
    }
    encoder = {"mean": "fc.0", "log_variance": "fcVar.0", "block_1_conv": "conv.0"}
    for block in (2, 3, 4):
        theirs = f"conv.{block - 1}"
        encoder[f"block_{block}_1_conv"] = f"{theirs}.conv.2"
        encoder[f"block_{block}_2_conv"] = f"{theirs}.conv.5.0"
        encoder[f"block_{block}_shortcut_conv"] = f"{theirs}.shortcut.1"
    return {"generator": generator, "encoder": encoder} | dict.fromkeys(list(NETWORKS)[2:], discriminator)


def _to_ours(layer: str, kind: str, value: np.ndarray) -> np.ndarray:
    if kind == "bias":
        return value
    if value.ndim == 2:
        return value.T
    if layer.startswith("decoder_") and layer != f"decoder_{DEPTH}_conv":
        # The original code concatenates the decoder first, and then the skip.
        value = np.concatenate(np.split(value, 2)[::-1])
    return value.transpose(2, 3, 1, 0)


def _weights(recorded, network: str, moment: str) -> dict[str, np.ndarray]:
    values = references.below(recorded, f"{NETWORKS[network]}/{moment}/")
    names = _layer_names()[network]
    assert 2 * len(names) == len(values)
    return {
        f"{ours}/{kind}": _to_ours(ours, kind, values[f"{theirs}.{their_kind}"])
        for ours, theirs in names.items()
        for kind, their_kind in (("kernel", "weight"), ("bias", "bias"))
    }


class RecordedNoise(BicycleTrainStep):
    """The step with the noise that the original code drew."""

    noise: list[tuple[np.ndarray, np.ndarray]]

    def draw_noise(self, noise_seed):
        return tuple(map(tf.constant, self.noise.pop(0)))


def _build_step(recorded, build_optimizer) -> RecordedNoise:
    kind = {"base_filters": 2, "normalization": "plain_instance"}
    networks = Networks(
        encoder=latent_encoder((128, 128), **kind),
        generator=unet_generator((128, 128), dropout_rate=0.0, latent_size=8, **kind),
        discriminator=pyramid_discriminator(2, 2, conditional=False, **kind),
        discriminator_2=pyramid_discriminator(2, 2, conditional=False, **kind),
    )
    for network in NETWORKS:
        assign_weights(getattr(networks, network), _weights(recorded, network, "initial"))
    step = RecordedNoise(networks, build_optimizer=build_optimizer, global_batch_size=2)
    step.noise = [
        (recorded[f"step_{number}/encoder_noise"], recorded[f"step_{number}/z_random"]) for number in (1, 2)
    ]
    return step


def _batch(recorded) -> dict[str, tf.Tensor]:
    images = {name: tf.constant(recorded[name]) for name in ("input_image", "target_image")}
    return {**images, "noise_seed": tf.zeros([2, 2], tf.int32)}


def test_first_outputs(recorded):
    step, batch = _build_step(recorded, build_torch_adam), _batch(recorded)
    encoder_noise, drawn = step.draw_noise(batch["noise_seed"])
    mean, log_variance = step.encoder(batch["target_image"][:1], training=True)
    np.testing.assert_allclose(mean, recorded["mu"], atol=1e-5)
    np.testing.assert_allclose(log_variance, recorded["logvar"], atol=1e-5)
    encoded = mean + encoder_noise * tf.exp(log_variance / 2)
    for latent, name in ((encoded, "generated_encoded"), (drawn, "generated_random")):
        image = step.generate(batch["input_image"][:1], batch["noise_seed"][:1], latent)
        np.testing.assert_allclose(image, recorded[name], atol=1e-5)


def test_losses_and_weights_of_two_steps(recorded):
    step, batch = _build_step(recorded, build_torch_adam), _batch(recorded)
    for number in (1, 2):
        values = step.replica_step(batch)
        for ours, theirs in LOSSES.items():
            value = WEIGHTS.get(theirs, 1.0) * float(values[ours])
            assert value == pytest.approx(
                float(recorded[f"step_{number}/loss/{theirs}"]), rel=1e-5, abs=1e-9
            ), ours
    for network in NETWORKS:
        weights, expected = read_weights(getattr(step, network)), _weights(recorded, network, "after_2_steps")
        for name, values in expected.items():
            apart = np.abs(weights[name] - values)
            # Two steps of Adam move a weight by up to 4e-4, where rounding alone decides the sign too.
            assert apart.max() < 1e-3, name
            assert apart[_counts(network, name, values)].max(initial=0) < 1e-5, name


def _counts(network: str, name: str, values: np.ndarray) -> np.ndarray:
    """Returns which weights have a gradient, bool of the shape of `values`.

    A normalisation removes what is the same at all pixels: the bias before it, and what the taps of a kernel
    that never reach the padding make of z.
    """
    layer, kind = name.split("/")
    outer = ("encoder_1_conv", f"encoder_{DEPTH}_conv", "decoder_1_conv", "block_1_conv")
    before_norm = layer not in outer and (
        network == "generator" or "_patch_2" in layer or "_patch_3" in layer or layer.endswith("_1_conv")
    )
    counts = np.full(values.shape, not (before_norm and kind == "bias"))
    if before_norm and kind == "kernel" and layer.startswith("encoder_"):
        counts[1:3, 1:3, -8:] = False
    return counts
