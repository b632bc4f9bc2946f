"""A new run that starts with the weights of another model: which are taken, and what is refused."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import runs
from tests.helpers.tiny_run import CONFIG, write_run
from tfpix2pix.config.config import make_config
from tfpix2pix.export.files.export_file import export_file
from tfpix2pix.export.files.formats import FileOptions
from tfpix2pix.export.files.portable import build_portable_generator
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.interop.torch_export import export_weights
from tfpix2pix.interop.torch_names import Unet
from tfpix2pix.interop.torch_residual_names import ResidualGenerator, generator_table
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.networks.build import build_discriminator, build_generator
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.networks.latent import with_latent
from tfpix2pix.networks.residual import global_generator
from tfpix2pix.networks.variables import weights_of
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run import checkpoints
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.dry_run import describe_training
from tfpix2pix.train.origin import Origin, check_fit, read_origin, start_from
from tfpix2pix.train.training import train_and_evaluate

SETTINGS = {"dataset": "mine", "image_size": 32, "depth": 3, "base_filters": 4}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("origin") / "run")


@pytest.fixture(scope="module")
def trained(run):
    return load_generator(run)[0]


def _weights(model):
    return {name: variable.numpy() for name, variable in weights_of(model).items()}


def _networks(**settings):
    keras.utils.set_random_seed(1)
    config = make_config(**{**SETTINGS, **settings})
    return build_generator(config), build_discriminator(config)


def _write(kind, run, trained, folder):
    if kind == "run":
        return run
    if kind == "saved_model":
        return export_saved_model(trained, folder / "models", verify=False).parent
    if kind == "keras":
        export_file(trained, folder / "generator.keras", FileOptions("keras", (32, 32), True, "none"), {})
        return folder / "generator.keras"
    config = make_config(
        dataset="mine", image_size=32, depth=5, base_filters=4, dropout="torch", precision="float32"
    )
    export_weights(write_run(folder / "reference", config), folder / "net_G.npz")
    return folder / "net_G.npz"


NEEDS_KERAS_3 = pytest.mark.skipif(not IS_KERAS_3, reason="Keras 2 writes no .keras file for other runtimes")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["run", "saved_model", pytest.param("keras", marks=NEEDS_KERAS_3)])
def test_all_weights_are_taken_by_name(kind, run, trained, tmp_path, capsys):
    origin = read_origin(_write(kind, run, trained, tmp_path))
    assert origin.record["kind"] == kind
    generator, discriminator = _networks()
    fresh = _weights(discriminator)
    start_from(origin, generator, discriminator)
    expected, weights = _weights(trained), _weights(generator)
    assert weights.keys() == expected.keys()
    assert all(np.array_equal(weights[name], expected[name]) for name in expected)
    taken = [
        name for name, value in _weights(discriminator).items() if not np.array_equal(value, fresh[name])
    ]
    assert bool(taken) == (kind == "run")
    assert ("the discriminator starts with random weights" in capsys.readouterr().err) == (kind != "run")


def test_a_latent_vector_is_added_to_a_residual_generator(capsys):
    plain, modulated = (
        global_generator(depth=1, residual_blocks=1, base_filters=2, latent_size=size) for size in (0, 3)
    )
    start_from(Origin(Path("runs/plain"), {}, _weights(plain)), modulated, None)
    told = capsys.readouterr().err
    assert "first_modulation of the global_generator and 4 more of its layers start with random" in told
    image, seed = tf.random.stateless_uniform([1, 8, 8, 3], [0, 0]), tf.zeros([1, 2], tf.int32)
    without_z = with_latent(modulated)([image, seed, tf.zeros([1, 3])])
    np.testing.assert_allclose(without_z, plain([image, seed]), atol=1e-6)


@NEEDS_KERAS_3
def test_what_a_latent_vector_decides_is_read_from_a_file_for_other_runtimes(tmp_path):
    written, read = (
        global_generator(depth=1, residual_blocks=1, base_filters=2, latent_size=3) for _ in range(2)
    )
    build_portable_generator(written, (8, 8)).save(tmp_path / "generator.keras")
    start_from(read_origin(tmp_path / "generator.keras"), read, None)
    expected = _weights(written)
    assert all(np.array_equal(value, expected[name]) for name, value in _weights(read).items())


def test_any_checkpoint_of_a_run_can_be_the_origin(run):
    step = read_origin(run).record["step"]
    for which in (str(step), "latest"):
        assert read_origin(f"{run}:{which}").record["step"] == step
    with pytest.raises(
        UsageError, match=f"has no checkpoint {step + 1}; `checkpoint` takes latest, best or one"
    ):
        read_origin(f"{run}:{step + 1}")


def test_a_run_of_bicyclegan_brings_its_encoder_and_its_second_discriminator(tmp_path, capsys):
    config = make_config(
        dataset="synthetic", direction="BtoA", image_size=32, depth=3, base_filters=2, method="bicyclegan",
        latent_size=3, discriminator_layers=1,
    )  # fmt: skip
    run, step = write_run(tmp_path / "run", config), build_train_step(config, total_steps=1)
    others = {"discriminator_2": step.discriminator_2, "encoder": step.encoder}
    for network in others.values():
        network.set_weights([value + 1 for value in network.get_weights()])
    start_from(read_origin(run), step.generator, step.discriminator, **others)
    assert "random weights" not in capsys.readouterr().err
    for name, network in others.items():
        expected = checkpoints.read_weights(run, 2, name)
        assert all(np.array_equal(value, expected[key]) for key, value in _weights(network).items())
    start_from(dataclasses.replace(read_origin(run), others={}), step.generator, step.discriminator, **others)
    assert "the encoder starts with random weights" in capsys.readouterr().err


@pytest.mark.parametrize("start", [train_and_evaluate, describe_training])
def test_an_encoder_that_does_not_fit_is_refused_before_the_data_is_opened(tmp_path, capsys, start):
    bicycle = {"method": "bicyclegan", "latent_size": 3, "batch_size": 2, "receptive_field": 70}
    bicycle["discriminator_layers"] = 1
    data_dir, origin = runs.write_dataset(tmp_path / "tiny"), tmp_path / "origin"
    write_run(origin, runs.tiny_config(data_dir, **bicycle))
    # The size of the images decides how many blocks the encoder has, and nothing of the other networks.
    config = runs.tiny_config(data_dir, **bicycle, image_size=256, init_from=str(origin))
    with pytest.raises(UserError, match="does not fit the latent_encoder: block_"):
        start(config, tmp_path / "new")
    assert "pairs; input" not in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_file_of_the_pytorch_reference_brings_its_generator(run, trained, tmp_path):
    origin = read_origin(_write("torch", run, trained, tmp_path))
    generator, _ = _networks(depth=5)
    start_from(origin, generator, None)
    expected, weights = _weights(load_generator(tmp_path / "reference")[0]), _weights(generator)
    assert all(np.array_equal(weights[name], expected[name]) for name in expected)


def test_the_first_and_the_last_convolution_start_anew_where_channels_differ(run, trained, capsys):
    generator, discriminator = _networks(input_channels=1, output_channels=2)
    fresh = _weights(generator)
    start_from(read_origin(run), generator, discriminator)
    weights, expected = _weights(generator), _weights(trained)
    for name, value in weights.items():
        starts_anew = name.split("/")[0] in ("encoder_1_conv", "decoder_1_conv")
        assert np.array_equal(value, (fresh if starts_anew else expected)[name]), name
    told = capsys.readouterr().err
    assert "encoder_1_conv of the unet_generator starts with random weights: it has 3 input channels" in told
    assert (
        "decoder_1_conv of the unet_generator starts with random weights: it has 3 output channels there"
        in told
    )
    assert (
        "patch_1_conv of the patch_discriminator_70px starts with random weights: it has 6 input channels"
        in told
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"base_filters": 8},
            r"encoder_1_conv/kernel has the shape \(4, 4, 3, 4\) there, and has the shape \(4, 4, 3, 8\)",
        ),
        ({"depth": 4}, "encoder_3_norm/gamma is missing there"),
        ({"depth": 2}, "does not fit the unet_generator: [a-z]+_[23]_"),
        (
            {"normalization": "plain_instance"},
            "encoder_1_conv/bias is missing there",
        ),
        (
            {"receptive_field": 16},
            "does not fit the patch_discriminator_16px: patch_logits_conv/kernel has the shape",
        ),
    ],
)
def test_other_networks_are_refused_by_their_first_layer(run, settings, reason):
    with pytest.raises(UserError, match=reason):
        start_from(read_origin(run), *_networks(**settings))


@pytest.mark.parametrize("start", [train_and_evaluate, describe_training])
def test_other_networks_are_refused_before_the_data_is_opened(run, tmp_path, capsys, start):
    config = runs.tiny_config(runs.write_dataset(tmp_path / "tiny"), init_from=str(run), base_filters=8)
    with pytest.raises(UserError, match="encoder_1_conv/kernel has the shape"):
        start(config, tmp_path / "new")
    assert "pairs; input" not in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_settings_that_differ_are_named(run):
    origin, new = read_origin(run), {"generator": "resnet_6blocks", "normalization": "instance"}
    new |= {"dataset": "mine", "image_size": 32, "base_filters": 8, "receptive_field": 16}
    told = "`generator=unet` `depth=3` `base_filters=4` `normalization=batch` `receptive_field=70`"
    with pytest.raises(UsageError, match=f"Give the settings of its networks, which differ: {told}$"):
        check_fit(origin, build_generator(make_config(**new)), None, config=make_config(**new))
    generator_alone = dataclasses.replace(origin, discriminator=None)
    with pytest.raises(UsageError, match="`normalization=batch`$"):
        check_fit(generator_alone, build_generator(make_config(**new)), None, config=make_config(**new))


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Unet(6, 4, 3, 3, affine=False, biased=True), "`base_filters=4` `normalization=plain_instance`"),
        (
            ResidualGenerator(2, 9, 4, 3, 3),
            "`generator=resnet_9blocks` `base_filters=4` `normalization=plain_instance`",
        ),
    ],
)
def test_a_file_of_the_reference_tells_the_settings_that_it_needs(tmp_path, network, told):
    table = generator_table(network)
    np.savez(tmp_path / "G.npz", **{name: np.ones(place.shape, np.float32) for name, place in table.items()})
    config = make_config(dataset="mine", image_size=64)
    with pytest.raises(UsageError, match=f"which differ: {told}$"):
        check_fit(read_origin(tmp_path / "G.npz"), build_generator(config), None, config=config)


@pytest.mark.parametrize("name", ["nothing", "a.txt", "folder", "a.keras"])
def test_what_holds_no_weights(tmp_path, name):
    (tmp_path / "a.txt").touch()
    (tmp_path / "a.keras").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=name):
        read_origin(tmp_path / name)


@pytest.mark.slow
def test_a_run_starts_at_step_0_with_them_and_records_where_they_are_from(run, trained, tmp_path):
    data_dir = runs.write_dataset(tmp_path / "tiny")
    config = runs.tiny_config(
        data_dir, init_from=str(run), base_filters=4, receptive_field=70, learning_rate=0.0, steps=1
    )
    result = train_and_evaluate(config, tmp_path / "new")
    expected, weights = _weights(trained), _weights(result.generator)
    assert all(np.array_equal(weights[name], expected[name]) for name in expected)
    record = {"kind": "run", "name": "run", "path": str(run), "dataset": CONFIG.dataset, "step": 2}
    # What goes on ignores it, and forgets nothing.
    longer = runs.tiny_config(
        data_dir, init_from="gone", base_filters=4, receptive_field=70, learning_rate=0.0, steps=2
    )
    assert train_and_evaluate(longer, tmp_path / "new").step == 2
    assert json.loads((tmp_path / "new" / "config.json").read_text())["origin"] == record
    card = describe_run(tmp_path / "new", longer, 2)
    assert card["origin"] == {"kind": "run", "name": "run", "dataset": CONFIG.dataset, "step": 2}
