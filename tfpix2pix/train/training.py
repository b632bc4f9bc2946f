"""The training loop: restore, train, keep records, export."""

import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.config.config import Config, parse_step_range
from tfpix2pix.export import model_card, saved_model
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.networks.tfa_normalization import load_addons
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UserError, shorten
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.batches import build_dataset, example_indices, keep_resized
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.run import checkpoints, splits
from tfpix2pix.run.folder import lock, settle_config, write_config
from tfpix2pix.run.loop import BadFileError, take_steps
from tfpix2pix.run.summaries import LossMeter, Progress
from tfpix2pix.train.distribution import Placement, check_placement, make_strategy
from tfpix2pix.train.judge import Judge
from tfpix2pix.train.records import Records


@dataclasses.dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
      workdir: of the run.
      step: steps taken, those of earlier starts included.
      scores: the last validation's `l1`, `psnr` and `ssim`.
      generator: the trained generator.
      saved_model: the exported folder, or None.
    """

    workdir: Path
    step: int
    scores: dict[str, float]
    generator: keras.Model
    saved_model: Path | None


def train_and_evaluate(config: Config, workdir: str | Path | None = None) -> Result:
    """Trains, or goes on with what `workdir` holds, until the configured number of steps.

    A killed run that is started again ends with the same weights, on a CPU bit for
    bit.

    Args:
      config: from `make_config`.
      workdir: of the run; None: `runs/<dataset>`.

    Returns:
      How the run ended.

    Raises:
      UsageError: when `workdir` holds a run with other settings.
      UserError: when the data or the disk fails, or a loss is not finite; what was
        saved before remains.
      TrainingStopped: on Ctrl-C or SIGTERM, after saving.

    Example:
    >>> config = make_config(dataset="synthetic", image_size=32, base_filters=4, steps=1, export=False)
    >>> train_and_evaluate(config, workdir).step
    1
    """
    workdir = Path(workdir or Path("runs") / config.dataset)
    asked = config.precision
    config = settle_config(workdir, config)
    placement = make_strategy(config.strategy)
    check_placement(placement, config)
    if config.norm_backend == "addons":
        load_addons()  # before anything is written
    chosen = f" (chosen by --precision={asked})" if asked != config.precision else ""
    say(f"training on {placement}, {config.precision}{chosen}")
    with lock(workdir) if placement.is_chief else nullcontext():
        load_size = config.load_size if config.jitter else config.image_size
        train_source = keep_resized(splits.open_split(config, "train"), load_size, config.cache_mib)
        val_source = splits.open_split(config, "val")
        judge = None
        if placement.is_chief:
            judge = Judge(config, val_source) if config.segmenter else None
            write_config(workdir, config, train_source)
        return _Run(config, workdir, placement, train_source, val_source, judge).train()


class _Run:
    """One start of a run: what the loop needs at hand."""

    def __init__(
        self,
        config: Config,
        workdir: Path,
        placement: Placement,
        train_source: Source,
        val_source: Source,
        judge: Judge | None,
    ):
        self.config, self.workdir, self.placement = config, workdir, placement
        self.train_source, self.val_source, self.judge = train_source, val_source, judge
        self.total_steps = config.steps or -(-config.epochs * len(train_source) // config.batch_size)
        with placement.strategy.scope():
            self.train_step = build_train_step(config, self.total_steps)
        self.step = checkpoints.restore_latest(workdir, self.train_step)
        self.metadata = checkpoints.read_metadata(workdir, self.step) if self.step else {}
        self.meter = LossMeter(self.metadata.get("losses", {}), self.metadata.get("loss_steps", 0))
        self.profiling = False

    def train(self) -> Result:
        scores = self.metadata.get("scores", {})
        if self.step >= self.total_steps:
            say(f"{self.workdir} is finished: {self.step} steps are done, {self.total_steps} were asked for")
        else:
            scores = self._train_to_the_end()
        generator = self.train_step.generator
        saved_model = self._export() if self.config.export and self.placement.is_chief else None
        return Result(self.workdir, self.step, scores, generator, saved_model)

    def _train_to_the_end(self) -> dict[str, float]:
        """Takes the steps that are left; returns the last validation scores."""
        if self.step:
            say(f"going on from step {self.step} of {self.total_steps}")
        epoch_length = len(self.train_source)
        records = None
        if self.placement.is_chief:
            records = Records(
                self.config,
                self.workdir,
                self.train_step,
                self.val_source,
                epoch_length,
                self.metadata,
                self.judge,
            )
        progress = Progress(self.step, self.total_steps, epoch_length, self.config.batch_size)
        batches = iter(self._distributed_batches())
        try:
            take_steps(self, batches, records, progress)
        finally:
            progress.close()
            # What matters was flushed with the last checkpoint; an error here would hide the one above.
            with suppress(OSError, tf.errors.OpError):
                if self.profiling:
                    tf.profiler.experimental.stop()
                if records:
                    records.close()
        return records.scores if records else {}

    def _distributed_batches(self) -> tf.distribute.DistributedDataset:
        config, placement = self.config, self.placement

        def build(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return build_dataset(
                self.train_source,
                image_size=config.image_size,
                batch_size=config.batch_size // placement.strategy.num_replicas_in_sync,
                training=True,
                seed=config.seed,
                load_size=config.load_size if config.jitter else None,
                mirror=config.mirror,
                start_step=self.step,
                num_shards=context.num_input_pipelines,
                shard_index=context.input_pipeline_id,
                global_batch_size=config.batch_size,
            )

        return placement.strategy.distribute_datasets_from_function(build)

    def advance(self, batches: Iterator, progress: Progress) -> None:
        """Takes as many steps in one call as fit before something is due."""
        due = min(self.total_steps, *(self.step - self.step % n + n for n in self._intervals()))
        count = min(self.config.steps_per_call, due - self.step)
        self._profile()
        start = time.perf_counter()
        try:
            losses = self.train_step.run_steps(batches, count)
            values = {name: value.numpy().astype(np.float64) for name, value in losses.items()}
        except tf.errors.ResourceExhaustedError as error:
            raise UserError(
                f"out of memory in step {self.step + 1} ({shorten(error)}); "
                f"{checkpoints.tell_latest(self.workdir)}. "
                "Try a smaller --batch_size or --image_size in a new --workdir"
            ) from error
        except tf.errors.OpError as error:
            indices = np.concatenate([self._example_indices(self.step + i) for i in range(count)])
            reason = self.train_source.describe_failure(indices)
            if reason is None:
                raise
            # Of several steps in one call, those before may be half done; replicas fail one by one.
            intact = count == 1 and self.placement.strategy.num_replicas_in_sync == 1
            raise BadFileError(reason, intact) from error
        self._check_finite(values)
        self.meter.add(values, time.perf_counter() - start)
        self.step += count
        progress.advance(count)

    def _intervals(self) -> tuple[int, ...]:
        config = self.config
        every = [config.summary_every_steps, config.sample_every_steps]
        every += [config.validate_every_steps, config.checkpoint_every_steps]
        return (*every, 1) if config.profile_steps else tuple(every)

    def _profile(self) -> None:
        """Starts or stops TensorFlow's profiler where --profile_steps says so."""
        first, last = parse_step_range(self.config.profile_steps) or (-1, -1)
        due = self.placement.is_chief and first <= self.step < last
        if due and not self.profiling:
            tf.profiler.experimental.start(str(self.workdir / "tensorboard"))
        elif self.profiling and not due:
            tf.profiler.experimental.stop()
        self.profiling = due

    def _check_finite(self, values: dict[str, np.ndarray]) -> None:
        finite = np.all([np.isfinite(value) for value in values.values()], axis=0)
        if finite.all():
            return
        place = int(np.argmin(finite))
        losses = ", ".join(f"{name} {value[place]:.6g}" for name, value in values.items())
        indices = self._example_indices(self.step + place)
        examples = ", ".join(self.train_source.example_ids[index] for index in indices)
        raise UserError(
            f"a loss is not finite in step {self.step + place + 1}: {losses}; examples: {examples}; "
            f"{checkpoints.tell_latest(self.workdir)}. Try a lower --learning_rate, or --precision=float32"
        )

    def _example_indices(self, step: int) -> np.ndarray:
        return example_indices(step, self.config.seed, len(self.train_source), self.config.batch_size)

    def _export(self) -> Path:
        """Exports once: a finished run that is started again finds its export."""
        record, models = (
            self.workdir / "exported.json",
            Path(self.config.saved_model_dir) / self.config.dataset,
        )
        if record.exists():
            exported = json.loads(record.read_text())
            version = Path(exported["path"])
            if exported["step"] == self.step and version.parent == models.resolve() and version.is_dir():
                return models / version.name
        folder = saved_model.export_saved_model(
            self.train_step.generator,
            models,
            noise_seed=self.config.seed,
            task=splits.make_task(self.config),
            noise=self.config.serving_noise,
            image_size=self.config.image_size,
            about=model_card.describe_run(self.workdir, self.config, self.step),
        )
        text = json.dumps({"step": self.step, "path": str(folder.resolve())}) + "\n"
        staging.write_file(record, text.encode())
        return folder
