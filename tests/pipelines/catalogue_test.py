"""The catalogue against the paper's table of recipes and the archives' known counts."""

import dataclasses

import pytest

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.catalogue import CATALOGUE, Recipe, check_name, find_dataset, is_name
from tfpix2pix.pipelines.tasks.registry import TASKS

# Name: direction, training images, epochs, batch size, jitter, mirror.
PAPER = {
    "facades": ("BtoA", 400, 200, 1, True, True),
    "cityscapes": ("BtoA", 2975, 200, 1, True, True),
    "maps": ("AtoB", 1096, 200, 1, True, True),
    "edges2shoes": ("AtoB", 49825, 15, 4, False, False),
    "edges2handbags": ("AtoB", 138567, 15, 4, False, False),
    "night2day": ("BtoA", 17823, 17, 4, True, True),
    "colorization": ("AtoB", 1281167, 6, 4, False, True),
    "thermal2color": ("AtoB", 36609, 10, 4, True, True),
    "inpainting": ("AtoB", 14900, 25, 4, False, True),
}


@pytest.mark.parametrize("name", PAPER)
def test_recipes_are_the_papers(name):
    spec = CATALOGUE[name]
    recipe = spec.recipe
    settings = (recipe.epochs, recipe.batch_size, recipe.jitter, recipe.mirror)
    assert (spec.direction, spec.counts["train"], *settings) == PAPER[name]


def test_what_the_authors_confirmed():
    assert {name: set(CATALOGUE[name].recipe.unconfirmed) for name in ("facades", "cityscapes", "maps")} == {
        "facades": set(), "cityscapes": set(), "maps": set(),
    }  # fmt: skip
    assert set(CATALOGUE["edges2shoes"].recipe.unconfirmed) == {"epochs", "batch_size"}
    assert set(CATALOGUE["edges2handbags"].recipe.unconfirmed) == {"epochs", "batch_size", "mirror"}
    every = {field.name for field in dataclasses.fields(Recipe)} - {"unconfirmed"}
    assert all(set(spec.recipe.unconfirmed) <= every for spec in CATALOGUE.values())


def test_which_of_the_papers_sets_can_be_downloaded():
    assert {name for name in PAPER if CATALOGUE[name].url} == {
        "facades", "cityscapes", "maps", "edges2shoes", "edges2handbags", "night2day",
    }  # fmt: skip


def test_an_entry_is_found_by_its_own_name_and_learns_a_task_that_there_is():
    for name, spec in CATALOGUE.items():
        assert spec.name == name and spec.task in TASKS and spec.counts["train"] > 0


def test_palettes():
    facades, cityscapes = CATALOGUE["facades"].palette, CATALOGUE["cityscapes"].palette
    assert len(facades) == 12 and len(set(facades.values())) == 12
    assert facades["window"] == (0, 128, 255) and list(facades)[0] == "background"
    assert len(cityscapes) == 19 and cityscapes["car"] == (0, 0, 142)
    assert CATALOGUE["synthetic"].palette == facades


def test_an_unknown_name_is_a_set_of_ones_own():
    spec = find_dataset("mine")
    assert (spec.name, spec.direction, spec.url, spec.recipe.epochs) == ("mine", "AtoB", None, 200)


@pytest.mark.parametrize("text, named", [("facades", True), ("a.b-c_1", True), ("", False), ("..", False),
                                         ("a/b", False), ("-x", False)])  # fmt: skip
def test_names(text, named):
    assert is_name(text) == named


def test_a_folder_that_is_no_name_is_told_what_to_give():
    with pytest.raises(UsageError) as refusal:
        check_name("two dirs")
    assert "letters, digits, _ . -" in str(refusal.value) and "Received: 'two dirs'" in str(refusal.value)
    assert str(refusal.value).endswith("`dataset=NAME` `data_dir='two dirs'`")
