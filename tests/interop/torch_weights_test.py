"""Weights of the PyTorch reference as runs, and back: same pixels, same bits, through the command."""

import re
import shlex

import numpy as np
import pytest
from PIL import Image

from tests.helpers import references, tiny_run
from tfpix2pix.config.choices import DISCRIMINATORS
from tfpix2pix.config.config import make_config
from tfpix2pix.interop import torch_export, torch_files, torch_weights
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.networks import discriminators
from tfpix2pix.networks.build import build_discriminator
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import read_config
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.__main__ import main
from tfpix2pix.translate.translator import Translator

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    return references.read("torch_networks.npz")


def _state(recorded, network):
    return references.below(recorded, f"{network}/state/")


def _write(file, recorded, network):
    np.savez(file, **_state(recorded, network))
    return file


def _convert(*arguments):
    torch_weights.main(["torch_weights", *map(str, arguments)])


def _import(tmp_path, recorded, generator, discriminator=None, *options):
    """Runs the command on recorded networks; returns the new run's folder."""
    files = [f"--checkpoint={_write(tmp_path / 'G.npz', recorded, generator)}"]
    if discriminator:
        files.append(f"--discriminator_file={_write(tmp_path / 'D.npz', recorded, discriminator)}")
    _convert(*files, f"--output={tmp_path / 'synthetic'}", *options)
    return tmp_path / "synthetic"


def _restore_discriminator(workdir):
    discriminator = build_discriminator(read_config(workdir))
    checkpoints.restore_model(workdir, 0, "discriminator", discriminator)
    return discriminator


def _judge(discriminator, images):
    """Returns the logits of a pair, whose channels are given one after the other."""
    input_channels = discriminator.inputs[0].shape[-1]
    pair = [images[..., :input_channels], images[..., input_channels:]]
    return discriminator(pair, training=True).numpy()


@pytest.mark.parametrize("network", ["batch", "instance", "none"])
def test_generators_give_the_pixels_of_the_reference(recorded, network, tmp_path):
    workdir = _import(tmp_path, recorded, network, None, "--dropout=none")
    images = recorded[f"{network}/input"].astype("float32") / 127.5 - 1
    generated = Translator(workdir, image_size="native")(images)
    np.testing.assert_allclose(generated, recorded[f"{network}/output"], atol=1e-4)
    assert generated.std() > 0.3


def test_images_of_other_sizes_are_resized_as_the_reference_resizes_them(recorded, tmp_path):
    workdir = _import(tmp_path, recorded, "batch", None, "--dropout=none")
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    resized = np.asarray(Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC))
    expected = Translator(workdir)(resized).astype(float)
    generated = Translator(workdir, output_size="trained")(pixels).astype(float)
    assert np.abs(generated - expected).mean() < 1


def test_an_explicit_method_of_resizing_counts(recorded, tmp_path):
    workdir = _import(tmp_path, recorded, "batch", None, "--resize_method=bilinear")
    assert read_config(workdir).resize_method == "bilinear"


@pytest.mark.parametrize(
    ("generator", "network", "receptive_field"),
    [
        ("batch", "n_layers_2", 34),
        ("batch", "pixel", 1),
        ("instance", "n_layers_1", 16),
        ("instance", "pixel_instance", 1),
    ],
)
def test_discriminators_give_the_logits_of_the_reference(
    recorded, generator, network, receptive_field, tmp_path
):
    workdir = _import(tmp_path, recorded, generator, network)
    assert read_config(workdir).receptive_field == receptive_field
    images = recorded[f"{network}/input"].astype("float32") / 127.5 - 1
    logits = _judge(_restore_discriminator(workdir), images)
    np.testing.assert_allclose(logits, recorded[f"{network}/output"], atol=1e-4)


def test_pixels_of_the_recorded_training_step(tmp_path):
    steps = references.read("torch_step_32px.npz")
    for file, network in (("G.npz", "generator"), ("D.npz", "discriminator")):
        np.savez(tmp_path / file, **references.below(steps, f"{network}/initial/"))
    workdir = tmp_path / "synthetic"
    _convert(
        f"--checkpoint={tmp_path / 'G.npz'}", f"--discriminator={tmp_path / 'D.npz'}", f"--output={workdir}"
    )
    # Of 5 downsamplings the reference drops nothing, wherever its dropout is on.
    generated = Translator(workdir)(steps["input_image"], noise_seed=3)
    np.testing.assert_allclose(generated, steps["generated_image"], atol=1e-5)
    pair = np.concatenate([steps["input_image"], steps["target_image"]], axis=-1)
    logits = _judge(_restore_discriminator(workdir), pair)
    np.testing.assert_allclose(logits, steps["real_logits"], atol=1e-5)


def test_the_configuration_holds_what_was_detected(recorded, tmp_path, capsys):
    workdir = _import(tmp_path, recorded, "batch", "n_layers_2", "--direction=BtoA", "--seed=7")
    assert read_config(workdir) == make_config(
        dataset="synthetic",
        direction="BtoA",
        image_size=64,
        depth=6,
        base_filters=1,
        discriminator_filters=3,
        receptive_field=34,
        dropout="torch",
        precision="float32",
        resize_method="bicubic",
        seed=7,
    )
    output, notes = capsys.readouterr()
    assert "U-Net of 6 downsamplings, 1 filters, 3 -> 3 channels, batch norm" in output
    assert "PatchGAN of 2 strided convolutions, 3 filters, 6 channels, batch norm, 34 px" in output
    assert "33 running statistics were left out" in notes
    assert "`dropout=none`" in notes


def test_dropout_is_where_the_reference_has_it(recorded, tmp_path):
    workdir = _import(tmp_path, recorded, "batch")
    generator, _, step = load_generator(workdir)
    assert [layer.name for layer in generator.layers if layer.name.endswith("_noise")] == ["decoder_5_noise"]
    assert step == 0


def test_wrapped_names_and_old_running_statistics(recorded, tmp_path):
    """DataParallel's prefix, and the instance norms of old versions, which kept statistics."""
    state = _state(recorded, "instance")
    norms = [f"model.model.1.model.{place}" for place in (2, 6)]
    state |= {f"{norm}.{name}": np.ones(2, "float32") for norm in norms for name in STATISTICS}
    np.savez(tmp_path / "G.npz", **{f"module.{name}": value for name, value in state.items()})
    _convert(f"--checkpoint={tmp_path / 'G.npz'}", f"--output={tmp_path / 'run'}", "--dropout=none")
    images = recorded["instance/input"].astype("float32") / 127.5 - 1
    generated = Translator(tmp_path / "run")(images)
    np.testing.assert_allclose(generated, recorded["instance/output"], atol=1e-4)


@pytest.mark.parametrize(
    ("generator", "discriminator"),
    [
        ("batch", "n_layers_2"),
        ("batch", "pixel"),
        ("instance", "n_layers_1"),
        ("instance", "pixel_instance"),
        ("none", None),
    ],
)
def test_there_and_back_every_bit_is_the_same(recorded, generator, discriminator, tmp_path):
    workdir = _import(tmp_path, recorded, generator, discriminator)
    options = [f"--discriminator_file={tmp_path / 'back_D.npz'}"] if discriminator else []
    _convert(f"--workdir={workdir}", f"--output={tmp_path / 'back_G.npz'}", *options)
    for file, network in (("back_G.npz", generator), ("back_D.npz", discriminator)):
        if network is None:
            continue
        before, after = _state(recorded, network), torch_files.read_state(tmp_path / file)
        assert after.keys() == before.keys()
        for name, value in before.items():
            assert after[name].dtype == value.dtype
            assert after[name].shape == value.shape
            if not name.endswith(STATISTICS):
                assert after[name].tobytes() == value.tobytes(), name


@pytest.mark.parametrize(
    ("normalization", "norm"), [("batch", "batch"), ("instance", "batch"), ("plain_instance", "instance")]
)
def test_our_weights_there_and_back(normalization, norm, tmp_path, capsys):
    config = make_config(
        dataset="synthetic",
        image_size=32,
        depth=5,
        base_filters=2,
        normalization=normalization,
        receptive_field=16,
        objective="l1+gan",
    )
    workdir = tiny_run.write_run(tmp_path / "ours", config)
    files = [tmp_path / "G.npz", tmp_path / "D.npz"]
    _convert(
        f"--workdir={workdir}", f"--output={files[0]}", f"--discriminator_file={files[1]}", "--checkpoint=1"
    )
    printed = capsys.readouterr()
    assert f"UnetGenerator of num_downs 5, --ngf 2 --norm {norm}" in printed.out
    assert "the discriminator sees targets alone" in printed.out + printed.err
    _convert(f"--checkpoint={files[0]}", f"--discriminator_file={files[1]}", f"--output={tmp_path / 'back'}")
    back, _, _ = load_generator(tmp_path / "back")
    ours, _, _ = load_generator(workdir, "1")
    expected = torch_export.read_weights(ours)
    assert torch_export.read_weights(back).keys() == expected.keys()
    for name, value in torch_export.read_weights(back).items():
        assert value.tobytes() == expected[name].tobytes(), name
    assert read_config(tmp_path / "back").objective == "l1+gan"


@pytest.mark.slow
def test_training_goes_on_by_the_printed_command(recorded, tmp_path, capsys):
    options = ["--batch_size=2", "--mirror=false", "--lr_schedule=linear_decay", "--epochs=1"]
    options += ["--steps=2", "--export=false", "--seed=3", "--image_size=64x96"]
    workdir = _import(tmp_path, recorded, "batch", "n_layers_2", *options)
    before = torch_export.read_weights(load_generator(workdir)[0])
    command = re.search(r"python -m tfpix2pix\.train (.*)", capsys.readouterr().out)[1]
    main(["train", *shlex.split(command)])
    generator, _, step = load_generator(workdir)
    assert step == 2
    change = [
        np.abs(value - before[name]).max() for name, value in torch_export.read_weights(generator).items()
    ]
    # Two steps of Adam, hardly longer than its rate: they began at the weights of the reference.
    assert 1e-4 < max(change) < 5e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--depth=5"], "the files have `depth=6`: leave it out. Received: `depth=5`"),
        (["--normalization=instance"], "the files have `normalization=batch`: leave it out"),
        (["--receptive_field=70"], "the files have `receptive_field=34`"),
        (["--discriminator_filters=1"], "the files have `discriminator_filters=3`"),
        (["--objective=l1+gan"], "`objective` must be cgan or l1+cgan with this `discriminator`"),
    ],
)
def test_settings_that_contradict_the_files(recorded, options, message, tmp_path):
    with pytest.raises(UsageError, match=re.escape(message)):
        _import(tmp_path, recorded, "batch", "n_layers_2", *options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["D.npz", "G.npz"]


@pytest.mark.parametrize(
    ("generator", "discriminator"),
    [("batch", "n_layers_1"), ("instance", "pixel"), ("none", "n_layers_2"), ("none", "pixel")],
)
def test_files_of_different_runs(recorded, generator, discriminator, tmp_path):
    with pytest.raises(UserError, match="the files are not of one run: a U-Net .*, and a PatchGAN"):
        _import(tmp_path, recorded, generator, discriminator)
    assert not (tmp_path / "synthetic").exists()


def test_images_that_are_too_small_for_the_files(recorded, tmp_path):
    with pytest.raises(UsageError, match=r"`image_size` must be at least 64 for a U-Net .* Received: 32x64"):
        _import(tmp_path, recorded, "batch", None, "--image_size=32x64")


def test_any_folder_can_be_the_run(recorded, tmp_path, capsys):
    checkpoint = _write(tmp_path / "G.npz", recorded, "batch")
    _convert(f"--checkpoint={checkpoint}", f"--output={tmp_path / '.my run'}")
    assert read_config(tmp_path / ".my run").dataset == "_my_run"
    assert f"--workdir='{tmp_path}/.my run' --dataset=_my_run " in capsys.readouterr().out


def test_files_appear_both_or_none(recorded, tmp_path):
    workdir = _import(tmp_path, recorded, "batch", "n_layers_2")
    (tmp_path / "file").touch()
    files = [tmp_path / "back.npz", tmp_path / "file" / "D.npz"]
    with pytest.raises(UserError, match=re.escape(f"{files[1]} could not be written: File exists")):
        _convert(f"--workdir={workdir}", f"--output={files[0]}", f"--discriminator_file={files[1]}")
    assert not files[0].exists()


def test_a_folder_that_is_there_stays_as_it_is(recorded, tmp_path):
    (tmp_path / "synthetic").mkdir()
    with pytest.raises(UsageError, match="synthetic exists already"):
        _import(tmp_path, recorded, "batch")
    assert not list((tmp_path / "synthetic").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected --checkpoint=FILE --output=DIR, or --pretrained=NAME --output=DIR, or --workdir=RUN"),
        (["--checkpoint=G.npz", "--output=run"], "there is no file G.npz"),
        (["--checkpoint=G.h5", "--output=run"], "state dicts are files .* Received: G.h5"),
        (["--workdir=run", "--output=G.npz"], "run holds no run"),
        (["--workdir=run", "--output=G.npz", "--discriminator_file=./G.npz"], "are the same file"),
        (
            ["--checkpoint=G.npz", "--output=run", "--discriminator=D.npz", "--discriminator_file=E.npz"],
            "is the older name of --discriminator_file: give one of them",
        ),
        (["--workdir=run", "--output=G.npz", "--depth=5"], "the settings are the run's: leave out --depth"),
        (["--checkpoint=G.npz", "--output=run", "maps"], "unexpected argument: maps"),
    ],
)
def test_usage_errors(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        _convert(*arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 3}, "no such generator: `depth=3`"),
        ({"generator": "encoder_decoder"}, "no such generator: `generator=encoder_decoder`"),
        ({"upsampling": "nearest"}, "no such generator: `upsampling=nearest`"),
        (
            {"generator": "global", "normalization": "plain_instance", "latent_size": 2, "depth": None},
            "no such generator: `latent_size=2`",
        ),
        ({"objective": "l1"}, "a run with `objective=l1` has no `discriminator`"),
    ],
)
def test_runs_that_the_reference_has_no_network_for(settings, message, tmp_path):
    values = {"dataset": "synthetic", "image_size": 32, "depth": 5, "base_filters": 1, **settings}
    workdir = tiny_run.write_run(tmp_path / "ours", make_config(**values))
    files = [f"--output={tmp_path / 'G.npz'}", f"--discriminator_file={tmp_path / 'D.npz'}"]
    with pytest.raises(UserError, match=re.escape(message)):
        _convert(f"--workdir={workdir}", *files)
    assert [path.name for path in tmp_path.iterdir()] == ["ours"]


def test_a_discriminator_of_the_users_own_has_no_place_in_the_reference(tmp_path, monkeypatch):
    def build(input_channels, target_channels, base_filters, conditional):
        return discriminators.patch_discriminator(
            16, input_channels, target_channels, base_filters=base_filters
        )

    monkeypatch.setitem(DISCRIMINATORS, "own", build)
    config = make_config(dataset="synthetic", image_size=32, depth=5, base_filters=1, discriminator="own")
    workdir = tiny_run.write_run(tmp_path / "ours", config)
    files = [f"--output={tmp_path / 'G.npz'}", f"--discriminator_file={tmp_path / 'D.npz'}"]
    with pytest.raises(UserError, match="has no such discriminator: `discriminator=own`"):
        _convert(f"--workdir={workdir}", *files)


def test_a_bias_that_the_reference_has_no_place_for(recorded, tmp_path):
    """The reference's pixel discriminator has no bias at its end, and ours has learned one."""
    workdir = _import(tmp_path, recorded, "batch", "pixel")
    train_step = build_train_step(read_config(workdir), total_steps=1)
    train_step.discriminator.get_layer("patch_logits_conv").bias.assign([0.5])
    checkpoints.save(workdir, train_step.variables(), {"best": None})
    with pytest.raises(UserError, match="no place for patch_logits_conv/bias of the patch_discriminator_1px"):
        _convert(
            f"--workdir={workdir}",
            f"--output={tmp_path / 'b.npz'}",
            f"--discriminator_file={tmp_path / 'c.npz'}",
        )
    assert not (tmp_path / "b.npz").exists()
    _convert(f"--workdir={workdir}", f"--output={tmp_path / 'b.npz'}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "blocks, normalization, dropout", [(6, "batch", "torch"), (9, "plain_instance", "none")]
)
def test_a_resnet_goes_to_the_reference_and_comes_back(blocks, normalization, dropout, tmp_path):
    """Its layers are those of pix2pixHD's G1, whose pixels methods/pix2pixhd_golden_test compares."""
    settings = {"generator": f"resnet_{blocks}blocks", "normalization": normalization, "dropout": dropout}
    config = make_config(dataset="synthetic", image_size=32, base_filters=2, precision="float32", **settings)
    workdir = tiny_run.write_run(tmp_path / "ours", config)
    _convert(f"--workdir={workdir}", f"--output={tmp_path / 'G.npz'}")
    second = 6 if dropout == "torch" else 5
    with np.load(tmp_path / "G.npz") as state:
        assert state["model.1.weight"].shape == (2, 3, 7, 7)
        assert state[f"model.10.conv_block.{second}.weight"].shape == (8, 8, 3, 3)
        assert state[f"model.{17 + blocks}.weight"].shape == (3, 2, 7, 7)
        assert ("model.1.bias" in state) == (normalization == "plain_instance")

    _convert(f"--checkpoint={tmp_path / 'G.npz'}", f"--output={tmp_path / 'back'}", "--image_size=32")
    back = read_config(tmp_path / "back")
    assert {name: getattr(back, name) for name in settings} == settings
    ours, theirs = (torch_export.read_weights(load_generator(run)[0]) for run in (workdir, tmp_path / "back"))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(theirs[name], value, err_msg=name)
