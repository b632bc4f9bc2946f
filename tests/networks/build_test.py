"""The networks that settings ask for, a user's own among them; and half the size in half precision."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.resnet import resnet_generator
from tests.helpers.tiny_run import build_generator
from tfpix2pix.config import config as configs
from tfpix2pix.config.choices import DISCRIMINATORS, GENERATORS
from tfpix2pix.config.config import make_config
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.networks import build
from tfpix2pix.networks.inference import cast_kernels
from tfpix2pix.networks.keras_versions import variable_path
from tfpix2pix.networks.resnet import resnet_6blocks_generator
from tfpix2pix.pipelines.base.command_line import new_flags
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.homes import resolve

SETTINGS = {"image_size": 32, "base_filters": 2, "receptive_field": 16}


@pytest.fixture(params=["function", "address"])
def resnet(request, monkeypatch):
    """Adds a generator of the user's own to the table, as the function or as where it is."""
    home = resnet_generator if request.param == "function" else "tests.helpers.resnet:resnet_generator"
    monkeypatch.setitem(GENERATORS, "resnet", home)


def pixel_discriminator(input_channels, target_channels, conditional, base_filters, slope=0.2):
    inputs = [keras.Input((None, None, target_channels), name="target_image")]
    if conditional:
        inputs.insert(0, keras.Input((None, None, input_channels), name="input_image"))
    images = keras.layers.Concatenate()(inputs) if conditional else inputs[0]
    images = keras.layers.LeakyReLU(slope)(keras.layers.Conv2D(base_filters, 1)(images))
    return keras.Model(inputs if conditional else inputs[0], keras.layers.Conv2D(1, 1)(images), name="pixel")


@pytest.mark.parametrize(
    ("kind", "table", "settings"),
    [
        ("generator", GENERATORS, build.GENERATOR_SETTINGS),
        ("discriminator", DISCRIMINATORS, build.DISCRIMINATOR_SETTINGS),
    ],
)
def test_the_printed_settings_tell_what_a_network_does_not_take(kind, table, settings):
    for name, home in table.items():
        taken = set(inspect.signature(resolve(home)).parameters)
        expected = {setting for setting, names in settings.items() if not taken & set(names)}
        printed = configs.describe(make_config(**{kind: name})).splitlines()
        assert {line[2:].split()[0] for line in printed if f"(unused: {kind}={name})" in line} == expected


def test_the_printed_settings_tell_nothing_of_a_network_of_ones_own(resnet):
    assert "unused: generator" not in configs.describe(make_config(generator="resnet", image_size=32))


def test_one_entry_brings_flag_help_check_and_json(resnet):
    flag_values = new_flags()
    configs.define_flags(flag_values)
    assert "|global|enhancer|resnet>" in flag_values["generator"].help
    flag_values(["train", "--generator=resnet", "--image_size=32"])
    config = configs.config_from_flags(flag_values)
    assert config.generator == "resnet" and configs.from_json(config.to_json()) == config
    with pytest.raises(UsageError, match="must be one of unet, .*, resnet. Received: vit"):
        make_config(generator="vit")


@pytest.mark.slow
def test_a_generator_of_the_users_own_is_built_and_trained(resnet):
    config = make_config(generator="resnet", input_channels=1, output_channels=2, **SETTINGS)
    train_step = build_train_step(config, total_steps=2)
    assert train_step.generator.name == "resnet_generator"
    assert [tensor.shape[-1] for tensor in train_step.discriminator.inputs] == [1, 2]
    before = train_step.generator.get_weights()
    batch = {
        "input_image": tf.zeros([1, 32, 32, 1]),
        "target_image": tf.ones([1, 32, 32, 2]),
        "noise_seed": tf.constant([[1, 2]]),
    }
    assert np.isfinite(train_step(batch)["generator_loss"])
    assert train_step.generator([batch["input_image"], batch["noise_seed"]]).shape == (1, 32, 32, 2)
    after = train_step.generator.get_weights()
    assert any((old != new).any() for old, new in zip(before, after, strict=True))
    bfloat16 = build.build_generator(make_config(generator="resnet", precision="mixed_bfloat16", **SETTINGS))
    assert bfloat16.layers[-2].compute_dtype == "bfloat16"


@pytest.mark.parametrize("setting", [{"depth": 3}, {"upsampling": "nearest"}, {"dropout": "none"}])
def test_a_flag_without_effect_is_refused(resnet, setting):
    ((name, value),) = setting.items()
    message = f"`{name}` has no effect on `generator=resnet`; leave it out. Received: `{name}={value}`"
    with pytest.raises(UsageError, match=message):
        build.build_generator(make_config(generator="resnet", **setting, **SETTINGS))


@pytest.mark.parametrize(
    ("objective", "names"), [("cgan", ["input_image", "target_image"]), ("gan", ["target_image"])]
)
def test_a_discriminator_of_the_users_own_is_built(monkeypatch, objective, names):
    monkeypatch.setitem(DISCRIMINATORS, "pixel", pixel_discriminator)
    settings = {"discriminator": "pixel", "objective": objective, "input_channels": 4, "image_size": 32}
    model = build.build_discriminator(make_config(**settings, discriminator_filters=5))
    assert model.name == "pixel" and [tensor.name for tensor in model.inputs] == names
    assert model.layers[-3].output.shape[-1] == 5
    np.testing.assert_allclose(model.layers[-2](tf.constant([-1.0])), [-0.2])
    with pytest.raises(UsageError, match="`receptive_field` has no effect on `discriminator=pixel`"):
        build.build_discriminator(make_config(**settings, receptive_field=16))


def test_a_network_with_other_inputs_is_refused(monkeypatch):
    monkeypatch.setitem(GENERATORS, "pixel", lambda image_size: pixel_discriminator(3, 3, True, 2))
    message = "`generator=pixel` must have the inputs input_image, noise_seed. Received: input_image, target"
    with pytest.raises(ValueError, match=message):
        build.build_generator(make_config(generator="pixel", image_size=32))


def test_a_network_that_does_not_fit_into_memory_is_told_with_its_sizes():
    def allocate(base_filters, latent_size):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    config = make_config(dataset="synthetic", base_filters=4, latent_size=10**9)
    message = "too large for the memory.*Received: `base_filters=4`, `latent_size=1000000000`"
    with pytest.raises(UserError, match=message):
        build.build_generator(config, allocate)


@pytest.mark.parametrize("kind", ["transposed", "nearest", "residual"])
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_cast_kernels_change_no_bit(dtype, kind):
    if kind == "residual":
        generator = resnet_6blocks_generator(base_filters=4, dtype=dtype)
        for variable in generator.variables:
            variable.assign(variable * 3)  # The initial weights hardly matter to the output.
    else:
        generator = build_generator(dtype=dtype, upsampling=kind)
    copy = cast_kernels(generator)
    kernels = [weight for weight in copy.weights if variable_path(weight).endswith("kernel")]
    assert {tf.as_dtype(weight.dtype).name for weight in kernels} == {dtype.removeprefix("mixed_")}
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 40, 48, 3)), tf.float32)
    seeds = tf.constant([[1, 2], [3, 4]])
    expected = generator([images, seeds], training=False)
    assert np.std(expected) > 0.1
    np.testing.assert_array_equal(copy([images, seeds], training=False), expected)
    assert copy.name == generator.name and copy.count_params() == generator.count_params()


def test_float32_is_not_copied():
    generator = build_generator()
    assert cast_kernels(generator) is generator
