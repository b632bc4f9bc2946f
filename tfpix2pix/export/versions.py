"""The folders of a SavedModel: which version a path names. TensorFlow is not imported."""

from pathlib import Path

from tfpix2pix.export.names import SAVED_MODEL_FILE
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run.folder import CONFIG_FILE


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
