"""Trains pix2pix on paired images.

    python -m tfpix2pix.train --data_dir=FOLDER          the pairs of your own in a folder
    python -m tfpix2pix.train --dataset=facades          a dataset of the paper, by its recipe
    python -m tfpix2pix.train --workdir=runs/facades     goes on with a run, by its own settings

The run is written to --workdir (default runs/<dataset>): checkpoints, TensorBoard
logs, metrics.jsonl, sample pictures. The same command again goes on where it
stopped; Ctrl-C saves first. --config=FILE takes the settings of a file, such as
config.json in the folder of another run; flags win over it.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from absl import flags

from tfpix2pix.config import config as configs
from tfpix2pix.config import options
from tfpix2pix.config.reference_flags import REFERENCE_FLAGS
from tfpix2pix.interop.fetching import fetch
from tfpix2pix.metrics.fcn.config import check_segmenter
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base import command_line, shell
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.places import name_urls
from tfpix2pix.pipelines.remote.copies import fetch_folder
from tfpix2pix.run.addresses import is_chief
from tfpix2pix.run.folder import CONFIG_FILE, check_config
from tfpix2pix.run.remote_workdir import remote_workdir
from tfpix2pix.train.settings import (
    check_data,
    check_vgg_weights,
    find_origin_kind,
    settle_settings,
    takes_first_weights,
)

# Flags that also take URLs of stores.
REMOTE = ("workdir", "data_dir", "pairs", "config", "saved_model_dir")


def main(argv: Sequence[str]) -> int:
    """Parses flags, builds the configuration, trains."""
    flag_values = _define_flags()
    summary = f"{__doc__}\n{_datasets()}"
    arguments = command_line.parse_flags(
        flag_values,
        summary,
        argv,
        takes_urls=("init_from",),
        takes_remote=REMOTE,
        foreign=REFERENCE_FLAGS,
    )
    command_line.refuse_arguments(arguments)
    is_dry = bool(flag_values["dry_run"].value)
    workdir, file = flag_values["workdir"].value, flag_values["config"].value
    with remote_workdir(workdir, writes=not is_dry and is_chief()) if workdir else nullcontext() as folder:
        told = _train(flag_values, folder, fetch_folder(file) if file else None, is_dry)
    # What a remote run has saved is there now.
    print(name_urls(told))
    return 0


def _train(flag_values: flags.FlagValues, folder: Path | None, file: Path | None, is_dry: bool) -> str:
    """Trains, or looks at what would be trained; returns what is said of it."""
    given = {name: flag_values[name].value for name in configs.FIELDS}
    config, workdir = settle_settings(given, folder, file)
    print(name_urls(options.announce(workdir, configs.describe(config))), flush=True)
    check_config(workdir, config)
    if config.segmenter:
        check_segmenter(config.segmenter)
    check_vgg_weights(config)
    if takes_first_weights(config, workdir):
        find_origin_kind(str(fetch(config.init_from)))
    check_data(config)
    command_line.import_tensorflow()
    allow_new_data = bool(flag_values["allow_new_data"].value)
    if is_dry:
        from tfpix2pix.train.dry_run import describe_training

        return describe_training(config, workdir, allow_new_data)
    from tfpix2pix.train.training import train_and_evaluate

    result = train_and_evaluate(config, workdir, allow_new_data=allow_new_data)
    return _closing_words(result, config, workdir)


def _define_flags() -> flags.FlagValues:
    flag_values = command_line.new_flags()
    configs.define_flags(flag_values, default_texts={"dataset": "the name of the folder --data_dir"})
    for name, text in (
        ("workdir", "Write the run to this folder, or go on with the run in it. Default: runs/<dataset>."),
        (
            "config",
            "Take settings from this JSON or YAML file, such as config.json of a run; flags win over it.",
        ),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)
    text = "Open the data, build the networks, print what would be done, and stop. Nothing is written."
    flags.DEFINE_bool("dry_run", False, text, flag_values=flag_values)
    text = "Go on with a run even if its training images are others now, such as more of them."
    flags.DEFINE_bool("allow_new_data", False, text, flag_values=flag_values)
    return flag_values


def _datasets() -> str:
    lines = [f"  {spec.name:15s} {spec.title}" for spec in catalogue.CATALOGUE.values()]
    return "Datasets:\n" + "\n".join(lines)


def _closing_words(result, config: configs.Config, workdir: Path) -> str:
    from tfpix2pix.run import next_commands

    lines = [
        f"done: {count_of(result.step, 'step')} in {result.workdir}",
        f"settings:   {workdir / CONFIG_FILE}, which --config takes for another run",
    ]
    if result.saved_model:
        lines.append(f"SavedModel: {result.saved_model}")
    lines.append(f"look:       {shell.tensorboard(result.workdir)}")
    lines.append(f"score:      {next_commands.score(workdir)}")
    if command := next_commands.translate(workdir, config, workdir):
        lines.append(f"translate:  {command}")
    return "\n".join(lines)


if __name__ == "__main__":
    command_line.run(main)
