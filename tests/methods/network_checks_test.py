"""Networks that pix2pix cannot train are refused, and what their layers add to a loss counts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.networks import discriminators, generators

IMAGE, SEED = (16, 16, 3), (2,)


def _generator(number_of_inputs: int = 2, filters: int = 3, outputs: int = 1, **options) -> keras.Model:
    inputs = [keras.Input(IMAGE), keras.Input(SEED, dtype="int32")][:number_of_inputs]
    image = keras.layers.Conv2D(filters, 3, padding="same", **options)(inputs[0])
    return keras.Model(inputs, [image] * outputs if outputs > 1 else image, name="mine")


def _scalar_discriminator() -> keras.Model:
    inputs = [keras.Input(IMAGE), keras.Input(IMAGE)]
    flat = keras.layers.Flatten()(keras.layers.Concatenate()(inputs))
    return keras.Model(inputs, keras.layers.Dense(1)(flat), name="judge")


@keras.utils.register_keras_serializable("tests")
class _Unbuilt(keras.Model):
    def call(self, inputs, training=False):
        return inputs[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"generator": lambda: _generator(1)}, r"takes \[input_image, noise_seed\].*mine with 1 inputs"),
        (
            {"generator": lambda: _generator(outputs=2)},
            r"mine must return one image .* and \(None, 16, 16, 3\)",
        ),
        ({"generator": lambda: _generator(filters=1)}, "of 1 channels, as they are the generator's output"),
        ({"generator": _Unbuilt}, "has no weights yet, so nothing could be trained"),
        ({"discriminator": _scalar_discriminator}, r"judge must return logits of patches .* \(None, 1\)"),
    ],
    ids=["one input", "two outputs", "channels", "unbuilt", "no patches"],
)
def test_what_does_not_fit_is_told_before_a_step(change, told):
    networks = {
        "generator": _generator,
        "discriminator": lambda: discriminators.patch_discriminator(16, base_filters=2),
        **change,
    }
    with pytest.raises(ValueError, match=told):
        TrainStep(**{name: build() for name, build in networks.items()})


def test_regularizers_of_both_networks_count():
    def lose(strength: float) -> dict[str, float]:
        keras.utils.set_random_seed(1)
        l2 = keras.regularizers.L2(strength)
        inputs = [keras.Input(IMAGE), keras.Input(IMAGE)]
        logits = keras.layers.Conv2D(1, 4, kernel_regularizer=l2)(keras.layers.Concatenate()(inputs))
        step = TrainStep(_generator(kernel_regularizer=l2), keras.Model(inputs, logits))
        networks = {"generator_loss": step.generator, "discriminator_loss": step.discriminator}
        added = {
            name: strength
            * sum(float(np.square(each).sum()) for each in network.get_weights() if each.ndim == 4)
            for name, network in networks.items()
        }
        x, y = np.random.default_rng(0).uniform(-1, 1, (2, 2, *IMAGE)).astype("float32")
        losses = step({"input_image": x, "target_image": y, "noise_seed": tf.zeros([2, 2], tf.int32)})
        return {name: float(losses[name]) - each for name, each in added.items()}

    # G's loss is that after a step of D, which the regularizer changes a little.
    assert lose(0.5) == pytest.approx(lose(0.0), rel=2e-3)
    assert generators.unet_generator(16, depth=2, base_filters=2).losses == []
