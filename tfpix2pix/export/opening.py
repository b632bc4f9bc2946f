"""Opens a version of a SavedModel: loads its network, reads its task and its card."""

import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpix2pix.config.config import FIELDS, Config, from_json
from tfpix2pix.export.names import (
    CARD_FILE,
    FLOAT32,
    GENERATED_IMAGE,
    INPUT_IMAGE,
    LATENT,
    LATENT_VECTOR,
    NETWORK_SIGNATURE,
    NOISE_SEED,
    TASK_FILE,
)
from tfpix2pix.networks.inference import Generate
from tfpix2pix.networks.latent import detach_latent
from tfpix2pix.networks.scale import Scale, scale_from_json, trained_scale
from tfpix2pix.pipelines.base.errors import UsageError, UserError, shorten
from tfpix2pix.pipelines.base.paths import plain_folder
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.tasks.tasks import Task, make_task


def read_task(version: Path, channels: tuple[int, int]) -> Task:
    """Returns the task of a SavedModel.

    Args:
      version: folder of the SavedModel.
      channels: number of channels of the network's input, and of its output.

    Raises:
      UserError: when the file that holds the task cannot be read.
    """
    file = version / TASK_FILE
    try:
        written: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {"name": "pairs"}
        name, inputs = written.pop("name"), channels[0] - written.get("boundaries", False)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file} does not hold the task of the model ({error}); copy it again, or export the model anew"
        ) from error
    return make_task(name, (inputs, channels[1]), **written)  # the network may see one channel more


def write_task(version: Path, task: Task) -> None:
    """Writes the task into the folder of a SavedModel, from where `read_task` reads it."""
    file = version / TASK_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"name": task.name, **task.settings}) + "\n")


def load_saved_model(version: Path) -> tuple[Generate, tuple[int, int], int]:
    """Returns the network of a SavedModel.

    Returns:
      The network, the numbers of its input and of its output channels, and the size of its latent vector,
      which is 0 where it has none.

    Raises:
      UserError: when the SavedModel cannot be loaded.
      UsageError: when it was not written by this project.
    """
    try:
        with plain_folder(version) as plain:
            loaded = tf.saved_model.load(str(plain))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{version} cannot be loaded: {shorten(error)}") from error
    if NETWORK_SIGNATURE not in loaded.signatures:
        raise UsageError(
            f"{version} has no signature {NETWORK_SIGNATURE}; python -m tfpix2pix.export writes one that has"
        )
    signature = loaded.signatures[NETWORK_SIGNATURE]

    def generate(input_image, noise_seed, _variables_kept_alive=loaded):
        seeds, latent = detach_latent(noise_seed)
        given = {INPUT_IMAGE: input_image, NOISE_SEED: seeds}
        if latent.shape[1]:
            return loaded.signatures[FLOAT32 + LATENT](**given, **{LATENT_VECTOR: latent})[GENERATED_IMAGE]
        return signature(**given)[GENERATED_IMAGE]

    inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    channels = inputs[INPUT_IMAGE].shape[-1], outputs[GENERATED_IMAGE].shape[-1]
    return generate, channels, _read_latent_size(loaded)


def _read_latent_size(loaded: Any) -> int:
    if FLOAT32 + LATENT not in loaded.signatures:
        return 0
    return loaded.signatures[FLOAT32 + LATENT].structured_input_signature[1][LATENT_VECTOR].shape[-1]


def read_card(version: Path) -> Any:
    """Returns what `model_card.json` holds, or an empty dictionary where there is no card.

    Raises:
      ValueError: when it is no JSON.
    """
    file = version / CARD_FILE
    return json.loads(file.read_text()) if file.is_file() else {}


def read_config(version: Path) -> Config | None:
    """Returns the configuration of the training as the card of a SavedModel says it.

    What the card leaves out, such as `data_dir`, has its default.

    Args:
      version: folder of the SavedModel.

    Returns:
      The configuration; None where there is no card, or it does not say how the model was trained.

    Raises:
      UserError: when the card cannot be read.
    """
    file = version / CARD_FILE
    try:
        told = read_card(version).get("config")
        if told is None:
            return None
        return from_json(json.dumps({name: value for name, value in told.items() if name in FIELDS}))
    except (UsageError, ValueError, AttributeError) as error:
        raise UserError(
            f"{file} cannot be read ({error}); mend it, or move it away and say yourself what the model "
            "was trained on"
        ) from error


def read_scale(version: Path) -> Scale:
    """Returns the size at which pictures go through a SavedModel, as its card says it.

    A card without it was written by an earlier version: then it is the size of the training. Where the card
    does not say that either, or cannot be read, which is warned of, pictures keep their size.

    Args:
      version: folder of the SavedModel.
    """
    try:
        written = read_card(version).get("scale")
        if written is not None:
            return scale_from_json(written)
        config = read_config(version)
    except (UserError, ValueError, AttributeError) as error:
        warn(f"pictures are translated at their own size: {version / CARD_FILE} cannot be read ({error})")
        return Scale()
    return Scale() if config is None else trained_scale(config)


def read_told(version: Path, name: str) -> Any:
    """Returns an entry of the card of a SavedModel; None where the card does not have it, or cannot be read.

    Args:
      version: folder of the SavedModel.
      name: the entry, such as `side_by_side`, what `pair_shapes.measure_shapes` returned.
    """
    try:
        return read_card(version).get(name)
    except (ValueError, AttributeError):
        return None
