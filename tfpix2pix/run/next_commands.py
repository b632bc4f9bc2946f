"""The commands that go on with a run, so that they run as they are pasted into a shell."""

import contextlib
import io
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfpix2pix.config import options
from tfpix2pix.config.config import FIELDS, Config, make_config
from tfpix2pix.pipelines.base import shell
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.places import name_urls, public_url
from tfpix2pix.pipelines.files.finding import find_split
from tfpix2pix.pipelines.files.image_listing import list_image_files
from tfpix2pix.pipelines.placing.dataset_folder import find_dataset_folder
from tfpix2pix.pipelines.placing.remote_datasets import fetch_list
from tfpix2pix.pipelines.tasks.registry import find_task

# What `translate` does to a photo before a model of the task takes it.
_OF_TASKS: dict[str, dict[str, Any]] = {"inpaint": {"hole": "center"}, "edges": {"draw_edges": True}}


def score(model: Path, **more: Any) -> str:
    """Returns the command that scores a model, with more flags of `evaluate`."""
    return _join("evaluate", {"model": model, **more})


def translate(model: Path, config: Config, workdir: Path) -> str | None:
    """Returns the command that translates the validation's inputs, or one of them if others lie beside them.

    Args:
      model: the run, or a SavedModel of it.
      config: the configuration of the run.
      workdir: the run; the command writes to a folder in it.

    Returns:
      The command; None where the inputs are no files, as in the set of generated facades.
    """
    inputs = _find_inputs(config)
    if not inputs:
        return None
    return _join("translate", {"model": model, **inputs, "output": workdir / "translated"})


def train(config: Config, workdir: Path) -> str:
    """Returns the command that trains by a configuration; flags in it give each setting that is unusual."""
    told: dict[str, Any] = {name: getattr(config, name) for name in ("dataset", "image_size")}
    # The usual values of other settings follow from these.
    first = ("task", "hole", "pairs", "resize", "jitter")
    usual = make_config(**told)
    told |= {name: value for name in first if (value := getattr(config, name)) != getattr(usual, name)}
    usual = make_config(**told)
    unused = ("load_size",) if not (config.resizes and config.jitter) else ()
    told |= {
        name: value
        for name in FIELDS
        if name not in (*told, *unused) and (value := getattr(config, name)) != getattr(usual, name)
    }
    return _join("train", {"workdir": workdir, **told})


def export(workdir: Path, name: str) -> str:
    """Returns the command that exports a run under a name of its own."""
    return _join("export", {"workdir": workdir, "name": name})


def list_hidden(config: Config) -> list[str]:
    """Returns the settings whose URLs the commands show without what may be a secret."""
    shown = {name: _show(getattr(config, name)) for name in FIELDS}
    return [name for name, text in shown.items() if public_url(text) != text]


def _join(command: str, flags: Mapping[str, Any]) -> str:
    words = [f"--{name}={shlex.quote(name_urls(public_url(_show(value))))}" for name, value in flags.items()]
    return " ".join([f"{shell.python()} -m tfpix2pix.{command}", *words])


def _show(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else options.text(value)


def _find_inputs(config: Config) -> dict[str, Any]:
    """Returns flags of `translate` that give it the validation's inputs; none where these are no files."""
    if config.spec.draw_pair:
        return {}
    from_photos = find_task(config.task).from_photos
    try:
        listed, data_dir = config.pairs, Path(config.data_dir)
        folder = fetch_list(listed) if listed else find_dataset_folder(config.dataset, data_dir)
        # Warnings of the folder were read when the data was opened.
        with contextlib.redirect_stderr(io.StringIO()):
            pairs = find_split(folder, "val", from_photos, config.val_percent).pairs if folder else {}
    except UserError:
        return {}
    is_b = config.direction == "BtoA"
    files = [each[is_b] if len(each) == 2 else each[0] for each in pairs.values()]
    files = [file for file in files if isinstance(file, Path)]  # none of the records of shards
    if not files:
        return {}
    flags = dict(_OF_TASKS.get(config.task, {}))
    if not from_photos and len(next(iter(pairs.values()))) == 1:
        flags["crop"] = "right" if is_b else "left"
    parents = {file.parent for file in files}
    have_a_folder = len(parents) == 1 and len(list_image_files(files[0].parent)[0]) == len(files)
    return {"input": files[0].parent if have_a_folder else files[0], **flags}
