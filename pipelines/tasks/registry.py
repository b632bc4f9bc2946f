"""The tasks by name: what is known of each without TensorFlow, from which flags, help and checks follow.

A new task is one class, which derives from `tasks.Task`, and one entry in `TASKS`. A script of your own
may add an entry before it makes a configuration:

  TASKS["denoise"] = TaskSpec(Denoise, "the photo without its noise", channels=(3, 3), from_photos=True)
"""

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any

from tfpix2pix.pipelines.base.errors import UsageError

Channels = tuple[int, int]

# What the task inpaint cuts out of a photo.
HOLES = ("center", "random")
# What a network sees of an input image: its colours, or for a label map a channel of each class.
PICTURE, ONE_HOT = ENCODINGS = ("picture", "one_hot")
# How pictures are resized, whatever the task is.
BILINEAR, BICUBIC = RESIZE_METHODS = ("bilinear", "bicubic")


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """One task.

    Attributes:
      home: the class that does the task, or where it is, as `module:Class`.
      title: what is generated from what, in a few words that follow `learn to generate`.
      channels: of the network's input and target images; a function of the task's options where
        they matter; None where the user chooses the channels.
      from_photos: whether the task learns from single photos, and not from pairs.
      options: the task's own settings: the name of each, which is an argument of the class and a
        field of `config.Config`, and its choices, of which the first is the default.
      drawn: what people make for a model of the task in the demo: `photo`, `lines` or `holes`; None
        where it depends on the dataset.
    """

    home: str | Callable[..., Any]
    title: str
    channels: Channels | Callable[..., Channels] | None = None
    from_photos: bool = False
    options: Mapping[str, tuple[Any, ...]] = dataclasses.field(
        default_factory=lambda: types.MappingProxyType({})
    )
    drawn: str | None = None

    def choose_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the value of each of the task's options, those in `given` or else the default."""
        return {name: given.get(name, choices[0]) for name, choices in self.options.items()}

    def find_channels(self, given: Mapping[str, Any]) -> Channels | None:
        """Returns the channels of input and target with the options in `given`; None where they are free."""
        return self.channels(**self.choose_options(given)) if callable(self.channels) else self.channels


def _inpaint_channels(hole: str) -> Channels:
    # Random holes come with a fourth channel, which tells where they are; see `tasks.Inpaint`.
    return (4 if hole == "random" else 3, 3)


_HOME = "tfpix2pix.pipelines.tasks.tasks"
TASKS: dict[str, TaskSpec] = {
    "pairs": TaskSpec(
        f"{_HOME}:Task",
        "the target image of a pair from its input image",
        options=types.MappingProxyType({"input_encoding": ENCODINGS, "boundaries": (False, True)}),
    ),
    "colorize": TaskSpec(
        f"{_HOME}:Colorize",
        "the colours of a photo from its lightness",
        channels=(1, 2),
        from_photos=True,
        drawn="photo",
    ),
    "inpaint": TaskSpec(
        f"{_HOME}:Inpaint",
        "what is missing in the holes of a photo",
        channels=_inpaint_channels,
        from_photos=True,
        options=types.MappingProxyType({"hole": HOLES}),
        drawn="holes",
    ),
    "edges": TaskSpec(
        f"{_HOME}:Edges",
        "a photo from a drawing of its edges",
        channels=(3, 3),
        from_photos=True,
        drawn="lines",
    ),
}


def find_task(name: str) -> TaskSpec:
    """Returns the entry of a task.

    Raises:
      UsageError: for a name that is not in `TASKS`; the message lists the names.
    """
    if name not in TASKS:
        raise UsageError(f"`task` must be one of {', '.join(TASKS)}. Received: {name}")
    return TASKS[name]


def tasks_with_option(option: str) -> list[str]:
    """Returns the names of the tasks that have an option, such as `hole`."""
    return [name for name, spec in TASKS.items() if option in spec.options]


def all_options() -> list[str]:
    """Returns the names of the options of all tasks."""
    return sorted({option for spec in TASKS.values() for option in spec.options})
