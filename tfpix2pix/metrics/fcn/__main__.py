"""Trains FCN-8s, the network behind the FCN-score, to find the classes of photos.

    python -m tfpix2pix.metrics.fcn --dataset=camvid

The run is written to --workdir: checkpoints, TensorBoard logs, metrics.jsonl and sample
pictures. Ctrl-C saves a checkpoint before it stops, and the same command goes on from there.
train, evaluate and reproduce take the folder of the run as --segmenter.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfpix2pix.config.options import announce, define_flags, describe
from tfpix2pix.metrics.fcn.config import DEFAULT_TEXTS, FIELDS, SHARED, FcnConfig, make_config
from tfpix2pix.pipelines.base import command_line, shell
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.run.folder import is_begun


def main(argv: Sequence[str]) -> int:
    """Parses the flags, builds the configuration, and trains."""
    flag_values = command_line.new_flags()
    define_flags(flag_values, FIELDS.values(), DEFAULT_TEXTS)
    flags.DEFINE_string(
        "workdir", None, "Write the run to this folder. Default: runs/fcn_<dataset>.", flag_values=flag_values
    )
    command_line.refuse_arguments(command_line.parse_flags(flag_values, __doc__ or "", argv))
    config = make_config(**{name: flag_values[name].value for name in FIELDS})
    workdir = Path(flag_values["workdir"].value or Path("runs") / f"fcn_{config.dataset}")
    print(announce(workdir, describe(config, FcnConfig())), flush=True)
    command_line.import_tensorflow()
    from tfpix2pix.metrics.fcn.training import train_fcn

    result = train_fcn(config, workdir)
    scores = "  ".join(f"{name} {value:.4f}" for name, value in result.scores.items())
    print(f"done: {count_of(result.step, 'step')} in {workdir}; best, at step {result.best_step}: {scores}")
    print(f"look:  {shell.tensorboard(workdir)}")
    print(suggest_use(config, workdir))
    return 0


def suggest_use(config: FcnConfig, workdir: Path) -> str:
    """Returns the command that scores the usual run on the same data, or trains it where there is none."""
    from tfpix2pix.config.config import make_config as make_run_config
    from tfpix2pix.run import next_commands

    run = Path("runs") / config.dataset
    if is_begun(run):
        palette = {"palette": config.palette} if config.palette else {}
        return f"score: {next_commands.score(run, segmenter=workdir, **palette)}"
    own = {name: getattr(config, name) for name in SHARED}
    # The photos that this network takes are the first images of pairs, and the run makes photos.
    own |= {"direction": "BtoA", "segmenter": str(workdir)}
    try:
        run_config = make_run_config(**own)
    except UsageError:  # The size of this training is too small for the usual run.
        run_config = make_run_config(**{**own, "image_size": None})
    return f"train: {next_commands.train(run_config, run)}"


if __name__ == "__main__":
    command_line.run(main)
