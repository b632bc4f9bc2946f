"""Opens a SavedModel: its newest version, its task, what it was trained on."""

import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpix2pix.config.config import FIELDS, Config, from_json
from tfpix2pix.export.names import (
    CARD_FILE,
    GENERATED_IMAGE,
    INPUT_IMAGE,
    NETWORK_SIGNATURE,
    NOISE_SEED,
    SAVED_MODEL_FILE,
    TASK_FILE,
)
from tfpix2pix.networks.inference import Generate
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.tasks.tasks import Task, make_task
from tfpix2pix.run.folder import CONFIG_FILE


def find_version(model: Path) -> Path | None:
    """Returns the folder of the SavedModel that `model` names, None if it is a run."""
    if (model / CONFIG_FILE).is_file():
        return None
    if (model / SAVED_MODEL_FILE).is_file():
        return model
    versions = [file.parent for file in model.glob(f"*/{SAVED_MODEL_FILE}") if file.parent.name.isdecimal()]
    if versions:
        return max(versions, key=lambda version: int(version.name))
    if not model.exists():
        raise UsageError(f"there is no {model}; --model takes the folder of a run or of a SavedModel")
    raise UsageError(
        f"{model} is neither the folder of a run ({CONFIG_FILE} in it) nor that of a SavedModel "
        f"({SAVED_MODEL_FILE}, or versions 1, 2, ... in it)"
    )


def read_task(version: Path, channels: tuple[int, int]) -> Task:
    """Returns the task of a SavedModel, of a network with so many input and output channels."""
    file = version / TASK_FILE
    written: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {"name": "pairs"}
    return make_task(**written, channels=channels)


def write_task(version: Path, task: Task) -> None:
    """Writes what `Translator` must know of a SavedModel's task."""
    file = version / TASK_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"name": task.name, **task.options}) + "\n")


def load_saved_model(version: Path) -> tuple[Generate, tuple[int, int]]:
    """Returns the network of a SavedModel, and its input and output channels."""
    try:
        loaded = tf.saved_model.load(str(version))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{version} cannot be loaded: {str(error).splitlines()[0]}") from error
    if NETWORK_SIGNATURE not in loaded.signatures:
        raise UsageError(
            f"{version} has no signature {NETWORK_SIGNATURE}; python -m tfpix2pix.export writes one that has"
        )
    signature = loaded.signatures[NETWORK_SIGNATURE]

    def generate(input_image, noise_seed, _variables_kept_alive=loaded):
        return signature(**{INPUT_IMAGE: input_image, NOISE_SEED: noise_seed})[GENERATED_IMAGE]

    inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    return generate, (inputs[INPUT_IMAGE].shape[-1], outputs[GENERATED_IMAGE].shape[-1])


def read_config(version: Path) -> Config | None:
    """Returns the configuration of the training that a card tells; None where there is no such card.

    What the card leaves out, such as `data_dir`, has its default.

    Args:
      version: folder of the SavedModel.

    Raises:
      UserError: for a card that cannot be read.
    """
    file = version / CARD_FILE
    if not file.is_file():
        return None
    try:
        told = json.loads(file.read_text()).get("config")
        if told is None:
            return None
        return from_json(json.dumps({name: value for name, value in told.items() if name in FIELDS}))
    except (UsageError, ValueError, AttributeError) as error:
        raise UserError(
            f"{file} cannot be read ({error}); mend it, or move it away and give --dataset, --direction and "
            "--image_size"
        ) from error
