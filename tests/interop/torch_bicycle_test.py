"""Weights of BicycleGAN's own code as runs, and back: its outputs, its bits, through the command."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import references
from tests.helpers.tiny_run import write_run
from tfpix2pix.config.config import make_config
from tfpix2pix.interop import torch_files, torch_weights
from tfpix2pix.networks.build import build_discriminator
from tfpix2pix.networks.latent import with_latent
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import read_config
from tfpix2pix.run.generator import load_encoder, load_generator
from tfpix2pix.train.pretrained import from_pretrained

# Flag -> the network's name in the original code.
FILES = {"checkpoint": "G", "discriminator_file": "D", "discriminator_2_file": "D2", "encoder_file": "E"}


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    return references.read("bicycle_step.npz")


def _state(recorded, network):
    return references.below(recorded, f"{network}/initial/")


def _convert(**flags):
    torch_weights.main(["torch_weights", *(f"--{name}={value}" for name, value in flags.items())])


@pytest.fixture(scope="module")
def folder(recorded, tmp_path_factory):
    """A folder with the files of the networks, and with their run."""
    folder = tmp_path_factory.mktemp("bicycle")
    for network in FILES.values():
        np.savez(folder / f"{network}.npz", **_state(recorded, network))
    files = {flag: folder / f"{network}.npz" for flag, network in FILES.items()}
    _convert(**files, output=folder / "run", direction="BtoA")
    return folder


def test_outputs_are_those_of_the_original_code(recorded, folder):
    generator, config, _ = load_generator(folder / "run")
    images = {name: tf.constant(recorded[name][:1]) for name in ("input_image", "target_image")}
    seeds, drawn = tf.zeros([1, 2], tf.int32), tf.constant(recorded["step_1/z_random"])
    for opened in (generator, from_pretrained(folder / "G.npz")):
        image = with_latent(opened)([images["input_image"], seeds, drawn])
        np.testing.assert_allclose(image, recorded["generated_random"], atol=1e-5)
    encoder, _ = load_encoder(folder / "run", 0)
    for found, name in zip(encoder(images["target_image"]), ("mu", "logvar"), strict=True):
        np.testing.assert_allclose(found, recorded[name], atol=1e-5)
    # The losses of D in the first step, which halves nothing and sums over the sizes.
    losses = {"discriminator": "generated_encoded", "discriminator_2": "generated_random"}
    for (name, made), real in zip(losses.items(), recorded["target_image"], strict=True):
        judge = build_discriminator(config)
        checkpoints.restore_model(folder / "run", 0, name, judge)
        terms = [(judge(tf.constant(real[None])), 1.0), (judge(tf.constant(recorded[made])), 0.0)]
        loss = sum(float(np.square(scale - truth).mean()) for scales, truth in terms for scale in scales)
        expected = float(recorded[f"step_1/loss/{'D' if name == 'discriminator' else 'D2'}"])
        assert loss == pytest.approx(expected, rel=1e-5)


def test_the_run_trains_by_bicyclegan(folder):
    config = read_config(folder / "run")
    settings = {
        "method": "bicyclegan", "depth": 7, "base_filters": 2, "discriminator": "pyramid", "latent_size": 8,
        "discriminator_layers": 2, "num_discriminators": 2, "latent_at": "all", "dropout": "none",
        "normalization": "plain_instance", "image_size": (128, 128), "objective": "l1+gan", "batch_size": 2,
        "input_channels": 3, "direction": "BtoA",
    }  # fmt: skip
    for name, value in settings.items():
        assert getattr(config, name) == value, name


def test_there_and_back_every_bit_is_the_same(recorded, folder, tmp_path, capsys):
    files = {flag: tmp_path / f"{network}.npz" for flag, network in FILES.items()}
    output = files.pop("checkpoint")
    _convert(workdir=folder / "run", output=output, **files)
    for network in FILES.values():
        state, expected = torch_files.read_state(tmp_path / f"{network}.npz"), _state(recorded, network)
        assert state.keys() == expected.keys()
        assert all(np.array_equal(state[name], expected[name]) for name in expected)
    shown = capsys.readouterr().out
    assert (
        "--netG unet_128 --ngf 2 --nz 8 --where_add all --norm instance --input_nc 3 --output_nc 3" in shown
    )
    assert "--netD basic_128_multi --num_Ds 2 --ndf 2 --norm instance" in shown
    assert "--netE resnet_128 --nef 2" in shown


def test_a_latent_vector_at_the_input_there_and_back(tmp_path):
    config = make_config(
        dataset="synthetic", method="bicyclegan", image_size=64, depth=5, base_filters=2, latent_size=3,
        latent_at="input", discriminator_layers=1,
    )  # fmt: skip
    write_run(tmp_path / "run", config)
    files = {name: tmp_path / f"{name}.npz" for name in ("output", "discriminator_2_file", "encoder_file")}
    _convert(workdir=tmp_path / "run", **files)
    state = torch_files.read_state(files["output"])
    assert state["model.model.0.weight"].shape == (2, 6, 4, 4)
    expected, _, _ = load_generator(tmp_path / "run")
    # The decoder's channels come first there: here they are the second half.
    ours = expected.get_layer("decoder_1_conv").kernel.numpy()
    np.testing.assert_array_equal(state["model.model.3.weight"][:2], ours[:, :, :, 2:].transpose(3, 2, 0, 1))
    _convert(checkpoint=files["output"], encoder_file=files["encoder_file"], output=tmp_path / "again")
    generator, again, _ = load_generator(tmp_path / "again")
    assert (again.latent_at, again.latent_size, again.input_channels) == ("input", 3, 3)
    for value, other in zip(expected.get_weights(), generator.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)


def test_files_that_are_swapped_or_of_other_runs_are_refused(recorded, folder, tmp_path):
    files = {flag: folder / f"{network}.npz" for flag, network in FILES.items()}
    output = tmp_path / "run"
    with pytest.raises(UsageError, match="holds a discriminator"):
        _convert(checkpoint=folder / "D.npz", output=output)
    with pytest.raises(UserError, match="holds no encoder of BicycleGAN's code"):
        _convert(**{**files, "encoder_file": folder / "D.npz"}, output=output)
    with pytest.raises(UsageError, match="`image_size` decides the depth of the encoder: 128 goes with"):
        _convert(**files, output=output, image_size=256)
    wide = {name: value for name, value in _state(recorded, "E").items() if name != "conv.1.conv.2.bias"}
    np.savez(tmp_path / "E.npz", **wide)
    with pytest.raises(UserError, match=r"looks like BicycleGAN's ResNet .* missing: conv\.1\.conv\.2\.bias"):
        _convert(**{**files, "encoder_file": tmp_path / "E.npz"}, output=output)
    with pytest.raises(UserError, match="the first one is not given"):
        _convert(checkpoint=files["checkpoint"], discriminator_2_file=folder / "D2.npz", output=output)
    assert not output.exists()


def test_other_norms_and_methods_have_no_place_there(tmp_path):
    settings = {"image_size": 64, "depth": 5, "base_filters": 2, "latent_size": 3}
    write_run(tmp_path / "batch", make_config(dataset="synthetic", **settings))
    with pytest.raises(UserError, match="`latent_size=3`.*BicycleGAN U-Nets with a latent vector"):
        _convert(workdir=tmp_path / "batch", output=tmp_path / "G.npz")
    with pytest.raises(UsageError, match="`method=pix2pix` has no `encoder`; one of `bicyclegan` has, and"):
        _convert(workdir=tmp_path / "batch", output=tmp_path / "G.npz", encoder_file=tmp_path / "E.npz")
