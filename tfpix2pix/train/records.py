"""What the chief writes down during a run: scalars, pictures, validation scores, checkpoints."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.metrics.image_quality import HIGHER_IS_BETTER
from tfpix2pix.pictures.sheets import write_png
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.run import checkpoints
from tfpix2pix.run.summaries import LossMeter, Progress, Summaries
from tfpix2pix.train.judge import Judge
from tfpix2pix.train.validation import compute_validation_scores, sample_sheets


class Records:
    """Writes what is due at a step, the checkpoint last, so that a checkpoint implies the rest.

    Args:
      config: of the run.
      workdir: of the run.
      train_step: what is trained.
      val_source: pairs of the validation split.
      examples_per_epoch: length of the training split.
      metadata: of the checkpoint that the run goes on from; empty for a new run.
      judge: gives the validation's `fcn_score`.

    Attributes:
      scores: of the last validation.
      best: step, metric and score of the best validation so far, or None.
    """

    def __init__(
        self,
        config: Config,
        workdir: Path,
        train_step: TrainStep,
        val_source: Source,
        examples_per_epoch: int,
        metadata: dict[str, Any],
        judge: Judge | None = None,
    ):
        self.scores: dict[str, float] = metadata.get("scores", {})
        self.best: dict[str, Any] | None = metadata.get("best")
        self._config, self._workdir, self._train_step = config, workdir, train_step
        self._val_source, self._judge = val_source, judge
        self._examples_per_epoch = examples_per_epoch
        self._summaries = Summaries(workdir, int(train_step.step.numpy()), config)

    def keep(self, step: int, last: bool, stopping: bool, meter: LossMeter, progress: Progress) -> None:
        """Writes what is due at `step`; everything when it is the `last`, a checkpoint when `stopping`."""
        config = self._config

        def due(every_steps: int) -> bool:
            return last or step % every_steps == 0

        if due(config.summary_every_steps):
            progress.report(step, self._write_losses(step, meter))
        if due(config.sample_every_steps):
            self._write_pictures(step)
        improved = due(config.validate_every_steps) and self._validate(step, progress)
        if due(config.checkpoint_every_steps) or improved or stopping:
            self.save(meter)

    def save(self, meter: LossMeter) -> None:
        """Writes a checkpoint of the current step, and deletes those that are not kept."""
        self._summaries.flush()
        metadata = {"best": self.best, "scores": self.scores, **meter.to_json()}
        checkpoints.save(self._workdir, self._train_step, metadata)
        best_step = self.best["step"] if self.best else None
        checkpoints.prune(self._workdir, self._config.keep_checkpoints, best_step)

    def close(self) -> None:
        """Ends the event file."""
        self._summaries.close()

    def _write_losses(self, step: int, meter: LossMeter) -> dict[str, float]:
        values = meter.read(self._config.batch_size)
        rate = tf.convert_to_tensor(self._train_step.generator_optimizer.learning_rate)
        values["learning_rate"] = float(rate)
        values["epoch"] = step * self._config.batch_size / self._examples_per_epoch
        self._summaries.scalars(step, "training", values)
        return values

    def _validate(self, step: int, progress: Progress) -> bool:
        """Scores the validation split; returns whether the score is the best so far."""
        config = self._config
        self.scores = compute_validation_scores(
            self._train_step.generator,
            self._val_source,
            config.image_size,
            config.seed,
            judge=self._judge,
        )
        self._summaries.scalars(step, "validation", self.scores)
        texts = [f"{name} {value:.4f}" for name, value in self.scores.items()]
        progress.say(f"validation at step {step}: {'  '.join(texts)}")
        score, sign = self.scores[config.best_metric], 1 if HIGHER_IS_BETTER[config.best_metric] else -1
        if self.best and sign * score <= sign * self.best["score"]:
            return False
        self.best = {"step": step, "metric": config.best_metric, "score": score}
        return True

    def _write_pictures(self, step: int) -> None:
        """Writes the same few validation examples each time, and what D thinks of them."""
        config = self._config
        sheets = sample_sheets(self._train_step, self._val_source, config.image_size, config.seed)
        for name, sheet in sheets.items():
            self._summaries.picture(step, f"samples/{name}", sheet)
            write_png(self._workdir / "samples" / f"step-{step:08d}-{name}.png", sheet)
