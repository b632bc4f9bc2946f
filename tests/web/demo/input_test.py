"""What people draw for a model, and the examples that are read from its dataset."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import runs
from tfpix2pix.web.demo.input import Colour, Origin, describe_input, origin_of_name, read_examples


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("synthetic", "labels"),
        ("edges2shoes", "lines"),
        ("edges2mine", "lines"),
        ("maps", "photo"),
        ("inpainting", "holes"),
        ("colorization", "photo"),
    ],
)
def test_what_is_drawn_follows_from_the_dataset_and_the_task(name, kind):
    assert describe_input(origin_of_name(name)).kind == kind


def test_a_model_of_drawings_turned_round_takes_photos():
    origin = dataclasses.replace(origin_of_name("edges2shoes"), direction="BtoA")
    assert describe_input(origin).kind == "photo"
    assert describe_input(dataclasses.replace(origin, task="edges")).kind == "lines"


@pytest.mark.parametrize(
    ("options", "is_cut"), [({}, True), ({"hole": "center"}, True), ({"hole": "random"}, False)]
)
def test_a_photo_begins_with_the_hole_that_the_model_knows(options, is_cut):
    sheet = describe_input(Origin("mine", "AtoB", "inpaint", options))
    assert (sheet.kind, sheet.colours, sheet.center_hole) == ("holes", (Colour("hole", None),), is_cut)


def _read_examples(folder):
    origin = Origin("mine", "AtoB", data_dir=str(folder))
    return read_examples(origin, dataclasses.replace(describe_input(origin), size=(32, 32)))


def test_examples_are_the_inputs_of_the_validation_split(tmp_path):
    assert _read_examples(tmp_path) == ()
    folder = runs.write_dataset(tmp_path / "data", train=1, val=2)
    examples = _read_examples(folder)
    assert [example.name for example in examples] == ["val-0", "val-1"]
    pair = tf.io.decode_png((folder / "val" / "val-1.png").read_bytes())
    np.testing.assert_array_equal(tf.io.decode_png(examples[1].contents), pair[:, :32])


def test_generated_examples_need_no_folder(tmp_path):
    origin = dataclasses.replace(origin_of_name("synthetic", data_dir=str(tmp_path)), size=(32, 32))
    assert [example.name for example in read_examples(origin, describe_input(origin))][:2] == [
        "val_0",
        "val_1",
    ]


def test_a_damaged_example_is_named_in_a_warning(tmp_path, capsys):
    folder = runs.write_dataset(tmp_path, train=1, val=2)
    bad = folder / "val" / "val-1.png"
    bad.write_bytes(bad.read_bytes()[:-2000])
    assert _read_examples(folder) == ()
    warning = f"warning: no examples: {bad} is damaged or cut short and cannot be decoded\n"
    assert capsys.readouterr().err.endswith(warning)


def test_examples_are_found_where_training_finds_its_validation(tmp_path):
    for name in ("valid", "test"):
        folder = runs.write_dataset(tmp_path / name, train=1, val=2)
        (folder / "val").rename(folder / name)
        assert [example.name for example in _read_examples(folder)] == ["val-0", "val-1"]
    folder = runs.write_dataset(tmp_path / "share", train=3, val=0)
    (folder / "val").rmdir()
    (example,) = _read_examples(folder)  # a share of 10 %, and at least one
    assert example.name in ("train-0", "train-1", "train-2")
