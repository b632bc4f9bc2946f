"""What a training does about its images: those of the dataset's name? How deep? How many classes?"""

import dataclasses
import os

import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.catalogue import CATALOGUE
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.labels.label_sides import find_label_side
from tfpix2pix.pipelines.labels.palettes import dataset_palette
from tfpix2pix.pipelines.meaning import Palette
from tfpix2pix.pipelines.tasks.registry import ONE_HOT

_GIB = 2**30


def fit_precision(config: Config, asked: str, is_new: bool, source: Source) -> tuple[Config, str]:
    """Returns the configuration in a precision that keeps the levels of the images, and why it has it.

    bfloat16 tells 256 values from 0.5 to 1 and half precision 1,024, so both lose levels of 16-bit images and
    of floats. So `precision=auto` takes float32 for images that are deeper than 8 bits, on every hardware.

    Args:
      config: the configuration, whose precision the hardware has decided.
      asked: the precision that was asked for.
      is_new: whether the run begins; one that goes on keeps its precision.
      source: the training split.

    Returns:
      The configuration, and what is said behind its precision; there is a warning if a lower precision
      was asked for.
    """
    is_lossy = config.precision != "float32" and any(dtype != tf.uint8 for dtype in source.dtypes)
    if asked != "auto":
        if is_lossy:
            warn(
                f"`precision={asked}` does not keep all levels of images that are deeper than 8 bits, and "
                "these are; float32 does"
            )
        return config, ""
    if is_lossy and is_new:
        config = dataclasses.replace(config, precision="float32")
        return config, " (chosen by `precision=auto`, because the images are deeper than 8 bits)"
    return config, " (chosen by `precision=auto`)"


def check_channels(config: Config, palette: Palette | None) -> None:
    """Warns of classes whose channels take 1 GiB or more in each batch.

    Args:
      config: the settings.
      palette: the classes that `run.splits.find_input_palette` returned.

    Raises:
      UserError: on a CPU, if the channels of a batch take more memory than the machine has.
    """
    height, width = config.image_size
    num_bytes = config.batch_size * height * width * len(palette or ()) * 4
    if config.input_encoding != ONE_HOT or num_bytes < _GIB:
        return
    text = (
        f"`input_encoding={ONE_HOT}` makes {len(palette or ()):,} channels, one for each class of the "
        f"palette. They take {num_bytes / _GIB:.1f} GiB for a batch, and a step holds them several times"
    )
    advice = "Take a smaller `image_size` or `batch_size`, or a palette.json of fewer classes"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else num_bytes
    if num_bytes > memory and not tf.config.list_physical_devices("GPU"):
        raise UserError(f"{text}; this machine has {memory / _GIB:.1f} GiB. {advice}")
    warn(f"{text}. {advice} if the memory is not enough")


def find_misfit(config: Config, train_source: Source, val_source: Source) -> str | None:
    """Returns what tells images from the catalogue's dataset of that name, and what to do about it.

    Args:
      config: names the dataset and the direction.
      train_source: the training split.
      val_source: the validation split.

    Returns:
      A warning; None if the images fit, or if the name is not in the catalogue.
    """
    spec = CATALOGUE.get(config.dataset)
    if spec is None or spec.draw_pair:
        return None
    sources = {"train": train_source, "val": val_source}
    found = {split: len(source) + len(source.skipped) for split, source in sources.items()}
    faults = [
        f"{split}/ holds {count_of(count, 'example')} instead of {spec.counts[split]}"
        for split, count in found.items()
        if count != spec.counts.get(split, count)
    ]
    if spec.palette and not train_source.task.from_photos:
        expected = "input" if config.direction == "BtoA" else "target"  # label maps are on the right
        side = find_label_side(train_source, dataset_palette(spec))
        if side is None:
            faults.append("neither side of the pairs has the colours of its label maps")
        elif side != expected:
            faults.append("its label maps would be on the right, and they are on the left")
    if not faults:
        return None
    colours = ", and for the classes and colours of its label maps" if spec.palette else ""
    return (
        f"the images in {config.data_dir} are not those of {spec.name}: {'; '.join(faults)}. Its name stands "
        f"for the direction {spec.direction}, the paper's recipe of {spec.recipe.epochs} epochs with batches "
        f"of {spec.recipe.batch_size}{colours}, as far as nothing else is given. Give images of your own a "
        f"name of their own, such as `dataset=my_{spec.name}`"
    )
