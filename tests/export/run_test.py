"""A run exported: what it says itself, and what the caller decides."""

import dataclasses
import json

from tests.helpers.tiny_run import CONFIG, write_run
from tfpix2pix.export.run import export_run
from tfpix2pix.run.generator import load_generator


def test_the_run_decides_what_the_caller_leaves_open(tmp_path):
    config = dataclasses.replace(CONFIG, serving_noise="random")
    workdir = write_run(tmp_path / "run", config)
    generator, _, step = load_generator(workdir)
    folder = tmp_path / "saved_models" / "mine"
    cards = []
    for settings in ({}, {"noise": "fixed", "max_pixels": 2048, "keep_versions": 1}):
        version = export_run(generator, config, step, workdir, folder, **settings)
        cards.append(json.loads((version / "model_card.json").read_text()))
    assert [path.name for path in folder.iterdir()] == ["2"]
    assert [card["noise"]["policy"] for card in cards] == ["random", "fixed"]
    assert [card["noise"]["seed"] for card in cards] == [None, 5]
    assert [card["input"]["max_pixels"] for card in cards] == [16777216, 2048]
    for card in cards:
        assert (card["dataset"], card["step"], card["task"]) == ("synthetic", 2, "pairs")
        assert card["config"]["direction"] == "BtoA" and card["config"]["image_size"] == [32, 32]
