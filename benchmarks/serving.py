"""Measures how much time a SavedModel takes more than the generator, for tensors and for PNG files.

    python -m benchmarks.serving [--image_size=256] [--precision=mixed_bfloat16]

The SavedModel is called in a session, as TensorFlow Serving calls it, but not over a network: by one request
after the other, and by 4 and 16 at the same time.
"""

from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

from benchmarks.measurement import python_contestant, show_table, summarise, take_turns, write_json
from tfpix2pix.pipelines.base import command_line


class Contestant(NamedTuple):
    """What is measured.

    Attributes:
      title: what the table calls it.
      requests: number of requests at the same time, each of one image.
    """

    title: str
    requests: int = 1


CONTESTANTS = {
    "forward": Contestant("bare generator"),
    "served_array": Contestant("SavedModel, tensors"),
    "served_array_4": Contestant("SavedModel, tensors", 4),
    "served_array_16": Contestant("SavedModel, tensors", 16),
    "served_file": Contestant("SavedModel, files"),
    "served_file_4": Contestant("SavedModel, files", 4),
    "served_file_16": Contestant("SavedModel, files", 16),
}


def main(argv: Sequence[str]) -> None:
    """Measures, prints a table, and writes JSON if `--json` asks for it."""
    flag_values = command_line.new_flags()
    flags.DEFINE_integer(
        "image_size", 256, "Translate images of this size in px.", 32, flag_values=flag_values
    )
    flags.DEFINE_enum(
        "precision",
        "mixed_bfloat16",
        ["float32", "mixed_bfloat16"],
        "Compute in this precision.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer("rounds", 25, "Give each contestant this many turns.", 1, flag_values=flag_values)
    flags.DEFINE_string("json", None, "Write the numbers to this file, as JSON.", flag_values=flag_values)
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    given = (values["precision"], str(values["image_size"]), "1")
    contestants = [python_contestant(name, "ours", name, *given) for name in CONTESTANTS]
    results = take_turns(contestants, values["rounds"], calls=3)
    numbers = {
        name: {
            "ms": summarise(result.seconds * 1e3 / CONTESTANTS[name].requests),
            "ratio": summarise(result.seconds / CONTESTANTS[name].requests / results["forward"].seconds),
            "peak_rss_mib": result.facts["peak_rss_mib"],
        }
        for name, result in results.items()
    }
    rows = [
        [
            CONTESTANTS[name].title,
            f"{CONTESTANTS[name].requests}",
            f"{1000 / each['ms']['median']:.1f}",
            f"{each['ms']['median']:.1f} ({each['ms']['low']:.1f}-{each['ms']['high']:.1f})",
            f"{each['ratio']['median']:.2f} ({each['ratio']['low']:.2f}-{each['ratio']['high']:.2f})",
        ]
        for name, each in numbers.items()
    ]
    header = ["contestant", "requests at once", "images/s", "ms an image", "against the bare generator"]
    show_table(header, rows)
    if values["json"]:
        write_json(values["json"], {"contestants": numbers})


if __name__ == "__main__":
    command_line.run(main)
