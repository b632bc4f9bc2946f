"""Exports a checkpoint of a run as a SavedModel: the one place that tells `export_saved_model` of a run."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras

from tfpix2pix.config.config import Config
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.export.names import SAVED_MODEL_FILE
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.pipelines.base.places import is_remote
from tfpix2pix.pipelines.remote.copies import open_output, send_folder
from tfpix2pix.run.folder import read_meaning
from tfpix2pix.run.splits import make_task


def export_run(
    generator: keras.Model,
    config: Config,
    step: int,
    workdir: Path,
    folder: str | Path,
    *,
    noise: str | None = None,
    max_pixels: int | None = None,
    keep_versions: int | None = None,
    verify: bool = True,
    weights: str | None = None,
) -> Path:
    """Writes the generator of a run as the next version of a servable model, with a card that names the run.

    Args:
      generator: the run's generator, with the weights of the checkpoint.
      config: configuration of the run. It decides the task, the seed of fixed noise, the size that files are
        resized to, and the policy of noise unless `noise` does.
      step: step of the checkpoint.
      workdir: folder of the run.
      folder: folder of the model, such as `saved_models/facades`, or its URL. There the new version is
        uploaded, `saved_model.pb` last, so that a server finds it when it is whole.
      noise: `fixed`, `random` or `off`, for requests that bring no seed; None takes the run's policy.
      max_pixels: the largest number of pixels of an image; None as for `export_saved_model`.
      keep_versions: number of versions that are kept; None keeps all.
      verify: whether a fresh process tries the SavedModel before it appears.
      weights: which weights of the run the generator has, as they were given to `load_generator`.

    Returns:
      The folder of the version, `<folder>/<version>`; for a URL its copy on this machine.

    Raises:
      UsageError: when the settings do not go together.
      UserError: when the SavedModel cannot be written, or does not answer as the generator does.
    """
    with known_versions(folder) as models:
        return export_saved_model(
            generator,
            models,
            noise_seed=config.seed,
            verify=verify,
            task=make_task(config),
            noise=noise or config.serving_noise,
            max_pixels=max_pixels,
            image_size=config.image_size,
            resize=config.resizes,
            keep_versions=keep_versions,
            about=describe_run(workdir, config, step, weights),
            meaning=read_meaning(workdir),
        )


@contextlib.contextmanager
def known_versions(folder: str | Path) -> Iterator[Path]:
    """Gives the folder of this machine that a model is exported to; what is written for a URL is uploaded.

    What tells the versions that are there already is fetched, so that the new one gets the next number.

    Args:
      folder: folder of the model, or its URL.
    """
    if not is_remote(folder):
        yield Path(folder)
        return
    models = open_output(
        folder,
        lambda entries: [name for name in entries if name.endswith(f"/{SAVED_MODEL_FILE}")],
        written=True,
    )
    yield models
    send_folder(models)
