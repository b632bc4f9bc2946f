"""The folders of a SavedModel: which version a path names. TensorFlow is not imported."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tfpix2pix.export.names import SAVED_MODEL_FILE
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.places import check_url, is_remote, settle_url
from tfpix2pix.pipelines.remote.copies import fetch_folder
from tfpix2pix.pipelines.remote.store import Entry, Store
from tfpix2pix.run.folder import CONFIG_FILE
from tfpix2pix.run.remote_workdir import choose_checkpoint


def fetch_model(model: str | Path, checkpoint: str | int | None = None) -> Path:
    """Returns a folder of this machine with a run or SavedModel; that of a URL is fetched.

    Args:
      model: a path, or the URL of a run, of a SavedModel, of which the newest version is fetched, or of one
        version.
      checkpoint: which checkpoint of a run is fetched: `latest`, `best` or a step; None takes the latest.

    Raises:
      UserError: if there is nothing, or it cannot be fetched.
    """
    if not is_remote(model):
        return Path(model)
    check_url(model, "model")
    store, which = Store(settle_url(model)), "latest" if checkpoint is None else str(checkpoint)

    def choose(entries: Mapping[str, Entry]) -> list[str]:
        if "" in entries:  # It is a file.
            return [""]
        if CONFIG_FILE in entries:
            return choose_checkpoint(store, which, entries)
        version = choose_newest(entries)
        newest = f"{version}/" if version else ""
        is_one = SAVED_MODEL_FILE in entries
        return [name for name in entries if (is_one or newest) and name.startswith("" if is_one else newest)]

    return fetch_folder(model, choose, which)


def choose_newest(names: Iterable[str]) -> str | None:
    """Returns the newest version among the files of a model's folder in a store; None if there is none."""
    files = [name for name in names if re.fullmatch(rf"\d+/{SAVED_MODEL_FILE}", name)]
    return max((name.partition("/")[0] for name in files), key=int, default=None)


def find_version(model: Path) -> Path | None:
    """Returns the version of a SavedModel that a path names.

    Args:
      model: folder of a run, of a model, of which the newest version counts, or of one version.

    Returns:
      The folder of the version; None for a run.

    Raises:
      UsageError: when `model` is neither a run nor a SavedModel.
    """
    if (model / CONFIG_FILE).is_file():
        return None
    if (model / SAVED_MODEL_FILE).is_file():
        return model
    versions = [file.parent for file in model.glob(f"*/{SAVED_MODEL_FILE}") if file.parent.name.isdecimal()]
    if versions:
        return max(versions, key=lambda version: int(version.name))
    if not model.exists():
        raise UsageError(f"there is no {model}; `model` takes the folder of a run or of a SavedModel")
    raise UsageError(
        f"{model} is neither the folder of a run, which holds {CONFIG_FILE}, nor that of a SavedModel, "
        f"which holds {SAVED_MODEL_FILE} or versions 1, 2, ..."
    )


def model_folder(version: Path) -> Path:
    """Returns the folder of the model that a version belongs to: its own, if it is no numbered version."""
    version = version.resolve()
    return version.parent if version.name.isdecimal() else version
