"""Exports a checkpoint of a run as a SavedModel: the one place that tells `export_saved_model` of a run."""

from pathlib import Path

import keras

from tfpix2pix.config.config import Config
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.run.folder import read_meaning
from tfpix2pix.run.splits import make_task


def export_run(
    generator: keras.Model,
    config: Config,
    step: int,
    workdir: Path,
    folder: Path,
    *,
    noise: str | None = None,
    max_pixels: int | None = None,
    keep_versions: int | None = None,
) -> Path:
    """Writes the generator of a run as the next version of a servable model, with a card that names the run.

    Args:
      generator: the run's generator, with the weights of the checkpoint.
      config: configuration of the run. It decides the task, the seed of fixed noise, the size that files are
        resized to, and the policy of noise unless `noise` does.
      step: step of the checkpoint.
      workdir: folder of the run.
      folder: folder of the model, such as `saved_models/facades`.
      noise: `fixed`, `random` or `off`, for requests that bring no seed; None takes the run's policy.
      max_pixels: the largest number of pixels of an image; None as for `export_saved_model`.
      keep_versions: number of versions that are kept; None keeps all.

    Returns:
      The folder of the version, `<folder>/<version>`.

    Raises:
      UsageError: when the settings do not go together.
      UserError: when the SavedModel cannot be written, or does not answer as the generator does.
    """
    return export_saved_model(
        generator,
        folder,
        noise_seed=config.seed,
        task=make_task(config),
        noise=noise or config.serving_noise,
        max_pixels=max_pixels,
        image_size=config.image_size,
        resize=config.resizes,
        keep_versions=keep_versions,
        about=describe_run(workdir, config, step),
        meaning=read_meaning(workdir),
    )
