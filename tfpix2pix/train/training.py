"""The training loop: restore, train, keep records, export."""

import dataclasses
import json
from contextlib import nullcontext
from pathlib import Path

import keras

from tfpix2pix.config.config import Config
from tfpix2pix.export import model_card, saved_model
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.metrics.image_quality import HIGHER_IS_BETTER
from tfpix2pix.networks.tfa_normalization import load_addons
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.batches import keep_resized
from tfpix2pix.run import splits
from tfpix2pix.run.distribution import check_placement, make_strategy
from tfpix2pix.run.folder import lock, settle_config, write_config
from tfpix2pix.run.loop import Training
from tfpix2pix.run.records import Judgement, Validation
from tfpix2pix.train.judge import Judge
from tfpix2pix.train.validation import compute_validation_scores, sample_sheets


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
        training = Training(
            config,
            workdir,
            (train_source, val_source),
            lambda total_steps: build_train_step(config, total_steps),
            placement,
        )
        training.run(_judge_by_scores(training, judge) if placement.is_chief else None)
        saved_model = _export(training) if config.export and placement.is_chief else None
    return Result(
        workdir, training.step, training.standing.scores, training.train_step.generator, saved_model
    )


def _judge_by_scores(training: Training, judge: Judge | None) -> Judgement:
    config, train_step, source = training.config, training.train_step, training.val_source

    def validate() -> Validation:
        return Validation(
            compute_validation_scores(
                train_step.generator, source, config.image_size, config.seed, judge=judge
            )
        )

    return Judgement(
        validate,
        config.best_metric,
        HIGHER_IS_BETTER[config.best_metric],
        sample=lambda: sample_sheets(train_step, source, config.image_size, config.seed),
    )


def _export(training: Training) -> Path:
    """Exports once: a finished run that is started again finds its export."""
    record, models = (
        training.workdir / "exported.json",
        Path(training.config.saved_model_dir) / training.config.dataset,
    )
    if record.exists():
        exported = json.loads(record.read_text())
        version = Path(exported["path"])
        if exported["step"] == training.step and version.parent == models.resolve() and version.is_dir():
            return models / version.name
    folder = saved_model.export_saved_model(
        training.train_step.generator,
        models,
        noise_seed=training.config.seed,
        task=splits.make_task(training.config),
        noise=training.config.serving_noise,
        image_size=training.config.image_size,
        about=model_card.describe_run(training.workdir, training.config, training.step),
    )
    text = json.dumps({"step": training.step, "path": str(folder.resolve())}) + "\n"
    staging.write_file(record, text.encode())
    return folder
