"""The training of FCN-8s: restore, train, validate, keep the best."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.config.config import check_resumable
from tfpix2pix.methods.optimizers import build_schedule
from tfpix2pix.metrics.fcn.config import PALETTE_FILE, SCRATCH, FcnConfig, from_json
from tfpix2pix.metrics.fcn.network import build_network, load_vgg_weights
from tfpix2pix.metrics.fcn.segmenter import KerasSegmenter
from tfpix2pix.metrics.fcn.step import FcnStep, balance_classes
from tfpix2pix.metrics.fcn.validation import BEST_METRIC, validate
from tfpix2pix.metrics.segmentation_scores import MOST_CLASSES
from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.progress import outliving_readers
from tfpix2pix.pipelines.catalogue import find_dataset
from tfpix2pix.pipelines.files.memory import Room
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.palettes import Palette, dataset_palette, find_palette, with_class_ids
from tfpix2pix.run import splits
from tfpix2pix.run.distribution import Placement
from tfpix2pix.run.folder import is_begun, keep_reading, read_settings, write_config
from tfpix2pix.run.lock import lock
from tfpix2pix.run.loop import Training
from tfpix2pix.run.records import Judgement
from tfpix2pix.run.threads import settle_threads


@dataclasses.dataclass(frozen=True)
class FcnResult:
    """How a training ended.

    Attributes:
      step: number of steps taken, including those of earlier starts.
      best_step: the step of the checkpoint with the highest class IoU.
      scores: `pixel_accuracy`, `class_accuracy` and `class_iou` of that checkpoint.
    """

    step: int
    best_step: int
    scores: dict[str, float]


def train_fcn(config: FcnConfig, workdir: Path) -> FcnResult:
    """Trains FCN-8s to find the classes of photos, until the configured number of steps.

    A run that was killed and is started again ends with the same weights; on a CPU they are
    the same bit for bit.

    Args:
      config: what `metrics.fcn.config.make_config` returns.
      workdir: folder of the run.

    Raises:
      UsageError: when `workdir` holds a run with other settings.
      UserError: when the data or the disk fails, or the loss is not finite; what was
        saved before remains.
      TrainingStopped: on Ctrl-C or SIGTERM, after a checkpoint was saved.
    """
    check_config(workdir, config)
    config = keep_reading(workdir, config)
    settle_threads(workdir, config.threads)
    palette = config_palette(config)
    with outliving_readers(), lock(workdir):
        room = Room(config.cache_mib)
        train_source, val_source = (open_split(config, split, palette, room) for split in ("train", "val"))
        write_config(workdir, config, train_source)
        _write_palette(workdir, palette)
        training = Training(
            config,
            workdir,
            (train_source, val_source),
            lambda total_steps: _build_step(config, train_source, len(palette), total_steps),
            Placement(tf.distribute.get_strategy()),
            class_targets=True,
        )
        network = training.train_step.network
        if not training.step and config.vgg_weights != SCRATCH:
            load_vgg_weights(network, config.vgg_weights)
        segmenter = KerasSegmenter(network, "FCN-8s", palette)
        training.run(
            Judgement(
                validate=lambda: validate(segmenter, val_source, palette, config),
                metric=BEST_METRIC,
                higher_is_better=True,
            )
        )
    standing = training.standing
    return FcnResult(training.step, standing.best["step"] if standing.best else 0, standing.best_scores)


def check_config(workdir: Path, config: FcnConfig) -> None:
    """Raises UsageError, naming the fields, when `workdir` holds a run that `config` cannot go on with."""
    if is_begun(workdir):
        check_resumable(read_settings(workdir, from_json), keep_reading(workdir, config), workdir)


def _write_palette(workdir: Path, palette: Palette) -> None:
    """Writes the classes beside the weights, in the order of the scores; refuses others than before."""
    path, text = workdir / PALETTE_FILE, palette.to_json()
    if path.is_file() and path.read_text() != text:
        raise UsageError(
            f"{workdir} was started with other classes: compare {path} and `palette`. "
            "Bring them back to go on, or choose another `workdir`"
        )
    staging.write_file(path, text.encode())


def config_palette(config: FcnConfig) -> Palette:
    """Returns the classes of a configuration: those that `palette` names, or the dataset's own."""
    if config.palette:
        palette = find_palette(config.palette)
    else:
        palette = datasets.find_classes(
            config.dataset, config.data_dir, config.pairs or None
        ) or dataset_palette(find_dataset(config.dataset))
    if len(palette) > MOST_CLASSES:
        raise UsageError(
            f"FCN-8s learns up to {MOST_CLASSES} classes, and the palette has {len(palette):,}. Join some of "
            "them, and give the file of the others as `palette`"
        )
    return palette


def open_split(config: FcnConfig, split: str, palette: Palette, room: Room | None = None) -> Source:
    """Opens the photos and class ids of a split; without a room, `cache_mib` is for it alone."""
    return with_class_ids(splits.open_pairs(config, split, room, direction="AtoB", palette=palette), palette)


def _build_step(config: FcnConfig, train_source: Source, num_classes: int, total_steps: int) -> FcnStep:
    keras.utils.set_random_seed(config.seed)
    network = build_network(config, num_classes)
    balanced = config.class_balancing != "none"
    weights = balance_classes(train_source, num_classes) if balanced else np.ones(num_classes)
    return FcnStep(network, weights, build_schedule(config, total_steps))
