"""from_pretrained opens each kind of model that is on this machine; tests/interop has the others."""

import json

import numpy as np
import pytest

from tests.helpers.tiny_run import CONFIG, write_run
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.export.names import CARD_FILE
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.model.pix2pix import Pix2Pix
from tfpix2pix.networks.discriminators import patch_discriminator
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.networks.variables import weights_of
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.origin import read_origin
from tfpix2pix.train.pretrained import from_pretrained
from tfpix2pix.translate.arrays import translate_images
from tfpix2pix.translate.translator import Translator

IMAGES = np.linspace(-1, 1, 32 * 32 * 3, dtype="float32").reshape(1, 32, 32, 3)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("pretrained") / "run")


@pytest.fixture(scope="module")
def saved_model(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained") / "models"
    about = describe_run(run, CONFIG, 2)
    return export_saved_model(load_generator(run)[0], folder, about=about, verify=False).parent


def _answer(generator):
    return np.asarray(generator(IMAGES))


def test_a_run_opens_at_the_checkpoint_that_is_named(run):
    latest, first = (_answer(load_generator(run, which)[0]) for which in ("latest", "1"))
    assert np.abs(latest - first).max() > 1e-3
    np.testing.assert_array_equal(_answer(from_pretrained(run)), latest)
    for which in ("1", "best"):
        np.testing.assert_array_equal(_answer(from_pretrained(f"{run}:{which}")), first)


def test_a_saved_model_becomes_a_generator_by_its_card(run, saved_model):
    np.testing.assert_array_equal(_answer(from_pretrained(saved_model)), _answer(load_generator(run)[0]))


def test_a_card_without_settings_is_refused(saved_model):
    (card_file,) = saved_model.glob(f"*/{CARD_FILE}")
    text = card_file.read_text()
    card = json.loads(text)
    del card["config"]  # as where export_saved_model is called without `about`
    card_file.write_text(json.dumps(card))
    with pytest.raises(
        UserError, match=f"{CARD_FILE} does not say how the generator is built.*Translator takes .*keras file"
    ):
        from_pretrained(saved_model)
    card_file.write_text(text)


@pytest.mark.skipif(not IS_KERAS_3, reason="such files are of Keras 3")
def test_a_keras_file_opens_as_it_was_saved(run, tmp_path):
    generator = load_generator(run)[0]
    generator.save(tmp_path / "generator.keras")
    np.testing.assert_array_equal(_answer(from_pretrained(tmp_path / "generator.keras")), _answer(generator))


@pytest.mark.skipif(not IS_KERAS_3, reason="such files are of Keras 3")
def test_the_file_of_a_pix2pix_opens_as_its_generator_and_starts_both_networks(run, tmp_path):
    model = Pix2Pix(load_generator(run)[0], patch_discriminator(16, base_filters=4))
    model.save(tmp_path / "pix2pix.keras")
    np.testing.assert_array_equal(
        _answer(from_pretrained(tmp_path / "pix2pix.keras")), _answer(model.generator)
    )
    origin = read_origin(tmp_path / "pix2pix.keras")
    for network, weights in (
        (model.generator, origin.generator),
        (model.discriminator, origin.discriminator),
    ):
        expected = {name: variable.numpy() for name, variable in weights_of(network).items()}
        assert weights.keys() == expected.keys()
        assert all(np.array_equal(weights[name], expected[name]) for name in expected)
    Pix2Pix(model.generator, objective="l1").save(tmp_path / "alone.keras")
    assert read_origin(tmp_path / "alone.keras").discriminator is None


def test_a_pix2pix_translates_and_is_exported_as_its_generator(run, tmp_path):
    model = Pix2Pix(load_generator(run)[0], patch_discriminator(16, base_filters=4))
    expected = translate_images(model.generator, IMAGES)
    np.testing.assert_array_equal(translate_images(model, IMAGES), expected)
    version = export_saved_model(model, tmp_path / "models", verify=False)
    np.testing.assert_allclose(Translator(version)(IMAGES), expected, atol=1e-6)


def test_what_is_nothing_is_refused():
    with pytest.raises(UsageError, match="Received: nowhere, which does not exist"):
        from_pretrained("nowhere")
