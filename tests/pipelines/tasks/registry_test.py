"""A task is one class and one entry: everything else follows, also for one that a script adds."""

import dataclasses

import numpy as np
import pytest
from absl import flags

from tfpix2pix.config.config import define_flags, describe, make_config
from tfpix2pix.export.opening import read_task, write_task
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.tasks.registry import TASKS, TaskSpec
from tfpix2pix.pipelines.tasks.tasks import Task, make_task
from tfpix2pix.run import splits
from tfpix2pix.web.demo.input import describe_input, origin_of_name


class Darken(Task):
    """A photo at half its brightness goes in, the photo comes out."""

    name = "darken"

    def make_example(self, images, seed):
        return {"input_image": images[0] / 2 - 0.5, "target_image": images[0]}


class Sketch(Task):
    """What a function of NumPy draws of the photo goes in."""

    name = "sketch"
    draw_input = staticmethod(lambda photo: (photo // 128) * np.uint8(255))


@pytest.fixture
def darken(monkeypatch):
    spec = TaskSpec(Darken, "the light of a photo", channels=(3, 3), from_photos=True, drawn="photo")
    monkeypatch.setitem(TASKS, "darken", spec)


def _flag(name: str) -> flags.Flag:
    flag_values = flags.FlagValues()
    define_flags(flag_values)
    return flag_values[name]


def _first_batch(config) -> dict[str, np.ndarray]:
    source = splits.open_split(config, "val")
    return next(build_dataset(source, image_size=(32, 32), batch_size=2, training=False).as_numpy_iterator())


def test_names_flags_and_channels_follow_from_the_table():
    assert _flag("task").parser.enum_values == ["pairs", "colorize", "inpaint", "edges"]
    assert all(f"{spec.title} ({name})" in _flag("task").help for name, spec in TASKS.items())
    assert _flag("hole").parser.enum_values == ["center", "random"]
    found = {name: (make_task(name).name, make_task(name).channels) for name in TASKS}
    assert found == {
        "pairs": ("pairs", (3, 3)),
        "colorize": ("colorize", (1, 2)),
        "inpaint": ("inpaint", (3, 3)),
        "edges": ("edges", (3, 3)),
    }


def test_options_that_a_task_does_not_have_are_ignored_and_bad_ones_named():
    assert make_task("pairs", (1, 2), hole="random").channels == (1, 2)
    assert make_task("pairs", hole="random").options == {"input_encoding": "picture", "boundaries": False}
    assert make_task("inpaint", (1, 1), hole="random").options == {"hole": "random"}
    assert make_task("colorize", resize_method="bicubic").settings == {"resize_method": "bicubic"}
    with pytest.raises(UsageError, match="^`hole` must be one of center, random. Received: left$"):
        make_task("inpaint", hole="left")
    with pytest.raises(UsageError, match="^`task` must be one of pairs, .*, edges. Received: segment$"):
        make_task("segment")


def test_a_task_of_ones_own_is_configured_read_and_drawn(darken, tmp_path):
    assert "darken" in _flag("task").parser.enum_values
    config = make_config(dataset="synthetic", task="darken", image_size=32)
    assert (config.direction, config.input_channels, config.output_channels) == ("AtoB", 3, 3)
    batch = _first_batch(config)
    np.testing.assert_allclose(batch["input_image"], batch["target_image"] / 2 - 0.5, atol=1e-6)
    write_task(tmp_path, splits.make_task(dataclasses.replace(config, resize_method="bicubic")))
    read = read_task(tmp_path, (3, 3))
    assert isinstance(read, Darken) and read.resize_method == "bicubic"
    assert "unused: not inpaint" in describe(config)
    origin = dataclasses.replace(origin_of_name("edges2shoes"), task="darken")
    assert describe_input(origin).kind == "photo"  # and not the lines of the dataset


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"direction": "BtoA"}, r"direction\W+is for pairs, and \W+task=darken\W+learns from single photos"),
        ({"hole": "random"}, r"hole\W+is for \W+task=inpaint\W+Received: \W+task=darken"),
        ({"input_channels": 1}, r"task=darken\W+has 3 input and 3 output channels"),
        ({"task": "pairs", "dataset": "colorization"}, r"task\W+takes colorize, inpaint, edges or darken"),
    ],
)
def test_the_checks_know_a_task_of_ones_own(darken, settings, message):
    with pytest.raises(UsageError, match=message):
        make_config(**{"dataset": "mine", "task": "darken", **settings})


def test_a_task_may_draw_its_input_when_files_are_read(monkeypatch):
    monkeypatch.setitem(TASKS, "sketch", TaskSpec(Sketch, "a photo", channels=(3, 3), from_photos=True))
    batch = _first_batch(make_config(dataset="synthetic", task="sketch", image_size=32))
    np.testing.assert_array_equal(batch["input_image"], np.where(batch["target_image"] > 0, 1, -1))


def test_a_class_bears_the_name_of_its_entry(monkeypatch):
    monkeypatch.setitem(TASKS, "brighten", TaskSpec(Darken, "x"))
    with pytest.raises(ValueError, match="^Darken.name must be 'brighten', its name in TASKS. Rec"):
        make_task("brighten")
