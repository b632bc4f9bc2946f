"""What the chief of a training writes down, and when: losses, pictures, validations, checkpoints."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.methods.step import Step
from tfpix2pix.pictures.sheets import write_png
from tfpix2pix.run import checkpoints, threads
from tfpix2pix.run.callbacks import Callbacks, Moment
from tfpix2pix.run.summaries import LossMeter, Progress, Summaries

Pictures = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Intervals:
    """After how many steps each record is due; the fields are the settings of the same names.

    Attributes:
      sample_every_steps: 0 where a training shows its pictures at validations.
    """

    summary_every_steps: int
    validate_every_steps: int
    checkpoint_every_steps: int
    keep_checkpoints: int
    sample_every_steps: int = 0
    steps_per_call: int = 1
    profile_steps: str = ""

    @classmethod
    def of(cls, config: Any) -> "Intervals":
        """Returns the intervals that the settings of a training state."""
        names = (field.name for field in dataclasses.fields(cls))
        return cls(**{name: getattr(config, name) for name in names if hasattr(config, name)})

    def next_due(self, step: int) -> int:
        """Returns the first step after `step` at which anything is due."""
        every = (
            self.summary_every_steps,
            self.validate_every_steps,
            self.checkpoint_every_steps,
            self.sample_every_steps,
            1 if self.profile_steps else 0,
        )
        return min(step - step % steps + steps for steps in every if steps)


@dataclasses.dataclass(frozen=True)
class Validation:
    """What a validation found.

    Attributes:
      scores: scores by name, which are shown and kept with the checkpoint.
      pictures: name -> uint8 [H, W, 3].
      details: further scalars for TensorBoard and metrics.jsonl, by group and name.
    """

    scores: dict[str, float]
    pictures: Pictures = dataclasses.field(default_factory=dict)
    details: Mapping[str, dict[str, float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Standing:
    """The last and the best validation of a run, which each checkpoint holds.

    Attributes:
      scores: scores of the last validation.
      best: step, metric and score of the best validation; None before the first one.
      best_scores: all scores of the best validation.
    """

    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    best: dict[str, Any] | None = None
    best_scores: dict[str, float] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> "Standing":
        """Returns what the metadata of a checkpoint say; checkpoints of older versions lack some of it."""
        return cls(metadata.get("scores", {}), metadata.get("best"), metadata.get("best_scores", {}))

    def take(self, step: int, scores: dict[str, float], metric: str, higher_is_better: bool) -> bool:
        """Takes in the scores of a validation; returns whether they are the best so far."""
        self.scores, score, sign = scores, scores[metric], 1 if higher_is_better else -1
        before = self.best["score"] if self.best else math.nan
        if math.isnan(score) or not (math.isnan(before) or sign * score > sign * before):
            return False
        self.best, self.best_scores = {"step": step, "metric": metric, "score": score}, scores
        return True


@dataclasses.dataclass(frozen=True)
class Judgement:
    """How a training is scored and shown while it runs.

    Attributes:
      validate: scores the validation split.
      metric: name of the score that decides which checkpoint is the best.
      higher_is_better: whether higher values of that score are better.
      sample: makes pictures of a few examples; None where validations make them.
      prepare: brings up to date what pictures, validations and checkpoints need beside the trained weights;
        it is called before the first of them at a step. None where there is nothing.
    """

    validate: Callable[[], Validation]
    metric: str
    higher_is_better: bool
    sample: Callable[[], Pictures] | None = None
    prepare: Callable[[], None] | None = None


class Assistant:
    """What the other workers do while the chief keeps its records: they validate their part of the split.

    Args:
      config: the settings of the run, a dataclass.
      judgement: how the training is scored, by all workers together.
    """

    def __init__(self, config: Any, judgement: Judgement):
        self._intervals, self._judgement = Intervals.of(config), judgement

    def keep(self, step: int, last: bool, stopping: bool, meter: LossMeter, progress: Progress) -> None:
        """Validates where `Records.keep` does."""
        if last or step % self._intervals.validate_every_steps == 0:
            if self._judgement.prepare:
                self._judgement.prepare()
            self._judgement.validate()

    def save(self, meter: LossMeter) -> None:
        """Leaves that to the chief."""

    def close(self) -> None:
        """Has nothing to close."""


class Records:
    """Writes what is due at a step, the checkpoint last, so that a checkpoint implies the rest.

    Args:
      config: the settings of the run, a dataclass.
      workdir: the folder of the run.
      train_step: the training step.
      judgement: how the training is scored and shown.
      standing: the last and the best validation; it is kept up to date.
      examples_per_epoch: number of examples in the training split.
      callbacks: what is called after each record.
    """

    def __init__(
        self,
        config: Any,
        workdir: Path,
        train_step: Step,
        judgement: Judgement,
        standing: Standing,
        examples_per_epoch: int,
        callbacks: Callbacks,
    ):
        self._config, self._workdir, self._train_step = config, workdir, train_step
        self._judgement, self._standing = judgement, standing
        self._intervals = Intervals.of(config)
        self._epochs_per_step = config.batch_size / examples_per_epoch
        self._callbacks, self._first_step = callbacks, int(train_step.step.numpy())
        self._losses: dict[str, float] = {}
        self._prepared_step: int | None = None
        self._summaries = Summaries(workdir, self._first_step, config)

    def keep(self, step: int, last: bool, stopping: bool, meter: LossMeter, progress: Progress) -> None:
        """Writes what is due at `step`: all records if it is `last`, and a checkpoint if `stopping`.

        Callbacks are called after what they are told of; if they stop the run, a checkpoint is written too.
        """
        intervals = self._intervals

        def due(every_steps: int) -> bool:
            return last or step % every_steps == 0

        if due(intervals.summary_every_steps):
            self._losses = self._write_losses(step, meter)
            progress.report(step, self._losses, self._train_step.stage)
            self._tell("on_steps", step)
        if self._judgement.sample and due(intervals.sample_every_steps):
            self._prepare()
            self._write_pictures(step, self._judgement.sample())
        improved = False
        if due(intervals.validate_every_steps):
            improved = self._validate(step, progress)
            self._tell("on_validation", step)
        reason = self._callbacks.stop_reason
        if due(intervals.checkpoint_every_steps) or improved or stopping or reason:
            self.save(meter)
            self._tell("on_checkpoint", step)
            if self._callbacks.stop_reason != reason:  # The checkpoint has to hold that the run is stopped.
                self.save(meter)

    def save(self, meter: LossMeter) -> None:
        """Writes a checkpoint of the current step, and deletes those that are not kept."""
        self._prepare()
        self._summaries.flush()
        metadata = {
            **dataclasses.asdict(self._standing),
            **meter.to_json(),
            threads.KEY: threads.describe_computing(),
        }
        if states := self._callbacks.get_states():
            metadata["callbacks"] = states
        checkpoints.save(self._workdir, self._train_step.checkpoint_variables(), metadata)
        best_step = self._standing.best["step"] if self._standing.best else None
        checkpoints.prune(self._workdir, self._intervals.keep_checkpoints, best_step)

    def _prepare(self) -> None:
        step = int(self._train_step.step.numpy())
        if self._judgement.prepare and self._prepared_step != step:
            self._judgement.prepare()
            self._prepared_step = step

    def close(self) -> None:
        """Closes the event file."""
        self._summaries.close()

    def _tell(self, event: str, step: int) -> None:
        moment = Moment(
            step=step,
            first_step=self._first_step,
            epoch=step * self._epochs_per_step,
            workdir=self._workdir,
            losses=self._losses,
            scores=self._standing.scores,
            best=self._standing.best,
            metric=self._judgement.metric,
            higher_is_better=self._judgement.higher_is_better,
        )
        self._callbacks.tell(event, moment)

    def _write_losses(self, step: int, meter: LossMeter) -> dict[str, float]:
        values = meter.read(self._config.batch_size)
        values["learning_rate"] = self._train_step.rate
        values["epoch"] = step * self._epochs_per_step
        self._summaries.scalars(step, "training", values)
        return values

    def _validate(self, step: int, progress: Progress) -> bool:
        """Scores the validation split; returns whether the score is the best so far."""
        self._prepare()
        found = self._judgement.validate()
        self._summaries.scalars(step, "validation", found.scores)
        for group, values in found.details.items():
            self._summaries.scalars(step, group, values)
        self._write_pictures(step, found.pictures)
        texts = [f"{name} {value:.4f}" for name, value in found.scores.items()]
        progress.say(f"validation at step {step}: {'  '.join(texts)}")
        judgement = self._judgement
        return self._standing.take(step, found.scores, judgement.metric, judgement.higher_is_better)

    def _write_pictures(self, step: int, pictures: Pictures) -> None:
        for name, picture in pictures.items():
            self._summaries.picture(step, f"samples/{name}", picture)
            write_png(self._workdir / "samples" / f"step-{step:08d}-{name}.png", picture)
