"""Measures the main figures of speed and memory, and tells what has changed since the recorded ones.

    make bench                                     # 15 rounds, about 20 minutes
    python -m benchmarks.figures --pytorch=PYTHON  # PyTorch is in another environment
    python -m benchmarks.figures --record          # what is measured becomes the record
    python -m benchmarks.figures --quick           # half a minute: tiny images, nothing is compared

Most figures are ratios of times within the same round, or shares of the speed of large products of matrices,
because a machine may change its speed. A figure counts as changed if the quartiles of its rounds do not
overlap with those of the record, benchmarks/recorded.json, which tells the machine it was measured on.
"""

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from benchmarks.measurement import (
    Contestant,
    Result,
    describe_machine,
    has_module,
    python_contestant,
    show_table,
    summarise,
    take_turns,
    write_json,
)
from benchmarks.networks import MATMUL_FLOPS, count_flops
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import say

RECORD = Path(__file__).with_name("recorded.json")
FLOAT32, BFLOAT16 = "float32", "mixed_bfloat16"


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
      name: what the table calls it, which is its key in the record.
      contestant: the contestant that is measured.
      against: the contestant whose time is divided by that of `contestant`; a limit is scaled to as many
        operations; None takes a fact of `contestant`.
      target: what is aimed for; None if nothing is.
      inverse: whether the time of `contestant` is divided by that of `against`, so that less is better.
      fact: the name of the fact, MiB, of which less is better.
    """

    name: str
    contestant: str
    against: str | None
    target: float | None = None
    inverse: bool = False
    fact: str = "peak_rss_mib"

    @property
    def less_is_better(self) -> bool:
        """Whether a smaller number is the better one."""
        return self.inverse or self.against is None

    def measure(self, results: Mapping[str, Result], image_size: int) -> dict[str, float] | None:
        """Returns median and quartiles over the rounds; None where a contestant has not taken part."""
        if self.contestant not in results or (self.against and self.against not in results):
            return None
        result = results[self.contestant]
        if self.against is None:
            measured = result.facts.get(self.fact)
            return None if measured is None else summarise(np.array([measured]))
        ratio = results[self.against].seconds / result.seconds
        if self.against.startswith("limit"):
            what = self.contestant.split()[0]
            ratio = ratio * count_flops(what, image_size) / MATMUL_FLOPS
        return summarise(1 / ratio if self.inverse else ratio)


# A group of figures shares its rounds.
GROUPS = {
    "step": (
        Figure("step, float32, against PyTorch float32", f"step {FLOAT32}", f"PyTorch step {FLOAT32}", 1.65),
        Figure("step, bfloat16, against PyTorch float32", f"step {BFLOAT16}", f"PyTorch step {FLOAT32}", 2.8),
        Figure("step, bfloat16, against PyTorch bfloat16", f"step {BFLOAT16}", f"PyTorch step {BFLOAT16}"),
        Figure("step, float32, against its limit", f"step {FLOAT32}", f"limit {FLOAT32}"),
        Figure("step, bfloat16, against its limit", f"step {BFLOAT16}", f"limit {BFLOAT16}"),
        Figure("step, float32, peak memory, MiB", f"step {FLOAT32}", None),
        Figure("step, bfloat16, peak memory, MiB", f"step {BFLOAT16}", None),
        Figure("PyTorch step, bfloat16, peak memory, MiB", f"PyTorch step {BFLOAT16}", None),
        Figure("step, bfloat16, the same without files, MiB", f"step {BFLOAT16}", None, fact="peak_own_mib"),
        Figure(
            "PyTorch step, bfloat16, the same without files, MiB",
            f"PyTorch step {BFLOAT16}",
            None,
            fact="peak_own_mib",
        ),
    ),
    "pass": (
        Figure(
            "pass, float32, against PyTorch float32", f"forward {FLOAT32}", f"PyTorch forward {FLOAT32}", 1.6
        ),
        Figure(
            "pass, bfloat16, against PyTorch float32",
            f"forward {BFLOAT16}",
            f"PyTorch forward {FLOAT32}",
            2.4,
        ),
        Figure("pass, float32, against its limit", f"forward {FLOAT32}", f"limit {FLOAT32}"),
        Figure("pass, bfloat16, against its limit", f"forward {BFLOAT16}", f"limit {BFLOAT16}"),
        Figure(
            "SavedModel, bfloat16, tensors, against a pass",
            f"served_array {BFLOAT16}",
            f"forward {BFLOAT16}",
            1.05,
            inverse=True,
        ),
        Figure(
            "SavedModel, bfloat16, files, against a pass",
            f"served_file {BFLOAT16}",
            f"forward {BFLOAT16}",
            1.15,
            inverse=True,
        ),
    ),
}
# How many calls of a contestant a turn has, of which the median counts. Where another process has just used
# the caches, a pass takes up to twice as long as one that follows another, as those of a server do.
CALLS = {"step": 1, "pass": 7}
# The quick form takes only these contestants of these groups, and images of this size in px.
QUICK_PX = 32
QUICK = {"pass": (f"forward {FLOAT32}", f"limit {FLOAT32}")}


def main(argv: Sequence[str]) -> None:
    """Measures, prints the table, and writes the record if `--record` asks for it."""
    values = _parse(argv)
    image_size, rounds = (QUICK_PX, 1) if values["quick"] else (256, values["rounds"])
    results: dict[str, Result] = {}
    numbers: dict[str, dict[str, float]] = {}
    for group in QUICK if values["quick"] else GROUPS:
        figures = GROUPS[group]
        say(f"measuring {group}: {rounds} rounds")
        calls = 1 if values["quick"] else CALLS[group]
        taken = take_turns(_list_contestants(figures, values, image_size), rounds, calls)
        results |= taken
        for figure in figures:
            measured = figure.measure(taken, image_size)
            if measured:
                numbers[figure.name] = measured
    recorded = {} if values["quick"] else read_record(Path(values["record_file"]))
    show_table(["figure", "target", "now", "recorded", "change"], list_rows(numbers, recorded))
    if recorded:
        facts = {key: value for key, value in recorded.items() if key not in ("figures", "command")}
        print(f"\nrecorded on: {json.dumps(facts)}")
    print(f"\nnow: {json.dumps(_facts(results))}")
    if values["record"]:
        write_json(values["record_file"], {**_facts(results), "figures": numbers})


def _parse(argv: Sequence[str]) -> dict[str, Any]:
    values = command_line.new_flags()
    flags.DEFINE_bool("quick", False, "Try one pass on tiny images, without PyTorch.", flag_values=values)
    flags.DEFINE_bool("record", False, "Write what is measured to --record_file.", flag_values=values)
    flags.DEFINE_string("record_file", str(RECORD), "Compare with this record.", flag_values=values)
    flags.DEFINE_integer("rounds", 15, "Give each contestant this many turns.", 3, flag_values=values)
    flags.DEFINE_string(
        "pytorch",
        sys.executable,
        "Run PyTorch with this Python interpreter, and leave it out if that has no PyTorch.",
        flag_values=values,
    )
    given = command_line.read_flags(values, __doc__ or "", argv)
    if given["quick"] and given["record"]:
        raise UserError("--quick measures tiny images, which are no record; leave out --quick or --record")
    return given


def _list_contestants(
    figures: Sequence[Figure], values: Mapping[str, Any], image_size: int
) -> list[Contestant]:
    """Returns the contestants of some figures, of which PyTorch's take part only where it is installed."""
    wanted = dict.fromkeys(name for each in figures for name in (each.contestant, each.against) if name)
    peers = not values["quick"] and has_module(values["pytorch"], "torch")
    if not peers and not values["quick"]:
        say(f"{values['pytorch']} has no PyTorch, so its figures are left out; --pytorch names one that has")
    contestants = []
    for name in wanted:
        *words, precision = name.split()
        what = {"limit": "matmul"}.get(words[-1], words[-1])
        given = (what, precision, str(image_size), "1")
        if words[0] == "PyTorch":
            if peers:
                contestants.append(python_contestant(name, "pytorch", *given, python=values["pytorch"]))
        elif not values["quick"] or any(name in names for names in QUICK.values()):
            contestants.append(python_contestant(name, "ours", *given))
    return contestants


def read_record(path: Path) -> dict[str, Any]:
    """Returns the record in a file, or nothing if there is no file.

    Raises:
      UserError: for a file that is not a record.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text())
        for name, figure in content["figures"].items():
            if not {"median", "low", "high"} <= figure.keys():
                raise KeyError(name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a record of figures; write a new one with --record") from error
    return content


def list_rows(numbers: Mapping[str, Mapping[str, float]], recorded: Mapping[str, Any]) -> list[list[str]]:
    """Returns the rows of the table: name, target, numbers of now and of the record, and what has changed."""
    before = recorded.get("figures", {})
    rows = []
    for figure in (each for figures in GROUPS.values() for each in figures):
        if figure.name in numbers:
            now, then = numbers[figure.name], before.get(figure.name)
            target = "" if figure.target is None else f"{figure.target:g}"
            rows.append([figure.name, target, _text(now), _text(then) if then else "", ""])
            rows[-1][-1] = tell_change(figure, now, then) if then else "new"
    return rows


def tell_change(figure: Figure, now: Mapping[str, float], then: Mapping[str, float]) -> str:
    """Returns `-` if the quartiles overlap, or else by how much the figure is better or worse, in percent.

    Peak memory has one number, which counts as changed from 2 % on.
    """
    change = now["median"] / then["median"] - 1
    if figure.against is None:
        differs = abs(change) >= 0.02
    else:
        differs = now["low"] > then["high"] or now["high"] < then["low"]
    if not differs:
        return "-"
    return f"{'better' if (change < 0) == figure.less_is_better else 'worse'} ({change:+.0%})"


def _text(values: Mapping[str, float]) -> str:
    if values["low"] == values["high"]:
        return f"{values['median']:.4g}"
    return f"{values['median']:.2f} ({values['low']:.2f}-{values['high']:.2f})"


def _facts(results: Mapping[str, Result]) -> dict[str, Any]:
    """Returns the machine's facts, the versions, and the limits that were measured, in GFLOP/s."""
    facts = describe_machine()
    for name, result in results.items():
        if name.startswith("limit"):
            facts[f"{name}, GFLOP/s"] = round(MATMUL_FLOPS / float(np.median(result.seconds)) / 1e9)
        if "pytorch" in result.facts:
            facts["pytorch"] = result.facts["pytorch"]
    return facts


if __name__ == "__main__":
    command_line.run(main)
