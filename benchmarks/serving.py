"""Measures how much time a SavedModel takes more than the generator, for a tensor and for a PNG file.

    python -m benchmarks.serving [--image_size=256] [--precision=mixed_bfloat16]

The SavedModel is called in a session, as TensorFlow Serving calls it, but not over a network.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from benchmarks.measurement import python_contestant, show_table, summarise, take_turns, write_json
from tfpix2pix.pipelines.base import command_line

CONTESTANTS = {
    "forward": "bare generator",
    "served_array": "SavedModel, tensor",
    "served_file": "SavedModel, file in, file out",
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
    command_line.refuse_arguments(command_line.parse_flags(flag_values, __doc__ or "", argv))
    values: dict[str, Any] = flag_values.flag_values_dict()
    given = (values["precision"], str(values["image_size"]), "1")
    contestants = [python_contestant(name, "ours", name, *given) for name in CONTESTANTS]
    results = take_turns(contestants, values["rounds"], calls=3)
    numbers = {
        name: {
            "ms": summarise(result.seconds * 1e3),
            "ratio": summarise(result.seconds / results["forward"].seconds),
            "peak_rss_mib": result.facts["peak_rss_mib"],
        }
        for name, result in results.items()
    }
    rows = [
        [
            CONTESTANTS[name],
            f"{each['ms']['median']:.1f} ({each['ms']['low']:.1f}-{each['ms']['high']:.1f})",
            f"{each['ratio']['median']:.2f} ({each['ratio']['low']:.2f}-{each['ratio']['high']:.2f})",
        ]
        for name, each in numbers.items()
    ]
    show_table(["contestant", "ms", "against the bare generator"], rows)
    if values["json"]:
        write_json(values["json"], {"contestants": numbers})


if __name__ == "__main__":
    command_line.run(main)
