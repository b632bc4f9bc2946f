"""Writes the SavedModel that TensorFlow Serving runs, and tries it before it appears."""

import contextlib
import io
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.config.choices import SERVING_NOISE
from tfpix2pix.export.model_card import write_card
from tfpix2pix.export.names import SAVED_MODEL_FILE
from tfpix2pix.export.opening import write_task
from tfpix2pix.export.signatures import MAX_PIXELS, Contract, Endpoint, build_endpoints
from tfpix2pix.export.verification import verify as verify_model
from tfpix2pix.export.warmup import write_warmup
from tfpix2pix.networks import keras_versions
from tfpix2pix.networks.inference import generator_of
from tfpix2pix.networks.scale import RESIZED, TILED, Scale
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError, shorten
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.meaning import UNKNOWN, Meaning
from tfpix2pix.pipelines.tasks.tasks import Task
from tfpix2pix.pipelines.tasks.transforms import settle_size

_USUAL_SIZE = (256, 256)


def export_saved_model(
    generator: keras.Model,
    folder: str | Path,
    noise_seed: int = 0,
    verify: bool = True,
    task: Task | None = None,
    *,
    noise: str = "fixed",
    max_pixels: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    resize: bool = True,
    keep_versions: int | None = None,
    about: Mapping[str, Any] | None = None,
    meaning: Meaning = UNKNOWN,
) -> Path:
    """Writes a generator as the next version of a servable model.

    A server that polls `folder` sees the version whole or not at all. `saved_models/README.md` documents
    the signatures.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`, or the `Pix2Pix` that holds it.
      folder: folder of the model, such as `saved_models/facades`.
      noise_seed: seed of the noise of every image, if `noise` is `fixed`.
      verify: whether the result is loaded in a fresh process, as TensorFlow Serving loads it, and its
        answers are compared with the generator's before it is published.
      task: what was learned. Files and integers that are sent to the model are the task's pictures. None
        means pairs.
      noise: the noise of requests that bring no seed: `fixed`, `random` or `off`.
      max_pixels: images of more pixels are refused, files before they are decoded. None takes 2**24, or the
        pixels of `image_size` if those are more.
      image_size: N or (height, width) in px at which the generator was trained. Files are resized to it, and
        what is generated back to the size of the file; arrays keep their size. The warm-up requests have it.
        With None, files keep their size too.
      resize: whether files are resized to `image_size`. If not, they keep their size and are translated in
        overlapping windows of `image_size`.
      keep_versions: number of versions that are kept. Older ones are deleted once the new one is there.
        None keeps all.
      about: entries of the model card that say where the model comes from, in types of JSON.
      meaning: what the pictures stand for. It decides whether gray files are class ids, and the depth of the
        files that come out; `UNKNOWN` gives a file the depth of its input.

    Returns:
      The folder of the version, `<folder>/<version>`. The version is the next free integer.

    Raises:
      UsageError: when settings do not go together.
      UserError: when the SavedModel cannot be written, or does not answer as the generator does; nothing is
        left then.

    Examples:
      >>> generator = unet_generator((32, 32), base_filters=4)
      >>> export_saved_model(generator, folder, verify=False).name
      '1'
    """
    folder, generator = Path(folder), generator_of(generator)
    image_size = settle_size(image_size, "image_size") if image_size else None
    scale = Scale(RESIZED if resize else TILED, image_size) if image_size else Scale()
    warmup_size = image_size or _USUAL_SIZE
    max_pixels = max_pixels or max(MAX_PIXELS, math.prod(warmup_size))
    _check(noise, max_pixels, warmup_size, keep_versions)
    task = task or Task((generator.inputs[0].shape[-1], generator.outputs[0].shape[-1]))
    contract = Contract(
        task=task,
        noise=noise,
        noise_seed=noise_seed,
        max_pixels=max_pixels,
        scale=scale,
        meaning=meaning,
    )
    try:
        with staging.staged_folder(folder / "version") as staged:
            model = staged / "model"
            endpoints = build_endpoints(generator, contract)
            _write(endpoints, model)
            write_task(model, task)
            write_warmup(model, endpoints, task.picture_channels[0], warmup_size)
            write_card(model, about or {}, contract, endpoints)
            if verify:
                verify_model(generator, contract, model)
            version = folder / str(max(_list_versions(folder), default=0) + 1)
            staging.publish(model, version)
            if keep_versions:
                _delete_versions(folder, keep_versions, staged)
    except (OSError, tf.errors.OpError) as error:
        reason = shorten(error)
        raise UserError(f"could not write a SavedModel to {folder} ({reason}); nothing is left") from error
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # This succeeds only where the folder is empty.
    return version


def _check(noise: str, max_pixels: int, image_size: tuple[int, int], keep_versions: int | None) -> None:
    if noise not in SERVING_NOISE:
        raise UsageError(f"`noise` must be one of {', '.join(SERVING_NOISE)}. Received: {noise}")
    if keep_versions is not None and keep_versions < 1:
        raise UsageError(f"`keep_versions` must be at least 1. Received: {keep_versions}")
    # A server does not load a model whose warm-up requests fail.
    height, width = image_size
    if max_pixels < height * width:
        raise UsageError(
            f"`max_pixels` must be at least {height * width}, as the model was made for "
            f"{height}x{width} px. Received: {max_pixels}"
        )


def _list_versions(folder: Path) -> list[int]:
    names = [path.name for path in folder.iterdir()]
    return [int(name) for name in names if name.isascii() and name.isdigit()]


def _write(endpoints: Mapping[str, Endpoint], model: Path) -> None:
    # `track(generator)` is left out, because it would store every weight twice.
    archive = keras_versions.export_archive()
    for name, endpoint in endpoints.items():
        archive.add_endpoint(name, endpoint.function, list(endpoint.inputs))
    with contextlib.redirect_stdout(io.StringIO()):
        archive.write_out(str(model))


def _delete_versions(folder: Path, keep_versions: int, staged: Path) -> None:
    """Deletes all versions but the newest. Each disappears whole, by a rename."""
    versions = [
        number for number in _list_versions(folder) if (folder / str(number) / SAVED_MODEL_FILE).is_file()
    ]
    for number in sorted(versions)[:-keep_versions]:
        try:
            os.rename(folder / str(number), staged / str(number))
            shutil.rmtree(staged / str(number))
        except OSError as error:
            warn(f"{folder / str(number)} could not be deleted: {error.strerror}")
