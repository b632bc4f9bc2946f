"""The configuration of a run: one frozen dataclass, its flags, its checks, its JSON.

A flag wins over the dataset's recipe, the recipe over the default; all of it is
settled once, in `make_config`. TensorFlow is not imported.
"""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from absl import flags

from tfpix2pix.config import options as settings
from tfpix2pix.config.options import check_values, option
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base.errors import UsageError

# Sec. 6.2: jitter resizes 256 px to 286 before the crop.
JITTER_LOAD_SIZE = 286 / 256
STRATEGIES = ("auto", "mirrored", "multiworker", "one_device")
UPSAMPLINGS = ("transposed", "nearest", "bilinear")
# The paper's first three; those of the PyTorch reference; none.
DROPOUTS = ("paper", "torch", "none")
# plain_instance: without scale and offset, as in the PyTorch reference.
NORMALIZATIONS = ("batch", "instance", "plain_instance", "none")
RECEPTIVE_FIELDS = (1, 16, 34, 70, 142, 286, 574)
# Where no patch fits into a smaller image, px.
LEAST_SIZES = {142: 48, 286: 96, 574: 192}
NORM_BACKENDS = ("own", "addons")
CONV_KERNELS = ("auto", "native")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
SERVING_NOISE = ("fixed", "random", "off")
Size = tuple[int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a run. Build it with `make_config`.

    Sizes are (height, width) in px; `*_steps` count steps, each one D and one G update.
    """

    dataset: str = option("facades", "name in the catalogue, or of your own set below --data_dir")
    data_dir: str = option(
        "datasets", "folder that holds <dataset>/train|val|test, or the splits themselves", may_change=True
    )
    direction: str = option("AtoB", "left image to right image as on disk, or back", ("AtoB", "BtoA"))
    task: str = option(
        "pairs",
        "what is learned: from pairs, or from single photos their colours, holes or edges",
        catalogue.TASKS,
    )
    hole: str = option("center", "what --task=inpaint cuts out", catalogue.HOLES)
    input_channels: int = option(
        3, "of --task=pairs; 1 reads images as gray, others want as many in the files", minimum=1
    )
    output_channels: int = option(3, "likewise, of the target images", minimum=1)
    epochs: int = option(200, "passes over the training split", minimum=1)
    steps: int | None = option(None, "steps to train; wins over --epochs", minimum=1)
    batch_size: int = option(1, "global batch size, over all replicas", minimum=1)
    image_size: Size = option((256, 256), "N or HxW, px: what the networks see")
    load_size: Size = option((286, 286), "N or HxW, px: resized to, before the random crop of the jitter")
    jitter: bool = option(True, "random crop out of --load_size")
    mirror: bool = option(True, "random left-right flip")
    on_bad_image: str = option("stop", "what to do about an unreadable training file", ("stop", "skip"))
    cache_mib: int = option(
        2048,
        "images of a split, decoded or resized, are kept in memory up to this many MiB",
        minimum=0,
        may_change=True,
    )
    generator: str = option("unet", "architecture", ("unet", "encoder_decoder"))
    depth: int | None = option(None, "downsamplings of the generator", minimum=2)
    upsampling: str = option(
        "transposed",
        "of the decoder; nearest or bilinear: resize, then convolve, no checkerboard",
        UPSAMPLINGS,
    )
    dropout: str = option("paper", "which decoder blocks drop activations", DROPOUTS)
    receptive_field: int = option(
        70, f"of the discriminator, px: {', '.join(map(str, RECEPTIVE_FIELDS))}", RECEPTIVE_FIELDS
    )
    base_filters: int = option(64, "filters of the first block of both networks", minimum=1)
    discriminator_filters: int | None = option(None, "of the discriminator's first block", minimum=1)
    normalization: str = option("batch", "in both networks", NORMALIZATIONS)
    norm_backend: str = option(
        "own",
        "what computes --normalization=instance in training; addons: tensorflow-addons, where Keras is 2",
        NORM_BACKENDS,
        may_change=True,
    )
    objective: str = option("l1+cgan", "what is minimised", ("l1", "gan", "cgan", "l1+gan", "l1+cgan"))
    lambda_l1: float = option(100.0, "weight of the L1 loss", minimum=0)
    learning_rate: float = option(2e-4, "of both Adams", minimum=0)
    lr_schedule: str = option(
        "constant", "linear_decay: constant for the first half, then to 0", ("constant", "linear_decay")
    )
    precision: str = option(
        "auto", "of the networks' arithmetic; auto: mixed_bfloat16 where the hardware has it", PRECISIONS
    )
    conv_kernels: str = option(
        "auto", "auto: on a CPU, convolutions of small maps as matmuls; native: TensorFlow's", CONV_KERNELS
    )
    strategy: str = option("auto", "auto: MirroredStrategy over all GPUs, or the CPU", STRATEGIES)
    jit_compile: bool = option(False, "compile the step with XLA")
    seed: int = option(0, "of weights, order, jitter, mirroring and noise", minimum=0)
    steps_per_call: int = option(1, "steps in one call of the compiled loop", may_change=True, minimum=1)
    checkpoint_every_steps: int = option(1000, "steps between checkpoints", may_change=True, minimum=1)
    keep_checkpoints: int = option(2, "latest checkpoints kept, the best aside", may_change=True, minimum=1)
    validate_every_steps: int = option(1000, "steps between validations", may_change=True, minimum=1)
    best_metric: str = option(
        "l1",
        "validation score that picks the best checkpoint; fcn_score takes --segmenter",
        ("l1", "psnr", "ssim", "fcn_score"),
    )
    segmenter: str = option(
        "",
        "network for the validation's fcn_score: a run of tfpix2pix.metrics.fcn, or a .keras file",
    )
    summary_every_steps: int = option(
        50, "steps between the scalars written to TensorBoard and metrics.jsonl", may_change=True, minimum=1
    )
    sample_every_steps: int = option(
        1000, "steps between the pictures written to TensorBoard", may_change=True, minimum=1
    )
    profile_steps: str = option(
        "", "A:B: profile these steps for TensorBoard; one step a call then", may_change=True
    )
    export: bool = option(True, "write a SavedModel at the end", may_change=True)
    saved_model_dir: str = option("saved_models", "folder of the SavedModels", may_change=True)
    serving_noise: str = option(
        "fixed", "of requests to the SavedModel that bring no seed", SERVING_NOISE, may_change=True
    )

    def to_json(self) -> str:
        """Returns the configuration as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @property
    def spec(self) -> catalogue.DatasetSpec:
        """The catalogue's entry of the dataset."""
        return catalogue.find_dataset(self.dataset)


FIELDS = {field.name: field for field in dataclasses.fields(Config)}
_BY_RECIPE = ("task", "direction", "epochs", "batch_size", "jitter", "mirror")
_DEFAULT_TEXTS = {
    "load_size": "286/256 of --image_size",
    "depth": "8 for 256 px",
    "discriminator_filters": "--base_filters",
    **dict.fromkeys(_BY_RECIPE, "the dataset's recipe"),
}


def make_config(**given: Any) -> Config:
    """Returns the configuration in which `given` wins over the recipe, the recipe over the defaults.

    Args:
      **given: fields of `Config`; sizes as N, "HxW" or (height, width).

    Raises:
      UsageError: for an unknown field or a value that cannot work; the message names it.

    Example:
    >>> make_config(dataset="facades", image_size=128).load_size
    (143, 143)
    """
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        raise UsageError(f"no such setting: {', '.join(unknown)} (there are {', '.join(FIELDS)})")
    if given.get("load_size") is not None and given.get("jitter") is False:
        raise UsageError("--load_size has no effect without --jitter; drop one of the two")
    values = {name: value for name, value in given.items() if value is not None}
    spec = catalogue.find_dataset(values.get("dataset", FIELDS["dataset"].default))
    recipe = spec.recipe
    task = values.get("task", spec.task)
    inputs, outputs = catalogue.TASK_CHANNELS.get(task, (3, 3))
    if (task, values.get("hole")) == ("inpaint", "random"):
        inputs += 1  # the mask, see pipelines/tasks/tasks.py
    values = {
        "task": task,
        "input_channels": inputs,
        "output_channels": outputs,
        "direction": spec.direction if task == "pairs" else "AtoB",
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "jitter": recipe.jitter or "load_size" in values,
        "mirror": recipe.mirror,
        **values,
    }
    for name in ("image_size", "load_size"):
        if name in values:
            values[name] = parse_size(values[name], name)
    image_size = values.get("image_size", FIELDS["image_size"].default)
    values.setdefault("load_size", tuple(round(side * JITTER_LOAD_SIZE) for side in image_size))
    config = Config(**values)
    _check(config)
    return config


def parse_size(value: Any, name: str) -> Size:
    """Returns (height, width) px from N, "N", "HxW" or a pair.

    Raises:
      UsageError: for anything else; the message names the flag.
    """
    match = re.fullmatch(r"(\d+)(?:[x,](\d+))?", str(value).strip("()[] ").replace(" ", ""))
    if not match or int(match[1]) < 1 or int(match[2] or 1) < 1:
        raise UsageError(f"--{name} takes N or HxW, such as 256 or 256x512. Received: {value}")
    return int(match[1]), int(match[2] or match[1])


def parse_step_range(value: str) -> tuple[int, int] | None:
    """Returns (first, last) of "A:B", or None for an empty text.

    Raises:
      UsageError: for anything else.
    """
    if not value:
        return None
    match = re.fullmatch(r"(\d+):(\d+)", value)
    if not match or int(match[1]) >= int(match[2]):
        raise UsageError(f"--profile_steps takes A:B with A < B, such as 10:20. Received: {value}")
    return int(match[1]), int(match[2])


def _check(config: Config) -> None:
    check_values(config)
    catalogue.check_name(config.dataset)
    _check_task(config)
    for side, load_side in zip(config.image_size, config.load_size, strict=True):
        if config.jitter and load_side < side:
            raise UsageError(
                f"--load_size must not be smaller than --image_size, {config.image_size[0]}x"
                f"{config.image_size[1]}. Received: {config.load_size[0]}x{config.load_size[1]}"
            )
    least_size = LEAST_SIZES.get(config.receptive_field, 32) if config.objective != "l1" else 32
    if min(config.image_size) < least_size:
        raise UsageError(
            f"--image_size must be at least {least_size} px on each side with "
            f"--receptive_field={config.receptive_field}. Received: {settings.text(config.image_size)}"
        )
    deepest = min(config.image_size).bit_length() - 1
    if config.depth is not None and config.depth > deepest:
        raise UsageError(f"--depth must be at most {deepest} for this --image_size. Received: {config.depth}")
    if config.norm_backend == "addons" and config.normalization != "instance":
        raise UsageError(
            "--norm_backend=addons is for --normalization=instance. "
            f"Received: --normalization={config.normalization}"
        )
    if config.best_metric == "fcn_score" and not config.segmenter:
        raise UsageError("--best_metric=fcn_score takes --segmenter, the network that gives the score")
    if config.seed >= 2**32:
        raise UsageError(f"--seed must be below 2**32. Received: {config.seed}")
    parse_step_range(config.profile_steps)


def _check_task(config: Config) -> None:
    task = config.task
    if config.spec.task != "pairs" and task == "pairs":
        raise UsageError(
            f"--dataset={config.dataset} is a set of single photos; --task takes colorize, inpaint or edges"
        )
    if task != "pairs" and config.direction != "AtoB":
        raise UsageError(f"--direction is for pairs, and --task={task} learns from single photos")
    if task != "inpaint" and config.hole != "center":
        raise UsageError(f"--hole is for --task=inpaint. Received: --task={task}")
    expected = catalogue.TASK_CHANNELS.get(task)
    if expected:
        expected = (expected[0] + (config.hole == "random"), expected[1])
        if (config.input_channels, config.output_channels) != expected:
            raise UsageError(
                f"--task={task} has {expected[0]} input and {expected[1]} output channels; "
                "drop --input_channels and --output_channels"
            )


def define_flags(flag_values: flags.FlagValues, names: tuple[str, ...] = tuple(FIELDS)) -> None:
    """Defines a flag for each named field of `Config`, all unset."""
    settings.define_flags(flag_values, [FIELDS[name] for name in names], _DEFAULT_TEXTS)


def config_from_flags(flag_values: flags.FlagValues) -> Config:
    """Returns the configuration that the parsed flags ask for."""
    return make_config(**{name: flag_values[name].value for name in FIELDS if name in flag_values})


def describe(config: Config) -> str:
    """Returns the configuration for people, a line per field, the non-defaults marked with *."""
    default = dataclasses.replace(make_config(dataset=config.dataset), dataset=Config.dataset)
    notes = {}
    if not config.jitter:
        notes["load_size"] = "unused: no jitter"
    if config.task != "inpaint":
        notes["hole"] = "unused: not inpaint"
    return settings.describe(config, default, notes)


def from_json(text: str) -> Config:
    """Returns the configuration that `Config.to_json` wrote.

    Raises:
      UsageError: for settings that this version does not know.
    """
    values: dict[str, Any] = json.loads(text)
    if values.get("jitter") is False:
        values.pop("load_size", None)  # of no effect then, and refused where it is given
    return make_config(**values)


def check_resumable(saved: Config, now: Config, workdir: Path) -> None:
    """Raises UsageError, naming the fields, when a run cannot go on under another configuration.

    More steps are fine where no schedule depends on their number.
    """
    may_change = ("epochs", "steps") if saved.lr_schedule == "constant" else ()
    settings.check_resumable(saved, now, workdir, may_change)
