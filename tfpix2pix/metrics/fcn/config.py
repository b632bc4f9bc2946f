"""The configuration of a training of FCN-8s. TensorFlow is not imported."""

import dataclasses
import json
from typing import Any

from tfpix2pix.config import options as settings
from tfpix2pix.config.config import JITTER_LOAD_SIZE, Size, parse_size
from tfpix2pix.config.options import check_values, option
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base.errors import UsageError

SCRATCH = "none"
PALETTE_FILE = "palette.json"  # in the workdir: the classes, in the order of the scores


@dataclasses.dataclass(frozen=True, kw_only=True)
class FcnConfig:
    """Everything that decides a training of FCN-8s. Build it with `make_config`.

    Sizes are (height, width) in px.
    """

    dataset: str = option("camvid", "name in the catalogue, or of your own set below --data_dir")
    data_dir: str = option(
        "datasets", "folder that holds <dataset>/train|val|test, or the splits themselves", may_change=True
    )
    palette: str | None = option(
        None, "classes and colours of the label maps: a dataset of the catalogue, or a JSON file"
    )
    epochs: int = option(100, "passes over the training split", minimum=1)
    steps: int | None = option(None, "steps to train; wins over --epochs", minimum=1)
    batch_size: int = option(8, "photos in a step", minimum=1)
    image_size: Size = option((256, 256), "N or HxW, px: what the network sees")
    load_size: Size = option((286, 286), "N or HxW, px: resized to, before the random crop of the jitter")
    jitter: bool = option(True, "random crop out of --load_size")
    mirror: bool = option(True, "random left-right flip")
    on_bad_image: str = option("stop", "what to do about an unreadable training file", ("stop", "skip"))
    cache_mib: int = option(
        2048, "decoded images of a split are kept in memory up to this many MiB", minimum=0, may_change=True
    )
    width: float = option(0.25, "multiplies the filters of all layers; 1 is VGG-16", minimum=0.01)
    vgg_weights: str = option(
        SCRATCH, "where training starts: imagenet (fetched by Keras), an .h5 file of VGG-16, or none"
    )
    class_balancing: str = option(
        "none", "median_frequency: rare classes weigh more in the loss", ("none", "median_frequency")
    )
    learning_rate: float = option(1e-3, "of Adam", minimum=0)
    lr_schedule: str = option(
        "linear_decay",
        "linear_decay: constant for the first half, then to 0",
        ("constant", "linear_decay"),
    )
    precision: str = option("float32", "of the network's arithmetic", ("float32", "mixed_bfloat16"))
    seed: int = option(0, "of weights, order, jitter and mirroring", minimum=0)
    checkpoint_every_steps: int = option(500, "steps between checkpoints", may_change=True, minimum=1)
    keep_checkpoints: int = option(2, "latest checkpoints kept, the best aside", may_change=True, minimum=1)
    validate_every_steps: int = option(500, "steps between validations", may_change=True, minimum=1)
    summary_every_steps: int = option(50, "steps between scalars", may_change=True, minimum=1)

    def to_json(self) -> str:
        """Returns the configuration as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @property
    def normalization(self) -> str:
        """`group` from scratch; VGG-16's own weights go without."""
        return "group" if self.vgg_weights == SCRATCH else "none"


FIELDS = {field.name: field for field in dataclasses.fields(FcnConfig)}
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
    if unknown := sorted(set(given) - set(FIELDS)):
        raise UsageError(f"no such setting: {', '.join(unknown)} (there are {', '.join(FIELDS)})")
    if given.get("load_size") is not None and given.get("jitter") is False:
        raise UsageError("--load_size has no effect without --jitter; drop one of the two")
    values = {name: value for name, value in given.items() if value is not None}
    for name in ("image_size", "load_size"):
        if name in values:
            values[name] = parse_size(values[name], name)
    image_size = values.get("image_size", FIELDS["image_size"].default)
    values.setdefault("load_size", tuple(round(side * JITTER_LOAD_SIZE) for side in image_size))
    if values.get("vgg_weights", SCRATCH) != SCRATCH:
        values = {"width": 1.0, "learning_rate": 1e-4, **values}
        if values["width"] != 1:
            raise UsageError(f"--vgg_weights goes with --width=1. Received: --width={values['width']}")
    config = FcnConfig(**values)
    _check(config)
    return config


def _check(config: FcnConfig) -> None:
    check_values(config)
    catalogue.check_name(config.dataset)
    if config.jitter and any(
        load < side for side, load in zip(config.image_size, config.load_size, strict=True)
    ):
        sizes = settings.text(config.image_size), settings.text(config.load_size)
        raise UsageError(
            f"--load_size must not be smaller than --image_size, {sizes[0]}. Received: {sizes[1]}"
        )
    if config.seed >= 2**32:
        raise UsageError(f"--seed must be below 2**32. Received: {config.seed}")


def from_json(text: str) -> FcnConfig:
    """Returns the configuration that `FcnConfig.to_json` wrote."""
    values: dict[str, Any] = json.loads(text)
    if values.get("jitter") is False:
        values.pop("load_size", None)
    return make_config(**values)
