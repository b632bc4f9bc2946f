"""Trains on generated facades, scores, shows and exports, in a few minutes and offline.

    python -m tfpix2pix.quickstart

The scores stand beside those of two trivial baselines: the mean training photo, and
the input itself. The same command again finds that everything is done.
"""

import itertools
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from tfpix2pix.config.config import Config, make_config
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.run.folder import check_config

# Chosen by looking at pictures: the largest images and the most steps that fit into about four minutes on
# two CPU cores. A learning rate of 2.5 times the paper's, which falls to 0, and resized feature maps give
# cleaner walls within so few steps.
STEPS = 2000
SETTINGS = {
    "dataset": "synthetic",
    "image_size": 128,
    "base_filters": 32,
    "upsampling": "nearest",
    "learning_rate": 5e-4,
    "lr_schedule": "linear_decay",
    "checkpoint_every_steps": 500,
    "validate_every_steps": 1000,
    "sample_every_steps": 500,
    "summary_every_steps": 100,
}
SHOWN_EXAMPLES = 6
WORKDIR = Path("runs/quickstart")


def main(argv: Sequence[str]) -> None:
    """Parses flags, trains, compares with the baselines, writes the contact sheet, says what to do next."""
    values = _parse(argv)
    config = make_config(**SETTINGS, steps=values["steps"], saved_model_dir=values["saved_model_dir"])
    workdir = Path(values["workdir"]) if values["workdir"] else _choose_workdir(config)
    check_config(workdir, config)
    command_line.import_tensorflow()
    from tfpix2pix.train import showcase
    from tfpix2pix.train.training import train_and_evaluate

    print(f"Training pix2pix on generated facades, {config.steps} steps of 128x128 px.", flush=True)
    result = train_and_evaluate(config, workdir)
    shown = showcase.Showcase(result.generator, config)
    scores = shown.score()
    print(_table(scores))
    sheet_path = workdir / "contact_sheet.png"
    shown.write_contact_sheet(sheet_path, SHOWN_EXAMPLES)
    print(_next_steps(workdir, sheet_path, result.saved_model))
    own_l1 = scores[showcase.MODEL]["l1"]
    best_baseline = min(scores[name]["l1"] for name in showcase.BASELINES)
    if own_l1 >= best_baseline:
        raise UserError(
            f"the generator's L1 ({own_l1:.4f}) does not beat the best baseline "
            f"({best_baseline:.4f}) after {count_of(result.step, 'step')}"
        )


def _parse(argv: Sequence[str]) -> dict[str, Any]:
    flag_values = command_line.new_flags()
    for name, default, text in (
        (
            "workdir",
            None,
            f"Write the run to this folder. Default: {WORKDIR}, or {WORKDIR}_2 and so on where a run with "
            "other settings is there, such as the quickstart of an earlier version.",
        ),
        ("saved_model_dir", "saved_models", "Write the SavedModel to this folder."),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    flags.DEFINE_integer("steps", STEPS, "Train for this many steps.", flag_values=flag_values)
    return command_line.read_flags(flag_values, __doc__ or "", argv)


def _choose_workdir(config: Config) -> Path:
    """Returns the first of the default folders that is free, or holds a run that can go on.

    Another one holds the quickstart of an earlier version, or one with another `steps`, and stays as it is.
    """
    workdir, reasons = WORKDIR, []
    for number in itertools.count(2):
        try:
            check_config(workdir, config)
            break
        except UsageError as error:
            reasons.append(str(error).partition(". ")[0])
        workdir = WORKDIR.with_name(f"{WORKDIR.name}_{number}")
    if reasons:
        say(f"{'; '.join(reasons)}. This quickstart is therefore written to {workdir}")
    return workdir


def _table(scores: Mapping[str, Mapping[str, float]]) -> str:
    lines = ["", f"{'validation split':22s}{'L1 (lower)':>12s}{'PSNR, dB':>12s}{'SSIM':>12s}"]
    for name, row in scores.items():
        lines.append(f"{name:22s}{row['l1']:12.4f}{row['psnr']:12.2f}{row['ssim']:12.4f}")
    return "\n".join(lines)


def _next_steps(workdir: Path, sheet_path: Path, saved_model: Path | None) -> str:
    """Returns what was written, and commands that run as they are when they are pasted into a shell."""
    activation = _activation()
    return f"""
Pictures:                  {sheet_path}
SavedModel for TF Serving: {saved_model}

{f"Next, in this folder:{activation}" if activation else "Next:"}

See the curves and the pictures of this training in a browser:
  tensorboard --logdir={shlex.quote(str(workdir / "tensorboard"))}

Train on your own pairs. FOLDER holds the inputs in train/A and val/A, and targets of the same names in
train/B and val/B; docs/data.md has other layouts. The training ends with a SavedModel.
  python -m tfpix2pix.train --data_dir=FOLDER --workdir=runs/mine

Score the trained network, and translate new pictures with it:
  python -m tfpix2pix.evaluate --model=runs/mine
  python -m tfpix2pix.translate --model=runs/mine --input=IMAGES --output=OUT"""


def _activation() -> str:
    """Returns the line that activates this Python's environment; empty where that is not needed."""
    prefix = Path(sys.prefix)
    activate = prefix / "bin" / "activate"
    active = os.environ.get("VIRTUAL_ENV")
    if sys.prefix == sys.base_prefix or not activate.is_file():
        return ""
    if active and Path(active).resolve() == prefix.resolve():
        return ""
    if activate.is_relative_to(Path.cwd()):
        activate = activate.relative_to(Path.cwd())
    return f"\n  . {shlex.quote(str(activate))}"


if __name__ == "__main__":
    command_line.run(main)
