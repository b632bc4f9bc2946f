"""A SavedModel of a generator with a latent vector: its third signature, and what opens it."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.tiny_run import build_generator
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.export.servable import Servable
from tfpix2pix.networks.latent import find_latent, with_latent
from tfpix2pix.translate.translator import Translator

LATENTS = np.array([[1.0, -1.0, 0.5, 2.0], [0.0, 3.0, -2.0, 0.25]], np.float32)
SEEDS = np.array([[3, 4], [5, -6]], np.int32)


@pytest.fixture(scope="module")
def generator():
    return build_generator(latent_size=4)


@pytest.fixture(scope="module")
def exported(generator, tmp_path_factory) -> Path:
    # The fresh process that tries it compares the signature of each kind with the generator.
    folder = tmp_path_factory.mktemp("saved_models") / "tiny"
    return export_saved_model(generator, folder, image_size=32, resize=False)


def _pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.slow
def test_the_latent_vector_is_an_input(generator, exported):
    servable = Servable(exported)
    images = _pixels(2, 32, 40, 3).astype(np.float32) / 127.5 - 1
    expected = with_latent(generator)([tf.constant(each) for each in (images, SEEDS, LATENTS)])
    given = {"input_image": images, "noise_seed": SEEDS, "latent": LATENTS}
    answer = servable("float32_latent", given)["generated_image"]
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    drawn = find_latent(generator)(tf.constant(SEEDS)).numpy()
    by_seed = servable("float32_seeded", {"input_image": images, "noise_seed": SEEDS})["generated_image"]
    settled = servable("float32_latent", {**given, "latent": drawn})["generated_image"]
    np.testing.assert_allclose(settled, by_seed, atol=1e-5)
    assert np.abs(by_seed - answer).mean() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("latent", "message"),
    [
        (LATENTS[:1], r"latent must be \[2, 4\], 4 numbers for each image. Received: shape \[1 4\]"),
        (LATENTS * np.nan, "latent must be finite"),
    ],
)
def test_other_latent_vectors_are_refused(exported, latent, message):
    given = {"input_image": np.zeros([2, 32, 32, 3], np.float32), "noise_seed": SEEDS, "latent": latent}
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        Servable(exported)("float32_latent", given)


@pytest.mark.slow
def test_a_translator_takes_a_latent_vector(generator, exported):
    translator, pixels = Translator(exported), _pixels(32, 32, 3)
    assert translator.latent_size == 4
    expected = generator.predict(pixels[None].astype(np.float32) / 127.5 - 1, verbose=0, latent=LATENTS[0])
    translated = translator(pixels, latent=LATENTS[0], dtype=np.float32)
    np.testing.assert_allclose(translated, expected[0], atol=1e-4)
    pair = translator(np.stack([pixels] * 2), latent=LATENTS, dtype=np.float32)
    np.testing.assert_allclose(pair[0], translated, atol=1e-5)
    assert np.abs(pair[0] - pair[1]).mean() > 0.01
    expected = r"`latent` must be \[4\], for all images, or \[1, 4\], for each\. Received: shape \[3\]"
    with pytest.raises(ValueError, match=expected):
        translator(pixels, latent=[1, 2, 3])


@pytest.mark.slow
def test_windows_of_one_image_share_the_latent_vector_of_its_seed(generator, exported):
    flat = np.full((32, 100, 3), 90, np.uint8)
    for sample in (0, 1):
        tiled = Translator(exported)(flat, sample=sample, dtype=np.float32)
        (latent,) = find_latent(generator)(tf.constant([[0, sample]])).numpy()
        same = Translator(exported)(flat, sample=sample, latent=latent, dtype=np.float32)
        np.testing.assert_allclose(tiled, same, atol=1e-5)


def test_a_model_without_latent_vector_says_so(tmp_path):
    version = export_saved_model(build_generator(), tmp_path / "tiny", verify=False)
    assert Translator(version).latent_size == 0
    with pytest.raises(ValueError, match="has no latent vector, so `latent` has no effect on it"):
        Translator(version)(_pixels(32, 32, 3), latent=[1.0])
