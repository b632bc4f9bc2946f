"""The pairs that a configuration asks for."""

from tfpix2pix.config.config import Config
from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.meaning import Meaning
from tfpix2pix.pipelines.tasks import tasks
from tfpix2pix.pipelines.tasks.registry import find_task


def make_task(config: Config) -> tasks.Task:
    """Returns what a configuration asks to be learned."""
    options = {name: getattr(config, name) for name in find_task(config.task).options}
    return tasks.make_task(config.task, (config.input_channels, config.output_channels), **options)


def open_split(config: Config, split: str, meaning: Meaning | None = None) -> Source:
    """Opens one split of the configuration's dataset; downloads the dataset where it is missing.

    Args:
      config: names the dataset and how to read it.
      split: `train`, `val` or `test`.
      meaning: what a run was trained to take the images for; None finds out.

    Returns:
      The pairs, in the configuration's direction.

    Raises:
      UserError: when the data is missing, cannot be downloaded, or cannot be used.
    """
    return datasets.open_split(
        config.dataset,
        split,
        data_dir=config.data_dir,
        direction=config.direction,
        image_size=config.image_size,
        on_bad_image=config.on_bad_image,
        cache_mib=config.cache_mib,
        val_percent=config.val_percent,
        exif=config.exif,
        resize_input_to_target=config.resize_input_to_target,
        pairs=config.pairs or None,
        task=make_task(config),
        meaning=meaning,
    )
