"""The training of FCN-8s: restore, train, validate, keep the best."""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.config.options import check_resumable
from tfpix2pix.methods.optimizers import LinearDecay
from tfpix2pix.metrics.fcn.config import PALETTE_FILE, SCRATCH, FcnConfig, from_json
from tfpix2pix.metrics.fcn.network import build_network, load_vgg_weights
from tfpix2pix.metrics.fcn.records import FcnRecords
from tfpix2pix.metrics.fcn.step import FcnStep, balance_classes
from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError, shorten
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.batches import Batch, build_dataset, example_indices
from tfpix2pix.pipelines.catalogue import find_dataset
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.palettes import Palette, dataset_palette, find_palette, with_class_ids
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import CONFIG_FILE, lock, read_settings, write_config
from tfpix2pix.run.loop import BadFileError, take_steps
from tfpix2pix.run.summaries import LossMeter, Progress


@dataclasses.dataclass(frozen=True)
class FcnResult:
    """How a training ended.

    Attributes:
      step: steps taken, those of earlier starts included.
      best_step: the step of the checkpoint with the highest class IoU.
      scores: its `pixel_accuracy`, `class_accuracy` and `class_iou`.
    """

    step: int
    best_step: int
    scores: dict[str, float]


def train_fcn(config: FcnConfig, workdir: Path) -> FcnResult:
    """Trains FCN-8s to find the classes of photos, until the configured number of steps.

    A killed run that is started again ends with the same weights, on a CPU bit for
    bit.

    Args:
      config: from `fcn_config.make_config`.
      workdir: of the run.

    Raises:
      UsageError: when `workdir` holds a run with other settings.
      UserError: when the data or the disk fails, or the loss is not finite; what was
        saved before remains.
      TrainingStopped: on Ctrl-C or SIGTERM, after saving.
    """
    check_config(workdir, config)
    palette = config_palette(config)
    with lock(workdir):
        train_source, val_source = (open_split(config, split, palette) for split in ("train", "val"))
        write_config(workdir, config, train_source)
        _write_palette(workdir, palette)
        return _Run(config, workdir, palette, train_source, val_source).train()


def check_config(workdir: Path, config: FcnConfig) -> None:
    """Raises UsageError, naming the fields, when `workdir` holds a run that `config` cannot go on with."""
    if not (workdir / CONFIG_FILE).is_file():
        return
    saved = read_settings(workdir, from_json)
    # More steps are fine where no schedule depends on their number.
    may_change = ("epochs", "steps") if saved.lr_schedule == "constant" else ()
    check_resumable(saved, config, workdir, may_change)


def _write_palette(workdir: Path, palette: Palette) -> None:
    """Writes the classes beside the weights, in the order of the scores; refuses others than before."""
    path, text = workdir / PALETTE_FILE, palette.to_json()
    if path.is_file() and path.read_text() != text:
        raise UsageError(
            f"{workdir} was started with other classes: compare {path} and --palette. "
            "Bring them back to go on, or choose another --workdir"
        )
    staging.write_file(path, text.encode())


def config_palette(config: FcnConfig) -> Palette:
    """Returns the classes of a configuration: `--palette`, or the dataset's own."""
    if config.palette:
        return find_palette(config.palette)
    classes = datasets.find_classes(config.dataset, config.data_dir)
    return classes or dataset_palette(find_dataset(config.dataset))


def open_split(config: FcnConfig, split: str, palette: Palette) -> Source:
    """Opens the photos and class ids of a split."""
    source = datasets.open_split(
        config.dataset,
        split,
        data_dir=config.data_dir,
        direction="AtoB",
        image_size=config.image_size,
        on_bad_image=config.on_bad_image,
        cache_mib=config.cache_mib,
        palette=palette,
    )
    return with_class_ids(source, palette)


class _Run:
    """One start of a training: what the loop needs at hand."""

    def __init__(
        self,
        config: FcnConfig,
        workdir: Path,
        palette: Palette,
        train_source: Source,
        val_source: Source,
    ):
        self.config, self.workdir, self.palette = config, workdir, palette
        self.train_source, self.val_source = train_source, val_source
        self.total_steps = config.steps or -(-config.epochs * len(train_source) // config.batch_size)
        self.trainee = self._build()
        self.step = checkpoints.restore_latest(workdir, self.trainee.variables())
        if not self.step and config.vgg_weights != SCRATCH:
            load_vgg_weights(self.trainee.network, config.vgg_weights)
        self.metadata = checkpoints.read_metadata(workdir, self.step) if self.step else {}
        self.meter = LossMeter(self.metadata.get("losses", {}), self.metadata.get("loss_steps", 0))

    def _build(self) -> FcnStep:
        config, num_classes = self.config, len(self.palette)
        keras.utils.set_random_seed(config.seed)
        network = build_network(config, num_classes)
        balanced = config.class_balancing != "none"
        weights = balance_classes(self.train_source, num_classes) if balanced else np.ones(num_classes)
        rate = config.learning_rate
        schedule = LinearDecay(rate, self.total_steps) if config.lr_schedule == "linear_decay" else rate
        return FcnStep(network, weights, schedule)

    def train(self) -> FcnResult:
        best, scores = self.metadata.get("best"), self.metadata.get("best_scores", {})
        if self.step >= self.total_steps:
            say(f"{self.workdir} is finished: {self.step} steps are done, {self.total_steps} were asked for")
        else:
            records = self._train_to_the_end()
            best, scores = records.best, records.best_scores
        return FcnResult(self.step, best["step"] if best else 0, scores)

    def _train_to_the_end(self) -> FcnRecords:
        if self.step:
            say(f"going on from step {self.step} of {self.total_steps}")
        config = self.config
        records = FcnRecords(
            config,
            self.workdir,
            self.palette,
            self.trainee,
            self.val_source,
            len(self.train_source),
            self.metadata,
        )
        progress = Progress(self.step, self.total_steps, len(self.train_source), config.batch_size)
        batches = iter(self._dataset())
        try:
            take_steps(self, batches, records, progress)
        finally:
            progress.close()
            # What matters was flushed with the last checkpoint; an error here would hide the one above.
            with suppress(OSError, tf.errors.OpError):
                records.close()
        return records

    def _dataset(self) -> tf.data.Dataset:
        config = self.config
        return build_dataset(
            self.train_source,
            image_size=config.image_size,
            batch_size=config.batch_size,
            training=True,
            seed=config.seed,
            load_size=config.load_size if config.jitter else None,
            mirror=config.mirror,
            class_targets=True,
            start_step=self.step,
        )

    def advance(self, batches: Iterator[Batch], progress: Progress) -> None:
        start = time.perf_counter()
        batch = None
        try:
            batch = next(batches)
            loss = self.trainee.run(batch).numpy()
        except tf.errors.ResourceExhaustedError as error:
            raise UserError(
                f"out of memory in step {self.step + 1} ({shorten(error)}); "
                f"{checkpoints.tell_latest(self.workdir)}. "
                "Try a smaller --batch_size, --image_size or --width in a new --workdir"
            ) from error
        except tf.errors.OpError as error:
            reason = self.train_source.describe_failure(self._example_indices())
            if reason is None:
                raise
            raise BadFileError(reason, intact=batch is None) from error
        if not np.isfinite(loss):
            examples = ", ".join(self.train_source.example_ids[index] for index in self._example_indices())
            raise UserError(
                f"the loss is not finite in step {self.step + 1}: {loss:.6g}; examples: {examples}; "
                f"{checkpoints.tell_latest(self.workdir)}. Try a lower --learning_rate"
            )
        self.meter.add({"loss": np.array([loss], np.float64)}, time.perf_counter() - start)
        self.step += 1
        progress.advance(1)

    def _example_indices(self) -> np.ndarray:
        config = self.config
        return example_indices(self.step, config.seed, len(self.train_source), config.batch_size)
