"""Where a training runs, decided before anything touches a device."""

from pathlib import Path

import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.run import checkpoints
from tfpix2pix.run.addresses import read_addresses
from tfpix2pix.run.distribution import Placement, check_placement, make_strategy
from tfpix2pix.run.folder import count_examples
from tfpix2pix.run.loop import Training, count_steps
from tfpix2pix.run.threads import settle_threads
from tfpix2pix.run.workers import Workers


def place(config: Config, workdir: Path, allow_new_data: bool) -> Placement:
    """Settles the threads and returns where the training runs.

    A run that is finished needs no other workers: each says so alone, and the chief exports what it could not
    export before, whoever has come back.

    Args:
      config: the settings.
      workdir: folder of the run.
      allow_new_data: whether the number of examples, and so that of the steps, may be another one now.

    Raises:
      UsageError: when nothing says which workers there are, or they cannot share the batch.
      UserError: when another worker does not come.
    """
    settle_threads(workdir, config.threads)
    if config.strategy == "multiworker" and not allow_new_data and _is_finished(config, workdir):
        _, index = read_addresses()
        return Placement(make_strategy("one_device").strategy, Workers(index=index))
    placement = make_strategy(config.strategy, config.join_timeout_sec)
    check_placement(placement, config)
    return placement


def check_finished(config: Config, training: Training) -> None:
    """Raises UserError if a worker is alone, as the run was finished, and steps are left after all.

    The names of checkpoints say that it is finished; the newest one may be damaged.
    """
    together = isinstance(training.placement.strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if config.strategy == "multiworker" and not together and training.step < training.total_steps:
        raise UserError(
            f"the last checkpoint of {training.workdir} is damaged, so the run goes on from step "
            f"{training.step} of {training.total_steps}, for which all workers are needed. Start the same "
            "command on all of them again"
        )


def _is_finished(config: Config, workdir: Path) -> bool:
    steps, examples = checkpoints.list_steps(workdir), count_examples(workdir)
    return bool(steps) and examples is not None and steps[-1] >= count_steps(config, examples)
