"""Reruns a table of the paper: trains every row, scores it, prints it beside what was published.

    python -m tfpix2pix.reproduce --table=1 --dataset=cityscapes

Each row is a run of its own below --workdir, and so is the segmentation network that
scores them, unless --segmenter names one. The same command again goes on where it
stopped; rows that two tables share are trained once. Every other flag of train holds
for all rows alike.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfpix2pix.config import config as configs
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.catalogue import SPLITS
from tfpix2pix.reproduce.grid import reproduce_table
from tfpix2pix.reproduce.paper_tables import TABLES

# What the rows of a table differ in, or what is the grid's own affair.
_SETTLED = (
    "objective",
    "generator",
    "receptive_field",
    "direction",
    "export",
    "saved_model_dir",
    "segmenter",
)


def main(argv: Sequence[str]) -> None:
    """Parses flags, runs the grid, prints the table."""
    flag_values = command_line.new_flags()
    shared = tuple(name for name in configs.FIELDS if name not in _SETTLED)
    configs.define_flags(flag_values, shared)
    numbers = [str(number) for number in TABLES]
    titles = "; ".join(f"{number}: {table.title}" for number, table in TABLES.items())
    flags.DEFINE_enum("table", None, numbers, titles, flag_values=flag_values)
    flags.DEFINE_enum("split", "val", SPLITS, "the split that is scored", flag_values=flag_values)
    for name, default, text in (
        ("workdir", None, "folder of the grid (default: runs/reproduce/<dataset>)"),
        ("segmenter", None, "a .keras file or an FCN's folder; default: <workdir>/fcn, trained first"),
        ("palette", None, "classes of the label maps: a dataset's name or a JSON file (default: its own)"),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    flags.DEFINE_integer("fcn_epochs", None, "epochs of that FCN (default: its own)", flag_values=flag_values)
    flags.DEFINE_float("fcn_width", None, "width of that FCN (default: its own)", flag_values=flag_values)
    command_line.refuse_arguments(command_line.parse_flags(flag_values, __doc__ or "", argv))
    values = flag_values.flag_values_dict()
    if not values["table"] or not values["dataset"]:
        raise UsageError("expected --table=NUMBER --dataset=NAME (--help shows more)")
    given = {name: values[name] for name in shared if values[name] is not None}
    workdir = Path(values["workdir"] or Path("runs") / "reproduce" / values["dataset"])

    print(
        reproduce_table(
            int(values["table"]),
            workdir,
            given,
            split=values["split"],
            segmenter=values["segmenter"],
            palette=values["palette"],
            fcn_settings={"epochs": values["fcn_epochs"], "width": values["fcn_width"]},
        )
    )


if __name__ == "__main__":
    command_line.run(main)
