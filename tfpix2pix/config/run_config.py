"""The settings that every training has in common, whichever network it trains. TensorFlow is not imported."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from tfpix2pix.config.checks import check_common
from tfpix2pix.config.choices import LR_SCHEDULES, PRECISIONS
from tfpix2pix.config.options import Size, list_fields, option, parse_size
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base.errors import UsageError

# Sec. 6.2: jitter resizes 256 px to 286 before the crop.
JITTER_LOAD_SIZE = 286 / 256
# Settings that the text of a run holds in any version, and that few people write into a file of their own.
_OF_EVERY_RUN = {"load_size", "on_bad_image", "precision", "keep_checkpoints"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The settings of any training.

    A subclass adds the settings of its network, and redefines those whose default
    differs. Sizes are (height, width) in px; `*_steps` count training steps. Values are checked however an
    object is made, also by `dataclasses.replace`: UsageError names the setting that cannot work.
    """

    dataset: str = option(
        "facades",
        "Train on this dataset: a name in the catalogue, or the name of your own set below --data_dir.",
        group="data",
    )
    data_dir: str = option(
        "datasets",
        "Look for the dataset in this folder. It holds <dataset>/train, val and test, or these splits "
        "themselves.",
        group="data",
        may_change=True,
    )
    pairs: str = option(
        "",
        "Train on the pairs that this CSV file lists, with the columns input, target and, if there are "
        "splits, split; its paths are relative to the file. The dataset is then only a name.",
        group="data",
        may_change=True,
    )
    val_percent: int = option(
        10,
        "Validate on this share of the training examples, in percent, where the dataset has neither a val/ "
        "nor a test/ folder. They are chosen by their names and are not trained on. With 0 it is an error "
        "that these folders are missing.",
        group="data",
        minimum=0,
    )
    exif: bool = option(
        True,
        "Turn photos as their EXIF orientation says, so that they are read as people see them.",
        group="data",
    )
    resize_input_to_target: bool = option(
        False,
        "Resize each input image to the size of its target image, where the two files of a pair differ in "
        "size, as they do for super-resolution. Otherwise it is an error.",
        group="data",
    )
    image_size: Size = option(
        (256, 256),
        "Train on images of this size in px, given as N or HxW.",
        group="data",
    )
    load_size: Size = option(
        (286, 286),
        "Resize training images to this size in px, given as N or HxW, before jitter crops them.",
        group="data",
    )
    jitter: bool = option(
        True,
        "Jitter training images: resize them to --load_size, then crop --image_size at a random place.",
        group="data",
    )
    mirror: bool = option(
        True,
        "Mirror half of the training images, chosen at random, left to right.",
        group="data",
    )
    on_bad_image: str = option(
        "stop",
        "Stop at a training file that cannot be read, or skip it and go on.",
        group="data",
        choices=catalogue.ON_BAD_IMAGE,
    )
    epochs: int = option(
        200,
        "Go through the training split this many times.",
        group="schedule",
        minimum=1,
    )
    steps: int | None = option(
        None,
        "Train for this many steps, whatever --epochs says.",
        group="schedule",
        minimum=1,
    )
    batch_size: int = option(
        1,
        "Train on this many examples in each step.",
        group="schedule",
        minimum=1,
    )
    learning_rate: float = option(
        2e-4,
        "Update the weights with this learning rate of Adam.",
        group="schedule",
        minimum=0,
    )
    lr_schedule: str = option(
        "constant",
        "Keep the learning rate constant, or keep it for the first half of the training and let it fall "
        "to 0 in the second (linear_decay).",
        group="schedule",
        choices=LR_SCHEDULES,
    )
    seed: int = option(
        0,
        "Draw all random numbers of the training from this seed.",
        group="schedule",
        minimum=0,
    )
    checkpoint_every_steps: int = option(
        1000,
        "Write a checkpoint every time that this many steps are done.",
        group="output",
        may_change=True,
        minimum=1,
    )
    keep_checkpoints: int = option(
        2,
        "Keep this many of the latest checkpoints, and the best one besides.",
        group="output",
        may_change=True,
        minimum=1,
    )
    validate_every_steps: int = option(
        1000,
        "Score the validation split every time that this many steps are done.",
        group="output",
        may_change=True,
        minimum=1,
    )
    summary_every_steps: int = option(
        50,
        "Write losses and speed to TensorBoard and metrics.jsonl every time that this many steps are done.",
        group="output",
        may_change=True,
        minimum=1,
    )
    precision: str = option(
        "auto",
        "Compute in this precision. With auto, it is mixed_bfloat16 where the hardware multiplies "
        "bfloat16 and the images have 8 bits, and float32 elsewhere.",
        group="machine",
        choices=PRECISIONS,
    )
    cache_mib: int = option(
        2048,
        "Keep images of all splits in memory, resized or else decoded, as far as this many MiB hold them.",
        group="machine",
        may_change=True,
        minimum=0,
    )

    threads: int = option(
        0,
        "Compute with this many threads of each of TensorFlow's two kinds. With 0 a run goes on with as many "
        "as it began with, and a new one takes one for each core, or what TF_NUM_INTRAOP_THREADS and "
        "TF_NUM_INTEROP_THREADS say. Another number changes the last bits of the weights.",
        group="machine",
        may_change=True,
        minimum=0,
    )

    def __post_init__(self):
        check_common(self)

    @property
    def resizes(self) -> bool:
        """Whether images are resized to `image_size`; if not, windows of that size are cut out of them."""
        return True

    def to_json(self) -> str:
        """Returns the configuration as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def read_given(kind: type[RunConfig], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that were given, with sizes as (height, width) and without those that are None.

    Raises:
      UsageError: for a name that `kind` does not have, for a size that cannot be read,
        or for `load_size` where jitter is turned off.
    """
    names = list_fields(kind)
    if unknown := sorted(set(given) - set(names)):
        raise UsageError(f"no such setting: {', '.join(unknown)} (there are {', '.join(names)})")
    values = {name: value for name, value in given.items() if value is not None}
    if "load_size" in values and values.get("jitter") is False:
        raise UsageError("`load_size` has no effect without `jitter`; drop one of the two")
    for name in ("image_size", "load_size"):
        if name in values:
            values[name] = parse_size(values[name], name)
    return values


def with_load_size(kind: type[RunConfig], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values with the load size that the paper's jitter has, unless there is one."""
    image_size = values.get("image_size", list_fields(kind)["image_size"].default)
    return {"load_size": tuple(round(side * JITTER_LOAD_SIZE) for side in image_size), **values}


def earlier_settings(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how a run went in versions that had no settings for it: those that `saved` lacks.

    Without `exif` it has read the pixels as they are stored, without `last_block` its images were made
    by one convolution, and without `minimal_filtering` beside `conv_kernels` its convolutions were direct.
    """
    earlier: dict[str, Any] = {"exif": False}
    if saved.get("upsampling") == "bilinear":
        earlier["last_block"] = "single"
    if "conv_kernels" in saved:
        earlier["minimal_filtering"] = False
    return {name: value for name, value in earlier.items() if name not in saved}


def read_json(text: str) -> dict[str, Any]:
    """Returns the settings in a text that `RunConfig.to_json` wrote, as `make_config` takes them."""
    values: dict[str, Any] = json.loads(text)
    if _OF_EVERY_RUN <= values.keys():
        values |= earlier_settings(values)
    if values.get("jitter") is False or values.get("resize") == "none":
        # Then the load size has no effect, and make_config refuses it.
        values.pop("load_size", None)
    return values
