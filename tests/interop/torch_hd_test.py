"""Weights of pix2pixHD's own code as runs, and back: its outputs, its bits, through the command."""

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.tiny_run import write_run
from tfpix2pix.config.config import make_config
from tfpix2pix.interop import torch_files, torch_weights
from tfpix2pix.networks.build import build_discriminator
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import read_config
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.pretrained import from_pretrained

REFERENCE = Path(__file__).parents[1] / "helpers" / "references" / "hd_step.npz"
# What hd_step.npz was made with.
SETTINGS = {
    "global": {"generator": "global", "base_filters": 4},
    "local": {"generator": "enhancer", "base_filters": 6, "enhancers": 1, "enhancer_blocks": 2},
}
THERE = {
    "global": "--netG global --ngf 4 --n_downsample_global 2 --n_blocks_global 2 --norm instance",
    "local": "--netG local --ngf 3 --n_downsample_global 2 --n_blocks_global 2 --n_local_enhancers 1 "
    "--n_blocks_local 2 --norm instance",
}


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(REFERENCE) as archive:
        return dict(archive)


def _state(recorded, case, network):
    prefix = f"{case}/{network}/initial/"
    return {name.removeprefix(prefix): recorded[name] for name in recorded if name.startswith(prefix)}


def _convert(*arguments):
    torch_weights.main(["torch_weights", *map(str, arguments)])


@pytest.fixture(scope="module")
def converted(recorded, tmp_path_factory):
    """Folder with the files G.npz and D.npz of each case, and its run."""
    folder = tmp_path_factory.mktemp("hd")
    for case in SETTINGS:
        for name, network in (("G", "generator"), ("D", "discriminator")):
            np.savez(folder / f"{case}_{name}.npz", **_state(recorded, case, network))
        files = f"--checkpoint={folder / case}_G.npz", f"--discriminator_file={folder / case}_D.npz"
        _convert(*files, f"--output={folder / case}")
    return folder


@pytest.mark.parametrize("case", SETTINGS)
def test_outputs_are_those_of_the_original_code(recorded, converted, case):
    generator, config, step = load_generator(converted / case)
    assert step == 0
    images = recorded[f"{case}/input"]
    np.testing.assert_allclose(np.asarray(generator(images)), recorded[f"{case}/generated_image"], atol=1e-5)
    opened = from_pretrained(converted / f"{case}_G.npz")
    np.testing.assert_array_equal(np.asarray(opened(images)), np.asarray(generator(images)))

    discriminator = build_discriminator(config)
    checkpoints.restore_model(converted / case, 0, "discriminator", discriminator)
    logits = discriminator([images, recorded[f"{case}/target_image"]])
    for scale in (0, 1):
        expected = recorded[f"{case}/discriminator/real_features/{scale}/4"]
        np.testing.assert_allclose(logits[scale], expected, atol=1e-5)


@pytest.mark.parametrize("case", SETTINGS)
def test_the_run_trains_by_the_method_of_the_paper(converted, case):
    config = read_config(converted / case)
    settings = {"depth": 2, "residual_blocks": 2, "discriminator_layers": 3, "num_discriminators": 2}
    settings |= {"method": "pix2pixhd", "objective": "cgan", "gan_loss": "least_squares", "input_channels": 6}
    for name, value in {**SETTINGS[case], **settings}.items():
        assert getattr(config, name) == value, name
    assert (config.discriminator_filters or config.base_filters) == 4


@pytest.mark.parametrize("case", SETTINGS)
def test_there_and_back_every_bit_is_the_same(recorded, converted, case, tmp_path, capsys):
    files = {"generator": tmp_path / "G.npz", "discriminator": tmp_path / "D.npz"}
    _convert(
        f"--workdir={converted / case}",
        *map("--{}={}".format, ("output", "discriminator_file"), files.values()),
    )
    for network, file in files.items():
        state, expected = torch_files.read_state(file), _state(recorded, case, network)
        assert state.keys() == expected.keys()
        assert all(np.array_equal(state[name], expected[name]) for name in expected)
    shown = capsys.readouterr().out
    assert f"{THERE[case]} --input_nc 6 --output_nc 3\n" in shown
    assert "--num_D 2 --n_layers_D 3 --ndf 4 --norm instance" in shown


def test_swapped_and_incomplete_files_are_refused(recorded, converted, tmp_path):
    with pytest.raises(UsageError, match="holds a discriminator"):
        _convert(f"--checkpoint={converted / 'global_D.npz'}", f"--output={tmp_path / 'run'}")
    for network, name, option in (
        ("generator", "model1_2.0.conv_block.1.weight", "checkpoint"),
        ("discriminator", "scale0_layer2.0.bias", "discriminator_file"),
    ):
        state = _state(recorded, "local", network)
        del state[name]
        np.savez(tmp_path / f"{network}.npz", **state)
        files = {"checkpoint": converted / "local_G.npz", option: tmp_path / f"{network}.npz"}
        with pytest.raises(UserError, match=f"missing: {name}"):
            _convert(*(f"--{flag}={file}" for flag, file in files.items()), f"--output={tmp_path / 'run'}")
    assert not (tmp_path / "run").exists()


def test_other_norms_have_no_place_there(tmp_path):
    config = make_config(
        dataset="synthetic",
        method="pix2pixhd",
        image_size=32,
        base_filters=2,
        depth=2,
        residual_blocks=1,
        normalization="instance",
    )
    write_run(tmp_path / "run", config)
    with pytest.raises(UserError, match="`generator=global`, `normalization=instance`.*pix2pixHD has global"):
        _convert(f"--workdir={tmp_path / 'run'}", f"--output={tmp_path / 'G.npz'}")
