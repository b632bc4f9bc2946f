"""Two replicas against one, with the whole batch: the same weights after the same steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.methods.losses import LossTerm, feature_matching
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.methods.pix2pixhd import HDTrainStep
from tfpix2pix.networks import discriminators, encoders, generators, residual
from tfpix2pix.networks.keras_versions import tf_variable, variable_path
from tfpix2pix.pipelines.meaning import Palette

NUM_STEPS = 2
PALETTE = Palette(
    ("sky", "car"), np.array([[70, 130, 180], [128, 64, 128]], np.uint8), np.zeros((0, 3), np.uint8)
)


def _draw_batches() -> tf.data.Dataset:
    draw = np.random.default_rng(0)
    images = draw.uniform(-1, 1, (NUM_STEPS, 2, 4, 8, 8, 3)).astype("float32")
    seeds = draw.integers(-99, 99, (NUM_STEPS, 4, 2)).astype("int32")
    return tf.data.Dataset.from_tensor_slices(
        {"input_image": images[:, 0], "target_image": images[:, 1], "noise_seed": seeds}
    )


def _build_step(global_batch_size: int, dropout_rate: float = 0.5) -> TrainStep:
    """Builds a step of plain gradient descent: Adam would hide a wrong scale of the loss."""
    keras.utils.set_random_seed(0)
    generator = generators.unet_generator(
        (8, 8), depth=2, base_filters=4, normalization="instance", dropout_rate=dropout_rate
    )
    discriminator = discriminators.patch_discriminator(16, base_filters=4, normalization="instance")
    for network in (generator, discriminator):
        network.set_weights([value * (5 if value.ndim == 4 else 1) for value in network.get_weights()])
    return TrainStep(
        generator,
        discriminator,
        lambda_l1=10.0,
        generator_optimizer=keras.optimizers.SGD(0.05),
        discriminator_optimizer=keras.optimizers.SGD(0.05),
        global_batch_size=global_batch_size,
    )


def _draw_label_maps() -> tf.data.Dataset:
    """Returns batches of label maps with ids of instances, and of photos."""
    draw = np.random.default_rng(0)
    ids = draw.integers(0, 4, (NUM_STEPS, 4, 4, 4)).repeat(4, 2).repeat(4, 3)
    label_maps = np.concatenate([PALETTE.colours[ids % 2] / 127.5 - 1, ids[..., None] / 32767.5 - 1], -1)
    photos = draw.uniform(-1, 1, (NUM_STEPS, 4, 16, 16, 3))
    return tf.data.Dataset.from_tensor_slices(
        {
            "input_image": label_maps.astype("float32"),
            "target_image": photos.astype("float32"),
            "noise_seed": np.zeros((NUM_STEPS, 4, 2), "int32"),
        }
    )


def _build_hd_step(global_batch_size: int) -> HDTrainStep:
    """Builds a step of pix2pixHD on one-hot label maps, with borders and features of instances."""
    keras.utils.set_random_seed(0)
    sees = {"palette": PALETTE, "boundary_classes": PALETTE}
    generator = residual.global_generator(
        4, depth=1, residual_blocks=1, base_filters=4, instance_features=2, **sees
    )
    discriminator = discriminators.multiscale_discriminator(2, 1, input_channels=4, base_filters=4, **sees)
    encoder = encoders.feature_encoder(features=2, depth=1, base_filters=4)
    return HDTrainStep(
        generator,
        discriminator,
        encoder=encoder,
        objective="cgan",
        gan_loss="least_squares",
        terms={"feature_matching": LossTerm(10.0, feature_matching, reads_features=True)},
        generator_optimizer=keras.optimizers.SGD(0.05),
        discriminator_optimizer=keras.optimizers.SGD(0.05),
        global_batch_size=global_batch_size,
    )


def _weights(train_step: TrainStep) -> list[np.ndarray]:
    networks = [train_step.generator, train_step.discriminator, getattr(train_step, "encoder", None)]
    return [value for network in networks if network for value in network.get_weights()]


def _train_one(
    build=_build_step, draw=_draw_batches, **settings
) -> tuple[list[np.ndarray], list[dict[str, tf.Tensor]]]:
    train_step = build(4, **settings)
    history = [train_step.replica_step(batch) for batch in draw()]
    return _weights(train_step), history


def _train_two(
    strategy, global_batch_size: int, build=_build_step, draw=_draw_batches
) -> tuple[list[np.ndarray], dict[str, tf.Tensor]]:
    with strategy.scope():
        train_step = build(global_batch_size)
    batches = iter(strategy.experimental_distribute_dataset(draw()))
    history = train_step.run_steps(batches, NUM_STEPS)
    assert train_step.step.numpy() == NUM_STEPS
    return _weights(train_step), history


def _largest_difference(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    return max(float(np.abs(one - other).max()) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize(
    ("build", "draw"),
    [(_build_step, _draw_batches), (_build_hd_step, _draw_label_maps)],
    ids=["pix2pix", "hd"],
)
def test_two_replicas_with_half_the_batch_equal_one_with_all_of_it(mirrored_strategy, build, draw):
    assert mirrored_strategy.num_replicas_in_sync == 2
    one, one_history = _train_one(build, draw)
    two, two_history = _train_two(mirrored_strategy, 4, build, draw)
    for number, values in enumerate(one_history):
        for name, value in values.items():
            np.testing.assert_allclose(two_history[name][number], value, rtol=1e-5, err_msg=name)
    assert _largest_difference(one, two) < 2e-6


def test_the_comparison_sees_what_is_wrong(mirrored_strategy):
    one, _ = _train_one()
    # What the comparison can see: noise left out, and losses divided by the replica's batch.
    assert _largest_difference(one, _train_one(dropout_rate=0.0)[0]) > 1e-3
    assert _largest_difference(one, _train_two(mirrored_strategy, global_batch_size=2)[0]) > 1e-2


def test_adam_keeps_replicas_alike(mirrored_strategy):
    with mirrored_strategy.scope():
        generator = generators.unet_generator((8, 8), depth=2, base_filters=2)
        discriminator = discriminators.patch_discriminator(16, base_filters=2)
        before = generator.get_weights()
        train_step = TrainStep(generator, discriminator, global_batch_size=4)
        train_step.keep_average(0.9)
    train_step.run_steps(iter(mirrored_strategy.experimental_distribute_dataset(_draw_batches())), NUM_STEPS)
    optimizers = train_step.generator_optimizer.variables + train_step.discriminator_optimizer.variables
    average = train_step.output_generator
    for variable in (*generator.variables, *average.variables, *discriminator.variables, *optimizers):
        copies = mirrored_strategy.experimental_local_results(tf_variable(variable))
        assert len(copies) == 2
        np.testing.assert_array_equal(*copies, err_msg=variable_path(variable))
    for value, earlier in zip(generator.get_weights(), before, strict=True):
        # Two steps of 2e-4.
        assert 1e-4 < np.abs(value - earlier).max() < 5e-4
    for averaged, value in zip(average.get_weights(), generator.get_weights(), strict=True):
        # After two steps 1/11 of the average is what it was after the first one.
        assert 0 < np.abs(averaged - value).max() < 2e-4 / 10


def test_compiling_for_replicas_is_refused(mirrored_strategy):
    with mirrored_strategy.scope():
        generator = generators.unet_generator((8, 8), depth=2, base_filters=2)
        with pytest.raises(ValueError, match="on one replica.* Received: 2 replicas"):
            TrainStep(generator, objective="l1", jit_compile=True)
