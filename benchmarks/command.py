"""Measures how much time `train` spends on anything but its training steps.

    python -m benchmarks.command [--image_size=256] [--precision=mixed_bfloat16]

That is the input pipeline, the scalars and the progress bar. Validations and checkpoints are turned off.
"""

from collections.abc import Sequence

from absl import flags

from benchmarks.measurement import python_contestant, show_table, summarise, take_turns, write_json
from tfpix2pix.pipelines.base import command_line

STEPS_PER_CALL = 25  # The same number as in training.py.


def main(argv: Sequence[str]) -> None:
    """Measures, prints a table, and writes JSON if `--json` asks for it."""
    flag_values = command_line.new_flags()
    flags.DEFINE_integer(
        "image_size", 256, "Train on images of this size in px.", 32, flag_values=flag_values
    )
    flags.DEFINE_enum(
        "precision",
        "mixed_bfloat16",
        ["float32", "mixed_bfloat16"],
        "Compute in this precision.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "dataset", "synthetic", "Train on this dataset, as train takes it.", flag_values=flag_values
    )
    flags.DEFINE_string(
        "data_dir", "datasets", "Look for the dataset in this folder.", flag_values=flag_values
    )
    flags.DEFINE_integer(
        "rounds", 7, "Give each contestant this many turns, of 25 steps each.", 1, flag_values=flag_values
    )
    flags.DEFINE_string("json", None, "Write the numbers to this file, as JSON.", flag_values=flag_values)
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    given = (values["precision"], str(values["image_size"]), values["dataset"], values["data_dir"])
    contestants = [python_contestant(name, "training", name, *given) for name in ("bare", "whole")]
    results = take_turns(contestants, values["rounds"])
    overhead = summarise(results["whole"].seconds / results["bare"].seconds - 1)
    milliseconds = {
        name: summarise(result.seconds / STEPS_PER_CALL * 1e3) for name, result in results.items()
    }
    rows = [
        [name, f"{each['median']:.0f} ({each['low']:.0f}-{each['high']:.0f})"]
        for name, each in milliseconds.items()
    ]
    show_table(["contestant", "ms a step"], rows)
    print(f"\nbeside the steps: {overhead['median']:.1%} ({overhead['low']:.1%} to {overhead['high']:.1%})")
    if values["json"]:
        write_json(values["json"], {"ms": milliseconds, "overhead": overhead})


if __name__ == "__main__":
    command_line.run(main)
