"""What the page says of the model: its card."""

import dataclasses
from pathlib import Path

from tfpix2pix.config.config import Config
from tfpix2pix.export.opening import read_card
from tfpix2pix.export.versions import model_folder
from tfpix2pix.pipelines.catalogue import CATALOGUE
from tfpix2pix.pipelines.tasks.registry import find_task
from tfpix2pix.run.checkpoints import read_date
from tfpix2pix.translate.translator import Translator
from tfpix2pix.web.demo.input import Origin

_PAPERS = {
    "pix2pix": "https://arxiv.org/abs/1611.07004",
    "pix2pixhd": "https://arxiv.org/abs/1711.11585",
    "bicyclegan": "https://arxiv.org/abs/1711.11586",
}
_SIDES = {
    "AtoB": "A to B, from the left image of a pair to the right one",
    "BtoA": "B to A, from the right image of a pair to the left one",
}


@dataclasses.dataclass(frozen=True)
class Fact:
    """A line of the card: what it is about, a text, and the address where there is more, or nothing."""

    name: str
    text: str
    url: str = ""


def describe_translator(translator: Translator, model: str | Path, origin: Origin) -> tuple[Fact, ...]:
    """Returns the card of a run, or of a SavedModel by what its `model_card.json` says.

    Args:
      translator: the opened model.
      model: the folder that was opened; its own name is told, and not where it is.
      origin: what is known of the training.
    """
    version, step = translator.version, translator.step
    if version is not None:
        number = f", version {version.name}" if version.name.isdecimal() else ""
        name, told = f"{model_folder(version).name}{number}", read_card(version)
        return describe_model(name, origin, translator.config, told.get("step"), told.get("date"))
    assert step is not None  # noqa: S101 - a run has a checkpoint
    workdir = Path(model)
    return describe_model(workdir.resolve().name, origin, translator.config, step, read_date(workdir, step))


def describe_model(
    name: str,
    origin: Origin,
    config: Config | None = None,
    step: int | None = None,
    date: str | None = None,
) -> tuple[Fact, ...]:
    """Returns the card of a model. What is not known of the model is left out.

    Args:
      name: what the model is called.
      origin: what is known of the training.
      config: configuration of the training.
      step: number of steps of the training.
      date: the last day of the training.
    """
    task = find_task(origin.task)
    facts = [Fact("Model", name), _describe_data(origin.dataset), Fact("Task", f"it generates {task.title}")]
    if not task.from_photos:
        facts.append(Fact("Direction", _SIDES[origin.direction]))
    if config is not None:
        height, width = config.image_size
        facts.append(Fact("Size", f"images of {width} x {height} px in the training"))
        method = f"{config.method}, generator {config.generator}"
        facts.append(Fact("Method", method, _PAPERS.get(config.method, "")))
    if step is not None:
        facts.append(Fact("Training", f"{step:,} steps" + (f", until {date}" if date else "")))
    return tuple(facts)


def _describe_data(name: str) -> Fact:
    spec = CATALOGUE.get(name)
    if spec is None:
        return Fact("Data", name)
    title = spec.title.partition(";")[0].replace("->", "→")
    return Fact("Data", f"{name}: {title}", spec.url or "")
