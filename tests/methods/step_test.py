"""What a step of one's own may do, and what those of the package do without."""

import pytest
import tensorflow as tf

from tfpix2pix.config.config import make_config
from tfpix2pix.methods import step
from tfpix2pix.methods.bicyclegan import BicycleTrainStep
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.methods.coarse_to_fine import CoarseToFineStep
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.methods.pix2pixhd import HDTrainStep
from tfpix2pix.metrics.fcn.step import FcnStep


class _Branching(step.Step):
    """Returns the number of bright rows of an image, found by Python's `if` and `for` on tensors."""

    inputs = ("input_image",)
    loss_names = ("bright",)
    rate = 0.0

    def variables(self):
        return {"step": self.step}

    def replica_step(self, batch):
        bright = tf.constant(0.0)
        for row in tf.range(tf.shape(batch["input_image"])[1]):
            if tf.reduce_mean(batch["input_image"][:, row]) > 0:
                bright += 1.0
        self.step.assign_add(1)
        return {"bright": bright}


def test_a_step_of_ones_own_may_use_if_and_for_on_tensors():
    half_bright = tf.constant([1.0, -1.0, 1.0, -1.0])[None, :, None, None] * tf.ones([1, 4, 3, 1])
    images = tf.concat([half_bright, tf.ones([1, 4, 3, 1])], 0)
    dataset = tf.data.Dataset.from_tensor_slices({"input_image": images}).batch(1)
    branching = _Branching()
    assert branching.run_steps(iter(dataset), 2)["bright"].numpy().tolist() == [2, 4]
    assert float(branching({"input_image": images[1:]})["bright"]) == 4
    assert int(branching.step) == 3


@pytest.mark.parametrize("kind", [TrainStep, HDTrainStep, BicycleTrainStep, CoarseToFineStep, FcnStep])
def test_steps_of_the_package_do_without_autograph_which_slows_down_the_start(kind):
    assert hasattr(kind.replica_step, step._UNCONVERTED)
    assert not hasattr(_Branching.replica_step, step._UNCONVERTED)


@pytest.mark.parametrize(
    "settings",
    [
        {"preset": "fast", "objective": "l1"},
        {"method": "pix2pixhd", "objective": "l1"},
        {"method": "bicyclegan", "generator": "global"},
    ],
    ids=["preset without discriminator", "recipe without discriminator", "recipe with another generator"],
)
def test_what_a_preset_or_a_recipe_sets_without_effect_hinders_no_step(settings):
    config = make_config(dataset="synthetic", image_size=64, base_filters=2, **settings)
    train_step = build_train_step(config, total_steps=1)
    assert "feature_matching_loss" not in train_step.loss_names
    assert train_step.generator.count_params() > 0
