"""What an earlier version has written still opens: a run, a `.keras` file, a SavedModel.

`helpers/before_rooms/` was written by the last version whose modules stood flat in the package
(`tfpix2pix.layers`, `tfpix2pix.step`, ...): a run of three steps on the generated facades, its generator as a
`.keras` file, its SavedModel, and what the generator made of two images with `noise_seed=7`.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import tfpix2pix
from tests.helpers import runs
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.networks.scale import Scale
from tfpix2pix.translate.translator import Translator

FILES = Path(__file__).parent / "helpers" / "before_rooms"


@pytest.fixture(scope="module")
def answers():
    with np.load(FILES / "answers.npz") as archive:
        return archive["images"], archive["pictures"]


def test_a_run_translates_as_before(answers):
    generator, config, step = tfpix2pix.load_generator(FILES / "run")
    assert (config.dataset, config.direction, config.seed, step) == ("synthetic", "BtoA", 5, 3)
    images, pictures = answers
    np.testing.assert_array_equal(tfpix2pix.translate_images(generator, images, noise_seed=7), pictures)


def test_a_saved_model_translates_as_before(answers):
    images, pictures = answers
    saved = FILES / "saved_models" / "synthetic"
    assert Translator(saved).scale == Scale("resized", (32, 32))  # by the settings on its card
    translated = Translator(saved, image_size="native")(images, noise_seed=7)
    assert np.abs(translated.astype(int) - pictures).max() <= 1


def test_a_run_goes_on(tmp_path):
    """With the settings of its own config.json, as the same command gives them."""
    workdir = tmp_path / "run"
    shutil.copytree(FILES / "run", workdir)
    settings = ["--dataset=synthetic", "--direction=BtoA", "--image_size=32", "--depth=2", "--base_filters=2"]
    settings += ["--receptive_field=16", "--seed=5", "--precision=float32", "--steps=4", "--noexport"]
    settings += ["--batch_size=1", f"--workdir={workdir}"]
    process = runs.call([sys.executable, "-m", "tfpix2pix.train", *settings])
    assert process.returncode == 0, process.stderr
    assert "going on from step 3 of 4" in process.stderr
    assert (workdir / "checkpoints" / "step-00000004").is_dir()


@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 2 reads no file of Keras 3")
def test_a_keras_file_opens_by_its_registered_names(answers, tmp_path):
    script = (
        "import sys, numpy as np, tfpix2pix, keras\n"
        "generator = keras.models.load_model(sys.argv[1])\n"
        "images = np.load(sys.argv[2])['images']\n"
        "np.save(sys.argv[3], tfpix2pix.translate_images(generator, images, noise_seed=7))\n"
    )
    images, pictures = answers
    arguments = [FILES / "generator.keras", FILES / "answers.npz", tmp_path / "pictures.npy"]
    process = runs.run([sys.executable, "-c", script, *map(str, arguments)])
    assert process.returncode == 0, process.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "pictures.npy"), pictures)
