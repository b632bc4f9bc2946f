"""What people make for a model, drawings or photos, and examples of it from the model's dataset."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpix2pix.export.versions import model_folder
from tfpix2pix.pipelines import catalogue, datasets
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.files.encoding import encode_png
from tfpix2pix.pipelines.labels.palettes import Palette, find_palette
from tfpix2pix.pipelines.meaning import Meaning
from tfpix2pix.pipelines.placing.dataset_folder import find_dataset_folder
from tfpix2pix.pipelines.tasks.registry import HOLES, find_task
from tfpix2pix.pipelines.tasks.tasks import Task, make_task
from tfpix2pix.pipelines.tasks.transforms import to_uint8
from tfpix2pix.translate.translator import Translator

MAX_EXAMPLES = 24
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


@dataclasses.dataclass(frozen=True)
class Origin:
    """What is known of a model's training.

    Attributes:
      dataset: name of the dataset.
      direction: `AtoB` or `BtoA`.
      task: name of the task, a key of `TASKS` in `pipelines/tasks/registry.py`.
      options: the task's own settings, such as `hole`; those that are left out have their defaults.
      size: (height, width) of the images in px.
      data_dir: folder that may hold the dataset.
      meaning: what the model's pictures stand for; None if nothing is known of them.
    """

    dataset: str
    direction: str
    task: str = "pairs"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    size: tuple[int, int] = (256, 256)
    data_dir: str = "datasets"
    meaning: Meaning | None = None


@dataclasses.dataclass(frozen=True)
class Colour:
    """Something that a tool can draw: a class, ink, or a hole, whose `rgb` is None."""

    name: str
    rgb: tuple[int, int, int] | None


@dataclasses.dataclass(frozen=True)
class Sheet:
    """What people make for a model.

    Attributes:
      title: what the model is called, for people.
      kind: `labels`, `lines`, `holes` (in a photo) or `photo`.
      size: (height, width) px.
      colours: what people draw with; an empty sheet has the first colour, unless it is a photo.
      center_hole: whether the middle of a photo is cut out from the beginning.
    """

    title: str
    kind: str
    size: tuple[int, int]
    colours: tuple[Colour, ...] = ()
    center_hole: bool = False


@dataclasses.dataclass(frozen=True)
class Example:
    """An input of the dataset: its name, and the contents of a PNG file."""

    name: str
    contents: bytes


def origin_of_translator(translator: Translator, **chosen: str) -> Origin:
    """Returns what is known of the training of a run or SavedModel.

    Of a SavedModel whose card does not say what it was trained on, the name of its folder is taken for the
    name of the dataset.

    Args:
      translator: the opened model.
      **chosen: fields that the user knows better.

    Raises:
      UserError: when the card of a SavedModel cannot be read.
    """
    config, version, task = translator.config, translator.version, translator.task
    if config is not None:
        origin = Origin(config.dataset, config.direction, size=config.image_size, data_dir=config.data_dir)
    else:
        assert version is not None  # noqa: S101 - a run has a configuration
        origin = origin_of_name(model_folder(version).name, **chosen)
    meaning = None if "dataset" in chosen else translator.meaning
    origin = dataclasses.replace(origin, task=task.name, options=task.settings, meaning=meaning)
    return dataclasses.replace(origin, **chosen)  # type: ignore[arg-type]


def origin_of_name(name: str, **chosen: str) -> Origin:
    """Returns what is likely to be true of a model that is only known by its name."""
    spec = catalogue.find_dataset(chosen.get("dataset", name))
    return Origin(spec.name, spec.direction, spec.task, data_dir=chosen.get("data_dir", "datasets"))


def describe_input(origin: Origin, kind: str | None = None, palette: str | None = None) -> Sheet:
    """Returns what people make for a model.

    Args:
      origin: what is known of the model's training.
      kind: what people make; None takes what follows from `origin`.
      palette: classes of label maps: the name of a dataset, or a JSON file; None takes those of the dataset.

    Raises:
      UserError: when the classes of label maps are not known, or `palette` cannot be read.
    """
    classes = find_palette(palette) if palette else _find_classes(origin)
    kind = kind or _guess_kind(origin, classes, bool(palette))
    if kind == "labels":
        if classes is None:
            raise UsageError(
                f"the classes of {origin.dataset} are not known: `palette=FILE` names them and their colours"
            )
        named = zip(classes.names, classes.colours.tolist(), strict=True)
        return Sheet(
            origin.dataset, kind, origin.size, tuple(Colour(name, tuple(rgb)) for name, rgb in named)
        )
    if kind == "lines":
        return Sheet(origin.dataset, kind, origin.size, (Colour("paper", _WHITE), Colour("ink", _BLACK)))
    if kind == "holes":
        return Sheet(origin.dataset, kind, origin.size, (Colour("hole", None),), _has_center_hole(origin))
    return Sheet(origin.dataset, kind, origin.size)


def _has_center_hole(origin: Origin) -> bool:
    return origin.options.get("hole", HOLES[0]) == "center"


def _find_classes(origin: Origin) -> Palette | None:
    if origin.meaning and origin.meaning.palette:
        return origin.meaning.palette
    try:
        return datasets.find_classes(origin.dataset, origin.data_dir)
    except UserError as error:
        warn(str(error))
        return None


def _guess_kind(origin: Origin, classes: Palette | None, is_asked_for: bool) -> str:
    if by_task := find_task(origin.task).drawn:
        return by_task
    if origin.meaning and origin.meaning.input:
        classes = origin.meaning.input.palette
        is_asked_for = is_asked_for or classes is not None
    # Label maps are on the right (B).
    if is_asked_for or (classes is not None and origin.direction == "BtoA"):
        return "labels"
    is_drawn = catalogue.find_dataset(origin.dataset).lines and origin.direction == "AtoB"
    return "lines" if is_drawn else "photo"


def read_examples(origin: Origin, sheet: Sheet) -> tuple[Example, ...]:
    """Reads the first inputs of the validation split, if the dataset is on disk. Nothing is downloaded.

    The pairs that validate are those of the training: `val/`, `valid/`, `test/`, or a share of `train/`.

    Args:
      origin: names the dataset.
      sheet: what the examples are examples of.

    Returns:
      At most `MAX_EXAMPLES` examples. There are none if there is no such split, or if it is damaged, which
      is warned of.
    """
    is_generated = catalogue.find_dataset(origin.dataset).draw_pair is not None
    if not is_generated and not find_dataset_folder(origin.dataset, Path(origin.data_dir)):
        return ()
    try:
        source = datasets.open_split(
            origin.dataset,
            "val",
            data_dir=origin.data_dir,
            direction=origin.direction,
            image_size=sheet.size,
            cache_mib=0,
            task=make_task(origin.task, **origin.options),
            meaning=origin.meaning,
            resize_input_to_target=True,
        )
        names = source.example_ids[:MAX_EXAMPLES]
        with source.naming_bad_files(range(len(names))):
            return tuple(
                Example(name, _encode(source.read(tf.constant(place, tf.int64))[0], sheet, source.task))
                for place, name in enumerate(names)
            )
    except (UserError, tf.errors.OpError) as error:
        warn(f"no examples: {error}")
        return ()


def _encode(image: tf.Tensor, sheet: Sheet, task: Task) -> bytes:
    if image.dtype != tf.uint8:
        image = to_uint8(image) if image.dtype.is_floating else tf.cast(image // 257, tf.uint8)
    if sheet.kind == "labels":  # A mixture of two colours would be no class.
        resized = tf.image.resize(image, sheet.size, "nearest")
    else:
        resized = tf.cast(tf.round(task.resize(image, sheet.size)), tf.uint8)
    return encode_png(resized).numpy()
