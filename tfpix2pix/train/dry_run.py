"""What a training would do: its data, its length, its networks, its place. Nothing is written."""

from collections.abc import Iterable
from pathlib import Path

import keras
import tensorflow as tf

from tfpix2pix.config import options
from tfpix2pix.config.config import Config
from tfpix2pix.networks.variables import DISCRIMINATOR_2, ENCODER
from tfpix2pix.pipelines.base import suggestions
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.naming import name_flags
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.catalogue import CATALOGUE
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.placing.dataset_folder import find_dataset_folder
from tfpix2pix.run import checkpoints, next_commands, splits
from tfpix2pix.run.distribution import check_placement, make_strategy
from tfpix2pix.run.folder import check_training_set, is_begun, keep_meaning, settle_config
from tfpix2pix.run.loop import count_steps
from tfpix2pix.train.fit import check_channels, find_misfit, fit_precision
from tfpix2pix.train.origin import describe_origin, read_origin, start_from
from tfpix2pix.train.parts import build_networks, load_extras
from tfpix2pix.train.settings import takes_first_weights
from tfpix2pix.train.validation import build_judgement

# The sizes of this many examples of a split are read.
MOST_EXAMPLES = 100


def describe_training(config: Config, workdir: Path, allow_new_data: bool = False) -> str:
    """Opens the data and builds the networks of a training; returns a line for each thing to know.

    Args:
      config: the settings.
      workdir: folder of the run.
      allow_new_data: as for `train_and_evaluate`.

    Raises:
      UsageError: if the training would be refused.
      UserError: if its data cannot be used.
    """
    given, was_begun = config, is_begun(workdir)
    config = settle_config(workdir, config)
    load_extras(config)
    palette = splits.find_input_palette(config)
    check_channels(config, palette)
    *networks, others = build_networks(config, palette)
    # Sooner than the data is opened, which may take long.
    origin = read_origin(config.init_from) if takes_first_weights(config, workdir) else None
    if origin:
        start_from(origin, *networks, config=config, **others)
    lines, sources, examples = _describe_data(config, workdir, allow_new_data)
    chosen = ""
    if sources:
        config, chosen = fit_precision(config, given.precision, not was_begun, sources[0])
        # It refuses metrics.
        build_judgement(config, sources[1].take(config.validate_examples), loads_networks=False)
    total_steps = count_steps(config, examples) if examples else None
    how = "to which they are resized" if config.resizes else "in windows of their own pixels"
    lines.append(("trained at", f"{options.text(config.image_size)} px, {how}"))
    lines.append(("steps", "unknown" if total_steps is None else f"{total_steps:,}"))
    if origin:
        lines.append(("weights", f"those of {describe_origin(origin)}"))
    lines += _describe_networks(config, *networks, **others)
    lines.append(("device", f"{_describe_place(config)}, {config.precision}{name_flags(chosen)}"))
    lines.append(("run", _describe_run(workdir, total_steps)))
    lines += [("command", next_commands.train(given, workdir)), *_describe_hidden(given)]
    lines.append(("dry run", "nothing was written"))
    return "\n".join(f"{name + ':':14s} {text}" for name, text in lines)


def _describe_networks(
    config: Config, generator: keras.Model, discriminator: keras.Model | None, **others: keras.Model
) -> list[tuple[str, str]]:
    def count(network: keras.Model) -> str:
        return count_of(network.count_params(), "parameter")

    lines = [("generator", f"{config.generator}, {count(generator)}")]
    if discriminator is not None:
        two = "two of " if DISCRIMINATOR_2 in others else ""
        told = f"{config.discriminator}, {config.receptive_field} px, {two}{count(discriminator)}"
        lines.append(("discriminator", told))
    if ENCODER in others:
        features, latent = config.instance_features, f"latent vectors of {config.latent_size}"
        what = f"{features} features of instances" if features else latent
        lines.append(("encoder", f"of {what}, {count(others[ENCODER])}"))
    return lines


def _describe_data(
    config: Config, workdir: Path, allow_new_data: bool
) -> tuple[list[tuple[str, str]], tuple[Source, ...], int | None]:
    """Returns lines, the splits that are there, and the number of training examples if it is known."""
    spec = config.spec
    if spec.url and not find_dataset_folder(spec.name, Path(config.data_dir)):
        counts = ", ".join(f"{split} {count:,}" for split, count in spec.counts.items())
        text = f"would be downloaded from {spec.url} to {config.data_dir}: {counts}"
        return [("data", text)], (), spec.counts.get("train")
    train_source = splits.open_split(config, "train", keep_meaning(workdir))
    val_source = splits.open_split(config, "val", train_source.meaning)
    check_training_set(workdir, config, train_source, allow_new_data)
    splits.find_input_palette(config, train_source.meaning)
    if misfit := find_misfit(config, train_source, val_source):
        warn(misfit)
    if spec.name not in CATALOGUE and (meant := suggestions.suggest(spec.name, CATALOGUE)):
        warn(f"`dataset={spec.name}` is not a name of the catalogue{meant}")
    lines = [("train", _describe_source(train_source)), ("val", _describe_source(val_source))]
    return lines, (train_source, val_source), len(train_source)


def _describe_source(source: Source) -> str:
    looked_at = min(len(source), MOST_EXAMPLES)
    with source.naming_bad_files(range(looked_at)):
        images = [source.read(tf.constant(index, tf.int64))[:2] for index in range(looked_at)]
    sides = [_describe_images(side) for side in zip(*images, strict=True)]
    sizes = " -> ".join(sides)
    part = f" (the first {looked_at})" if looked_at < len(source) else ""
    skipped = f", {len(source.skipped)} skipped" if source.skipped else ""
    instances = ", with maps of instances" if source.has_instances else ""
    return f"{count_of(len(source), 'example')}{skipped}, files of {sizes}{part}{instances}"


def _describe_images(images: Iterable[tf.Tensor]) -> str:
    shapes = sorted({tuple(image.shape) for image in images})
    channels = "/".join(str(count) for count in sorted({shape[2] for shape in shapes}))
    texts = [f"{height}x{width}" for height, width in sorted({shape[:2] for shape in shapes})]
    sizes = texts[0] if len(texts) == 1 else f"{len(texts)} sizes from {texts[0]} to {texts[-1]}"
    return f"{sizes} px of {channels} channels"


def _describe_place(config: Config) -> str:
    if config.strategy == "multiworker":
        return "the workers of TF_CONFIG, which a dry run does not join"
    placement = make_strategy(config.strategy)
    check_placement(placement, config)
    return str(placement)


def _describe_hidden(config: Config) -> list[tuple[str, str]]:
    hidden = " and ".join(f"`{name}`" for name in next_commands.list_hidden(config))
    told = f"give {hidden} with the password or the signature, which the command leaves out"
    return [("left out", name_flags(told))] if hidden else []


def _describe_run(workdir: Path, total_steps: int | None) -> str:
    steps = checkpoints.list_steps(workdir)
    if not steps:
        begun = "was begun and has no checkpoint: it" if is_begun(workdir) else "is new: it"
        return f"{workdir} {begun} would start at step 0"
    if total_steps is not None and steps[-1] >= total_steps:
        return f"{workdir} is finished: {count_of(steps[-1], 'step is', 'steps are')} done"
    return f"{workdir} would go on from step {steps[-1]}"
