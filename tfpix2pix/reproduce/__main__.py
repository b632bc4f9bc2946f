"""Reruns a table of the paper: trains each row, scores it, and prints it beside what was published.

    python -m tfpix2pix.reproduce --table=1 --dataset=cityscapes

Each row is a run of its own below --workdir. So is the segmentation network that
scores the rows, unless --segmenter names one. The same command again goes on where it
stopped, and rows that two tables share are trained once. --table=hd compares pix2pix
with pix2pixHD, of which nothing is published by these scores. --seeds=3 trains each row
three times, shows means and spreads, and says which of the paper's comparisons hold.
Every other flag is one of train, and holds for all rows alike.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from tfpix2pix.config import config as configs
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.catalogue import SPLITS
from tfpix2pix.reproduce.grid import reproduce_table
from tfpix2pix.reproduce.paper_tables import TABLES

# Settings in which the rows of a table differ, and settings that the grid makes itself.
_SETTLED = (
    "objective",
    "generator",
    "method",
    "input_encoding",
    "boundaries",
    "receptive_field",
    "direction",
    "export",
    "saved_model_dir",
    "segmenter",
)
_SHARED = tuple(name for name in configs.FIELDS if name not in _SETTLED)


def main(argv: Sequence[str]) -> None:
    """Parses flags, runs the grid, prints the table."""
    values = _parse(argv)
    text = reproduce_table(
        values["table"],
        Path(values["workdir"] or Path("runs") / "reproduce" / values["dataset"]),
        {name: values[name] for name in _SHARED if values[name] is not None},
        split=values["split"],
        seeds=values["seeds"],
        segmenter=values["segmenter"],
        palette=values["palette"],
        fcn_settings={"epochs": values["fcn_epochs"], "width": values["fcn_width"]},
    )
    print(text)


def _parse(argv: Sequence[str]) -> dict[str, Any]:
    flag_values = command_line.new_flags()
    configs.define_flags(flag_values, _SHARED)
    titles = "; ".join(f"{name}, {table.title}" for name, table in TABLES.items())
    for name, default, choices, text in (
        ("table", None, list(TABLES), f"Rerun this table: {titles}."),
        ("split", "val", SPLITS, "Score this split of the dataset."),
    ):
        flags.DEFINE_enum(name, default, choices, text, flag_values=flag_values)
    for name, text in (
        ("workdir", "Write all runs and the table to this folder. Default: runs/reproduce/<dataset>."),
        (
            "segmenter",
            "Score with this segmentation network: a .keras file, or a run of python -m "
            "tfpix2pix.metrics.fcn. Default: <workdir>/fcn, which is trained first.",
        ),
        (
            "palette",
            "Find these classes in label maps: those of a dataset, by its name, or of a JSON file. "
            "Default: those of --dataset.",
        ),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)
    text = (
        "Train each row with this many seeds, which follow on --seed, and compare the means. With one seed "
        "there is no verdict."
    )
    flags.DEFINE_integer("seeds", 1, text, 1, flag_values=flag_values)
    text = (
        "Train <workdir>/fcn for this many epochs. Default: for --steps steps if they are given, and "
        "else for as many epochs as python -m tfpix2pix.metrics.fcn does."
    )
    flags.DEFINE_integer("fcn_epochs", None, text, flag_values=flag_values)
    text = "Multiply the filters of <workdir>/fcn by this factor. Default: that of metrics.fcn."
    flags.DEFINE_float("fcn_width", None, text, flag_values=flag_values)
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    if not values["table"] or not values["dataset"]:
        raise UsageError("expected --table=NAME --dataset=NAME (--help shows more)")
    return values


if __name__ == "__main__":
    command_line.run(main)
