"""Trains pix2pix on paired images.

    python -m tfpix2pix.train --dataset=facades

The run is written to --workdir (default runs/<dataset>): checkpoints, TensorBoard
logs, metrics.jsonl, sample pictures. The same command again goes on where it
stopped; Ctrl-C saves first.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfpix2pix.config import config as configs
from tfpix2pix.metrics.fcn.config import check_segmenter
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.run.folder import check_config


def main(argv: Sequence[str]) -> int:
    """Parses flags, builds the configuration, trains."""
    flag_values = command_line.new_flags()
    configs.define_flags(flag_values)
    flags.DEFINE_string(
        "workdir", None, "folder of the run (default: runs/<dataset>)", flag_values=flag_values
    )
    flags.DEFINE_bool("dry_run", False, "print the settings and stop", flag_values=flag_values)
    arguments = command_line.parse_flags(flag_values, f"{__doc__}\n{_datasets()}", argv)
    command_line.refuse_arguments(arguments)
    config = configs.config_from_flags(flag_values)
    workdir = Path(flag_values["workdir"].value or Path("runs") / config.dataset)
    print(f"  {'workdir':24s} {workdir}\n{configs.describe(config)}", flush=True)
    check_config(workdir, config)
    if config.segmenter:
        check_segmenter(config.segmenter)
    if flag_values["dry_run"].value:
        return 0
    command_line.import_tensorflow()
    from tfpix2pix.train.training import train_and_evaluate

    result = train_and_evaluate(config, workdir)
    print(_closing_words(result, config))
    return 0


def _datasets() -> str:
    lines = [f"  {spec.name:15s} {spec.title}" for spec in catalogue.CATALOGUE.values()]
    return "Datasets:\n" + "\n".join(lines)


def _closing_words(result, config: configs.Config) -> str:
    folder = shlex.quote(str(result.workdir))
    lines = [f"done: {result.step} steps in {result.workdir}"]
    if result.saved_model:
        lines.append(f"SavedModel: {result.saved_model}")
    lines.append(f"look:       tensorboard --logdir={folder}")
    lines.append(f"translate:  python -m tfpix2pix.translate --model={folder} --input=IMAGES --output=OUT")
    return "\n".join(lines)


if __name__ == "__main__":
    command_line.run(main)
