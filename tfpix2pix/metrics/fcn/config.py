"""The configuration of a training of FCN-8s. TensorFlow is not imported."""

import dataclasses
from pathlib import Path
from typing import Any

from tfpix2pix.config.options import list_fields, option, redefine
from tfpix2pix.config.run_config import RunConfig, read_given, read_json, with_load_size
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run.folder import read_settings

SCRATCH = "none"
# This file in the folder of a run names its classes, in the order of the scores.
PALETTE_FILE = "palette.json"
# The settings that a training of FCN-8s has in common with those of the runs that it scores.
SHARED = (
    "dataset",
    "data_dir",
    "image_size",
    "on_bad_image",
    "cache_mib",
    "seed",
    "val_percent",
    "exif",
    "resize_input_to_target",
    "pairs",
)
KERAS_SUFFIXES = (".keras", ".h5")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FcnConfig(RunConfig):
    """Everything that decides a training of FCN-8s. Build it with `make_config`.

    Sizes are (height, width) in px.
    """

    dataset: str = redefine(RunConfig, "dataset", "camvid")
    palette: str | None = option(
        None,
        "Read label maps by these classes and colours: those of a dataset of the catalogue, or those of a "
        "JSON file.",
        group="data",
    )
    epochs: int = redefine(RunConfig, "epochs", 100)
    batch_size: int = redefine(RunConfig, "batch_size", 8)
    width: float = option(
        0.25,
        "Multiply the number of filters in all layers by this factor; 1 gives VGG-16.",
        group="networks",
        minimum=0.01,
    )
    vgg_weights: str = option(
        SCRATCH,
        "Start from weights of VGG-16: those that Keras downloads (imagenet), or those in an .h5 file. "
        "With none, the training starts from random weights.",
        group="networks",
    )
    class_balancing: str = option(
        "none",
        "Give all classes the same weight in the loss (none), or rare ones a larger weight "
        "(median_frequency).",
        group="objective",
        choices=("none", "median_frequency"),
    )
    learning_rate: float = redefine(RunConfig, "learning_rate", 1e-3)
    lr_schedule: str = redefine(RunConfig, "lr_schedule", "linear_decay")
    checkpoint_every_steps: int = redefine(RunConfig, "checkpoint_every_steps", 500)
    validate_every_steps: int = redefine(RunConfig, "validate_every_steps", 500)
    precision: str = redefine(
        RunConfig,
        "precision",
        "float32",
        help="Compute in this precision.",
        choices=("float32", "mixed_bfloat16"),
    )

    @property
    def normalization(self) -> str:
        """It is `group` for a training from scratch, and `none` with the weights of VGG-16."""
        return "group" if self.vgg_weights == SCRATCH else "none"


FIELDS = list_fields(FcnConfig)
DEFAULT_TEXTS = {
    "load_size": "286/256 of --image_size",
    "width": "0.25; 1 with --vgg_weights",
    "learning_rate": "1e-3; 1e-4 with --vgg_weights",
    "palette": "that of the dataset",
}


def make_config(**given: Any) -> FcnConfig:
    """Returns the configuration in which `given` wins over the defaults.

    Args:
      **given: fields of `FcnConfig`; sizes as N, "HxW" or (height, width).

    Raises:
      UsageError: for an unknown field or a value that cannot work; the message names it.
    """
    values = with_load_size(FcnConfig, read_given(FcnConfig, given))
    if values.get("vgg_weights", SCRATCH) != SCRATCH:
        values = {"width": 1.0, "learning_rate": 1e-4, **values}
        if values["width"] != 1:
            raise UsageError(f"`vgg_weights` goes with `width=1`. Received: `width={values['width']}`")
    return FcnConfig(**values)


def from_json(text: str) -> FcnConfig:
    """Returns the configuration that `FcnConfig.to_json` wrote."""
    return make_config(**read_json(text))


def read_run(folder: Path) -> FcnConfig:
    """Returns the configuration of the run in a folder.

    Raises:
      UsageError: if the folder does not hold a run of this kind.
      UserError: if the configuration cannot be read.
    """
    try:
        return read_settings(folder, from_json)
    except UsageError as error:
        raise UsageError(f"{folder} was not written by python -m tfpix2pix.metrics.fcn: {error}") from error


def check_segmenter(path: str | Path) -> None:
    """Raises UsageError if there is neither a run of this kind nor a file of a Keras model."""
    path = Path(path)
    if path.is_dir():
        read_run(path)
    elif path.suffix not in KERAS_SUFFIXES or not path.is_file():
        what = "is neither" if path.exists() else "does not exist"
        raise UsageError(
            "`segmenter` takes a folder that python -m tfpix2pix.metrics.fcn wrote, or a .keras or .h5 file. "
            f"Received: {path}, which {what}"
        )
