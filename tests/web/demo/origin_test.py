"""What the demo knows of a model: from the run, from the SavedModel's card, from its name."""

import shutil
from pathlib import Path

import pytest

from tests.helpers import runs, tiny_run
from tfpix2pix.config.config import make_config
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.meaning import UNKNOWN
from tfpix2pix.translate.translator import Translator
from tfpix2pix.web.demo.input import Origin, describe_input, origin_of_translator

BEFORE = runs.ROOT / "tests" / "helpers" / "before_rooms"
PAIRS = {"input_encoding": "picture", "boundaries": False, "resize_method": "bilinear"}
ORIGIN = Origin("synthetic", "BtoA", options=PAIRS, size=(32, 32), meaning=UNKNOWN)


@pytest.fixture
def version(tmp_path) -> Path:
    """A SavedModel whose folder has the name of another dataset."""
    return shutil.copytree(BEFORE / "saved_models" / "synthetic" / "1", tmp_path / "edges2shoes" / "1")


def test_a_run_and_its_saved_model_say_the_same(version):
    assert origin_of_translator(Translator(BEFORE / "run")) == ORIGIN
    assert origin_of_translator(Translator(version)) == ORIGIN
    assert describe_input(ORIGIN).kind == "labels"


def test_a_card_without_settings_leaves_the_name(version):
    (version / "model_card.json").write_text('{"name": "written by somebody else"}')
    assert origin_of_translator(Translator(version)) == Origin(
        "edges2shoes", "AtoB", options=PAIRS, meaning=UNKNOWN
    )
    assert origin_of_translator(Translator(version), dataset="facades") == Origin(
        "facades", "BtoA", options=PAIRS
    )
    (version / "model_card.json").unlink()
    assert origin_of_translator(Translator(version)) == Origin(
        "edges2shoes", "AtoB", options=PAIRS, meaning=UNKNOWN
    )


def test_a_damaged_card_is_named(version):
    (version / "model_card.json").write_text("{")
    with pytest.raises(UserError, match=r"model_card\.json cannot be read"):
        origin_of_translator(Translator(version))


def test_a_task_and_a_folder_of_data(tmp_path):
    config = make_config(
        dataset="photos",
        data_dir="elsewhere",
        task="inpaint",
        hole="random",
        image_size=32,
        depth=3,
        base_filters=2,
    )
    options = {"hole": "random", "resize_method": "bilinear"}
    origin = origin_of_translator(Translator(tiny_run.write_run(tmp_path / "run", config)))
    assert origin == Origin("photos", "AtoB", "inpaint", options, (32, 32), "elsewhere", meaning=UNKNOWN)
    assert describe_input(origin).kind == "holes" and not describe_input(origin).center_hole
