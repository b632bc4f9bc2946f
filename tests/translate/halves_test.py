"""Side-by-side pairs among the inputs are known by the shape of the training's own pairs."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import translating
from tests.helpers.tiny_run import CONFIG, write_run
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.pipelines.files.sources import open_source
from tfpix2pix.run.folder import CONFIG_FILE, write_config
from tfpix2pix.run.generator import load_generator
from tfpix2pix.translate.translator import Translator

SHAPE_NOTE = "has the shape of the training's side-by-side pairs"


def save_picture(file: Path, width: int, height: int) -> np.ndarray:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(file)
    return pixels


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "weights")


@pytest.fixture
def write_trained(weights, tmp_path):
    """Returns a function that writes a run in the direction BtoA that was trained on the given sizes."""

    def write(*sizes: tuple[int, int], sides: tuple[str, ...] = ("",)) -> Path:
        for side in sides:
            for number, size in enumerate(sizes):
                save_picture(tmp_path / "data/train" / side / f"{number}.png", *size)
        run = tmp_path / "run"
        run.mkdir()
        for entry in weights.iterdir():
            if entry.name != CONFIG_FILE:
                (run / entry.name).symlink_to(entry)
        write_config(run, CONFIG, open_source(tmp_path / "data", "train", "BtoA"))
        return run

    return write


def translate(tmp_path: Path, capsys, **settings) -> list[str]:
    """Translates `photos` into `out`; returns the notes."""
    settings = {"input": tmp_path / "photos", "output": tmp_path / "out", **settings}
    translating.translate(**settings)
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]


def read_output(tmp_path: Path, name: str) -> np.ndarray:
    with Image.open(tmp_path / f"out/{name}.png") as image:
        return np.asarray(image)


def test_pairs_are_known_by_the_shape_of_the_trainings_pairs(write_trained, tmp_path, capsys):
    run = write_trained((60, 20), (60, 20))
    assert json.loads((run / CONFIG_FILE).read_text())["training_set"]["side_by_side"] == [3.0, 3.0]
    pictures = {
        name: save_picture(tmp_path / f"photos/{name}.png", *size)
        for name, size in {"half": (30, 20), "pair": (60, 20), "pair2": (120, 40), "wide": (40, 20)}.items()
    }
    (note,) = translate(tmp_path, capsys, model=run)
    assert note.startswith(f"note: {tmp_path}/photos/pair.png {SHAPE_NOTE}") and "the right half, the" in note
    translator = Translator(run)
    for name, picture in pictures.items():
        whole = picture[:, picture.shape[1] // 2 :] if name.startswith("pair") else picture
        np.testing.assert_array_equal(read_output(tmp_path, name), translator(whole), name)
    page = (tmp_path / "out/index.html").read_text()
    assert page.count('width="256" height="171"') == 6  # half, pair and pair2: 30 x 20 and 60 x 40
    assert translate(tmp_path, capsys, model=run, crop="none") == []
    np.testing.assert_array_equal(read_output(tmp_path, "pair"), translator(pictures["pair"]))


@pytest.mark.slow
def test_the_card_of_a_saved_model_tells_the_shape(write_trained, tmp_path, capsys):
    run = write_trained((60, 20))
    generator, config, step = load_generator(run)
    about = describe_run(run, config, step)
    version = export_saved_model(generator, tmp_path / "saved", verify=False, about=about)
    picture = save_picture(tmp_path / "photos/pair.png", 60, 20)
    (note,) = translate(tmp_path, capsys, model=version)
    assert SHAPE_NOTE in note
    np.testing.assert_array_equal(read_output(tmp_path, "pair"), Translator(version)(picture[:, 30:]))


def test_a_run_of_two_folders_takes_no_file_for_a_pair(write_trained, tmp_path, capsys):
    run = write_trained((60, 20), sides=("A", "B"))
    assert json.loads((run / CONFIG_FILE).read_text())["training_set"]["side_by_side"] == []
    picture = save_picture(tmp_path / "photos/wide.png", 40, 20)
    assert translate(tmp_path, capsys, model=run) == []
    np.testing.assert_array_equal(read_output(tmp_path, "wide"), Translator(run)(picture))


def test_where_halves_have_the_shape_of_pairs_a_person_is_asked(write_trained, tmp_path, capsys):
    run = write_trained((40, 40), (120, 40))  # half of the second one is wider than the first
    picture = save_picture(tmp_path / "photos/a.png", 60, 40)
    (note,) = translate(tmp_path, capsys, model=run)
    assert "a.png may be a side-by-side pair" in note and "`crop=right` takes its input half" in note
    np.testing.assert_array_equal(read_output(tmp_path, "a"), Translator(run)(picture))
