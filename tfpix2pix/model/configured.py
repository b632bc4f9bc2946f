"""The training step of a configuration, or of a run, for a Keras model."""

from pathlib import Path

from tfpix2pix.config.config import Config
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run.folder import read_config, read_meaning
from tfpix2pix.run.splits import find_input_palette


def build_step_of(config: Config | str | Path, total_steps: int | None) -> tuple[TrainStep, Config]:
    """Builds networks, optimizers and step, and returns the configuration too.

    Args:
      config: as `make_config` makes it, or the folder of a run, whose settings are taken.
      total_steps: number of steps of the whole training, for `lr_schedule=linear_decay`.

    Raises:
      UsageError: when the schedule needs `total_steps`, for another method than pix2pix, when there is
        no such run, or when the classes of label maps are not known.
    """
    meaning = None
    if not isinstance(config, Config):
        workdir = Path(config)
        config, meaning = read_config(workdir), read_meaning(workdir)
    if config.lr_schedule != "constant" and total_steps is None:
        raise UsageError(f"`lr_schedule={config.lr_schedule}` needs `total_steps`")
    step = build_train_step(config, total_steps or 0, palette=find_input_palette(config, meaning))
    if type(step) is not TrainStep:
        raise UsageError(f"Pix2Pix is for `method=pix2pix`. Received: `method={config.method}`")
    return step, config
