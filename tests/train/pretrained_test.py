"""from_pretrained opens each kind of model that is on this machine; tests/interop has the others."""

import json

import numpy as np
import pytest

from tests.helpers.tiny_run import CONFIG, write_run
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.export.names import CARD_FILE
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.pretrained import from_pretrained

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
    with pytest.raises(UserError, match=f"{CARD_FILE} does not say how the generator is built"):
        from_pretrained(saved_model)
    card_file.write_text(text)


@pytest.mark.skipif(not IS_KERAS_3, reason="such files are of Keras 3")
def test_a_keras_file_opens_as_it_was_saved(run, tmp_path):
    generator = load_generator(run)[0]
    generator.save(tmp_path / "generator.keras")
    np.testing.assert_array_equal(_answer(from_pretrained(tmp_path / "generator.keras")), _answer(generator))


def test_what_is_nothing_is_refused():
    with pytest.raises(UsageError, match="Received: nowhere, which does not exist"):
        from_pretrained("nowhere")
