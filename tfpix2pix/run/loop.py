"""A training of any kind: it restores, takes the steps that are left, keeps records, and stops cleanly."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

import numpy as np
import tensorflow as tf

from tfpix2pix.config.run_config import RunConfig
from tfpix2pix.methods.step import Step
from tfpix2pix.networks.traced import has_gpu
from tfpix2pix.pipelines.base.errors import UserError, shorten
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.batches import build_dataset, example_indices
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.run import checkpoints
from tfpix2pix.run.callbacks import Callbacks
from tfpix2pix.run.distribution import Placement
from tfpix2pix.run.interruption import StopQuestion, TrainingStopped, noted_signals
from tfpix2pix.run.memory import keep_freed_memory
from tfpix2pix.run.profile import Profiler
from tfpix2pix.run.records import Assistant, Intervals, Judgement, Records, Standing
from tfpix2pix.run.summaries import LossMeter, Progress

# Papers weigh their losses with 0.01 to 1,000.
MOST_REASONABLE_WEIGHT = 1e6
StepType = TypeVar("StepType", bound=Step)


class BadFileError(UserError):
    """A training file cannot be read.

    Args:
      reason: names the file.
      intact: whether nothing of the step that needed the file was done.
    """

    def __init__(self, reason: str, intact: bool):
        super().__init__(reason)
        self.intact = intact


def count_steps(config: RunConfig, examples: int) -> int:
    """Returns the number of steps of a whole training on so many examples."""
    return config.steps or -(-config.epochs * examples // config.batch_size)


class Training(Generic[StepType]):
    """One start of a training, from the newest checkpoint on.

    Args:
      config: settings of the run, of which its length, its batches and its records are used here.
      workdir: the folder of the run.
      sources: the training split and the validation split.
      build_step: takes the number of all steps and returns the training step; it is called inside the
        strategy's scope.
      placement: the strategy, and whether this process is the chief.
      class_targets: whether the targets are class ids instead of images.
      callbacks: what is called while the run is trained, and may stop it.

    Attributes:
      step: number of steps taken, including those of earlier starts.
      total_steps: number of steps after which the run ends.
      train_step: the training step.
      standing: the last and the best validation of the run.
      callbacks: the callbacks, which say whether they have stopped the run.
    """

    def __init__(
        self,
        config: RunConfig,
        workdir: Path,
        sources: tuple[Source, Source],
        build_step: Callable[[int], StepType],
        placement: Placement,
        class_targets: bool = False,
        callbacks: Callbacks | None = None,
    ):
        self.config, self.workdir, self.placement = config, workdir, placement
        self.train_source, self.val_source = sources
        self.total_steps = count_steps(config, len(self.train_source))
        with placement.strategy.scope():
            self.train_step = build_step(self.total_steps)
        variables = self.train_step.checkpoint_variables()
        self.step = checkpoints.restore_latest(workdir, variables, placement.is_chief)
        metadata = checkpoints.read_metadata(workdir, self.step) if self.step else {}
        self.standing = Standing.of(metadata)
        self._meter = LossMeter(metadata.get("losses", {}), metadata.get("loss_steps", 0))
        self._intervals = Intervals.of(config)
        self._class_targets = class_targets
        self.callbacks = callbacks or Callbacks()
        self.callbacks.restore(metadata.get("callbacks", {}))

    def run(self, judgement: Judgement | None) -> None:
        """Takes the steps that are left; a finished run says so.

        Args:
          judgement: how the training is scored and shown; None where the chief does that alone.

        Raises:
          UserError: when a step fails, or records cannot be written.
          TrainingStopped: on a signal to any worker, after a checkpoint was saved.
        """
        if self.step >= self.total_steps:
            say(
                f"{self.workdir} is finished: {count_of(self.step, 'step is', 'steps are')} done, "
                f"{self.total_steps} asked for. More `steps` or `epochs` train it longer"
            )
            return
        if reason := self.callbacks.stop_reason:
            say(f"{self.workdir} is finished: it was stopped at step {self.step}, because {reason}")
            return
        if self.step:
            say(f"going on from step {self.step} of {self.total_steps}")
        config, epoch_length = self.config, len(self.train_source)
        records = self._open_records(judgement, epoch_length) if judgement else None
        progress = Progress(self.step, self.total_steps, epoch_length, config.batch_size)
        profiler = Profiler(self.workdir, config) if isinstance(records, Records) else None
        try:
            self._take_steps(iter(self._batches()), records, progress, profiler)
        finally:
            progress.close()
            # What matters was written with the last checkpoint, and an error here would hide the one that
            # came first.
            with suppress(OSError, tf.errors.OpError):
                if profiler:
                    profiler.close()
                if records:
                    records.close()

    def _open_records(self, judgement: Judgement, epoch_length: int) -> Records | Assistant:
        if not self.placement.is_chief:
            return Assistant(self.config, judgement)
        named = (self.train_step, judgement, self.standing, epoch_length, self.callbacks)
        return Records(self.config, self.workdir, *named)

    def _take_steps(
        self,
        batches: Iterator,
        records: Records | Assistant | None,
        progress: Progress,
        profiler: Profiler | None,
    ) -> None:
        keep_freed_memory()
        workers = self.placement.workers
        with noted_signals() as signals:
            question = StopQuestion(workers, signals, self.step)
            while self.step < self.total_steps:
                try:
                    if profiler:
                        profiler.switch(self.step)
                    progress.advance(self.advance(batches))
                except BadFileError as error:
                    self._save_before(error, records)
                    raise UserError(
                        f"{error}; {checkpoints.tell_latest(self.workdir)}. Put a good image of that name "
                        "there and run the same command again, or start anew in another `workdir` with "
                        "`on_bad_image=skip`"
                    ) from error
                # A signal that comes while records are kept is answered after the next step.
                stopping, last = question.ask(self.step), self.step == self.total_steps
                if records:
                    with self._told_failures():
                        records.keep(self.step, last, bool(stopping), self._meter, progress)
                if stopping or last:
                    workers.exchange(None)  # The chief comes here after it has saved.
                if stopping and not last:
                    name, received = stopping
                    raise TrainingStopped(
                        f"stopped by {name}{received} at step {self.step} of {self.total_steps}; "
                        f"saved in {self.workdir}. Run the same command to go on",
                        name,
                    )
                if reason := self.callbacks.stop_reason:
                    say(f"stopped at step {self.step} of {self.total_steps}: {reason}")
                    return

    def _batches(self) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        config, strategy = self.config, self.placement.strategy

        def build(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return build_dataset(
                self.train_source,
                image_size=config.image_size,
                batch_size=config.batch_size // strategy.num_replicas_in_sync,
                training=True,
                seed=config.seed,
                load_size=config.load_size if config.jitter and config.resizes else None,
                resize=config.resizes,
                mirror=config.mirror,
                class_targets=self._class_targets,
                start_step=self.step,
                num_shards=context.num_input_pipelines,
                shard_index=context.input_pipeline_id,
                global_batch_size=config.batch_size,
            )

        if isinstance(strategy, tf.distribute.OneDeviceStrategy) and not has_gpu():
            # What TensorFlow would put around it copies batches, and is tuned: see `steady_options`.
            return build(tf.distribute.InputContext())
        return strategy.distribute_datasets_from_function(build)

    def advance(self, batches: Iterator) -> int:
        """Takes as many steps in one call as fit before something is due; returns how many."""
        due = min(self.total_steps, self._intervals.next_due(self.step))
        count = min(self._intervals.steps_per_call, due - self.step)
        start = time.perf_counter()
        try:
            steps = range(self.step, self.step + count)
            with self.train_source.naming_bad_files(lambda: self._example_indices(steps)):
                losses = self.train_step.run_steps(batches, count)
                values = {name: value.numpy().astype(np.float64) for name, value in losses.items()}
        except tf.errors.ResourceExhaustedError as error:
            raise UserError(
                f"out of memory in step {self.step + 1} ({shorten(error)}); "
                f"{checkpoints.tell_latest(self.workdir)}. "
                "Try a smaller `batch_size`, `image_size` or network in a new `workdir`"
            ) from error
        except BadImageError as error:
            # Where a call takes several steps, earlier ones may be done in part, because replicas fail one by
            # one.
            intact = count == 1 and self.placement.strategy.num_replicas_in_sync == 1
            raise BadFileError(str(error), intact) from error
        self._check_finite(values)
        self._meter.add(values, time.perf_counter() - start)
        self.step += count
        return count

    def _check_finite(self, values: dict[str, np.ndarray]) -> None:
        finite = np.all([np.isfinite(value) for value in values.values()], axis=0)
        if finite.all():
            return
        place = int(np.argmin(finite))
        losses = ", ".join(f"{name} {value[place]:.6g}" for name, value in values.items())
        indices = self._example_indices([self.step + place])
        examples = ", ".join(self.train_source.example_ids[index] for index in indices)
        raise UserError(
            f"a loss is not finite in step {self.step + place + 1}: {losses}; examples: {examples}; "
            f"{checkpoints.tell_latest(self.workdir)}. {self._advise()}"
        )

    def _advise(self) -> str:
        """Returns what may keep losses finite: a weight that is beyond all reason is the first suspect."""
        huge = [
            f"`{name}`"
            for name, value in dataclasses.asdict(self.config).items()
            if name.startswith("lambda_") and value > MOST_REASONABLE_WEIGHT
        ]
        return f"Try a lower {' and '.join(huge) or '`learning_rate`, or `precision=float32`'}"

    def _example_indices(self, steps: Iterable[int]) -> np.ndarray:
        """Returns which training examples these steps take."""
        config, examples = self.config, len(self.train_source)
        if self.train_source.stream is not None:
            places = [np.arange(step * config.batch_size, (step + 1) * config.batch_size) for step in steps]
            return np.concatenate(places) % examples
        return np.concatenate(
            [example_indices(step, config.seed, examples, config.batch_size) for step in steps]
        )

    def _save_before(self, error: BadFileError, records: Records | Assistant | None) -> None:
        """Saves the step before the one that failed, if a run can go on from it without losing a bit."""
        if error.intact and records and self.step and self.step not in checkpoints.list_steps(self.workdir):
            with self._told_failures():
                records.save(self._meter)

    @contextmanager
    def _told_failures(self) -> Iterator[None]:
        """Raises UserError, which says what to do, when records cannot be written."""
        try:
            with self.val_source.naming_bad_files():
                yield
        except BadImageError as error:
            self._give_up(str(error), "Mend them", error)
        except (OSError, tf.errors.OpError) as error:
            remedy = "Make room" if self.workdir.is_dir() else "Bring that folder back, which is gone,"
            self._give_up(f"could not write to {self.workdir} ({shorten(error)})", remedy, error)

    def _give_up(self, reason: str, remedy: str, error: Exception) -> NoReturn:
        raise UserError(
            f"{reason}; {checkpoints.tell_latest(self.workdir)}. {remedy} and run the same command to go on"
        ) from error
