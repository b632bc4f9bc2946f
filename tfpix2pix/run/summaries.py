"""What a run reports: TensorBoard, metrics.jsonl, a progress bar. Only the chief writes them."""

import dataclasses
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams
from tqdm.auto import tqdm

from tfpix2pix.config import options
from tfpix2pix.config.config import Config, describe
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.places import public_url
from tfpix2pix.pipelines.base.progress import can_show_bars

LOGS_FOLDER = "tensorboard"  # of a run; see `log_folder`
# What `training` holds besides the losses, which are all that TensorBoard shows in that group.
_PROGRESS = ("epoch", "learning_rate", "images_per_sec")


def log_folder(workdir: Path) -> Path:
    """Returns the folder of a run's event files, from whose name TensorBoard takes that of the run.

    A run goes on in the folder in which it began, also where that is called `tensorboard`, as in earlier
    versions, or where the folder of the run was renamed.
    """
    logs = workdir / LOGS_FOLDER
    begun = sorted({file.parent for file in logs.rglob("events.out.tfevents.*")})
    return begun[0] if begun else logs / workdir.resolve().name


class Summaries:
    """Writes scalars to TensorBoard and metrics.jsonl, pictures to TensorBoard.

    Args:
      workdir: folder of the run; event files are written to its `log_folder`.
      first_step: the step that the run goes on from. Lines of metrics.jsonl about later steps are removed,
        because those steps were lost and will be taken again.
      config: settings of a training of any kind, which are written as text and as hparams.
    """

    def __init__(self, workdir: Path, first_step: int, config: Any):
        self._metrics_path = workdir / "metrics.jsonl"
        _drop_lines_after(self._metrics_path, first_step)
        self._writer = tf.summary.create_file_writer(str(log_folder(workdir)))
        with self._writer.as_default(step=first_step):
            lines = _describe(config).splitlines()
            tf.summary.text("config", "\n".join(f"    {line}" for line in lines))
            values = dataclasses.asdict(config).items()
            hparams.hparams(
                {
                    name: value if isinstance(value, int | float) else public_url(str(value))
                    for name, value in values
                }
            )

    def scalars(self, step: int, group: str, values: Mapping[str, float]) -> None:
        """Writes one line of metrics.jsonl and one point for each value, all named `group/name`.

        In TensorBoard, what is no loss of a training stands in the group `progress`.
        """
        with self._writer.as_default(step=step):
            for name, value in values.items():
                shown_in = "progress" if group == "training" and name in _PROGRESS else group
                tf.summary.scalar(f"{shown_in}/{name}", value)
        named = {f"{group}/{name}": value for name, value in values.items()}
        with self._metrics_path.open("a") as metrics:
            metrics.write(json.dumps({"step": step, **named}) + "\n")

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes a picture, uint8 [H, W, 3], to TensorBoard."""
        with self._writer.as_default(step=step):
            tf.summary.image(name, image[np.newaxis])

    def flush(self) -> None:
        """Hands everything that was written to the file system."""
        self._writer.flush()

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()


def _describe(config: Any) -> str:
    return describe(config) if isinstance(config, Config) else options.describe(config, type(config)())


def _drop_lines_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):  # A killed run may leave half a line at the end.
            continue
    staging.write_file(path, "".join(kept).encode())


class LossMeter:
    """The means of the losses since they were last read, which each checkpoint holds.

    Args:
      sums: loss name -> sum so far, as `to_json` returned it.
      steps: number of steps in the sums.
    """

    def __init__(self, sums: dict[str, float], steps: int):
        self._sums = dict(sums)
        self._steps = steps
        self._calls, self._timed_steps, self._seconds = 0, 0, 0.0

    def add(self, values: Mapping[str, np.ndarray], seconds: float) -> None:
        """Adds the losses of the steps of a call, each [steps], and the seconds that they took."""
        if self._calls == 1:
            # The first call compiles the step, which says nothing of the speed of those that follow.
            self._timed_steps, self._seconds = 0, 0.0
        self._calls += 1
        for name, value in values.items():
            # They are added one by one, so that the sum does not depend on how many steps a call takes.
            for number in value:
                self._sums[name] = self._sums.get(name, 0.0) + float(number)
        count = len(next(iter(values.values())))
        self._steps += count
        self._timed_steps += count
        self._seconds += seconds

    def read(self, batch_size: int) -> dict[str, float]:
        """Returns the means and `images_per_sec`, and starts again from zero.

        The first call counts for the speed only where it is the only one.
        """
        means = {name: total / self._steps for name, total in self._sums.items()}
        means["images_per_sec"] = self._timed_steps * batch_size / max(self._seconds, 1e-9)
        self._sums, self._steps = {}, 0
        self._timed_steps, self._seconds = 0, 0.0
        return means

    def to_json(self) -> dict[str, Any]:
        """Returns what a run that goes on needs to report the same means."""
        return {"losses": self._sums, "loss_steps": self._steps}


class Progress:
    """Shows a progress bar on a terminal or in a notebook, and prints a line at each summary elsewhere.

    Args:
      first_step: the step that the run goes on from.
      total_steps: number of steps after which the run ends.
      examples_per_epoch: number of examples in the training split.
      batch_size: global batch size.
    """

    def __init__(self, first_step: int, total_steps: int, examples_per_epoch: int, batch_size: int):
        self._total_steps = total_steps
        self._epochs_per_step = batch_size / examples_per_epoch
        self._has_bar = can_show_bars()
        self._bar = tqdm(
            initial=first_step,
            total=total_steps,
            unit="step",
            disable=not self._has_bar,
            dynamic_ncols=True,
            smoothing=0.1,
        )
        self._start = (time.monotonic(), first_step)

    def advance(self, steps: int) -> None:
        """Moves the bar."""
        self._bar.update(steps)

    def report(self, step: int, values: Mapping[str, float], stage: str = "") -> None:
        """Shows the values of a step, and in which stage of the training it is if there are any."""
        shown = {_SHORT[name]: f"{values[name]:.3f}" for name in _SHORT if name in values}
        shown["images/s"] = f"{values['images_per_sec']:.2f}"
        epoch = step * self._epochs_per_step
        if self._has_bar:
            self._bar.set_description(stage or None, refresh=False)
            self._bar.set_postfix(epoch=f"{epoch:.1f}", **shown)
            return
        seconds = time.monotonic() - self._start[0]
        left_sec = (self._total_steps - step) * seconds / max(1, step - self._start[1])
        texts = "  ".join(f"{name} {value}" for name, value in shown.items())
        left = tqdm.format_interval(left_sec)
        where = f"step {step}/{self._total_steps}  {stage}{'  ' if stage else ''}epoch {epoch:.1f}"
        self.say(f"{where}  {texts}  {left} left")

    def say(self, text: str) -> None:
        """Prints a line, above the bar where there is one."""
        if self._has_bar:
            tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Closes the bar."""
        self._bar.close()


_SHORT = {"discriminator_loss": "D", "generator_gan_loss": "G", "l1_loss": "L1", "loss": "loss"}
