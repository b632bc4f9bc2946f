"""The files of a table: Markdown, JSON, and a page with its scores, its verdicts and its pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tfpix2pix
from tfpix2pix.config import options as settings
from tfpix2pix.config.config import Config
from tfpix2pix.pictures import page
from tfpix2pix.pipelines.base import staging
from tfpix2pix.reproduce.paper_tables import SCORES, TABLES, Table
from tfpix2pix.reproduce.verdicts import RULE, RULE_OF_ONE_SEED, Cell, Comparison, compare

_HEADS = ("per-pixel", "per-class", "class IoU")
_PAPER_HEADS = ("paper: per-pixel", *_HEADS[1:])
_Order = tuple[str, str, dict[str, Comparison]]  # the better row, the worse row, score -> comparison


def write_table(name: str, workdir: Path, cells: Sequence[Cell], config: Config, split: str) -> str:
    """Writes `table<N>.md`, `.json` and `.html` to `workdir`; returns the Markdown.

    Args:
      name: name of the table, a key of `TABLES`.
      workdir: folder of all runs.
      cells: the rows, all with the same number of seeds.
      config: settings of the first run.
      split: the split that was scored.
    """
    table = TABLES[name]
    title = f"Table {name}: {table.title}" if name.isdecimal() else table.title
    orders = _compare_rows(table, cells)
    seeds = tuple(range(config.seed, config.seed + len(cells[0].runs)))
    shared = {
        "dataset": config.dataset, "split": split, "image_size": config.image_size,
        "base_filters": config.base_filters, "epochs": config.epochs, "steps": config.steps,
        "batch_size": config.batch_size, "precision": config.precision, "seed": config.seed,
    }  # fmt: skip
    facts = _tell_facts({**shared, "seed": ", ".join(map(str, seeds))})
    has_published = any(row.published for row in table.rows)
    score_heads = ("", *_HEADS, *(_PAPER_HEADS if has_published else ()))
    order_heads = ("the paper's order" if has_published else "the expected order", *_HEADS)
    tables = ((score_heads, _score_rows(table, cells)), (order_heads, _order_rows(orders)))
    rule = RULE if len(seeds) > 1 else RULE_OF_ONE_SEED
    lines = [f"## {title}", "", facts, ""]
    for heads, rows in tables:
        lines += _as_markdown(heads, rows) + [""]
    text = "\n".join([*lines, rule]) + "\n"
    record = _record(name, shared, seeds, cells, orders)
    pictures = page.render_template(
        "reproduce/templates/table.html",
        title=title,
        summary=f"{config.dataset}: the same inputs, translated by each row's generator"
        + (f" (seed {config.seed})" if len(seeds) > 1 else ""),
        facts=facts,
        tables=[([(head, "") for head in heads], rows) for heads, rows in tables],
        rule=rule,
        rows=_picture_rows(workdir, cells, config),
    )
    for kind, contents in (("json", json.dumps(record, indent=2) + "\n"), ("md", text), ("html", pictures)):
        staging.write_file(
            workdir / f"table{'' if name.isdecimal() else '_'}{name}.{kind}", contents.encode()
        )
    return text


def _compare_rows(table: Table, cells: Sequence[Cell]) -> list[_Order]:
    by_title = {cell.row.title: cell for cell in cells}
    return [
        (
            better,
            worse,
            {
                score: compare(by_title[better], by_title[worse], score, place)
                for place, score in enumerate(SCORES)
            },
        )
        for better, worse in table.orders
    ]


def _tell_facts(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {settings.text(value)}" for name, value in values.items() if value is not None)


def _score_rows(table: Table, cells: Sequence[Cell]) -> list[list[str]]:
    rows = []
    for cell in cells:
        spreads = {name: cell.spread(name) for name in SCORES}
        ours = [
            f"{cell.mean(name):.3f}" + ("" if spread is None else f" ± {spread:.3f}")
            for name, spread in spreads.items()
        ]
        rows.append([cell.row.title, *ours, *(f"{value:.2f}" for value in cell.row.published or ())])
    if table.ground_truth and cells[0].ground_truth:
        ours = [f"{cells[0].ground_truth[name]:.3f}" for name in SCORES]
        rows.append(["ground truth", *ours, *(f"{value:.2f}" for value in table.ground_truth)])
    return rows


def _order_rows(orders: Sequence[_Order]) -> list[list[str]]:
    return [
        [f"{better} above {worse}", *(str(comparisons[name]) for name in SCORES)]
        for better, worse, comparisons in orders
    ]


def _as_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines]


def _record(
    name: str,
    shared: Mapping[str, Any],
    seeds: Sequence[int],
    cells: Sequence[Cell],
    orders: Sequence[_Order],
) -> dict[str, Any]:
    return {
        "table": int(name) if name.isdecimal() else name, "title": TABLES[name].title,
        "settings": shared, "seeds": seeds,
        "tfpix2pix": tfpix2pix.__version__,
        "rows": [
            {
                "title": cell.row.title, "workdir": str(cell.runs[0]),
                "ours": {score: cell.mean(score) for score in SCORES},
                "spread": {score: cell.spread(score) for score in SCORES},
                "by_seed": cell.scores, "ground_truth": cell.ground_truth,
                "paper": dict(zip(SCORES, cell.row.published or [None] * len(SCORES), strict=True)),
            }
            for cell in cells
        ],
        "orders": [
            {
                "better": better, "worse": worse,
                "holds": {score: each.holds for score, each in comparisons.items()},
                "verdicts": {score: each.verdict for score, each in comparisons.items()},
                "differences": {score: each.difference for score, each in comparisons.items()},
                "standard_errors": {score: each.standard_error for score, each in comparisons.items()},
            }
            for better, worse, comparisons in orders
        ],
    }  # fmt: skip


def _picture_rows(workdir: Path, cells: Sequence[Cell], config: Config) -> list[page.Row]:
    """Returns what each row makes of the same inputs, as the paper's figures show it."""
    from tfpix2pix.evaluate.gallery import PICTURES_FOLDER

    folders = [cell.runs[0].relative_to(workdir) / "eval" / PICTURES_FOLDER for cell in cells]
    captions = [f"{cell.row.title}: class IoU {cell.mean('class_iou'):.3f}" for cell in cells]
    rows = []
    for file in sorted((workdir / folders[0]).glob("*_input.png")):
        place = file.name.removesuffix("_input.png")
        outputs = [str(folder / f"{place}_generated.png") for folder in folders]
        outputs.append(str(folders[0] / f"{place}_target.png"))
        rows.append(
            page.Row(
                f"example {int(place)}",
                config.image_size,
                str(folders[0] / file.name),
                outputs,
                [*captions, "target"],
            )
        )
    return rows
