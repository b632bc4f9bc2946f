"""Converted weights against the reference's networks in PyTorch itself, both ways."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="compares with PyTorch: needs the [torch] extra")

from tests.helpers.references import torch_networks  # noqa: E402
from tfpix2pix.config.config import Config, make_config  # noqa: E402
from tfpix2pix.interop import torch_export, torch_import  # noqa: E402
from tfpix2pix.methods.build import build_train_step  # noqa: E402
from tfpix2pix.networks.build import build_discriminator  # noqa: E402
from tfpix2pix.run import checkpoints  # noqa: E402
from tfpix2pix.run.folder import write_config  # noqa: E402
from tfpix2pix.translate.translator import Translator  # noqa: E402


def _save(network, file):
    torch.save(network.state_dict(), file)
    return file


def _write_run(config: Config, workdir):
    """Writes a run of wide random weights, all of which reach the outputs."""
    train_step = build_train_step(config, total_steps=1)
    draw = np.random.default_rng(0)
    for variable in (*train_step.generator.variables, *train_step.discriminator.variables):
        scale = 0.5 if len(variable.shape) == 1 else 1.5 / np.prod(variable.shape[:3]) ** 0.5
        variable.assign(draw.normal(size=variable.shape) * scale)
    write_config(workdir, config, None)
    checkpoints.save(workdir, train_step.variables(), {"best": None})
    return train_step


def _logits(discriminator, images):
    sizes = [tensor.shape[-1] for tensor in discriminator.inputs]
    parts = [images] if len(sizes) == 1 else [images[..., : sizes[0]], images[..., sizes[0] :]]
    return discriminator(parts if len(parts) == 2 else parts[0], training=True).numpy()


@pytest.mark.parametrize(
    ("depth", "filters", "channels", "norm"),
    [
        (5, 4, (3, 3), "batch"),
        (6, 3, (1, 2), "instance"),
        (7, 2, (3, 3), "none"),
        (7, 5, (4, 1), "batch"),
        (8, 2, (3, 3), "batch"),
        (8, 2, (3, 3), "instance"),
        (9, 1, (3, 3), "batch"),
    ],
)
def test_generators_give_the_same_pixels(depth, filters, channels, norm, tmp_path):
    reference = torch_networks.randomize(torch_networks.Unet(depth, filters, channels, norm), seed=depth)
    file = _save(reference, tmp_path / "latest_net_G.pth")
    torch_import.import_run(file, tmp_path / "run", dropout="none")
    # Twice as wide as the bottleneck needs, in one direction.
    pixels = torch_networks.draw_images(channels[0], 2**depth)
    images = np.concatenate([torch_networks.to_unit_range(pixels)] * 2, axis=2)[:, :, ::-1]
    expected = torch_networks.run(reference, images)
    np.testing.assert_allclose(Translator(tmp_path / "run")(images), expected, atol=1e-4)
    assert expected.std() > 0.1


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("strided", [0, 1, 2, 3, 4, 5, 6])
def test_discriminators_give_the_same_logits(strided, norm, tmp_path):
    generator = torch_networks.Unet(5, 1, (3, 3), norm)
    reference = torch_networks.randomize(torch_networks.Discriminator(strided, 2, 6, norm), seed=strided)
    files = [_save(generator, tmp_path / "G.pth"), _save(reference, tmp_path / "D.pth")]
    config = torch_import.import_run(files[0], tmp_path / "run", files[1]).config
    discriminator = build_discriminator(config)
    checkpoints.restore_model(tmp_path / "run", 0, "discriminator", discriminator)
    images = torch_networks.to_unit_range(torch_networks.draw_images(6, 192 if strided == 6 else 96))
    expected = torch_networks.run(reference, images)
    np.testing.assert_allclose(_logits(discriminator, images), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("normalization", "norm", "receptive_field", "strided"),
    [("batch", "batch", 70, 3), ("instance", "batch", 34, 2), ("plain_instance", "instance", 1, 0)],
)
def test_the_reference_loads_our_weights_and_gives_our_pixels(
    normalization, norm, receptive_field, strided, tmp_path
):
    config = make_config(
        dataset="synthetic",
        image_size=64,
        depth=6,
        base_filters=2,
        discriminator_filters=3,
        normalization=normalization,
        receptive_field=receptive_field,
        dropout="none",
    )
    train_step = _write_run(config, tmp_path / "run")
    torch_export.export_weights(tmp_path / "run", tmp_path / "G.pth", tmp_path / "D.pth")
    generator = torch_networks.Unet(6, 2, (3, 3), norm)
    discriminator = torch_networks.Discriminator(strided, 3, 6, norm)
    for network, file in ((generator, "G.pth"), (discriminator, "D.pth")):
        network.load_state_dict(torch.load(tmp_path / file, weights_only=True), strict=True)
    images = torch_networks.to_unit_range(torch_networks.draw_images(6, 64))
    generated = train_step.generator([images[..., :3], np.zeros((1, 2), "int32")], training=False)
    np.testing.assert_allclose(torch_networks.run(generator, images[..., :3]), generated, atol=1e-4)
    expected = _logits(train_step.discriminator, images)
    np.testing.assert_allclose(torch_networks.run(discriminator, images), expected, atol=1e-4)
    assert np.std(generated) > 0.1


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_there_and_back_the_reference_has_its_bits(norm, tmp_path):
    reference = torch_networks.randomize(torch_networks.Unet(6, 2, (3, 3), norm), seed=0)
    torch_import.import_run(_save(reference, tmp_path / "G.pth"), tmp_path / "run")
    torch_export.export_weights(tmp_path / "run", tmp_path / "back.pth")
    back = torch_networks.Unet(6, 2, (3, 3), norm)
    back.load_state_dict(torch.load(tmp_path / "back.pth", weights_only=True), strict=True)
    for expected, value in zip(reference.parameters(), back.parameters(), strict=True):
        assert torch.equal(value, expected)
