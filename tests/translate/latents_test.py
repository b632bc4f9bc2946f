"""Latent vectors from seeds and pictures, and what lies between two of them."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import runs
from tests.helpers.tiny_run import write_run
from tests.helpers.translating import translate
from tfpix2pix.config.config import make_config
from tfpix2pix.networks.inference import sample_seed
from tfpix2pix.networks.latent import draw_normal
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.run import splits
from tfpix2pix.run.generator import load_encoder
from tfpix2pix.translate.files import FileTranslator
from tfpix2pix.translate.image_inputs import find_files
from tfpix2pix.translate.latents import encode_latent, find_latents
from tfpix2pix.translate.options import Options
from tfpix2pix.translate.translator import Translator

CONFIG = make_config(
    dataset="synthetic",
    direction="BtoA",
    method="bicyclegan",
    image_size=32,
    depth=3,
    base_filters=4,
    discriminator_layers=1,
    latent_size=4,
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "bicycle", CONFIG)


@pytest.fixture(scope="module")
def translator(workdir) -> Translator:
    return Translator(workdir)


def _save(file: Path, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(file)
    return file


def _draw(seed: int) -> np.ndarray:
    return draw_normal(sample_seed(seed)[None], 4, -1)[0].numpy()


@pytest.mark.slow
def test_between_a_seed_and_a_picture(workdir, translator, tmp_path):
    picture = _save(tmp_path / "a:b.png")
    latents = find_latents(translator, Options(interpolate=f"{picture}:7:5"))
    encoder, _ = load_encoder(workdir, 2)
    mean, _ = encoder(np.asarray(Image.open(picture), np.float32)[None] / 127.5 - 1)
    np.testing.assert_allclose(latents[0], mean[0], atol=1e-5)
    np.testing.assert_allclose(latents[-1], _draw(7), atol=1e-6)
    np.testing.assert_allclose(latents[1], 0.75 * latents[0] + 0.25 * latents[-1], atol=1e-6)
    assert latents.shape == (5, 4)
    np.testing.assert_array_equal(encode_latent(translator, np.asarray(Image.open(picture))), latents[0])
    (only,) = find_latents(translator, Options(latent_from=str(picture)))
    np.testing.assert_array_equal(only, latents[0])
    assert find_latents(translator, Options()) is None


@pytest.mark.parametrize("task", ["colorize", "inpaint"])
def test_the_encoder_sees_of_a_photo_what_it_saw_in_training(tmp_path, task):
    for split in ("train", "val"):
        (tmp_path / "photos" / split).mkdir(parents=True)
        photo = _save(tmp_path / "photos" / split / "0.png")
    own = {
        "method": "bicyclegan",
        "latent_size": 4,
        "discriminator_layers": 1,
        "task": task,
        "receptive_field": 70,
    }
    config = runs.tiny_config(tmp_path / "photos", **own)
    source = splits.open_split(config, "train")
    run = write_run(tmp_path / "run", config, source)
    (example,) = build_dataset(source, image_size=32, batch_size=1, training=False)
    mean, _ = load_encoder(run, 2)[0](example["target_image"])
    (latent,) = find_latents(Translator(run), Options(latent_from=str(photo)))
    np.testing.assert_allclose(latent, mean[0], atol=1e-5)


def test_the_command_writes_a_strip_and_an_animation(workdir, translator, tmp_path):
    picture = _save(tmp_path / "in.png")
    translate(model=workdir, input=picture, output=tmp_path / "out", interpolate="3:8:4")
    pixels = np.asarray(Image.open(picture))
    shares = np.linspace(0, 1, 4)
    frames = [translator(pixels, latent=(1 - share) * _draw(3) + share * _draw(8)) for share in shares]
    strip = np.asarray(Image.open(tmp_path / "out" / "in_strip.png"), np.int16)
    np.testing.assert_allclose(strip, np.concatenate(frames, axis=1), atol=1)
    with Image.open(tmp_path / "out" / "in.webp") as animation:
        assert (animation.n_frames, animation.size) == (6, (32, 32))
    page = (tmp_path / "out" / "index.html").read_text()
    assert "in_strip.png" in page and "in.webp" in page
    translate(model=workdir, input=picture, output=tmp_path / "one", latent_from=3)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "one" / "in.png")), frames[0])


def test_a_picture_that_no_animation_holds_is_named_and_leaves_no_strip(translator, tmp_path):
    picture = tmp_path / "in" / "wide.png"
    picture.parent.mkdir()
    Image.fromarray(np.zeros((2, 16384, 3), np.uint8)).save(picture)
    files = find_files(str(picture), tmp_path / "out", lambda file: [])
    translate_file = FileTranslator(translator, tmp_path / "out", Options(interpolate="3:8:2"), 1)
    with pytest.raises(
        BadImageError, match=r"wide.webp cannot be written: .* at most 16383 px. Received: 16384x2"
    ):
        translate_file(files[0])
    assert not list((tmp_path / "out").glob("*.*"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"interpolate": "3:8"}, "`interpolate` is A:B:N.*Received: 3:8"),
        ({"interpolate": "3:8:1"}, "number of outputs, at least 2"),
        ({"interpolate": "3:8:1001"}, "at most 1000, such as 3:7:12. Received: 3:8:1001"),
        ({"interpolate": "3:8:4", "latent_from": "3"}, "exclude each other"),
        (
            {"interpolate": "3:8:4", "bits": "16", "format": "tiff"},
            "both of 8 bits; leave out `format` and `bits`",
        ),
        ({"latent_from": ""}, "`latent_from` is empty; give it a value"),
        ({"interpolate": ""}, "`interpolate` is empty"),
        ({"instances": ""}, "`instances` is empty"),
        ({"feature_from": ""}, "`feature_from` is empty"),
        ({"latent_from": "3", "samples_per_image": 2}, "`samples_per_image` must be 1"),
    ],
)
def test_options_that_cannot_work_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Options(**settings)


@pytest.mark.parametrize("given", ["nowhere.png", "--7", "\N{SUPERSCRIPT TWO}", "1.5"])
def test_what_is_neither_a_seed_nor_a_picture_is_named(translator, given):
    with pytest.raises(UsageError, match=f"`latent_from` takes a noise seed, .*; {given} is neither"):
        find_latents(translator, Options(latent_from=given))
    with pytest.raises(UsageError, match=f"`interpolate` takes a noise seed, .*; {given} is neither"):
        find_latents(translator, Options(interpolate=f"3:{given}:2"))


def test_the_lower_32_bits_of_any_seed_count(translator):
    for seed in (f"{2**100 + 7}", f"{7 - 2**80}", "+7"):
        (latent,) = find_latents(translator, Options(latent_from=seed))
        np.testing.assert_array_equal(latent, _draw(7))
    image = np.zeros((8, 8, 3), np.uint8)
    np.testing.assert_array_equal(translator(image, noise_seed=2**100 + 7), translator(image, noise_seed=7))


def test_models_without_latent_vector_or_encoder_say_so(tmp_path):
    run = write_run(tmp_path / "plain")
    picture = _save(tmp_path / "in.png")
    flags = ["--model", run, "--input", picture, "--output", tmp_path / "out", "--latent_from=3"]
    process = runs.call([sys.executable, "-m", "tfpix2pix.translate", *flags])
    assert process.returncode == 2 and "--latent_from is for a model with a latent vector" in process.stderr
    with pytest.raises(UsageError, match="`method=pix2pix`, which has no encoder"):
        load_encoder(run, 2)
