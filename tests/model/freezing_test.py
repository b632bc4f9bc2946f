"""Layers and networks that are frozen keep their weights, in `fit` and in a training step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.model.pix2pix import Pix2Pix
from tfpix2pix.networks import discriminators, generators
from tfpix2pix.networks.keras_versions import IS_KERAS_3

X, Y = np.random.default_rng(0).uniform(-1, 1, (2, 2, 16, 16, 3)).astype("float32")
FIRST = {"generator": "encoder_1_conv", "discriminator": "patch_1_conv"}


@pytest.fixture
def networks():
    keras.utils.set_random_seed(1)
    return {
        "generator": generators.unet_generator((16, 16), depth=2, base_filters=2),
        "discriminator": discriminators.patch_discriminator(16, base_filters=2),
    }


def _changes(networks, train) -> dict[str, list[bool]]:
    """Returns, for each network, whether each of its weights was changed."""
    before = {name: network.get_weights() for name, network in networks.items()}
    train()
    return {
        name: [bool((old != new).any()) for old, new in zip(before[name], each.get_weights(), strict=True)]
        for name, each in networks.items()
    }


@pytest.mark.parametrize("frozen", ["generator", "discriminator"])
def test_a_frozen_network_stays_and_the_other_one_is_trained(networks, frozen):
    networks[frozen].trainable = False
    model = Pix2Pix(**networks)
    model.compile()
    changes = _changes(networks, lambda: model.fit(X, Y, verbose=0))
    assert {name: any(each) for name, each in changes.items()} == {name: name != frozen for name in networks}


def test_a_model_that_is_not_trainable_changes_nothing(networks):
    model = Pix2Pix(**networks, trainable=False)
    model.compile()
    changes = _changes(networks, lambda: model.fit(X, Y, verbose=0))
    assert not any(map(any, changes.values()))
    assert model.trainable_variables == []


# With Keras 2, what was set when the model was compiled counts.
@pytest.mark.parametrize("when", ["before", "after"] if IS_KERAS_3 else ["before"])
def test_layers_may_be_frozen_before_and_after_compiling(networks, when):
    model = Pix2Pix(**networks)
    if when == "after":
        model.compile()
    for name, layer in FIRST.items():
        networks[name].get_layer(layer).trainable = False
    if when == "before":
        model.compile()
    kept = {name: networks[name].get_layer(layer).get_weights()[0] for name, layer in FIRST.items()}
    changes = _changes(networks, lambda: model.fit(X, Y, verbose=0))
    for name, layer in FIRST.items():
        np.testing.assert_array_equal(networks[name].get_layer(layer).get_weights()[0], kept[name])
        assert any(changes[name])


def test_a_training_step_leaves_a_frozen_discriminator(networks):
    networks["discriminator"].trainable = False
    step = TrainStep(**networks)
    batch = {"input_image": X, "target_image": Y, "noise_seed": tf.zeros([2, 2], tf.int32)}
    changes = _changes(networks, lambda: step(batch))
    assert any(changes["generator"]) and not any(changes["discriminator"])
