"""Opens the trained generator of a run, and its encoder, if it has one."""

from pathlib import Path

import keras

from tfpix2pix.config.config import Config
from tfpix2pix.networks.build import Builder, build_encoder, build_feature_encoder, build_generator
from tfpix2pix.networks.variables import ENCODER, GENERATOR, average_name
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import read_config, read_meaning, read_own
from tfpix2pix.run.splits import find_input_palette
from tfpix2pix.run.weights import takes_average


def weights_name(workdir: str | Path, weights: str | None = None) -> str:
    """Returns the name under which the checkpoints of a run hold the generator's weights.

    The arguments and errors are those of `takes_average`.
    """
    return average_name(GENERATOR) if takes_average(workdir, weights) else GENERATOR


def load_encoder(workdir: str | Path, step: int) -> tuple[keras.Model, Config]:
    """Builds the encoder of latent vectors of a run and restores its weights.

    Args:
      workdir: folder of the run.
      step: step of the checkpoint.

    Returns:
      The encoder, `target_image -> [mean, log_variance]`, and the configuration of the run.

    Raises:
      UsageError: when the run has no encoder.
      UserError: when the checkpoint cannot be read.
    """
    workdir = Path(workdir)
    config = read_config(workdir)
    if config.method != "bicyclegan":
        raise UsageError(
            f"{workdir} was trained with `method={config.method}`, which has no encoder of latent vectors; "
            "`method=bicyclegan` trains one"
        )
    encoder = build_encoder(config)
    checkpoints.restore_model(workdir, step, ENCODER, encoder)
    return encoder, config


def load_feature_encoder(workdir: str | Path, step: int) -> keras.Model:
    """Builds the encoder of features of instances of a run and restores its weights.

    Args:
      workdir: folder of the run.
      step: step of the checkpoint.

    Returns:
      The encoder, `[target_image, instances] -> features`, as `encoders.feature_encoder` builds it.

    Raises:
      UsageError: when the run has no such encoder.
      UserError: when the checkpoint cannot be read.
    """
    workdir = Path(workdir)
    config = read_config(workdir)
    if not config.instance_features:
        raise UsageError(
            f"{workdir} has no encoder of features; it was trained without `instance_features`, which "
            "`method=pix2pixhd` takes"
        )
    encoder = build_feature_encoder(config)
    checkpoints.restore_model(workdir, step, ENCODER, encoder)
    return encoder


def load_generator(
    workdir: str | Path,
    which: str | int | None = "latest",
    generator: Builder | None = None,
    weights: str | None = None,
) -> tuple[keras.Model, Config, int]:
    """Builds a run's generator and restores its weights.

    Args:
      workdir: folder of the run.
      which: the checkpoint: `latest`, which None means too, `best` or a step.
      generator: the function that built the generator, if the run was trained with one of your own.
      weights: `ema` or `raw`, see `takes_average`; None takes the average of a run that keeps one.

    Returns:
      The generator, the configuration of the run, and the step of the checkpoint.

    Raises:
      UsageError: when there is no such run or checkpoint, it has no such weights, or the run was
        trained with a generator that is not given.
      UserError: when the checkpoint cannot be read.
    """
    workdir = Path(workdir)
    config = read_config(workdir)
    own = read_own(workdir).get("generator")
    if own and not generator:
        raise UsageError(
            f"{workdir} was trained with a generator of its own, {own}: open it in Python, with "
            f"load_generator(workdir, generator={own.rpartition('.')[2]}), or use the SavedModel of the run"
        )
    name, step = weights_name(workdir, weights), checkpoints.find_step(workdir, which)
    if 0 < step <= config.global_steps:
        warn(f"at step {step} of {workdir} only the global generator was trained: its enhancers are random")
    built = build_generator(config, generator, find_input_palette(config, read_meaning(workdir)))
    checkpoints.restore_model(workdir, step, name, built)
    return built, config, step
