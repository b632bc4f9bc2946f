"""The training of a generator: restore, train, keep records, export."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras

from tfpix2pix.config.config import Config
from tfpix2pix.config.options import Size
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.methods.step import TranslationStep
from tfpix2pix.metrics.registry import BuildMetric
from tfpix2pix.metrics.scoring import Share
from tfpix2pix.networks.build import Builder
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.progress import outliving_readers, say, warn
from tfpix2pix.pipelines.batches import keep_resized
from tfpix2pix.pipelines.files.memory import Room
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.meaning import Palette
from tfpix2pix.run import checkpoints, splits
from tfpix2pix.run.addresses import is_chief
from tfpix2pix.run.callbacks import Callback, Callbacks
from tfpix2pix.run.folder import (
    check_classes,
    check_own,
    is_begun,
    keep_meaning,
    settle_config,
    write_config,
)
from tfpix2pix.run.lock import lock
from tfpix2pix.run.loop import Training
from tfpix2pix.run.manifests import keep_manifests, manifest_of
from tfpix2pix.run.records import Judgement
from tfpix2pix.run.remote_workdir import check_uploaded, remote_workdir
from tfpix2pix.run.workers import Workers
from tfpix2pix.train.agreement import check_same_settings, check_same_state
from tfpix2pix.train.exporting import export_once
from tfpix2pix.train.feature_clusters import with_clusters
from tfpix2pix.train.fit import check_channels, find_misfit, fit_precision
from tfpix2pix.train.origin import Origin, check_fit, describe_origin, find_others, read_origin, start_from
from tfpix2pix.train.parts import build_networks, load_extras
from tfpix2pix.train.place import check_finished, place
from tfpix2pix.train.settings import takes_first_weights
from tfpix2pix.train.validation import build_judgement


@dataclasses.dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
      workdir: folder of the run.
      step: number of steps taken, including those of earlier starts.
      scores: name -> score of the last validation: `l1`, `psnr`, `ssim`, and what the settings add.
      generator: the trained generator.
      saved_model: folder of the exported version; None if nothing was exported.
      stop_reason: why a callback stopped the run; empty if it took all its steps.
    """

    workdir: Path
    step: int
    scores: dict[str, float]
    generator: keras.Model
    saved_model: Path | None
    stop_reason: str = ""


def train_and_evaluate(
    config: Config,
    workdir: str | Path | None = None,
    *,
    train: Any = None,
    validation: Any = None,
    generator: Builder | None = None,
    build_step: Callable[[Config, int], TranslationStep] | None = None,
    metrics: Mapping[str, BuildMetric] | None = None,
    callbacks: Sequence[Callback] = (),
    allow_new_data: bool = False,
) -> Result:
    """Trains, or goes on with what `workdir` holds, until the configured number of steps.

    A run that was killed and is started again ends with the same weights; on a CPU they are
    the same bit for bit.

    Args:
      config: what `make_config` returns.
      workdir: folder of the run, or its URL such as `s3://bucket/run`; None takes `runs/<dataset>`.
      train: pairs to train on in place of the dataset that the configuration names: a `Source`, a pair of
        arrays [N, H, W, C], data with a length and an index such as a split of Hugging Face's `datasets`, or
        a `tf.data.Dataset`. Examples are pairs (input, target), or dicts with the keys `input_image` and
        `target_image`. Pixels are uint8, uint16, or floats in [-1, 1]. A `tf.data.Dataset` is taken in its
        own order, and begins anew when a run goes on, whose weights then differ.
      validation: pairs to validate on, given in the same ways; needed with `train`.
      generator: builds a generator of your own in place of the configuration's; the head
        of `tfpix2pix/networks/build.py` says what it is called with and what it returns.
        `load_generator` needs it again to open the run.
      build_step: builds a training step of your own out of the configuration and the
        number of steps of the whole training, in place of the method's. It is called
        after the seed is set, inside the strategy's scope.
      metrics: metrics of your own, by name; each validation scores them too.
      callbacks: objects of classes that derive from `Callback`, such as `EarlyStopping` and `CsvLog`, which
        are called after losses, validations and checkpoints, and may stop the run.
      allow_new_data: goes on with a run even if its training images are others now, such as more of
        them. Epochs are counted in the new ones; config.json keeps the earlier ones on record.

    Returns:
      How the run ended.

    Raises:
      UsageError: when `workdir` holds a run with other settings or other parts of
        your own, given data cannot be used, or both `generator` and `build_step` are given.
      UserError: when the data or the disk fails, a loss is not finite, or workers do not agree or are
        lost; what was saved before remains.
      TrainingStopped: on a signal that asks for a stop, after a checkpoint was saved.

    Examples:
      >>> config = make_config(dataset="synthetic", image_size=32, base_filters=4, steps=1, export=False)
      >>> train_and_evaluate(config, workdir).step
      1
    """
    if generator and build_step:
        raise UsageError("`build_step` builds the generator too: give it or `generator`, not both")
    called = _hold_callbacks(callbacks, config)
    own = {"generator": generator, "build_step": build_step, "train": train, "validation": validation}
    with remote_workdir(workdir or Path("runs") / config.dataset, is_chief()) as folder:
        return _train(config, folder, own, metrics, called, allow_new_data)


def _train(
    config: Config,
    workdir: Path,
    own: Mapping[str, Any],
    metrics: Mapping[str, BuildMetric] | None,
    called: Callbacks,
    allow_new_data: bool,
) -> Result:
    """Trains in a folder of this machine; the arguments are those of `train_and_evaluate`."""
    asked, was_begun = config.precision, is_begun(workdir)
    config = settle_config(workdir, config)
    generator, build_step = own["generator"], own["build_step"]
    check_own(workdir, own)
    placement = place(config, workdir, allow_new_data)
    workers = placement.workers
    check_uploaded(workdir, workers.is_chief)
    origin = _read_origin(config, workdir, generator, build_step)
    load_extras(config)  # This may fail, so it comes before anything is written.
    with outliving_readers(), lock(workdir) if workers.is_chief else nullcontext():
        with workers.telling_losses(lambda: checkpoints.tell_latest(workdir)):
            check_same_settings(workers, config, own)
            room = Room(config.cache_mib)
            given = own["train"], own["validation"]
            train_source, val_source = _open_data(config, workdir, *given, workers.is_chief, room)
            palette = splits.find_input_palette(config, train_source.meaning)
            check_channels(config, palette)
            config, chosen = fit_precision(config, asked, not was_begun, train_source)
            say(f"training on {placement}, {config.precision}{chosen}")
            kept_source = _keep_resized(train_source, config, room)
            judge = _build_judge(config, val_source, metrics, workers)
            build = functools.partial(_build_step, config, origin, palette, generator, build_step)
            training = Training(
                config, workdir, (kept_source, val_source), build, placement, callbacks=called
            )
            check_same_state(workers, training)
            if workers.is_chief:
                # This comes last, because networks may refuse a setting.
                record = origin.record if origin else None
                write_config(workdir, config, kept_source, own, record, allow_new_data)
                keep_manifests(workdir, {"train": kept_source, "val": val_source})
            check_finished(config, training)  # This comes after other training images have been refused.
            judgement = judge(training.train_step) if judge else None
            training.run(with_clusters(judgement, config, training.train_step, train_source))
        trained = training.train_step.output_generator
        is_exported = config.export and workers.is_chief
        saved_model = export_once(trained, config, workdir, training.step) if is_exported else None
    scores = training.standing.scores
    return Result(workdir, training.step, scores, trained, saved_model, called.stop_reason)


def _open_data(
    config: Config, workdir: Path, train: Any, validation: Any, is_chief: bool, room: Room
) -> tuple[Source, Source]:
    """Opens the pairs of the training and of the validation: those that are given, or the dataset's."""
    manifests = {split: manifest_of(workdir, split) for split in ("train", "val")}
    if train is not None and validation is None:
        raise UsageError("`validation` is missing: with `train` give the pairs that score the run, too")
    if train is None:
        train_source = splits.open_split(
            config,
            "train",
            keep_meaning(workdir),
            room=room,
            keep_size=_size_to_keep(config),
            manifest=manifests["train"],
        )
    else:
        train_source = splits.take_data(config, "train", train)
    # Sooner than networks are built, because those of other classes do not fit the run.
    check_classes(workdir, train_source.meaning)
    if train_source.stream is not None and config.strategy == "multiworker":
        raise UsageError("`strategy=multiworker` needs data that are read by an index, and `train` is not")
    if validation is not None:
        val_source = splits.take_data(config, "validation", validation)
    else:
        val_source = splits.open_split(
            config, "val", train_source.meaning, room=room, manifest=manifests["val"]
        )
        if is_chief and (misfit := find_misfit(config, train_source, val_source)):
            warn(misfit)
    return train_source, val_source.take(config.validate_examples)


def _hold_callbacks(callbacks: Sequence[Callback], config: Config) -> Callbacks:
    if callbacks and config.strategy == "multiworker":
        raise UsageError("`callbacks` run in one process, and do not go with `strategy=multiworker`")
    return Callbacks(callbacks)


def _read_origin(
    config: Config,
    workdir: Path,
    generator: Builder | None,
    build_step: Callable[[Config, int], TranslationStep] | None,
) -> Origin | None:
    """Reads the first weights of a new run that takes some.

    Those that do not fit the networks are refused before the data is opened.
    """
    if not takes_first_weights(config, workdir):
        return None
    origin = read_origin(config.init_from)
    if not build_step:  # which builds networks that are not known before it is called
        *networks, others = build_networks(config, splits.find_input_palette(config), generator)
        check_fit(origin, *networks, config=config, **others)
    say(f"starting with the weights of {describe_origin(origin)}")
    return origin


def _build_step(
    config: Config,
    origin: Origin | None,
    palette: Palette | None,
    generator: Builder | None,
    build_step: Callable[[Config, int], TranslationStep] | None,
    total_steps: int,
) -> TranslationStep:
    if build_step:
        keras.utils.set_random_seed(config.seed)
        train_step = build_step(config, total_steps)
    else:
        train_step = build_train_step(config, total_steps, generator, palette)
    if origin:
        start_from(origin, train_step.generator, train_step.discriminator, **find_others(train_step))
    if config.ema_decay:
        train_step.keep_average(config.ema_decay)
    if config.remat:
        train_step.rematerialize()
    return train_step


def _build_judge(
    config: Config, source: Source, metrics: Mapping[str, BuildMetric] | None, workers: Workers
) -> Callable[[TranslationStep], Judgement] | None:
    """Returns how the training is scored: by all workers, or by the chief if it alone has a segmenter."""
    if workers.are_several and not config.segmenter:
        share = Share(workers.index, len(workers.addresses), workers.exchange)
        return build_judgement(config, source, metrics, share)
    return build_judgement(config, source, metrics) if workers.is_chief else None


def _size_to_keep(config: Config) -> Size | None:
    """Returns the size in which training images are kept: the one before the crop, if they are resized."""
    size = config.load_size if config.jitter else config.image_size
    return size if config.resizes else None


def _keep_resized(source: Source, config: Config, room: Room) -> Source:
    size = _size_to_keep(config)
    return source if size is None or source.stream is not None else keep_resized(source, size, room)
