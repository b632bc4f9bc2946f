"""One step against a plain one written out by hand, and what several of them promise together."""

import dataclasses
import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.addends import most_addends
from tests.helpers.references import eager_step, hashed_training
from tfpix2pix.config import choices
from tfpix2pix.config.config import Config, make_config
from tfpix2pix.config.options import option
from tfpix2pix.methods import optimizers
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.methods.losses import LossTerm
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.networks import discriminators, generators
from tfpix2pix.networks.discriminators import with_features

ROOT = Path(__file__).resolve().parents[2]
GAN_NAMES = {
    "discriminator_loss",
    "discriminator_real_loss",
    "discriminator_generated_loss",
    "generator_gan_loss",
}


def _draw_batches(count: int) -> tf.data.Dataset:
    draw = np.random.default_rng(0)
    images = draw.uniform(-1, 1, (count, 2, 2, 8, 8, 3)).astype("float32")
    seeds = np.arange(4 * count, dtype="int32").reshape(count, 2, 2)
    example_ids = np.arange(2 * count).astype("S").reshape(count, 2)
    return tf.data.Dataset.from_tensor_slices(
        {
            "input_image": images[:, 0],
            "target_image": images[:, 1],
            "noise_seed": seeds,
            "example_id": example_ids,
        }
    )


def _draw_batch() -> dict[str, tf.Tensor]:
    return next(iter(_draw_batches(1)))


def _build_networks(
    objective: str = "l1+cgan",
    dtype: str = "float32",
    scale: float = 10.0,
    upsampling: str = "transposed",
):
    """Builds the same tiny networks every time, whose kernels are `scale` times as large as in training."""
    keras.utils.set_random_seed(1)
    generator = generators.unet_generator((8, 8), depth=2, base_filters=4, upsampling=upsampling, dtype=dtype)
    discriminator = discriminators.patch_discriminator(
        16, conditional="cgan" in objective, base_filters=4, dtype=dtype
    )
    for network in (generator, discriminator):
        network.set_weights([value * (scale if value.ndim == 4 else 1) for value in network.get_weights()])
    return generator, discriminator


def _build_step(objective: str = "l1+cgan", learning_rate: float | None = None, **options) -> TrainStep:
    """Builds a step with plain gradient descent, or with Adam when no rate is given."""
    of_networks = {name: options.pop(name) for name in ("dtype", "upsampling") if name in options}
    generator, discriminator = _build_networks(objective, **of_networks)
    if learning_rate is not None:
        options["generator_optimizer"] = keras.optimizers.SGD(learning_rate)
        options["discriminator_optimizer"] = keras.optimizers.SGD(learning_rate)
    return TrainStep(
        generator,
        None if objective == "l1" else discriminator,
        objective=objective,
        global_batch_size=2,
        **options,
    )


def _all_variables(train_step: TrainStep) -> list:
    owners = [
        train_step.generator,
        train_step.discriminator,
        train_step.generator_optimizer,
        train_step.discriminator_optimizer,
    ]
    return [train_step.step, *(variable for owner in owners for variable in owner.variables)]


def _largest_difference(one: keras.Model, other: keras.Model) -> float:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return max(float(np.abs(first - second).max()) for first, second in pairs)


# Objective -> (weight of the GAN loss, weight of L1) in the oracle.
OBJECTIVES = {"l1": (0, 7), "gan": (1, 0), "cgan": (1, 0), "l1+gan": (1, 7), "l1+cgan": (1, 7)}


@pytest.mark.parametrize("objective", choices.OBJECTIVES)
def test_a_step_agrees_with_one_written_out(objective):
    batch, learning_rate = _draw_batch(), 0.1
    train_step = _build_step(objective, learning_rate, lambda_l1=7.0)
    values = train_step.replica_step(batch)
    generator, discriminator = _build_networks(objective)
    gan_weight, lambda_l1 = OBJECTIVES[objective]
    eager_step.take_step(generator, discriminator, batch, learning_rate, lambda_l1, gan_weight)
    assert _largest_difference(train_step.generator, generator) < 1e-6
    assert _largest_difference(generator, _build_networks(objective)[0]) > 1e-3
    if objective != "l1":
        assert _largest_difference(train_step.discriminator, discriminator) < 1e-6
    expected = {"l1_loss", "generator_loss"} | (set() if objective == "l1" else GAN_NAMES)
    assert set(values) == set(train_step.loss_names) == expected
    total = gan_weight * float(values.get("generator_gan_loss", 0)) + lambda_l1 * float(values["l1_loss"])
    assert float(values["generator_loss"]) == pytest.approx(total, rel=1e-6)


def test_generator_learns_from_the_updated_discriminator():
    batch, learning_rate = _draw_batch(), 0.1
    train_step = _build_step("cgan", learning_rate)
    train_step.replica_step(batch)
    generator, discriminator = _build_networks("cgan")
    eager_step.take_step(generator, discriminator, batch, learning_rate, 0.0, discriminator_first=False)
    # D is the same in either order, G is not.
    assert _largest_difference(train_step.discriminator, discriminator) < 1e-6
    assert _largest_difference(train_step.generator, generator) > 1e-5


@pytest.mark.parametrize("frozen", ["generator", "discriminator"])
def test_the_update_of_one_network_leaves_the_other_alone(frozen):
    train_step = _build_step(learning_rate=0.1)
    setattr(train_step, f"{frozen}_optimizer", keras.optimizers.SGD(0.0))
    moving = {"generator": "discriminator", "discriminator": "generator"}[frozen]
    before = {name: getattr(train_step, name).get_weights() for name in (frozen, moving)}
    train_step.replica_step(_draw_batch())
    for value, earlier in zip(getattr(train_step, frozen).get_weights(), before[frozen], strict=True):
        np.testing.assert_array_equal(value, earlier)
    moved = zip(getattr(train_step, moving).get_weights(), before[moving], strict=True)
    assert all((value != earlier).any() for value, earlier in moved)


def test_discriminator_gradient_is_halved():
    generator = generators.unet_generator((8, 8), depth=2, base_filters=2)
    discriminator = discriminators.patch_discriminator(1, base_filters=1, normalization="none")
    discriminator.set_weights([np.zeros_like(value) for value in discriminator.get_weights()])
    bias = discriminator.get_layer("patch_logits_conv").bias
    bias.assign([math.log(3)])
    train_step = TrainStep(
        generator,
        discriminator,
        global_batch_size=2,
        discriminator_optimizer=keras.optimizers.SGD(1.0),
        generator_optimizer=keras.optimizers.SGD(0.0),
    )
    values = train_step.replica_step(_draw_batch())
    # Every logit is log 3: D(x) = 3/4, log-losses log 4/3 and log 4, slopes -1/4 and 3/4.
    assert float(values["discriminator_real_loss"]) == pytest.approx(0.2876821, rel=1e-5)
    assert float(values["discriminator_generated_loss"]) == pytest.approx(1.3862944, rel=1e-5)
    assert float(values["discriminator_loss"]) == pytest.approx(0.8369882, rel=1e-5)
    assert float(bias[0]) == pytest.approx(1.0986123 - 0.25, rel=1e-5)
    # log(1 + e^-0.8486123): the updated D's.
    assert float(values["generator_gan_loss"]) == pytest.approx(0.3562802, rel=1e-5)


def test_calls_of_any_length_end_with_the_same_bits():
    train_step = _build_step()
    beginning = [variable.numpy() for variable in _all_variables(train_step)]
    ends = []
    for lengths in ([3], [1, 1, 1]):
        for variable, value in zip(_all_variables(train_step), beginning, strict=True):
            variable.assign(value)
        batches = iter(_draw_batches(3))
        history = [train_step.run_steps(batches, length) for length in lengths]
        assert [len(values["l1_loss"]) for values in history] == lengths
        values = [variable.numpy() for variable in _all_variables(train_step)]
        assert values[0] == 3
        ends.append([*values, np.concatenate([values["l1_loss"] for values in history])])
    assert any((value != earlier).any() for value, earlier in zip(ends[0][1:-1], beginning[1:], strict=True))
    for value, expected in zip(*ends, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_call_with_one_batch_takes_one_step():
    called, stepped = _build_step(learning_rate=0.1), _build_step(learning_rate=0.1)
    values, expected = called(_draw_batch()), stepped.replica_step(_draw_batch())
    assert set(values) == set(expected)
    for name, value in values.items():
        assert float(value) == pytest.approx(float(expected[name]), rel=1e-5), name
    assert int(called.step) == 1
    assert _largest_difference(called.generator, stepped.generator) < 1e-6


def test_batches_that_no_dataset_yields_are_refused():
    with pytest.raises(TypeError, match="must be the iterator of a dataset. Received: .*list_iterator"):
        _build_step().run_steps(iter([_draw_batch()]), 1)


def test_losses_are_divided_by_the_global_batch():
    generator, discriminator = _build_networks()
    whole = TrainStep(generator, discriminator, global_batch_size=2).replica_step(_draw_batch())
    generator, discriminator = _build_networks()
    share = TrainStep(generator, discriminator, global_batch_size=8).replica_step(_draw_batch())
    for name in whole:
        assert float(share[name]) == pytest.approx(float(whole[name]) / 4, rel=1e-6), name


@pytest.mark.parametrize(("dtype", "loss_scaling"), [("mixed_bfloat16", False), ("mixed_float16", True)])
def test_mixed_precision_trains(dtype, loss_scaling):
    train_step = _build_step(
        dtype=dtype,
        generator_optimizer=optimizers.build_adam(loss_scaling=loss_scaling),
        discriminator_optimizer=optimizers.build_adam(loss_scaling=loss_scaling),
    )
    before = [network.get_weights() for network in (train_step.generator, train_step.discriminator)]
    history = train_step.run_steps(iter(_draw_batches(4)), 4)
    exact = _build_step().replica_step(_draw_batch())
    for name, values in history.items():
        assert np.isfinite(values).all(), name
        assert float(values[0]) == pytest.approx(float(exact[name]), rel=0.02), name
    for network, earlier in zip((train_step.generator, train_step.discriminator), before, strict=True):
        values = network.get_weights()
        assert all(np.isfinite(value).all() and value.dtype == np.float32 for value in values)
        assert max(np.abs(one - other).max() for one, other in zip(values, earlier, strict=True)) > 1e-4


def test_compiled_step_agrees_with_the_plain_one():
    plain, compiled = _build_step(learning_rate=0.05), _build_step(learning_rate=0.05, jit_compile=True)
    expected = [plain.replica_step(batch) for batch in _draw_batches(2)]
    history = compiled.run_steps(iter(_draw_batches(2)), 2)
    for place, values in enumerate(expected):
        for name, value in values.items():
            assert float(history[name][place]) == pytest.approx(float(value), rel=1e-4), name
    assert _largest_difference(plain.generator, compiled.generator) < 1e-4
    assert _largest_difference(plain.discriminator, compiled.discriminator) < 1e-4


@pytest.mark.parametrize(
    ("objective", "conditional", "message"),
    [
        ("l1", True, "objective='l1' takes no discriminator. Received: a discriminator with 2 inputs"),
        ("gan", None, "objective='gan' takes one of the target alone. Received: .* with 0 inputs"),
        ("l1+gan", True, r"objective='l1\+gan' takes one of the target alone. Received: .* with 2 inputs"),
        ("l1+cgan", False, r"objective='l1\+cgan' takes a conditional one. Received: .* with 1 inputs"),
        ("wgan", True, "objective must be one of .*'l1'.*'l1.cgan'.* Received: objective='wgan'"),
    ],
)
def test_a_discriminator_that_does_not_fit_is_refused(objective, conditional, message):
    generator = generators.unet_generator((8, 8), depth=2, base_filters=2)
    discriminator = None
    if conditional is not None:
        discriminator = discriminators.patch_discriminator(1, conditional=conditional, base_filters=2)
    with pytest.raises(ValueError, match=message):
        TrainStep(generator, discriminator, objective=objective)


def test_adam_is_the_papers():
    adam = optimizers.build_adam()
    assert (float(adam.learning_rate), adam.beta_1, adam.beta_2, adam.epsilon) == (
        pytest.approx(2e-4),
        0.5,
        0.999,
        1e-8,
    )


@pytest.mark.parametrize("upsampling", choices.UPSAMPLINGS)
def test_no_tensor_gets_its_gradient_from_three_places(upsampling):
    assert most_addends(_build_step(upsampling=upsampling).replica_step, _draw_batch()) == 2


@pytest.mark.slow
def test_processes_agree_bit_for_bit(capsys):
    command = [sys.executable, str(ROOT / "tests" / "helpers" / "references" / "hashed_training.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    hashed_training.main()  # beside them
    outputs = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs[0][1]
    checksums = {capsys.readouterr().out, *(output for output, _ in outputs)}
    assert len(checksums) == 1
    assert len(checksums.pop().strip()) == 64


def test_a_term_reads_features_of_the_updated_discriminator():
    """The discriminator is updated first, as for the GAN's own loss."""
    seen = {}

    def compute(pair):
        seen["shapes"] = [features.shape for features in pair.target_features]
        distances = [
            tf.reduce_mean(tf.abs(real - generated), [1, 2, 3])
            for real, generated in zip(pair.target_features, pair.generated_features, strict=True)
        ]
        return tf.reduce_mean(tf.stack(distances), 0)

    generator = generators.unet_generator((32, 32), depth=3, base_filters=4)
    discriminator = discriminators.patch_discriminator(16, base_filters=4)
    step = TrainStep(
        generator, discriminator, lambda_l1=0.0, terms={"match": LossTerm(2.0, compute, reads_features=True)}
    )
    batch = {
        "input_image": tf.random.stateless_uniform([1, 32, 32, 3], [0, 1], -1, 1),
        "target_image": tf.random.stateless_uniform([1, 32, 32, 3], [0, 2], -1, 1),
        "noise_seed": tf.zeros([1, 2], tf.int32),
    }
    generated_image = generator([batch["input_image"], batch["noise_seed"]], training=True)
    losses = step(batch)
    assert seen["shapes"] == [(1, 16, 16, 4), (1, 15, 15, 8)]
    model = with_features(discriminator)  # of weights that this step has updated
    features = [
        model([batch["input_image"], image], training=True)[:-1]
        for image in (batch["target_image"], generated_image)
    ]
    expected = np.mean([np.abs(real - fake).mean() for real, fake in zip(*features, strict=True)])
    assert losses["match_loss"].numpy() == pytest.approx(expected, rel=1e-5)
    total = losses["generator_gan_loss"] + 2.0 * losses["match_loss"]
    assert losses["generator_loss"].numpy() == pytest.approx(float(total), rel=1e-6)


def test_a_term_cannot_read_features_without_a_discriminator():
    term = LossTerm(1.0, lambda pair: pair.target_features, reads_features=True)
    with pytest.raises(ValueError, match="objective='l1' has no discriminator whose features"):
        TrainStep(generators.unet_generator((32, 32), base_filters=4), objective="l1", terms={"match": term})


def squared_difference(pair):
    return tf.reduce_mean((pair.target_image - pair.generated_image) ** 2, [1, 2, 3])


def test_a_setting_that_names_a_term_is_all_that_a_new_loss_takes():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class WithL2(Config):
        lambda_l2: float = option(0.0, "Weigh L2.", group="objective", minimum=0, term=squared_difference)

    settings = dataclasses.asdict(make_config(dataset="synthetic", image_size=32, depth=3, base_filters=4))
    assert build_train_step(WithL2(**settings), 1).loss_names[-3:] == (
        "generator_gan_loss",
        "l1_loss",
        "generator_loss",
    )
    step = build_train_step(WithL2(**settings, lambda_l2=3.0), 1)
    assert step.terms["l2"].weight == 3.0 and "l2_loss" in step.loss_names


def test_a_batch_is_divided_by_its_own_size():
    """Without a given size, four copies of a pair have the losses and the gradients of the pair."""
    pair = {name: value[:1] for name, value in _draw_batch().items() if name != "example_id"}
    four = {name: tf.concat([value] * 4, 0) for name, value in pair.items()}
    steps = []
    for batch in (pair, four):
        generator, discriminator = _build_networks("l1+cgan")
        sgd = [keras.optimizers.SGD(0.1) for _ in range(2)]
        step = TrainStep(generator, discriminator, generator_optimizer=sgd[0], discriminator_optimizer=sgd[1])
        steps.append((step, step(batch)))
    (one, losses), (other, of_four) = steps
    assert {name: float(value) for name, value in of_four.items()} == pytest.approx(
        {name: float(value) for name, value in losses.items()}, rel=1e-5
    )
    assert _largest_difference(one.generator, other.generator) < 1e-5


def test_a_checkpoint_of_tensorflow_holds_a_step(tmp_path):
    trained, fresh = _build_step(), _build_step()
    trained(_draw_batch())
    path = tf.train.Checkpoint(step=trained).write(str(tmp_path / "state"))
    tf.train.Checkpoint(step=fresh).read(path).assert_existing_objects_matched()
    assert int(fresh.step) == 1
    trained(_draw_batch())
    fresh(_draw_batch())
    for value, expected in zip(_all_variables(fresh), _all_variables(trained), strict=True):
        np.testing.assert_array_equal(np.asarray(value), np.asarray(expected))
