"""What a training of FCN-8s writes down: scalars, validation scores, pictures, checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.config.options import describe
from tfpix2pix.metrics.fcn.config import FcnConfig
from tfpix2pix.metrics.fcn.segmenter import KerasSegmenter
from tfpix2pix.metrics.fcn.step import FcnStep
from tfpix2pix.metrics.segmentation_scores import class_scores, confusion_matrices, segmentation_scores
from tfpix2pix.pictures.sheets import contact_sheet, write_png
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.palettes import Palette, colour_ids
from tfpix2pix.pipelines.tasks.transforms import to_unit_range
from tfpix2pix.run import checkpoints
from tfpix2pix.run.summaries import LossMeter, Progress, Summaries

BEST_METRIC = "class_iou"
SAMPLES = 4


class FcnRecords:
    """Writes what is due at a step, the checkpoint last, so that a checkpoint implies the rest.

    Args:
      config: of the run.
      workdir: of the run.
      palette: the classes.
      trainee: what is trained.
      val_source: photos and class ids of the validation split.
      examples_per_epoch: length of the training split.
      metadata: of the checkpoint that the run goes on from; empty for a new run.

    Attributes:
      best: step, metric and score of the best validation so far, or None.
      best_scores: all scores of that validation.
    """

    def __init__(
        self,
        config: FcnConfig,
        workdir: Path,
        palette: Palette,
        trainee: FcnStep,
        val_source: Source,
        examples_per_epoch: int,
        metadata: dict[str, Any],
    ):
        self.best: dict[str, Any] | None = metadata.get("best")
        self.best_scores: dict[str, float] = metadata.get("best_scores", {})
        self._config, self._workdir, self._palette = config, workdir, palette
        self._trainee, self._val_source = trainee, val_source
        self._examples_per_epoch = examples_per_epoch
        self._segmenter = KerasSegmenter(trainee.network, "FCN-8s", palette)
        text = describe(config, FcnConfig())
        self._summaries = Summaries(workdir, int(trainee.step.numpy()), config, text)

    def keep(self, step: int, last: bool, stopping: bool, meter: LossMeter, progress: Progress) -> None:
        """Writes what is due at `step`; everything when it is the `last`, a checkpoint when `stopping`."""
        config = self._config

        def due(every_steps: int) -> bool:
            return last or step % every_steps == 0

        if due(config.summary_every_steps):
            progress.report(step, self._write_loss(step, meter))
        improved = due(config.validate_every_steps) and self._validate(step, progress)
        if due(config.checkpoint_every_steps) or improved or stopping:
            self.save(meter)

    def save(self, meter: LossMeter) -> None:
        """Writes a checkpoint of the current step, and deletes those that are not kept."""
        self._summaries.flush()
        metadata = {"best": self.best, "best_scores": self.best_scores, **meter.to_json()}
        checkpoints.save(self._workdir, self._trainee.variables(), metadata)
        best_step = self.best["step"] if self.best else None
        checkpoints.prune(self._workdir, self._config.keep_checkpoints, best_step)

    def close(self) -> None:
        """Ends the event file."""
        self._summaries.close()

    def _write_loss(self, step: int, meter: LossMeter) -> dict[str, float]:
        values = meter.read(self._config.batch_size)
        values["learning_rate"] = float(tf.convert_to_tensor(self._trainee.optimizer.learning_rate))
        values["epoch"] = step * self._config.batch_size / self._examples_per_epoch
        self._summaries.scalars(step, "training", values)
        return values

    def _validate(self, step: int, progress: Progress) -> bool:
        """Scores the validation split; returns whether the class IoU is the best so far."""
        confusion, sheet = validate(self._segmenter, self._val_source, self._palette, self._config)
        scores = {name: float(value) for name, value in segmentation_scores(confusion).items()}
        self._summaries.scalars(step, "validation", scores)
        by_class = zip(self._palette.names, class_scores(confusion)["iou"], strict=True)
        present = {name: float(iou) for name, iou in by_class if not np.isnan(iou)}
        self._summaries.scalars(step, "iou", present)
        self._summaries.picture(step, "samples/pictures", sheet)
        write_png(self._workdir / "samples" / f"step-{step:08d}-pictures.png", sheet)
        texts = [f"{name} {value:.4f}" for name, value in scores.items()]
        progress.say(f"validation at step {step}: {'  '.join(texts)}")
        if self.best and not scores[BEST_METRIC] > self.best["score"]:
            return False
        self.best = {"step": step, "metric": BEST_METRIC, "score": scores[BEST_METRIC]}
        self.best_scores = scores
        return True


def validate(
    segmenter: KerasSegmenter, source: Source, palette: Palette, config: FcnConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the classes of every photo of a split, each once.

    Args:
      segmenter: images -> class ids.
      source: photos and class ids.
      palette: the classes.
      config: its image and batch size.

    Returns:
      The confusion matrix of the whole split, int64 [K, K + 1], see
      `segmentation_scores`; and a picture of a few examples from all over it: photo,
      predicted classes, true classes, uint8 [H, W, 3].
    """
    num_classes = len(palette)
    confusion = np.zeros((num_classes, num_classes + 1), np.int64)
    shown: list[list[tf.Tensor]] = []
    places, seen = sorted({place * len(source) // SAMPLES for place in range(SAMPLES)}), 0
    dataset = build_dataset(
        source,
        image_size=config.image_size,
        batch_size=config.batch_size,
        training=False,
        class_targets=True,
    )
    for batch in dataset:
        predicted_ids = segmenter(batch["input_image"])
        confusion += confusion_matrices(batch["target_ids"], predicted_ids, num_classes).sum(0, np.int64)
        coloured = (colour_ids(ids, palette) for ids in (predicted_ids, batch["target_ids"]))
        columns = [batch["input_image"], *map(to_unit_range, coloured)]
        # Neighbours are often alike: frames of one drive.
        chosen = [place - seen for place in places if seen <= place < seen + len(predicted_ids)]
        shown.append([tf.gather(column, tf.constant(chosen, tf.int32)) for column in columns])
        seen += len(predicted_ids)
    columns = [tf.concat(column, 0) for column in zip(*shown, strict=True)]
    return confusion, contact_sheet(columns)
