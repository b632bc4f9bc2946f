"""Instance normalisation by tensorflow-addons against ours; what is said where the package cannot be."""

import json
import sys
import warnings

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import runs
from tfpix2pix.config.config import make_config
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.networks import discriminators, generators
from tfpix2pix.networks.inference import cast_kernels
from tfpix2pix.networks.keras_versions import IS_KERAS_3, variable_path
from tfpix2pix.networks.tfa_normalization import load_addons, use_addons
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run import checkpoints
from tfpix2pix.run.generator import load_generator
from tfpix2pix.translate.arrays import translate_images

needs_addons = pytest.mark.skipif(IS_KERAS_3, reason="tensorflow-addons needs Keras 2: make test-keras2")
DRAWS = np.random.default_rng(0)
IMAGES = tf.constant(DRAWS.uniform(-1, 1, (3, 40, 48, 3)), tf.float32)
SEEDS = tf.constant([[1, 2], [3, 4], [5, 6]])


def _build_generator(dtype="float32"):
    generator = generators.unet_generator(depth=3, base_filters=4, normalization="instance", dtype=dtype)
    for variable in generator.variables:
        variable.assign(variable * 3)  # initial weights hardly reach the output
    return generator


def _build_discriminator():
    return discriminators.patch_discriminator(16, base_filters=4, conditional=False, normalization="instance")


def _differentiate(model, inputs):
    """Returns the output, and the gradients of a sum that gives each value its own weight."""
    with tf.GradientTape() as tape:
        tape.watch(inputs[0])
        output = model(inputs if len(model.inputs) > 1 else inputs[0], training=True)
        places = tf.range(tf.size(output), dtype=tf.float32)
        loss = tf.reduce_sum(output * tf.reshape(tf.cos(places), tf.shape(output)))
    return [output, *tape.gradient(loss, [inputs[0], *model.trainable_variables])]


@needs_addons
@pytest.mark.parametrize("build", [_build_generator, _build_discriminator])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_outputs_and_gradients_are_ours(build, batch_size):
    own = build()
    other = use_addons(own)
    addons_layer = load_addons().layers.InstanceNormalization
    assert all(isinstance(layer, addons_layer) for layer in other.layers if "_norm" in layer.name)
    inputs = [IMAGES[:batch_size], SEEDS[:batch_size]]
    expected, found = _differentiate(own, inputs), _differentiate(other, inputs)
    for values, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@needs_addons
@pytest.mark.parametrize("build", [_build_generator, _build_discriminator])
def test_weights_have_the_same_names_shapes_and_values(build):
    own = build()
    other = use_addons(own)
    weights, expected = (
        {variable_path(variable): variable.numpy() for variable in model.variables} for model in (other, own)
    )
    assert [*weights] == [*expected]
    for name, values in expected.items():
        np.testing.assert_array_equal(weights[name], values)


@needs_addons
def test_statistics_are_taken_in_float32_whatever_the_precision(caplog):
    own = _build_generator("mixed_bfloat16")
    far = IMAGES * 0.01 + 0.9  # in bfloat16 the variance of this would be off by a quarter
    other = use_addons(own)
    found, expected = (model([far, SEEDS], training=False) for model in (other, own))
    assert float(tf.reduce_mean(tf.abs(found - expected))) < 0.02
    caplog.clear()
    np.testing.assert_array_equal(cast_kernels(other)([far, SEEDS], training=False), found)
    assert not caplog.messages  # of tensorflow-addons, about being copied


@needs_addons
def test_other_normalisations_stay_as_they_are():
    generator = generators.unet_generator(depth=3, base_filters=2, normalization="plain_instance")
    assert [type(layer) for layer in use_addons(generator).layers] == [
        type(layer) for layer in generator.layers
    ]


@needs_addons
@pytest.mark.parametrize("backends", [("own", "addons"), ("addons", "own")])
def test_a_checkpoint_of_one_goes_on_in_the_other(backends, tmp_path):
    draws = np.random.default_rng(1)
    batch = {name: draws.uniform(-1, 1, (1, 32, 32, 3)) for name in ("input_image", "target_image")}
    batch = {name: tf.constant(values, tf.float32) for name, values in batch.items()}
    batch["noise_seed"] = SEEDS[:1]
    first, second = (
        build_train_step(
            runs.tiny_config(tmp_path, normalization="instance", norm_backend=backend, seed=seed), 9
        )
        for seed, backend in enumerate(backends)
    )
    for _ in range(2):
        first(batch)
    checkpoints.save(tmp_path, first.variables(), {})
    assert checkpoints.restore_latest(tmp_path, second.variables()) == 2
    expected, losses = first(batch), second(batch)
    for name, value in expected.items():
        np.testing.assert_allclose(losses[name], value, rtol=1e-4)
    for one, other in zip(first.generator.variables, second.generator.variables, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)  # a step is 2e-4


@needs_addons
def test_a_run_with_addons_gives_its_pictures_without_them(tmp_path):
    data_dir, workdir = runs.write_dataset(tmp_path / "data"), tmp_path / "run"
    settings = {"normalization": "instance", "norm_backend": "addons", "steps": 2, "export": True}
    command = runs.train_command(data_dir, workdir, **settings, saved_model_dir=tmp_path / "models")
    result = runs.run(command, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Addons" not in result.stderr
    assert json.loads((workdir / "config.json").read_text())["config"]["norm_backend"] == "addons"
    generator, config, _ = load_generator(workdir)
    trained = build_train_step(config, 2)
    checkpoints.restore_latest(workdir, trained.variables())
    pictures = IMAGES[:, :32, :32].numpy()
    found, expected = (translate_images(model, pictures) for model in (generator, trained.generator))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_importing_them_is_quiet_or_refused_by_a_sentence():
    if IS_KERAS_3:
        with pytest.raises(UserError, match=r"needs Keras 2\. Install 'tfpix2pix\[addons\]'.*3\.10 or 3\.11"):
            load_addons()
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert load_addons().layers.InstanceNormalization


@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 2 has the addons")
def test_training_with_keras_3_stops_before_it_writes(tmp_path):
    settings = {"normalization": "instance", "norm_backend": "addons"}
    data_dir = runs.write_dataset(tmp_path / "data")
    result = runs.call(runs.train_command(data_dir, tmp_path / "run", **settings), cwd=tmp_path)
    assert result.returncode == 1
    assert "Install 'tfpix2pix[addons]'" in runs.last_line(result)
    assert not (tmp_path / "run").exists()


@needs_addons
def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_addons", None)
    with pytest.raises(UserError, match=r"Install 'tfpix2pix\[addons\]'"):
        load_addons()


def test_only_instance_normalisation_has_a_choice():
    with pytest.raises(UsageError, match="`norm_backend=addons` is for `normalization=instance`"):
        make_config(norm_backend="addons")
    assert make_config(norm_backend="addons", normalization="instance").norm_backend == "addons"
