"""Which weights of a run's generator are meant: the average or a step's. TensorFlow is not imported."""

from pathlib import Path

from tfpix2pix.config.choices import WEIGHTS
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run.folder import is_begun, read_config

EMA, RAW = WEIGHTS


def takes_average(workdir: str | Path, weights: str | None = None) -> bool:
    """Returns whether the average of the generator's weights over the steps is meant.

    Args:
      workdir: folder of the run.
      weights: `ema`, the average, or `raw`, the weights of a step themselves; None takes the average of a run
        that keeps one.

    Raises:
      UsageError: when there is no such run, or it has no such weights.
    """
    workdir = Path(workdir)
    if weights is not None and weights not in WEIGHTS:
        raise UsageError(f"`weights` must be one of {', '.join(WEIGHTS)}. Received: {weights}")
    if weights is not None and not is_begun(workdir):
        raise UsageError(f"`weights` is for a run, and {workdir} is not the folder of one")
    keeps_average = read_config(workdir).ema_decay > 0
    if weights == EMA and not keeps_average:
        raise UsageError(
            f"there are no `weights={weights}`: the training of {workdir} kept no average of its weights"
        )
    return keeps_average and weights != RAW


def settle_weights(workdir: str | Path, weights: str | None = None) -> str:
    """Returns `ema` or `raw`, which of them is meant.

    The arguments and errors are those of `takes_average`.
    """
    return EMA if takes_average(workdir, weights) else RAW
