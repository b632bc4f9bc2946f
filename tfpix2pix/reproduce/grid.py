"""Trains and scores the rows of one of the paper's tables, and sets the scores beside the published ones.

Each training runs in a process of its own. TensorFlow is imported when the first row is scored.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfpix2pix.config import options as settings
from tfpix2pix.config.config import FIELDS, Config, find_unused, make_config
from tfpix2pix.metrics.fcn.config import SHARED, check_segmenter
from tfpix2pix.pipelines.base.command_line import import_tensorflow
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.tasks.registry import ONE_HOT
from tfpix2pix.reproduce.paper_tables import TABLES, Row, Table
from tfpix2pix.reproduce.report import write_table
from tfpix2pix.reproduce.verdicts import Cell
from tfpix2pix.run.folder import CONFIG_FILE, read_config
from tfpix2pix.run.interruption import TrainingStopped, noted_signals

SHOWN_EXAMPLES = 8
_POLL_SEC = 0.5


class _Training(NamedTuple):
    """The training of a row with one seed."""

    config: Config
    run: Path


# The rows of a table, each with one training for each seed.
_Grid = Sequence[tuple[Row, Sequence[_Training]]]


def reproduce_table(
    name: str,
    workdir: Path,
    given: Mapping[str, Any],
    *,
    split: str = "val",
    seeds: int = 1,
    segmenter: str | None = None,
    palette: str | None = None,
    fcn_settings: Mapping[str, Any] | None = None,
) -> str:
    """Trains and scores every row; writes `table<N>.md`, `.json` and `.html`, or `table_hd.*`, to `workdir`.

    Trainings that are finished are not done again, and trainings that were interrupted go on. So a folder
    that holds one seed goes on to several.

    Args:
      name: name of the table: 1, 2, 3, 6 or hd.
      workdir: folder of all runs; the run of each row is a folder in it.
      given: fields of `Config` that hold for all rows, among them `dataset`; a row leaves out those that have
        no effect on its networks.
      split: the split that is scored.
      seeds: number of trainings of each row, whose seeds follow on the given one; their means are compared.
      segmenter: the segmentation network, as `load_segmenter` takes it; None takes `<workdir>/fcn`, which
        is trained first.
      palette: classes of the label maps, as `evaluate_model` takes them.
      fcn_settings: settings of the training of `<workdir>/fcn` that are not the same as `given`.

    Returns:
      The table, as it is in `table<N>.md`.

    Raises:
      UsageError: when settings do not go together, or the rows could not be scored with them; nothing is
        trained then.
      UserError: when the rows could not be scored for another reason, before any is trained; when a training
        fails; or when the segmentation network scores real photos so low that it cannot judge, as `judge`
        states it. What was done is kept.
      TrainingStopped: on Ctrl-C or SIGTERM, after the current training has saved.
    """
    table = TABLES[name]
    if seeds < 1:
        raise UsageError(f"`seeds` must be at least 1. Received: {seeds}")
    grid = [(row, _plan(table, row, given, workdir, seeds)) for row in table.rows]
    _refuse_unused(name, segmenter, fcn_settings or {})
    fcn = Path(segmenter or workdir / "fcn") if table.metric == "fcn_score" else None
    _check_scoring(table.metric, grid[0][1][0].config, split=split, segmenter=segmenter, palette=palette)
    if fcn and not segmenter:
        _train_fcn(fcn, given, {**(fcn_settings or {}), "palette": palette})
    # All rows have one seed before any has two, so that a table of fewer seeds can soon be had.
    for turn in range(seeds):
        for position, (row, trainings) in enumerate(grid):
            config, run = trainings[turn]
            seed = f", seed {config.seed}" if seeds > 1 else ""
            say(f"{position + 1} of {len(grid)}: {row.title}{seed}")
            _train(config, run)
    cells = _score(table.metric, grid, split, fcn, palette)
    return write_table(name, workdir, cells, read_config(cells[0].runs[0]), split)


def _refuse_unused(table: str, segmenter: str | None, fcn_settings: Mapping[str, Any]) -> None:
    """Raises UsageError for settings of a segmentation network that is not needed, or not trained."""
    given = [f"`fcn_{name}`" for name, value in fcn_settings.items() if value is not None]
    if TABLES[table].metric != "fcn_score":
        given += ["`segmenter`"] if segmenter else []
        reason = f"`table={table}` needs no segmentation network"
    else:
        given, reason = given if segmenter else [], "`segmenter` names a network that is trained already"
    if given:
        them = "it" if len(given) == 1 else "them"
        raise UsageError(f"{' and '.join(given)} would have no effect: {reason}. Leave {them} out")


def _check_scoring(metric: str, config: Config, segmenter: str | None, **own: Any) -> None:
    """Raises an error where the rows could be trained, but not scored."""
    if segmenter:
        check_segmenter(segmenter)
    say("checking the data and the segmentation network")
    options = {**list_options(config), "segmenter": segmenter, "metric": metric, **own}
    if status := _call_module("tfpix2pix.reproduce.check", options):
        error = UsageError if status == 2 else UserError
        raise error("the rows could not be scored, for the reason above; nothing was trained")


def _plan(table: Table, row: Row, given: Mapping[str, Any], workdir: Path, seeds: int) -> list[_Training]:
    first = _configure(table, row, given)
    trainings = []
    for seed in range(first.seed, first.seed + seeds):
        # The first seed's folder is named as it was before there were several.
        name = name_run(first) if seed == first.seed else f"{name_run(first)}-seed{seed}"
        trainings.append(_Training(dataclasses.replace(first, seed=seed), workdir / name))
    return trainings


def _score(metric: str, grid: _Grid, split: str, fcn: Path | None, palette: str | None) -> list[Cell]:
    import_tensorflow()
    from tfpix2pix.evaluate.evaluation import evaluate_model
    from tfpix2pix.metrics.fcn.segmenter import load_segmenter
    from tfpix2pix.reproduce import judge

    segmenter = load_segmenter(fcn) if fcn else None
    cells = []
    for row, trainings in grid:
        results = []
        for _, run in trainings:
            say(f"scoring {run}")
            evaluation = evaluate_model(
                run,
                run / "eval",
                split=split,
                metrics=[metric],
                segmenter=segmenter,
                palette=palette,
                gallery_size=SHOWN_EXAMPLES,
            )
            results.append(evaluation.results[metric])
            if segmenter:
                judge.check_on_real_photos(segmenter.title, results[0].details["confusion"]["target"])
        runs = tuple(run for _, run in trainings)
        cells.append(Cell(row, runs, tuple(result.scores for result in results), results[0].ground_truth))
    if segmenter:
        judge.check_below_real_photos(segmenter.title, cells, cells[0].ground_truth)
    return cells


def name_run(config: Config) -> str:
    """Returns the name of the folder of a row, which consists of the settings in which rows differ."""
    parts = [config.generator, config.objective]
    if config.method != FIELDS["method"].default:
        parts.insert(0, config.method)
    if config.objective != "l1" and config.discriminator == FIELDS["discriminator"].default:
        parts.append(f"{config.receptive_field}px")
    if config.input_encoding == ONE_HOT:
        parts.append("one-hot")
    if config.batch_size != 1:
        parts.append(f"batch{config.batch_size}")
    if config.direction == "AtoB":
        parts.append("to-labels")
    return "-".join(parts)


def _configure(table: Table, row: Row, given: Mapping[str, Any]) -> Config:
    own = {"direction": table.direction, "batch_size": table.batch_size, "export": False}
    config = make_config(**{**own, **given, **row.settings})
    unused = find_unused(config)
    if lost := [setting for setting in row.settings if setting in unused]:
        raise UsageError(
            f"the row {row.title} sets `{lost[0]}`, which would have no effect ({unused[lost[0]]}); leave "
            "out the flag that makes it so"
        )
    defaults: dict[str, Any] = {setting: FIELDS[setting].default for setting in unused if setting in given}
    return dataclasses.replace(config, **defaults)


def _train(config: Config, run: Path) -> None:
    """Trains in a process of its own, because a strategy and its memory last as long as their process."""
    _run_module("tfpix2pix.train", {**list_options(config), "workdir": run})


def list_options(config: Config) -> dict[str, Any]:
    """Returns the flags of `train` that make a configuration: name -> value."""
    options = {name: value for name, value in dataclasses.asdict(config).items() if value not in (None, "")}
    if not (config.jitter and config.resizes):
        del options["load_size"]
    return options


def _train_fcn(folder: Path, given: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    say(f"the segmentation network: {folder}")
    shared = {name: given[name] for name in (*SHARED, "steps") if name in given}
    chosen = {name: value for name, value in own.items() if value is not None}
    if "epochs" in chosen:
        shared.pop("steps", None)
    before = {}
    if (folder / CONFIG_FILE).is_file():  # An earlier table has begun it, and this one shares it.
        saved = json.loads((folder / CONFIG_FILE).read_text())["config"]
        before = {name: saved.get(name) for name in (*own, "steps")}
    _run_module("tfpix2pix.metrics.fcn", {**shared, **before, **chosen, "workdir": folder})


def _run_module(module: str, options: Mapping[str, Any]) -> None:
    if status := _call_module(module, options):
        raise UserError(
            f"{module} ended with status {status}, for the reason above; what was done is kept. "
            "Run the same command to go on"
        )


def _call_module(module: str, options: Mapping[str, Any]) -> int:
    """Runs a module in a process of its own, and returns the status that it ended with."""
    texts = [f"--{name}={settings.text(value)}" for name, value in options.items() if value is not None]
    command = [sys.executable, "-m", module, *texts]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    with noted_signals() as signals:
        # The process is in a session of its own, so that Ctrl-C reaches it only once, from here.
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            while process.poll() is None:
                if signals:
                    process.terminate()
                    break
                try:
                    process.wait(_POLL_SEC)
                except subprocess.TimeoutExpired:
                    continue
            process.wait()
        except BaseException:
            process.terminate()
            raise
    if signals:
        raise TrainingStopped(f"stopped by {signals[0]}. Run the same command to go on", signals[0])
    return process.returncode
