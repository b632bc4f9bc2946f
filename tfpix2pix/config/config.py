"""The configuration of a pix2pix run: how it is built from flags and recipes, read, shown and compared.

A flag wins over the dataset's recipe, and the recipe over the default, as `make_config` settles it.
TensorFlow is not imported.
"""

import dataclasses
import sys
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from absl import flags

from tfpix2pix.config import options
from tfpix2pix.config.checks import parse_step_range
from tfpix2pix.config.choices import (
    DISCRIMINATORS,
    GENERATORS,
    HD_GENERATORS,
    METHOD_RECIPES,
    OBJECTIVES,
    PRESETS,
)
from tfpix2pix.config.fields import FIELDS, Config
from tfpix2pix.config.options import parse_size
from tfpix2pix.config.run_config import RunConfig, read_given, read_json, with_load_size
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.tasks.registry import TASKS, all_options, tasks_with_option

__all__ = [
    "FIELDS",
    "Config",
    "check_resumable",
    "config_from_flags",
    "define_flags",
    "describe",
    "find_unused",
    "from_json",
    "make_config",
    "parse_size",
    "parse_step_range",
]

# Wang et al., CVPR 2018, in the original code.
LAMBDA_VGG = 10.0
# Setting -> the other setting that decides on it, and the values of that one with which it has an effect.
_DECODERS, _WITH_GAN = ("unet", "encoder_decoder"), tuple(name for name in OBJECTIVES if name != "l1")
_OURS = "tfpix2pix."  # networks of this package have addresses that begin so
_ONLY_WITH: dict[str, tuple[str, Container[Any]]] = {
    "depth": ("generator", (*_DECODERS, *HD_GENERATORS)),
    **dict.fromkeys(("upsampling", "last_block"), ("generator", _DECODERS)),
    "dropout": ("generator", (*_DECODERS, "resnet_6blocks", "resnet_9blocks")),
    "residual_blocks": ("generator", HD_GENERATORS),
    "instance_features": ("generator", HD_GENERATORS),
    **dict.fromkeys(
        ("feature_filters", "feature_depth", "feature_clusters", "feature_examples"),
        ("instance_features", range(1, sys.maxsize)),
    ),
    "enhancers": ("generator", ("enhancer",)),
    "enhancer_blocks": ("generator", ("enhancer",)),
    "receptive_field": ("discriminator", ("patch",)),
    "num_discriminators": ("discriminator", ("multiscale", "pyramid")),
    "discriminator_layers": ("discriminator", ("multiscale", "pyramid")),
    "latent_at": ("latent_size", range(1, sys.maxsize)),
    "lambda_kl": ("method", ("bicyclegan",)),
    "lambda_latent": ("method", ("bicyclegan",)),
    "discriminator": ("objective", _WITH_GAN),
    "discriminator_filters": ("objective", _WITH_GAN),
    "gan_loss": ("objective", _WITH_GAN),
    "lambda_feature_matching": ("objective", _WITH_GAN),
    "lambda_l1": ("objective", tuple(name for name in OBJECTIVES if "l1" in name)),
    "saved_model_dir": ("export", (True,)),
    "join_timeout_sec": ("strategy", ("multiworker",)),
}
_BY_RECIPE = ("task", "direction", "epochs", "batch_size", "jitter", "mirror")
_DEFAULT_TEXTS = {
    "load_size": "286/256 of --image_size",
    "depth": "8 for 256 px",
    "residual_blocks": "9",
    "last_block": "refined with --upsampling=bilinear, else single",
    "discriminator_filters": "--base_filters",
    "lambda_vgg": "10 with --vgg19_weights, else 0",
    **dict.fromkeys(_BY_RECIPE, "the dataset's recipe"),
}


def make_config(**given: Any) -> Config:
    """Returns the configuration in which `given` wins over the recipe, and the recipe over the defaults.

    Without `dataset`, the pairs in `data_dir` are pairs of your own, and the dataset gets
    the name of that folder, or of the folder of `pairs`. Without all of them it is facades,
    the paper's main experiment.

    Args:
      **given: fields of `Config`; sizes as N, "HxW" or (height, width).

    Raises:
      UsageError: for an unknown field or a value that cannot work; the message names it.

    Examples:
      >>> make_config(dataset="facades", image_size=128).load_size
      (143, 143)
    """
    values = read_given(Config, given)
    if "dataset" not in values and values.get("pairs"):
        values["dataset"] = catalogue.name_folder(Path(values["pairs"]).absolute().parent)
    elif "dataset" not in values and "data_dir" in values:
        values["dataset"] = catalogue.name_folder(Path(values["data_dir"]))
    if values.get("resize") == "none" and "load_size" in values:
        raise UsageError("`load_size` has no effect with `resize=none`; drop one of the two")
    recipe = _recipe_settings(values)
    recipe |= _preset_settings({**recipe, **values})
    recipe |= METHOD_RECIPES.get(values.get("method", ""), {})
    if values.get("vgg19_weights"):
        recipe["lambda_vgg"] = LAMBDA_VGG
    return Config(**with_load_size(Config, {**recipe, **values}))


def _recipe_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that follow from the dataset and the task, where they are not given."""
    spec = catalogue.find_dataset(given.get("dataset", FIELDS["dataset"].default))
    task = given.get("task", spec.task)
    task_spec = TASKS.get(task, TASKS["pairs"])  # `check` refuses a task that there is not
    inputs, outputs = task_spec.find_channels(given) or (3, 3)
    return {
        "task": task,
        "input_channels": inputs,
        "output_channels": outputs,
        "direction": "AtoB" if task_spec.from_photos or given.get("pairs") else spec.direction,
        "epochs": spec.recipe.epochs,
        "batch_size": spec.recipe.batch_size,
        "jitter": spec.recipe.jitter or "load_size" in given,
        "mirror": spec.recipe.mirror,
    }


def _preset_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a preset, of which an encoding of classes needs label maps of known ones."""
    settings = PRESETS.get(values.get("preset", FIELDS["preset"].default), {})
    if "input_encoding" not in settings or "input_encoding" in values or _reads_label_maps(values):
        return settings
    return {name: value for name, value in settings.items() if name != "input_encoding"}


def _reads_label_maps(values: Mapping[str, Any]) -> bool:
    """Returns whether the inputs are label maps of known classes, as far as that shows without the images."""
    if values["task"] != "pairs" or values["input_channels"] != 3:
        return False
    spec = catalogue.find_dataset(values.get("dataset", FIELDS["dataset"].default))
    if spec.palette:
        return values["direction"] == spec.direction
    return any((place / catalogue.PALETTE_FILE).is_file() for place in _list_places(values, spec.name))


def _list_places(values: Mapping[str, Any], name: str) -> list[Path]:
    """Returns the folders in which a palette of a dataset may be."""
    if values.get("pairs"):
        return [Path(values["pairs"]).parent]
    data_dir = Path(values.get("data_dir", FIELDS["data_dir"].default))
    return [data_dir / name, data_dir]


def define_flags(
    flag_values: flags.FlagValues,
    names: tuple[str, ...] = tuple(FIELDS),
    default_texts: Mapping[str, str] | None = None,
) -> None:
    """Defines a flag for each named field of `Config`; all are unset.

    Args:
      flag_values: where the flags are defined.
      names: names of fields.
      default_texts: what the help says of a default, where the command has another one.
    """
    texts = {**_DEFAULT_TEXTS, **(default_texts or {})}
    options.define_flags(flag_values, [FIELDS[name] for name in names], texts)


def config_from_flags(flag_values: flags.FlagValues) -> Config:
    """Returns the configuration that the parsed flags ask for."""
    return make_config(**{name: flag_values[name].value for name in FIELDS if name in flag_values})


def describe(config: Config) -> str:
    """Returns the configuration for people: a line for each field, with * before what is not the default."""
    default = dataclasses.replace(make_config(dataset=config.dataset), dataset=Config.dataset)
    notes = {}
    if not config.jitter:
        notes["load_size"] = "unused: no jitter"
    if not config.resizes:
        notes |= dict.fromkeys(
            ("load_size", "jitter", "resize_method"), "unused: resize=none cuts random windows"
        )
    notes |= find_unused(config)
    for name in all_options():
        if name not in TASKS[config.task].options:
            notes[name] = f"unused: not {' or '.join(tasks_with_option(name))}"
    return options.describe(config, default, notes)


def find_unused(config: Config) -> dict[str, str]:
    """Returns a note for each setting that has no effect because of another one, by its name."""
    notes = {}
    for name, (other, values) in _ONLY_WITH.items():
        chosen = getattr(config, other)
        home = {"generator": GENERATORS, "discriminator": DISCRIMINATORS}.get(other, {}).get(chosen, _OURS)
        # What networks of one's own take is not known here.
        if chosen not in values and str(home).startswith(_OURS):
            notes[name] = f"unused: {other}={options.text(chosen)}"
        elif other == "discriminator" and config.objective == "l1":
            notes[name] = "unused: objective=l1"
    return notes


def from_json(text: str) -> Config:
    """Returns the configuration that `Config.to_json` wrote.

    Raises:
      UsageError: for settings that this version does not know.
    """
    return make_config(**read_json(text))


def check_resumable(saved: RunConfig, now: RunConfig, workdir: Path) -> None:
    """Raises UsageError, naming the fields, when a run cannot go on under another configuration.

    More steps are fine where no schedule depends on their number.
    """
    may_change = ("epochs", "steps") if saved.lr_schedule == "constant" else ()
    options.check_resumable(saved, now, workdir, may_change)
