"""What must fit together among the settings of a run."""

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tfpix2pix.config.choices import GLOBAL_DEPTH, HD_GENERATORS, IMAGENET, LEAST_SIZE, LEAST_SIZES
from tfpix2pix.config.options import check_values, list_fields, text
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.tasks.registry import ONE_HOT, TASKS, all_options, tasks_with_option

if TYPE_CHECKING:
    from tfpix2pix.config.fields import Config
    from tfpix2pix.config.run_config import RunConfig


def check_common(config: "RunConfig") -> None:
    """Raises UsageError, which names the setting, when settings that every training has cannot work."""
    check_values(config)
    catalogue.check_name(config.dataset)
    is_smaller = any(load < side for side, load in zip(config.image_size, config.load_size, strict=True))
    if config.jitter and is_smaller:
        raise UsageError(
            f"`load_size` must not be smaller than `image_size`, {text(config.image_size)}. "
            f"Received: {text(config.load_size)}"
        )
    if config.val_percent >= 100:
        raise UsageError(f"`val_percent` must be below 100. Received: {config.val_percent}")
    if config.seed >= 2**32:
        raise UsageError(f"`seed` must be below 2**32. Received: {config.seed}")


def check(config: "Config") -> None:
    """Raises UsageError, which names the setting, when a pix2pix run cannot work with its settings."""
    check_common(config)
    _check_task(config)
    _check_networks(config)
    _check_vgg(config)
    if config.best_metric == "fcn_score" and not config.segmenter:
        raise UsageError("`best_metric=fcn_score` takes `segmenter`, the network that gives the score")
    parse_step_range(config.profile_steps)


def parse_step_range(value: str) -> tuple[int, int] | None:
    """Returns (first, last) of "A:B", or None for an empty text.

    Raises:
      UsageError: for any other text.
    """
    if not value:
        return None
    match = re.fullmatch(r"(\d+):(\d+)", value)
    if not match or int(match[1]) >= int(match[2]):
        raise UsageError(f"`profile_steps` takes A:B with A < B, such as 10:20. Received: {value}")
    return int(match[1]), int(match[2])


def _check_networks(config: "Config") -> None:
    if config.preset != list_fields(config)["preset"].default and config.method != "pix2pix":
        raise UsageError(
            f"`preset={config.preset}` is for `method=pix2pix`. Received: `method={config.method}`"
        )
    has_discriminator = config.objective != "l1"
    least_size = LEAST_SIZES.get(config.receptive_field, LEAST_SIZE) if has_discriminator else LEAST_SIZE
    if min(config.image_size) < least_size:
        raise UsageError(
            f"`image_size` must be at least {least_size} px on each side with "
            f"`receptive_field={config.receptive_field}`. Received: {text(config.image_size)}"
        )
    for name in ("global_steps", "enhancer_only_steps"):
        if getattr(config, name) and (config.generator, config.method) != ("enhancer", "pix2pixhd"):
            raise UsageError(
                f"`{name}` is for `method=pix2pixhd` with `generator=enhancer`. Received: "
                f"`method={config.method}`, `generator={config.generator}`"
            )
    deepest = min(config.image_size).bit_length() - 1
    if config.depth is not None and config.depth > deepest:
        raise UsageError(f"`depth` must be at most {deepest} for this `image_size`. Received: {config.depth}")
    _check_residual(config)
    _check_latent(config)
    _check_instance_features(config)
    _check_pyramid(config)
    _check_bicyclegan(config)
    if config.remat and config.jit_compile:
        raise UsageError("`remat` works without `jit_compile`: XLA computes nothing twice")
    if config.norm_backend == "addons" and config.normalization != "instance":
        raise UsageError(
            "`norm_backend=addons` is for `normalization=instance`. "
            f"Received: `normalization={config.normalization}`"
        )


def _check_residual(config: "Config") -> None:
    if config.generator not in HD_GENERATORS:
        return
    names = ["depth", "enhancers"][: 2 if config.generator == "enhancer" else 1]
    values = {"depth": config.depth or GLOBAL_DEPTH, "enhancers": config.enhancers}
    most = 2 ** sum(values[name] for name in names)
    # At the smallest size, padding reflects a pixel, so there must be another one.
    if min(config.image_size) <= most:
        told = " and ".join(f"`{name}={values[name]}`" for name in names)
        raise UsageError(
            f"`image_size` must be above {most} px on each side with `generator={config.generator}`, {told}. "
            f"Received: {text(config.image_size)}"
        )


def _check_vgg(config: "Config") -> None:
    weights = config.vgg19_weights
    if config.lambda_vgg and not weights:
        raise UsageError("`lambda_vgg` needs `vgg19_weights`: imagenet, or a file")
    if weights and weights != IMAGENET and Path(weights).suffix not in (".h5", ".npz"):
        raise UsageError(
            "`vgg19_weights` takes imagenet, an .h5 file of keras.applications, or an .npz file of "
            f"torchvision's weights. Received: {weights}"
        )
    if config.lambda_vgg and config.output_channels != 3:
        raise UsageError(
            f"`lambda_vgg` is for targets in colour. Received: `output_channels={config.output_channels}`"
        )


def _check_latent(config: "Config") -> None:
    if config.lambda_mode_seeking and not config.latent_size:
        raise UsageError(
            "`lambda_mode_seeking` compares samples of a latent vector; give `latent_size=8` too"
        )
    if config.latent_at != list_fields(config)["latent_at"].default and not config.latent_size:
        raise UsageError("`latent_at` is for a latent vector; give `latent_size=8` too")


def _check_instance_features(config: "Config") -> None:
    if not config.instance_features:
        for name in ("feature_filters", "feature_depth", "feature_clusters", "feature_examples"):
            if getattr(config, name) != list_fields(config)[name].default:
                raise UsageError(f"`{name}` is for features of instances; give `instance_features=3` too")
        return
    if config.method != "pix2pixhd":
        raise UsageError(f"`instance_features` is for `method=pix2pixhd`. Received: `method={config.method}`")
    if not config.boundaries:
        raise UsageError("`instance_features` needs the instances of label maps; give `boundaries` too")
    deepest = min(config.image_size).bit_length() - 2
    if config.feature_depth > deepest:
        raise UsageError(
            f"`feature_depth` must be at most {deepest} for this `image_size`. "
            f"Received: {config.feature_depth}"
        )


def _check_pyramid(config: "Config") -> None:
    # Of the smallest size, the last two convolutions need 3 px.
    least_size = 3 * 2 ** (config.discriminator_layers + config.num_discriminators - 1)
    is_built = config.objective != "l1" and config.discriminator == "pyramid"
    if is_built and min(config.image_size) < least_size:
        raise UsageError(
            f"`image_size` must be at least {least_size} px on each side with `discriminator=pyramid`, "
            f"`discriminator_layers={config.discriminator_layers}` and "
            f"`num_discriminators={config.num_discriminators}`. Received: {text(config.image_size)}"
        )


def _check_bicyclegan(config: "Config") -> None:
    is_bicycle, fields = config.method == "bicyclegan", list_fields(config)
    terms = [name for name, field in fields.items() if field.metadata["term"]]
    for name in terms if is_bicycle else ("lambda_kl", "lambda_latent"):
        if getattr(config, name) != fields[name].default:
            raise UsageError(f"`{name}` has no effect with `method={config.method}`; leave it out")
    if not is_bicycle:
        return
    if not config.latent_size:
        raise UsageError("`method=bicyclegan` takes a latent vector; give `latent_size=8`")
    if config.objective not in ("l1+gan", "l1+cgan"):
        raise UsageError(
            f"`method=bicyclegan` takes `objective=l1+gan` or `l1+cgan`. Received: {config.objective}"
        )
    if config.batch_size % 2:
        raise UsageError(
            "`batch_size` must be even with `method=bicyclegan`, which halves each batch. "
            f"Received: {config.batch_size}"
        )
    for name in ("norm_backend", "remat"):
        if getattr(config, name) != fields[name].default:
            raise UsageError(f"`{name}={text(getattr(config, name))}` is not for `method=bicyclegan`")


def _check_task(config: "Config") -> None:
    task, spec = config.task, TASKS[config.task]
    if TASKS[config.spec.task].from_photos and not spec.from_photos:
        names = [name for name, each in TASKS.items() if each.from_photos]
        raise UsageError(
            f"`dataset={config.dataset}` is a set of single photos; "
            f"`task` takes {', '.join(names[:-1])} or {names[-1]}"
        )
    if spec.from_photos and config.direction != "AtoB":
        raise UsageError(f"`direction` is for pairs, and `task={task}` learns from single photos")
    fields = list_fields(config)
    for name in all_options():
        if name not in spec.options and getattr(config, name) != fields[name].default:
            owners = " or ".join(tasks_with_option(name))
            raise UsageError(f"`{name}` is for `task={owners}`. Received: `task={task}`")
    if encoding := name_encoding(config):
        if config.input_channels != 3:
            raise UsageError(
                f"{encoding} takes label maps in colours or ids, which are read as 3 channels. "
                f"Received: `input_channels={config.input_channels}`"
            )
    if task == "inpaint" and not config.resizes:
        raise UsageError("`resize=none` is not for `task=inpaint`: a window may lie in a hole as a whole")
    expected = spec.find_channels(dataclasses.asdict(config))
    if expected and (config.input_channels, config.output_channels) != expected:
        raise UsageError(
            f"`task={task}` has {expected[0]} input and {expected[1]} output channels; "
            "drop `input_channels` and `output_channels`"
        )


def name_encoding(config: "Config") -> str:
    """Returns the setting for which inputs must be label maps of known classes; empty if there is none."""
    if config.input_encoding == ONE_HOT:
        return f"`input_encoding={ONE_HOT}`"
    return "`boundaries`" if config.boundaries else ""


def check_drawn_channels(config: "Config") -> None:
    """Raises UsageError for a training on generated pairs that do not have the channels of its networks.

    A run that was not trained here, such as one of imported weights, may have any channels.
    """
    if not config.spec.draw_pair or TASKS[config.task].from_photos:
        return
    drawn = catalogue.DRAWN_CHANNELS
    for name in ("input_channels", "output_channels"):
        if getattr(config, name) not in drawn:
            raise UsageError(
                f"`{name}` must be {' or '.join(map(str, sorted(drawn)))} for `dataset={config.dataset}`, "
                f"whose pictures are gray or coloured. Received: {getattr(config, name)}"
            )
