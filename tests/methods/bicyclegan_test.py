"""BicycleGAN: which loss moves which network, replicas, precision, resuming, refused settings."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import runs
from tests.helpers.addends import most_addends
from tfpix2pix.config.config import make_config
from tfpix2pix.methods.bicyclegan import BicycleTrainStep, Networks, check_halves
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.methods.losses import kl_loss
from tfpix2pix.networks import encoders
from tfpix2pix.networks.discriminators import pyramid_discriminator
from tfpix2pix.networks.encoders import blocks_for, latent_encoder
from tfpix2pix.networks.generators import unet_generator
from tfpix2pix.networks.residual import global_generator
from tfpix2pix.pipelines.base.errors import UsageError

NETWORKS = ("encoder", "generator", "discriminator", "discriminator_2")
NUM_STEPS = 2
COMMAND = {
    "method": "bicyclegan",
    "discriminator_layers": 1,
    "latent_size": 2,
    "receptive_field": 70,
    "steps": 4,
    "checkpoint_every_steps": 2,
    "summary_every_steps": 1,
}


def _draw_batches() -> tf.data.Dataset:
    draw = np.random.default_rng(0)
    images = draw.uniform(-1, 1, (NUM_STEPS, 2, 4, 16, 16, 3)).astype("float32")
    seeds = draw.integers(-99, 99, (NUM_STEPS, 4, 2)).astype("int32")
    return tf.data.Dataset.from_tensor_slices(
        {"input_image": images[:, 0], "target_image": images[:, 1], "noise_seed": seeds}
    )


def _build_step(
    global_batch_size: int = 4, rate: float = 0.05, generator: keras.Model | None = None, **settings
) -> BicycleTrainStep:
    """Builds a step of plain gradient descent: Adam would hide a wrong scale of the loss."""
    keras.utils.set_random_seed(0)
    kind = {"base_filters": 2, "normalization": "plain_instance"}
    discriminators = [pyramid_discriminator(1, 1, conditional=False, **kind) for _ in range(2)]
    networks = Networks(
        latent_encoder((16, 16), latent_size=3, **kind),
        generator or unet_generator((16, 16), depth=2, dropout_rate=0.5, latent_size=3, **kind),
        *discriminators,
    )
    for name in NETWORKS:
        network = getattr(networks, name)
        network.set_weights([value * (5 if value.ndim == 4 else 1) for value in network.get_weights()])
    return BicycleTrainStep(
        networks,
        build_optimizer=lambda: keras.optimizers.SGD(rate),
        global_batch_size=global_batch_size,
        **settings,
    )


def _weights(step: BicycleTrainStep) -> dict[str, list[np.ndarray]]:
    return {name: getattr(step, name).get_weights() for name in NETWORKS}


def _largest_difference(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    return max(float(np.abs(one - other).max()) for one, other in zip(some, others, strict=True))


def test_kl_by_hand():
    log_variance = tf.constant([[0.0, 0.0], [np.log(4.0), 0.0]], tf.float32)
    mean = tf.constant([[0.0, 2.0], [0.0, 0.0]])
    # Of N(2, 1): 2. Of N(0, 4): (4 - log 4 - 1) / 2.
    expected = [2.0, (4 - 1.3862944 - 1) / 2]
    np.testing.assert_allclose(kl_loss(mean, log_variance, tf.exp(log_variance / 2)), expected, rtol=1e-6)


def test_the_encoder_has_the_original_codes_size():
    # Counted from the original code's networks for 256 and 128 px with 64 filters.
    assert (blocks_for((256, 256)), blocks_for((128, 192)), blocks_for((64, 64))) == (5, 4, 3)
    widths = [layer.filters for layer in latent_encoder((256, 256)).layers if layer.name.endswith("_2_conv")]
    assert widths == [128, 192, 256, 256]
    assert encoders.MAX_WIDTH * 64 == 256


def test_drawn_z_that_is_found_moves_the_generator_alone():
    batch = next(iter(_draw_batches()))
    moved = {}
    for weight in (0.0, 5.0):
        step = _build_step(lambda_latent=weight)
        step.replica_step(batch)
        moved[weight] = _weights(step)
    differing = {name for name in NETWORKS if _largest_difference(moved[0.0][name], moved[5.0][name]) > 1e-6}
    assert differing == {"generator"}


def test_both_halves_are_read():
    batch, step = next(iter(_draw_batches())), _build_step()

    def compute(values: dict[str, tf.Tensor]) -> dict[str, float]:
        halves = ({name: each[half::2] for name, each in values.items()} for half in (0, 1))
        return {name: float(value) for name, value in step._compute_losses(*halves).items()}

    expected, changed = compute(batch), {}
    for half, name in ((0, "input_image"), (0, "target_image"), (1, "input_image"), (1, "target_image")):
        images = batch[name].numpy()
        images[half::2] *= -1
        values = compute({**batch, name: tf.constant(images)})
        changed[half, name] = {key for key in values if values[key] != pytest.approx(expected[key], rel=1e-4)}
    # D and D2 see no input images; of the second half D2 sees the targets, and nothing else counts.
    assert changed[1, "input_image"] == set()
    assert changed[1, "target_image"] == {"discriminator_2_loss"}
    assert "discriminator_2_loss" in changed[0, "input_image"]
    assert changed[0, "target_image"] >= {"discriminator_loss", "l1_loss", "kl_loss"}
    assert "latent_loss" not in changed[0, "target_image"]


@pytest.mark.slow
def test_two_replicas_equal_one(mirrored_strategy):
    one = _build_step()
    history = [one.replica_step(batch) for batch in _draw_batches()]
    with mirrored_strategy.scope():
        two = _build_step()
    batches = iter(mirrored_strategy.experimental_distribute_dataset(_draw_batches()))
    two_history = two.run_steps(batches, NUM_STEPS)
    for number, values in enumerate(history):
        for name, value in values.items():
            np.testing.assert_allclose(two_history[name][number], value, rtol=2e-5, atol=1e-7, err_msg=name)
    start, weights = _weights(_build_step()), _weights(one)
    for name in NETWORKS:
        assert _largest_difference(weights[name], _weights(two)[name]) < 3e-6
        assert _largest_difference(weights[name], start[name]) > 1e-4
    with mirrored_strategy.scope(), pytest.raises(UsageError, match="multiple of 4 for 2 replicas"):
        _build_step(global_batch_size=2)


@pytest.mark.slow
@pytest.mark.parametrize("build", [None, global_generator])
def test_no_tensor_gets_its_gradient_from_three_places(build):
    batch = next(iter(_draw_batches()))
    # z, which the encoder found, has a gradient from every layer that reads it.
    generator = build(depth=1, residual_blocks=1, base_filters=2, latent_size=3) if build else None
    step = _build_step(generator=generator)
    assert most_addends(step.replica_step, batch) == 2


@pytest.mark.slow
def test_a_configuration_in_bfloat16_trains():
    config = make_config(
        dataset="facades",
        method="bicyclegan",
        image_size=32,
        depth=3,
        base_filters=2,
        discriminator_layers=1,
        precision="mixed_bfloat16",
    )
    assert (config.batch_size, config.latent_size, config.dropout, config.objective) == (
        2,
        8,
        "none",
        "l1+gan",
    )
    step = build_train_step(config, total_steps=2)
    # Glorot's distribution times 0.02; the kernel has 4 * 4 * (11 + 2) / 2 values on average.
    kernel = step.generator.get_layer("encoder_1_conv").kernel
    assert float(tf.math.reduce_std(tf.cast(kernel, tf.float32))) == pytest.approx(0.02 / 104**0.5, rel=0.15)
    images = tf.random.stateless_uniform([2, 2, 32, 32, 3], [0, 1], -1, 1)
    batch = {"input_image": images[0], "target_image": images[1], "noise_seed": tf.constant([[1, 2], [3, 4]])}
    before = _weights(step)
    assert np.isfinite(list(step(batch).values())).all()
    for name in NETWORKS:
        assert getattr(step, name).layers[-2].dtype_policy is not None
        assert _largest_difference(before[name], getattr(step, name).get_weights()) > 1e-5


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path):
    data_dir = runs.write_dataset(tmp_path / "tiny")
    for workdir, stops in (("whole", (4,)), ("parts", (2, 4))):
        for steps in stops:
            settings = {**COMMAND, "steps": steps}
            process = runs.call(runs.train_command(data_dir, tmp_path / workdir, **settings))
            assert process.returncode == 0, process.stderr
    whole, parts = (runs.read_state(tmp_path / workdir, 4) for workdir in ("whole", "parts"))
    for network in NETWORKS:
        assert any(f"{network}_optimizer.Svelocity" in name for name in whole)
    runs.assert_same_state(parts, whole)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 3}, "`batch_size` must be even with `method=bicyclegan`"),
        ({"latent_size": 0}, "`method=bicyclegan` takes a latent vector; give `latent_size=8`"),
        ({"objective": "l1"}, "takes `objective=l1.gan` or `l1.cgan`. Received: l1"),
        ({"lambda_mode_seeking": 1.0}, "`lambda_mode_seeking` has no effect with `method=bicyclegan`"),
        ({"image_size": 40}, "`image_size` must be at least 48 px on each side with `discriminator=pyramid`"),
        ({"method": "pix2pix", "lambda_kl": 1.0}, "`lambda_kl` has no effect with `method=pix2pix`"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        make_config(dataset="facades", **{"method": "bicyclegan", **settings})
    check_halves(4, 2)
