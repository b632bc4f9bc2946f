"""Opens the trained generator of a run."""

from pathlib import Path

import keras

from tfpix2pix.config.config import Config
from tfpix2pix.networks.build import build_generator
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import read_config


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
    generator = build_generator(config)
    checkpoints.restore_generator(workdir, step, generator)
    return generator, config, step
