"""The training loop: restore, train, validate, save, export."""

import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import datasets, pairs
from pipelines.command_line import UserError
from pipelines.sources import Source
from tfpix2pix import checkpoints, networks, pictures, saved_model
from tfpix2pix import workdir as workdirs
from tfpix2pix.config import Config, parse_step_range
from tfpix2pix.distribution import Placement, make_strategy, replica_batch_size
from tfpix2pix.interruption import noted_signals
from tfpix2pix.metrics.image_quality import HIGHER_IS_BETTER
from tfpix2pix.step import TrainStep
from tfpix2pix.summaries import Progress, Summaries
from tfpix2pix.validation import compute_validation_scores

SAMPLE_PICTURES = 4


@dataclasses.dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
      workdir: of the run.
      step: steps taken, those of earlier starts included.
      scores: the last validation's: `l1`, `psnr`, `ssim`.
      generator: the trained generator.
      saved_model: the exported folder, or None.
    """

    workdir: Path
    step: int
    scores: dict[str, float]
    generator: Any
    saved_model: Path | None


class TrainingStopped(UserError):
    """Ctrl-C or SIGTERM ended the run early; everything is saved."""


def train_and_evaluate(config: Config, workdir: str | Path | None = None) -> Result:
    """Trains, or goes on with what `workdir` holds, until the configured number of steps.

    A killed run that is started again ends with the same weights, bit for bit, on
    the same machine.

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
    workdirs.check_config(workdir, config)
    placement = make_strategy(config.strategy)
    replica_batch_size(placement, config.batch_size)
    with workdirs.lock(workdir) if placement.is_chief else nullcontext():
        train_source = _open_split(config, "train")
        val_source = _open_split(config, "val") if placement.is_chief else None
        if placement.is_chief:
            workdirs.write_config(workdir, config, train_source)
        return _Run(config, workdir, placement, train_source, val_source).train()


class _Run:
    """One start of a run: what the loop needs at hand."""

    def __init__(self, config, workdir, placement, train_source, val_source):
        self.config: Config = config
        self.workdir: Path = workdir
        self.placement: Placement = placement
        self.train_source: Source = train_source
        self.val_source: Source | None = val_source
        self.total_steps = config.steps or -(-config.epochs * len(train_source) // config.batch_size)
        with placement.strategy.scope():
            self.train_step: TrainStep = networks.build_train_step(config, self.total_steps)
        self.step = checkpoints.restore_latest(workdir, self.train_step, warn=_warn)
        self.first_step = self.step
        metadata = checkpoints.read_metadata(workdir, self.step) if self.step else {}
        self.best: dict[str, Any] | None = metadata.get("best")
        self.scores: dict[str, float] = metadata.get("scores", {})
        self.meter = _LossMeter(metadata.get("losses", {}), metadata.get("loss_steps", 0))
        self.summaries: Summaries | None = None

    def train(self) -> Result:
        if self.step >= self.total_steps:
            _say(f"{self.workdir} is finished: {self.step} of {self.total_steps} steps are done")
        else:
            self._train_to_the_end()
        return Result(self.workdir, self.step, self.scores, self.train_step.generator, self._export())

    def _train_to_the_end(self) -> None:
        if self.placement.is_chief:
            self.summaries = Summaries(self.workdir, self.step, self.config)
        if self.step:
            _say(f"going on from step {self.step} of {self.total_steps}")
        batches = iter(self._distributed_batches())
        progress = Progress(
            self.step, self.total_steps, len(self.train_source), self.config.batch_size
        )
        try:
            with noted_signals() as signals:
                while self.step < self.total_steps:
                    self._advance(batches, progress)
                    self._keep_records(progress, stopping=bool(signals))
                    if signals:
                        raise self._stopped(signals[0])
        finally:
            progress.close()
            if self.summaries:
                self.summaries.close()

    def _distributed_batches(self):
        config, placement = self.config, self.placement

        def build(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return pairs.build_dataset(
                self.train_source,
                image_size=config.image_size,
                batch_size=replica_batch_size(placement, config.batch_size),
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

    def _advance(self, batches: Iterator, progress: Progress) -> None:
        """Takes as many steps as fit in one call before something is due."""
        intervals = self._intervals()
        due = min(self.total_steps, *(self.step - self.step % every + every for every in intervals))
        count = min(self.config.steps_per_call, due - self.step)
        self._profile(self.step, self.step + count)
        start = time.perf_counter()
        try:
            losses = self.train_step.run_steps(batches, count)
            values = {name: value.numpy().astype(np.float64) for name, value in losses.items()}
        except tf.errors.InvalidArgumentError as error:
            indices = np.concatenate([self._example_indices(self.step + i) for i in range(count)])
            reason = self.train_source.describe_failure(indices)
            raise UserError(f"{reason}; the last checkpoint remains") if reason else error from error
        self._check_finite(values)
        self.meter.add(values, time.perf_counter() - start)
        self.step += count
        progress.advance(count)

    def _intervals(self) -> tuple[int, ...]:
        config = self.config
        return (
            config.summary_every_steps,
            config.sample_every_steps,
            config.validate_every_steps,
            config.checkpoint_every_steps,
            *(() if not config.profile_steps else (1,)),
        )

    def _keep_records(self, progress: Progress, stopping: bool) -> None:
        """Writes what is due at this step; the checkpoint last, so that it implies the others."""
        config, last = self.config, self.step == self.total_steps
        due = {every: last or self.step % every == 0 for every in self._intervals()}
        improved = False
        if self.summaries and due[config.summary_every_steps]:
            progress.report(self.step, self._write_losses())
        if self.summaries and due[config.sample_every_steps]:
            self._write_pictures()
        if self.summaries and due[config.validate_every_steps]:
            improved = self._validate(progress)
        if self.placement.is_chief and (due[config.checkpoint_every_steps] or improved or stopping):
            self._save()

    def _write_losses(self) -> dict[str, float]:
        values = self.meter.read(self.config.batch_size)
        values["learning_rate"] = float(self.train_step.generator_optimizer.learning_rate)
        values["epoch"] = self.step * self.config.batch_size / len(self.train_source)
        self.summaries.scalars(self.step, values)
        return values

    def _validate(self, progress: Progress) -> bool:
        """Scores the validation split; returns whether the score is the best so far."""
        self.scores = compute_validation_scores(
            self.train_step.generator, self.val_source, self.config.image_size, self.config.seed
        )
        self.summaries.scalars(self.step, {f"validation_{name}": v for name, v in self.scores.items()})
        progress.say(
            f"validation at step {self.step}: "
            + "  ".join(f"{name} {value:.4f}" for name, value in self.scores.items())
        )
        metric = self.config.best_metric
        sign = 1 if HIGHER_IS_BETTER[metric] else -1
        if self.best and sign * self.scores[metric] <= sign * self.best["score"]:
            return False
        self.best = {"step": self.step, "metric": metric, "score": self.scores[metric]}
        return True

    def _write_pictures(self) -> None:
        """Writes the same few validation examples each time, and what D thinks of them."""
        dataset = pairs.build_dataset(
            self.val_source,
            image_size=self.config.image_size,
            batch_size=1,
            training=False,
            seed=self.config.seed,
        )
        columns = []
        for batch in dataset.take(SAMPLE_PICTURES):
            input_image, target_image = batch["input_image"], batch["target_image"]
            generated_image = self.train_step.generator([input_image, batch["noise_seed"]])
            images = [input_image, generated_image, target_image]
            if self.train_step.discriminator is not None:
                for judged in (generated_image, target_image):
                    logits = self.train_step.discriminate(input_image, judged)
                    images.append(pictures.patch_map(logits, self.config.image_size))
            columns.append(images)
        kinds = [tf.concat(kind, 0) for kind in zip(*columns, strict=True)]
        sheet = pictures.contact_sheet(kinds[:3])
        self.summaries.picture(self.step, "input, generated, target", sheet)
        pictures.write_png(self.workdir / "samples" / f"step-{self.step:08d}.png", sheet)
        if len(kinds) > 3:
            patch_maps = pictures.contact_sheet(kinds[3:])
            self.summaries.picture(self.step, "patches of generated, of target", patch_maps)

    def _save(self) -> None:
        self.summaries.flush()
        checkpoints.save(
            self.workdir,
            self.train_step,
            {"best": self.best, "scores": self.scores, **self.meter.to_json()},
        )
        best_step = self.best["step"] if self.best else None
        checkpoints.prune(self.workdir, self.config.keep_checkpoints, best_step)

    def _stopped(self, name: str) -> TrainingStopped:
        return TrainingStopped(
            f"stopped by {name} at step {self.step} of {self.total_steps}; saved in {self.workdir}. "
            "Run the same command to go on"
        )

    def _example_indices(self, step: int) -> np.ndarray:
        return pairs.example_indices(
            step, self.config.seed, len(self.train_source), self.config.batch_size
        )

    def _check_finite(self, values: dict[str, np.ndarray]) -> None:
        for place in range(len(values["l1_loss"])):
            losses = {name: float(value[place]) for name, value in values.items()}
            if not all(np.isfinite(list(losses.values()))):
                step = self.step + place
                ids = [self.train_source.example_ids[i] for i in self._example_indices(step)]
                raise UserError(
                    f"a loss is not finite in step {step + 1}: {losses}, examples {', '.join(ids)}. "
                    "The last checkpoint remains; try a lower --learning_rate, or --precision=float32"
                )

    def _profile(self, step: int, next_step: int) -> None:
        first, last = parse_step_range(self.config.profile_steps) or (-1, -1)
        if self.summaries and step == first:
            tf.profiler.experimental.start(str(self.workdir / "tensorboard"))
        if self.summaries and step == last:
            tf.profiler.experimental.stop()

    def _export(self) -> Path | None:
        if not (self.config.export and self.placement.is_chief):
            return None
        record = self.workdir / "exported.json"
        if record.exists():
            exported = json.loads(record.read_text())
            if exported["step"] == self.step and Path(exported["path"]).is_dir():
                return Path(exported["path"])
        folder = saved_model.export_saved_model(
            self.train_step.generator,
            Path(self.config.saved_model_dir) / self.config.dataset,
            noise_seed=self.config.seed,
        )
        workdirs.write_atomically(record, json.dumps({"step": self.step, "path": str(folder.resolve())}) + "\n")
        return folder


class _LossMeter:
    """Means of the losses since they were last read; part of a checkpoint."""

    def __init__(self, sums: dict[str, float], steps: int):
        self._sums = dict(sums)
        self._steps = steps
        self._timed_steps, self._seconds = 0, 0.0

    def add(self, values: dict[str, np.ndarray], seconds: float) -> None:
        for name, value in values.items():
            # One by one: the same sum however the steps were cut into calls.
            for number in value:
                self._sums[name] = self._sums.get(name, 0.0) + float(number)
        count = len(next(iter(values.values())))
        self._steps += count
        self._timed_steps += count
        self._seconds += seconds

    def read(self, batch_size: int) -> dict[str, float]:
        means = {name: total / self._steps for name, total in self._sums.items()}
        means["images_per_sec"] = self._timed_steps * batch_size / max(self._seconds, 1e-9)
        self.__init__({}, 0)
        return means

    def to_json(self) -> dict[str, Any]:
        return {"losses": self._sums, "loss_steps": self._steps}


def _open_split(config: Config, split: str) -> Source:
    return datasets.open_split(
        config.spec,
        split,
        data_dir=Path(config.data_dir),
        direction=config.direction,
        image_size=config.image_size,
        on_bad_image=config.on_bad_image,
        cache_mib=config.cache_mib,
    )


def _say(text: str) -> None:
    print(text, flush=True)


def _warn(text: str) -> None:
    print(f"warning: {text}", flush=True)
