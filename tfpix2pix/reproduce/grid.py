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
from typing import Any

import tfpix2pix
from tfpix2pix.config import options as settings
from tfpix2pix.config.config import Config, make_config
from tfpix2pix.pictures import page as gallery
from tfpix2pix.pictures.page import render_gallery
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.command_line import import_tensorflow
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.reproduce.paper_tables import SCORES, TABLES, Row, Table
from tfpix2pix.run.folder import CONFIG_FILE, read_config
from tfpix2pix.run.interruption import TrainingStopped, noted_signals

SHOWN_EXAMPLES = 8
_FCN_SHARES = (
    "dataset",
    "data_dir",
    "image_size",
    "on_bad_image",
    "cache_mib",
    "seed",
    "val_percent",
    "exif",
    "pairs",
)
_POLL_SEC = 0.5


@dataclasses.dataclass(frozen=True)
class Cell:
    """A row of a table that was trained and scored.

    Attributes:
      row: the row.
      workdir: folder of its run.
      scores: name in `SCORES` -> score.
      ground_truth: name in `SCORES` -> score of the real photos; empty where they are not scored.
    """

    row: Row
    workdir: Path
    scores: Mapping[str, float]
    ground_truth: Mapping[str, float]


def reproduce_table(
    number: int,
    workdir: Path,
    given: Mapping[str, Any],
    *,
    split: str = "val",
    segmenter: str | None = None,
    palette: str | None = None,
    fcn_settings: Mapping[str, Any] | None = None,
) -> str:
    """Trains and scores every row; writes `table<N>.md`, `.json` and `.html` to `workdir`.

    Trainings that are finished are not done again, and trainings that were interrupted go on.

    Args:
      number: number of the table: 1, 2, 3 or 6.
      workdir: folder of all runs; the run of each row is a folder in it.
      given: fields of `Config` that hold for all rows, among them `dataset`.
      split: the split that is scored.
      segmenter: the segmentation network, as `load_segmenter` takes it; None takes `<workdir>/fcn`, which
        is trained first.
      palette: classes of the label maps, as `evaluate_model` takes them.
      fcn_settings: settings of the training of `<workdir>/fcn` that are not the same as `given`.

    Returns:
      The table, as it is in `table<N>.md`.

    Raises:
      UsageError: when settings do not go together.
      UserError: when a training fails; what was done is kept.
      TrainingStopped: on Ctrl-C or SIGTERM, after the current training has saved.
    """
    table = TABLES[number]
    configs = [_configure(table, row, given) for row in table.rows]
    fcn = Path(segmenter or workdir / "fcn") if table.metric == "fcn_score" else None
    if segmenter and not Path(segmenter).exists():
        raise UsageError(f"there is no {segmenter}, which `segmenter` names")
    if fcn and not segmenter:
        _train_fcn(fcn, given, {**(fcn_settings or {}), "palette": palette})
    for position, (row, config) in enumerate(zip(table.rows, configs, strict=True)):
        say(f"{position + 1} of {len(configs)}: {row.title}")
        _train(config, workdir / name_run(config))
    cells = _score(table, configs, workdir, split, fcn, palette)
    return _write(number, workdir, cells, read_config(cells[0].workdir), split)


def _score(
    table: Table, configs: Sequence[Config], workdir: Path, split: str, fcn: Path | None, palette: str | None
) -> list[Cell]:
    import_tensorflow()
    from tfpix2pix.evaluate.evaluation import evaluate_model
    from tfpix2pix.metrics.fcn.segmenter import load_segmenter

    segmenter = load_segmenter(fcn) if fcn else None
    cells = []
    for row, config in zip(table.rows, configs, strict=True):
        run = workdir / name_run(config)
        say(f"scoring {run}")
        evaluation = evaluate_model(
            run,
            run / "eval",
            split=split,
            metrics=[table.metric],
            segmenter=segmenter,
            palette=palette,
            gallery_size=SHOWN_EXAMPLES,
        )
        result = evaluation.results[table.metric]
        cells.append(Cell(row, run, result.scores, result.ground_truth))
    return cells


def name_run(config: Config) -> str:
    """Returns the name of the folder of a row, which consists of the settings in which rows differ."""
    parts = [config.generator, config.objective]
    if config.objective != "l1":
        parts.append(f"{config.receptive_field}px")
    if config.batch_size != 1:
        parts.append(f"batch{config.batch_size}")
    if config.direction == "AtoB":
        parts.append("to-labels")
    return "-".join(parts)


def _configure(table: Table, row: Row, given: Mapping[str, Any]) -> Config:
    own = {"direction": table.direction, "batch_size": table.batch_size, "export": False}
    return make_config(**{**own, **given, **row.settings})


def _train(config: Config, run: Path) -> None:
    """Trains in a process of its own, because a strategy and its memory last as long as their process."""
    options = {name: value for name, value in dataclasses.asdict(config).items() if value not in (None, "")}
    if not config.jitter:
        options.pop("load_size")
    _run_module("tfpix2pix.train", {**options, "workdir": run})


def _train_fcn(folder: Path, given: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    say(f"the segmentation network: {folder}")
    shared = {name: given[name] for name in _FCN_SHARES if name in given}
    before = {}
    if (folder / CONFIG_FILE).is_file():  # An earlier table has begun it, and this one shares it.
        saved = json.loads((folder / CONFIG_FILE).read_text())["config"]
        before = {name: saved[name] for name in own}
    chosen = {name: value for name, value in own.items() if value is not None}
    _run_module("tfpix2pix.metrics.fcn", {**shared, **before, **chosen, "workdir": folder})


def _run_module(module: str, options: Mapping[str, Any]) -> None:
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
    if process.returncode:
        raise UserError(
            f"{module} ended with status {process.returncode}, for the reason above; what was done is kept. "
            "Run the same command to go on"
        )


def _write(number: int, workdir: Path, cells: Sequence[Cell], config: Config, split: str) -> str:
    """Writes the table as Markdown, JSON and a page of pictures; returns the Markdown."""
    table = TABLES[number]
    orders = [_compare(table, cells, *order) for order in table.orders]
    shared = {
        "dataset": config.dataset, "split": split, "image_size": config.image_size,
        "base_filters": config.base_filters, "epochs": config.epochs, "steps": config.steps,
        "batch_size": config.batch_size, "precision": config.precision, "seed": config.seed,
    }  # fmt: skip
    text = _render(number, table, cells, orders, shared)
    record = {
        "table": number, "title": table.title, "settings": shared, "tfpix2pix": tfpix2pix.__version__,
        "rows": [
            {
                "title": cell.row.title, "workdir": str(cell.workdir), "ours": cell.scores,
                "ground_truth": cell.ground_truth,
                "paper": dict(zip(SCORES, cell.row.published, strict=True)),
            }
            for cell in cells
        ],
        "orders": orders,
    }  # fmt: skip
    staging.write_file(workdir / f"table{number}.json", (json.dumps(record, indent=2) + "\n").encode())
    staging.write_file(workdir / f"table{number}.md", text.encode())
    staging.write_file(
        workdir / f"table{number}.html", _render_pictures(number, workdir, cells, config).encode()
    )
    return text


def _render_pictures(number: int, workdir: Path, cells: Sequence[Cell], config: Config) -> str:
    """Returns a page that shows what each row makes of the same inputs, as the paper's figures do."""
    from tfpix2pix.evaluate.gallery import PICTURES_FOLDER

    folders = [cell.workdir.relative_to(workdir) / "eval" / PICTURES_FOLDER for cell in cells]
    captions = [*(cell.row.title for cell in cells), "target"]
    rows = []
    for file in sorted((workdir / folders[0]).glob("*_input.png")):
        place = file.name.removesuffix("_input.png")
        outputs = [str(folder / f"{place}_generated.png") for folder in folders]
        outputs.append(str(folders[0] / f"{place}_target.png"))
        rows.append(
            gallery.Row(
                f"example {int(place)}", config.image_size, str(folders[0] / file.name), outputs, captions
            )
        )
    summary = f"{config.dataset}: the same inputs, translated by each row's generator"
    return render_gallery(f"Table {number}: {TABLES[number].title}", summary, rows)


def _compare(table: Table, cells: Sequence[Cell], better: str, worse: str) -> dict[str, Any]:
    """Returns for each score whether it orders two rows as the paper does; None if the paper has a tie."""
    by_title = {cell.row.title: cell for cell in cells}
    first, second = by_title[better], by_title[worse]
    holds = {}
    for place, name in enumerate(SCORES):
        published = first.row.published[place] - second.row.published[place]
        ours = first.scores[name] - second.scores[name]
        holds[name] = published * ours > 0 if published else None
    return {"better": better, "worse": worse, "holds": holds}


def _render(
    number: int, table: Table, cells: Sequence[Cell], orders: Sequence[Mapping], shared: Mapping[str, Any]
) -> str:
    lines = [f"## Table {number}: {table.title}", ""]
    told = [f"{name} {settings.text(value)}" for name, value in shared.items() if value is not None]
    lines += [", ".join(told), ""]
    lines += ["| | per-pixel | per-class | class IoU | paper: per-pixel | per-class | class IoU |"]
    lines += ["|---|---|---|---|---|---|---|"]
    rows = [(cell.row.title, cell.scores, cell.row.published) for cell in cells]
    if table.ground_truth and cells[0].ground_truth:
        rows.append(("ground truth", cells[0].ground_truth, table.ground_truth))
    for title, scores, published in rows:
        values = [f"{scores[name]:.3f}" for name in SCORES] + [f"{value:.2f}" for value in published]
        lines.append(f"| {title} | {' | '.join(values)} |")
    lines += ["", "| the paper's order | per-pixel | per-class | class IoU |", "|---|---|---|---|"]
    words = {True: "holds", False: "does not", None: "a tie in the paper"}
    for order in orders:
        values = [words[order["holds"][name]] for name in SCORES]
        lines.append(f"| {order['better']} above {order['worse']} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"
