"""Writes the SavedModel that TensorFlow Serving runs: `<folder>/<version>/`, tried before it appears."""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines import staging
from pipelines.command_line import UserError
from pipelines.image_files import decode_image
from pipelines.tasks import Task
from pipelines.transforms import to_uint8, to_unit_range
from tfpix2pix.translation import Generate, compile_generator, complete_pictures, sample_seed, write_task

# Largest difference from the Keras model, of values in [-1, 1]. Half precision
# rounds at other places once TensorFlow has fused operations.
TOLERANCE = 1e-5
HALF_TOLERANCE = 0.1

Endpoint = tuple[Callable, list[tf.TensorSpec]]


def export_saved_model(
    generator: keras.Model,
    folder: str | Path,
    noise_seed: int = 0,
    verify: bool = True,
    task: Task | None = None,
) -> Path:
    """Writes a generator as the next version of a servable model.

    A server that polls `folder` sees the version whole or not at all.
    `saved_models/README.md` documents the signatures.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      folder: of the model, such as `saved_models/facades`.
      noise_seed: the noise of every image, where a request gives none.
      verify: whether to load the result in a fresh process, as TensorFlow Serving
        does, and compare its answers with the generator's before it is published.
      task: what was learned; files that are sent to the model are its pictures.

    Returns:
      `<folder>/<version>`; the version is the next free integer.

    Raises:
      UserError: when the disk does not take it, or what was written does not
        answer as the generator does; nothing is left then.

    Example:
    >>> generator = unet_generator((32, 32), base_filters=4)
    >>> export_saved_model(generator, folder, verify=False).name
    '1'
    """
    folder = Path(folder)
    task = task or Task((generator.inputs[0].shape[-1], generator.outputs[0].shape[-1]))
    try:
        with staging.staged_folder(folder / "version") as staged:
            model = staged / "model"
            _write(generator, task, model, noise_seed)
            write_task(model, task)
            if verify:
                _verify(generator, task, model, noise_seed)
            version = folder / str(_next_version(folder))
            staging.publish(model, version)
    except (OSError, tf.errors.OpError) as error:
        reason = re.sub(r"{{.*?}} | \[Op:.*", "", str(error).strip().splitlines()[0])
        raise UserError(f"could not write a SavedModel to {folder} ({reason}); nothing is left") from error
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # only ever succeeds when it is empty
    return version


def _next_version(folder: Path) -> int:
    names = [path.name for path in folder.iterdir()]
    return max((int(name) for name in names if name.isascii() and name.isdigit()), default=0) + 1


def _write(generator: keras.Model, task: Task, folder: Path, noise_seed: int) -> None:
    # Without `track(generator)`: it would store every weight twice.
    archive = keras.export.ExportArchive()
    for name, (endpoint, signature) in _build_endpoints(generator, task, noise_seed).items():
        archive.add_endpoint(name, endpoint, signature)
    with contextlib.redirect_stdout(io.StringIO()):
        archive.write_out(str(folder))


def _build_endpoints(generator: keras.Model, task: Task, noise_seed: int) -> dict[str, Endpoint]:
    """Returns signature name -> function and its arguments. None of them assigns anything."""
    input_channels = generator.inputs[0].shape[-1]
    fixed_seed = sample_seed(noise_seed)
    images = tf.TensorSpec([None, None, None, input_channels], tf.float32, name="input_image")
    seeds = tf.TensorSpec([None, 2], tf.int32, name="noise_seed")

    def translate_seeded(input_image, noise_seed):
        return {"generated_image": generator([input_image, noise_seed], training=False)}

    def translate(input_image):
        return translate_seeded(input_image, tf.tile(fixed_seed[None], [tf.shape(input_image)[0], 1]))

    generate_picture = complete_pictures(task, lambda *inputs: generator(inputs, training=False))

    def translate_file(contents):
        picture = to_unit_range(decode_image(contents, task.picture_channels[0]))
        return tf.io.encode_png(to_uint8(generate_picture(picture[None], fixed_seed[None])[0]))

    def translate_files(image_bytes):
        # One by one, because each may have a size of its own.
        return {"image_bytes": tf.map_fn(translate_file, image_bytes, fn_output_signature=tf.string)}

    endpoints: dict[str, Endpoint] = {
        "float32": (translate, [images]),
        "float32_seeded": (translate_seeded, [images, seeds]),
    }
    if _takes_files(task):
        files = tf.TensorSpec([None], tf.string, name="image_bytes")
        return {"serving_default": (translate_files, [files]), **endpoints}
    return {"serving_default": (translate, [images]), **endpoints}


def _takes_files(task: Task) -> bool:
    """Whether pictures with so many channels exist as PNG files."""
    return task.picture_channels[0] in (1, 3, 4) and task.picture_channels[1] in (1, 2, 3, 4)


def _verify(generator: keras.Model, task: Task, model: Path, noise_seed: int) -> None:
    """Compares the answers of a fresh process with the generator's to single images."""
    channels = generator.inputs[0].shape[-1]
    draws = np.random.default_rng(0)
    sizes = ((37, 45), (37, 45), (24, 50))
    first, second = (draws.integers(0, 256, (*size, channels), np.uint8) for size in sizes[:2])
    picture_sizes = ((*size, task.picture_channels[0]) for size in sizes[1:])
    given = [draws.integers(0, 256, size, np.uint8) for size in picture_sizes]
    seeds = np.stack([sample_seed(noise_seed, sample) for sample in range(2)])
    batch = to_unit_range(np.stack([first, second])).numpy()
    requests: dict[str, Any] = {
        "float32/input_image": batch,
        "float32_seeded/input_image": batch,
        "float32_seeded/noise_seed": seeds,
    }
    if _takes_files(task):
        files = [tf.io.encode_png(picture).numpy() for picture in given]
        requests["serving_default/image_bytes"] = np.array(files, object)
    answers = _ask_fresh_process(model, requests)

    # Compiled, because operations run one by one round otherwise (1.5e-5 with large weights).
    generate = compile_generator(generator)

    generate_picture = tf.function(complete_pictures(task, generate), reduce_retracing=True)

    def translate(image: np.ndarray, seed: np.ndarray, function: Generate = generate) -> np.ndarray:
        # On the CPU, as in the other process: a GPU rounds differently.
        with tf.device("CPU:0"):
            return function(to_unit_range(image)[None], tf.constant(seed[None]))[0].numpy()

    halved = any(layer.compute_dtype in ("bfloat16", "float16") for layer in generator.layers)
    tolerance = HALF_TOLERANCE if halved else TOLERANCE
    at_first_seed = [translate(image, seeds[0]) for image in (first, second)]
    _compare("float32", answers["float32/generated_image"], at_first_seed, tolerance)
    expected = [at_first_seed[0], translate(second, seeds[1])]
    _compare("float32_seeded", answers["float32_seeded/generated_image"], expected, tolerance)
    if _takes_files(task):
        pictures = [tf.io.decode_png(file).numpy() for file in answers["serving_default/image_bytes"]]
        expected = [to_uint8(translate(picture, seeds[0], generate_picture)).numpy() for picture in given]
        _compare("serving_default", pictures, expected, 1 + tolerance * 127.5)


def _ask_fresh_process(model: Path, requests: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Runs `tfpix2pix.servable` on the model; it finds the modules that this process finds."""
    requests_file, answers_file = model.with_name("requests.npz"), model.with_name("answers.npz")
    np.savez(requests_file, **requests)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    command = [sys.executable, "-m", "tfpix2pix.servable", *map(str, (model, requests_file, answers_file))]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    if process.returncode:
        reason = (process.stderr.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        raise UserError(f"the SavedModel does not run in a fresh process, so it was not published: {reason}")
    with np.load(answers_file, allow_pickle=True) as answers:
        return {key: answers[key] for key in answers.files}


def _compare(
    name: str, answers: Iterable[np.ndarray], expected: Iterable[np.ndarray], tolerance: float
) -> None:
    for answer, image in zip(answers, expected, strict=True):
        difference = np.inf
        if answer.shape == image.shape:
            difference = np.max(np.abs(answer.astype(np.float64) - image))
        if not difference <= tolerance:
            raise UserError(
                f"the SavedModel was not published: its signature {name} is {difference:.2g} off "
                f"the generator, more than {tolerance:.2g}"
            )
