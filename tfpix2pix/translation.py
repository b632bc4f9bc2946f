"""Opens a trained generator, from a run or a SavedModel, and translates images with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipelines.command_line import UsageError, UserError
from pipelines.tasks import Task, make_task
from pipelines.transforms import to_uint8, to_uint16, to_unit_range
from tfpix2pix import checkpoints, networks, splits
from tfpix2pix.config import Config
from tfpix2pix.request_checks import OVERSHOOT
from tfpix2pix.workdir import CONFIG_FILE, read_config

# (input_image [B, H, W, C], noise_seed [B, 2]) -> generated_image.
Generate = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

SAVED_MODEL_FILE = "saved_model.pb"
SIGNATURE = "float32_seeded"
# Name and hole of the task; TensorFlow Serving leaves the folder to whoever wrote the model.
TASK_FILE = "assets.extra/tfpix2pix.json"


def load_generator(workdir: str | Path, which: str = "latest") -> tuple[keras.Model, Config, int]:
    """Builds a run's generator and restores its weights.

    Args:
      workdir: of the run.
      which: checkpoint: `latest`, `best` or a step.

    Returns:
      The generator, the run's configuration, the checkpoint's step.

    Raises:
      UsageError: when there is no such run or checkpoint.
      UserError: when the checkpoint cannot be read.
    """
    workdir = Path(workdir)
    config = read_config(workdir)
    step = checkpoints.find_step(workdir, which)
    generator = networks.build_generator(config)
    checkpoints.restore_generator(workdir, step, generator)
    return generator, config, step


def compile_generator(generator: keras.Model) -> Generate:
    """Compiles a generator once for all sizes, each image normalised by its own statistics."""
    images = tf.TensorSpec([None, None, None, generator.inputs[0].shape[-1]], tf.float32)
    seeds = tf.TensorSpec([None, 2], tf.int32)
    return tf.function(
        lambda *inputs: generator(inputs, training=False), input_signature=[images, seeds], autograph=False
    )


def complete_pictures(task: Task, generate: Generate) -> Generate:
    """Returns what takes and gives pictures, as `pipelines.tasks` speaks of them, by way of a generator."""

    def generate_picture(picture: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
        example = task.read_picture(picture)
        return task.complete(example, generate(example["input_image"], noise_seed))

    return generate_picture


def sample_seed(noise_seed: int, sample: int = 0) -> tf.Tensor:
    """Returns the noise of the n-th sample of any image, int32 [2].

    Args:
      noise_seed: any integer; its lower 32 bits count.
      sample: which sample, from 0.
    """
    return tf.cast(tf.constant([noise_seed, sample], tf.int64), tf.int32)


def translate_images(generator: keras.Model, images: npt.ArrayLike, noise_seed: int = 0) -> np.ndarray:
    """Translates an image, or a batch of equally large ones.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      images: uint8, uint16, or float in [-1, 1]; [H, W, C] or [B, H, W, C], any H and W.
      noise_seed: of the noise, the same for every image.

    Returns:
      The generated images, of the same shape but for C; uint8 for uint8, uint16 for
      uint16, else float32 in [-1, 1].

    Raises:
      ValueError: for another shape, type or range.

    Example:
    >>> generator = unet_generator((32, 32), base_filters=4)
    >>> translate_images(generator, np.zeros((40, 50, 3), np.uint8)).shape
    (40, 50, 3)
    """

    def generate(input_image, noise_seed):
        return generator([input_image, noise_seed], training=False)

    return _translate(generate, generator.inputs[0].shape[-1], images, noise_seed)


class Translator:
    """Translates images with what a path names: a run, or a SavedModel.

    Args:
      model: a run's workdir; or `saved_models/<name>`, of which the newest version
        is taken; or one version's folder.
      checkpoint: of a run: `latest` (the default), `best` or a step.

    Attributes:
      title: what was opened, for people.
      config: the run's configuration; None for a SavedModel.
      step: of the checkpoint; None for a SavedModel.
      version: folder of the SavedModel; None for a run.
      task: what was learned. Called, the translator takes and gives the task's
        pictures, such as photos to be coloured.
      input_channels: channels of the network's input.
      generate: the network itself, on tensors, with a noise seed per image.

    Raises:
      UsageError: when `model` is neither, or `checkpoint` does not apply.
      UserError: when it cannot be read.

    Example:
    >>> Translator(workdir)(np.zeros((40, 50, 3), np.uint8), noise_seed=7).shape
    (40, 50, 3)
    """

    def __init__(self, model: str | Path, checkpoint: str | None = None):
        model = Path(model)
        self.config: Config | None = None
        self.step: int | None = None
        self.version = _find_version(model)
        if self.version is None:
            generator, self.config, self.step = load_generator(model, checkpoint or "latest")
            self.title = f"{model}, step {self.step}"
            self.input_channels = generator.inputs[0].shape[-1]
            self.task = splits.make_task(self.config)
            self.generate = compile_generator(networks.cast_kernels(generator))
        elif checkpoint is not None:
            raise UsageError(
                f"--checkpoint is for a run, and {model} is a SavedModel: name the folder of a version"
            )
        else:
            self.title = str(self.version)
            self.generate, channels = _load_saved_model(self.version)
            self.input_channels = channels[0]
            self.task = _read_task(self.version, channels)
        self._generate_picture = tf.function(
            complete_pictures(self.task, self.generate), reduce_retracing=True, autograph=False
        )

    def __call__(self, images: npt.ArrayLike, noise_seed: int = 0, sample: int = 0) -> np.ndarray:
        """Translates as `translate_images` does.

        Args:
          images: see there; of as many channels as the task's pictures have.
          noise_seed: see there.
          sample: which of the many outputs that one `noise_seed` stands for.

        Returns:
          See there.
        """
        channels = self.task.picture_channels[0]
        return _translate(self._generate_picture, channels, images, noise_seed, sample)


def _find_version(model: Path) -> Path | None:
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


def _read_task(version: Path, channels: tuple[int, int]) -> Task:
    file = version / TASK_FILE
    written: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {"name": "pairs"}
    return make_task(**written, channels=channels)


def write_task(version: Path, task: Task) -> None:
    """Writes what `Translator` must know of a SavedModel's task."""
    file = version / TASK_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"name": task.name, "hole": task.hole}) + "\n")


def _load_saved_model(version: Path) -> tuple[Generate, tuple[int, int]]:
    try:
        loaded = tf.saved_model.load(str(version))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{version} cannot be loaded: {str(error).splitlines()[0]}") from error
    if SIGNATURE not in loaded.signatures:
        raise UsageError(f"{version} has no signature {SIGNATURE}; write it with python -m tfpix2pix.export")
    signature = loaded.signatures[SIGNATURE]

    def generate(input_image, noise_seed, _variables_kept_alive=loaded):
        return signature(input_image=input_image, noise_seed=noise_seed)["generated_image"]

    inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    return generate, (inputs["input_image"].shape[-1], outputs["generated_image"].shape[-1])


def _translate(
    generate: Generate, channels: int, images: npt.ArrayLike, noise_seed: int, sample: int = 0
) -> np.ndarray:
    images = np.asarray(images)
    _check_images(images, channels)
    batch = images if images.ndim == 4 else images[None]
    is_integer = np.issubdtype(images.dtype, np.integer)
    max_value = np.iinfo(images.dtype).max if is_integer else None
    input_image = to_unit_range(batch, max_value) if max_value else tf.constant(batch, tf.float32)
    generated_image = generate(input_image, tf.tile(sample_seed(noise_seed, sample)[None], [len(batch), 1]))
    if max_value:
        generated_image = (to_uint8 if images.dtype == np.uint8 else to_uint16)(generated_image)
    return generated_image.numpy() if images.ndim == 4 else generated_image[0].numpy()


def _check_images(images: np.ndarray, channels: int) -> None:
    if images.ndim not in (3, 4) or images.shape[-1] != channels or 0 in images.shape:
        raise ValueError(
            f"images must be [H, W, {channels}] or [B, H, W, {channels}]. Received: shape {images.shape}"
        )
    if images.dtype in (np.uint8, np.uint16):
        return
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"images must be uint8, uint16, or float in [-1, 1]. Received: {images.dtype}")
    low, high = float(images.min()), float(images.max())
    if not (low >= -1 - OVERSHOOT and high <= 1 + OVERSHOOT):
        raise ValueError(
            f"float images must be in [-1, 1]; give 0 to 255 as uint8. Received: {low:g} to {high:g}"
        )
