"""The pairs that a configuration asks for."""

from pathlib import Path
from typing import Any

from tfpix2pix.config.checks import name_encoding
from tfpix2pix.config.config import Config
from tfpix2pix.config.options import Size
from tfpix2pix.config.run_config import RunConfig
from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.files.given import Wish, open_given
from tfpix2pix.pipelines.files.memory import Room
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.meaning import Meaning, Palette
from tfpix2pix.pipelines.tasks import tasks
from tfpix2pix.pipelines.tasks.registry import find_task


def make_task(config: Config) -> tasks.Task:
    """Returns what a configuration asks to be learned."""
    options = {name: getattr(config, name) for name in find_task(config.task).options}
    channels = (config.input_channels, config.output_channels)
    return tasks.make_task(config.task, channels, config.resize_method, **options)


def find_input_palette(config: Config, meaning: Meaning | None = None) -> Palette | None:
    """Returns the classes of label maps, of which networks see channels or borders; None for pictures.

    Networks see them with `input_encoding=one_hot` and with `boundaries`.

    Args:
      config: names the dataset.
      meaning: what the images stand for; None takes the classes of the dataset, whose images are not opened.

    Raises:
      UsageError: when the input images are not label maps of known classes.
    """
    encoding = name_encoding(config)
    if not encoding:
        return None
    if meaning is None:
        palette = datasets.find_classes(config.dataset, config.data_dir, config.pairs or None)
    else:
        palette = meaning.input.palette if meaning.input else None
    if palette is None:
        raise UsageError(
            f"{encoding} takes label maps as inputs, and with `direction={config.direction}` "
            f"the input images of {config.dataset} hold neither the colours nor the ids of known classes. "
            "Put a palette.json beside the splits, which gives each class its colour or its id, or give "
            "`input_encoding=picture` where the inputs are pictures"
        )
    return palette


def open_split(
    config: Config,
    split: str,
    meaning: Meaning | None = None,
    *,
    room: Room | None = None,
    keep_size: Size | None = None,
    manifest: Path | None = None,
) -> Source:
    """Opens one split of the configuration's dataset; downloads the dataset where it is missing.

    Args:
      config: names the dataset and how to read it.
      split: `train`, `val` or `test`.
      meaning: what a run was trained to take the images for; None finds out.
      room: the memory that kept pixels may take, with those of other splits; None takes `cache_mib`.
      keep_size: see `sources.open_source`.
      manifest: see `sources.open_source`.

    Returns:
      The pairs, in the configuration's direction.

    Raises:
      UserError: when the data is missing, cannot be downloaded, or cannot be used.
    """
    return open_pairs(
        config,
        split,
        room,
        direction=config.direction,
        task=make_task(config),
        meaning=meaning,
        keep_size=keep_size,
        manifest=manifest,
    )


def open_pairs(config: RunConfig, split: str, room: Room | None = None, **options: Any) -> Source:
    """Opens one split as the settings of any training ask for it.

    Args:
      config: names the dataset and how to read it.
      split: `train`, `val` or `test`.
      room: the memory that kept pixels may take; None takes `cache_mib`.
      **options: further arguments of `datasets.open_split`.
    """
    return datasets.open_split(
        config.dataset,
        split,
        data_dir=config.data_dir,
        image_size=config.image_size,
        on_bad_image=config.on_bad_image,
        cache_mib=config.cache_mib if room is None else room,
        val_percent=config.val_percent,
        exif=config.exif,
        resize_input_to_target=config.resize_input_to_target,
        pairs=config.pairs or None,
        **options,
    )


def take_data(config: Config, argument: str, data: Any) -> Source:
    """Opens the pairs that a caller gives in place of a split of the configuration's dataset.

    Args:
      config: says what is to be learned.
      argument: `train` or `validation`, which has to be read by an index and else is kept in memory.
      data: what `given.open_given` takes.

    Raises:
      UsageError: for data that cannot be trained on; the message names the argument and the remedy.
    """
    is_stream = argument == "train"
    return open_given(data, Wish(argument, make_task(config), config.direction, config.cache_mib, is_stream))
