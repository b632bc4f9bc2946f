"""Less memory for the gradient: the same bits, from parts of the network that are computed twice."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import runs
from tfpix2pix.config.config import make_config
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.networks.generators import unet_generator
from tfpix2pix.networks.remat import rematerialize
from tfpix2pix.networks.residual import enhancer_generator
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.meaning import Palette
from tfpix2pix.train.training import train_and_evaluate

GENERATORS = {
    "enhancer": lambda: enhancer_generator(
        depth=1, residual_blocks=1, base_filters=4, enhancer_blocks=1, latent_size=2, dtype="mixed_bfloat16"
    ),
    "unet": lambda: unet_generator((16, 16), depth=3, base_filters=4, latent_size=2, upsampling="nearest"),
}


def _differentiate(forward, generator):
    """Returns the image, the gradient of each weight, and how many convolutions the graph has."""
    image, target = (tf.random.stateless_uniform([1, 16, 16, 3], [0, seed], -1, 1) for seed in (1, 2))

    @tf.function(autograph=False)
    def compute():
        with tf.GradientTape() as tape:
            output = forward([image, tf.constant([[3, 4]])], training=True)
            loss = tf.reduce_mean(tf.square(output - target))
        return [output, *tape.gradient(loss, generator.trainable_variables)]

    operations = compute.get_concrete_function().graph.get_operations()
    return compute(), sum(operation.type == "Conv2D" for operation in operations)


@pytest.mark.parametrize("kind", GENERATORS)
def test_the_image_and_the_gradients_keep_their_bits(kind):
    keras.utils.set_random_seed(0)
    generator = GENERATORS[kind]()
    expected, convolutions = _differentiate(generator, generator)
    found, convolutions_now = _differentiate(rematerialize(generator), generator)
    for one, other in zip(expected, found, strict=True):
        # A bias before a normalisation has no gradient but what is rounded.
        assert one.shape.rank == 1 or np.any(one), "a gradient of zeros would prove nothing"
        np.testing.assert_array_equal(one, other)
    # All convolutions of a forward pass but the last, whose input is kept, are there twice.
    assert convolutions_now > 1.4 * convolutions


HD = {"dataset": "synthetic", "method": "pix2pixhd", "image_size": 32, "base_filters": 2, "depth": 2}
MODE_SEEKING = {"latent_size": 2, "lambda_mode_seeking": 0.5}


def _train(remat: bool) -> dict[str, np.ndarray]:
    settings = {**HD, **MODE_SEEKING, "residual_blocks": 1}
    config = make_config(**settings, num_discriminators=1, discriminator_layers=1)
    step = build_train_step(config, total_steps=2)
    if remat:
        step.rematerialize()
    images = tf.random.stateless_uniform([2, 1, 32, 32, 3], [0, 1], -1, 1)
    batch = {"input_image": images[0], "target_image": images[1], "noise_seed": tf.constant([[5, 6]])}
    step.run_steps(iter(tf.data.Dataset.from_tensors(batch).repeat()), 2)
    return {name: variable.numpy() for name, variable in step.variables().items()}


@pytest.mark.slow
def test_a_training_ends_with_the_same_bits():
    plain, lean = (_train(remat) for remat in (False, True))
    assert plain.keys() == lean.keys()
    for name, values in plain.items():
        np.testing.assert_array_equal(values, lean[name], err_msg=name)


def test_a_generator_with_features_of_instances_takes_less_too():
    settings = {"boundaries": True, "input_encoding": "one_hot", "instance_features": 2}
    palette = Palette(("one",), np.array([[255, 0, 0]], np.uint8), np.array([[0, 0, 0]], np.uint8))
    config = make_config(**HD, residual_blocks=1, **settings)
    step = build_train_step(config, total_steps=2, palette=palette)
    step.rematerialize()
    assert step.training_generator is not step.trained_network
    assert len(step.trained_network.inputs) == 3


def test_stages_of_the_whole_size_take_less():
    settings = {"generator": "enhancer", "residual_blocks": 1, "global_steps": 1, "enhancer_only_steps": 1}
    step = build_train_step(make_config(**HD, **settings), total_steps=3)
    step.rematerialize()
    of_each = [stage.step.training_generator is not stage.step.generator for stage in step.stages]
    assert of_each == [False, True, True]


@pytest.mark.slow
def test_the_setting_reaches_the_step(tmp_path):
    steps = []

    def build(config, total_steps):
        steps.append(build_train_step(config, total_steps))
        return steps[-1]

    config = runs.tiny_config(runs.write_dataset(tmp_path / "data"), remat=True, steps=1, export=False)
    train_and_evaluate(config, tmp_path / "run", build_step=build)
    assert steps[0].training_generator is not steps[0].generator


@pytest.mark.parametrize("other", [{"jit_compile": True}, {"method": "bicyclegan"}])
def test_what_it_does_not_go_with_is_told(other):
    with pytest.raises(UsageError, match="`remat"):
        make_config(dataset="synthetic", remat=True, **other)
