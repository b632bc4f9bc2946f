"""Makes a run of state dicts of the PyTorch reference."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tfpix2pix.config.choices import LEAST_SIZE, LEAST_SIZES, STRIDED_CONVOLUTIONS
from tfpix2pix.config.config import Config, make_config, parse_size
from tfpix2pix.config.options import text
from tfpix2pix.interop import torch_detection, torch_files, torch_names
from tfpix2pix.interop.torch_names import Unet
from tfpix2pix.interop.torch_residual_names import (
    Discriminator,
    MultiscaleDiscriminator,
    ResidualGenerator,
    generator_table,
    judge_table,
)
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.methods.step import TranslationStep
from tfpix2pix.networks.build import build_generator
from tfpix2pix.networks.variables import weights_of
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import write_config

RESNET_SIZE = 256  # the reference's --crop_size
# This file, beside the run's configuration, says what was read and what differs.
RECORD_FILE = "torch_weights.json"


class Conversion(NamedTuple):
    """What was converted.

    Attributes:
      config: settings of the run.
      step: step of the checkpoint.
      generator: the generator as the reference describes it.
      discriminator: the discriminator as the reference describes it, or None.
      notes: sentences that say what differs between the two sides.
    """

    config: Config
    step: int
    generator: Unet | ResidualGenerator
    discriminator: Discriminator | None
    notes: list[str]


def import_run(
    checkpoint: Path, workdir: Path, discriminator: Path | None = None, **given: Any
) -> Conversion:
    """Writes a run at step 0 with the weights of the reference; the optimizers start anew.

    Args:
      checkpoint: file with the state dict of the generator.
      workdir: folder of the new run; it appears whole or not at all.
      discriminator: file with the state dict of the discriminator; None: the
        discriminator starts with random weights.
      **given: fields of `Config` that the files do not tell.

    Returns:
      What was converted.

    Raises:
      UsageError: if a setting contradicts the files, or `workdir` exists already.
      UserError: if a file holds a network that has no counterpart here.
    """
    if workdir.exists():
        raise UsageError(f"{workdir} exists already: choose a new folder")
    weights, statistics = _read(checkpoint)
    network = torch_detection.detect_generator(weights, checkpoint)
    patch, patch_weights = None, dict[str, np.ndarray]()
    if discriminator is not None:
        patch_weights, more_statistics = _read(discriminator)
        patch = torch_detection.detect_discriminator(patch_weights, discriminator)
        statistics += more_statistics
    given = {name: value for name, value in given.items() if value is not None}
    dataset = re.sub(r"^\W|[^\w.-]", "_", workdir.name)
    config = _make_config(network, patch, {"dataset": dataset, **given})
    train_step = build_train_step(config, total_steps=1)
    zeroed = assign_weights(train_step.generator, torch_names.to_ours(weights, generator_table(network)))
    if patch is not None:
        table = judge_table(patch)
        zeroed += assign_weights(train_step.discriminator, torch_names.to_ours(patch_weights, table))
    is_unknown = isinstance(network, Unet) and network.depth > torch_names.LEAST_DEPTH
    noisy = is_unknown and "dropout" not in given
    notes = _describe_differences(config, patch, len(statistics), zeroed, noisy)
    files = {"generator": str(checkpoint), "discriminator": str(discriminator or "")}
    _write_run(workdir, train_step, config, {**files, "notes": notes})
    return Conversion(config, 0, network, patch, notes)


def read_generator(checkpoint: Path) -> keras.Model:
    """Returns the generator that a file of the reference holds.

    Args:
      checkpoint: file with the state dict of the generator.

    Raises:
      UsageError: if there is no such file.
      UserError: if it holds a network that has no counterpart here.
    """
    weights, _ = _read(checkpoint)
    network = torch_detection.detect_generator(weights, checkpoint)
    generator = build_generator(_make_config(network, None, {"dataset": "pretrained"}))
    assign_weights(generator, torch_names.to_ours(weights, generator_table(network)))
    return generator


def _write_run(workdir: Path, train_step: TranslationStep, config: Config, record: Mapping[str, Any]) -> None:
    with staging.staged_folder(workdir) as staged:
        run = staged / workdir.name
        write_config(run, config, None)
        checkpoints.save(run, train_step.variables(), {"best": None, "scores": {}})
        staging.write_file(run / RECORD_FILE, (json.dumps(record, indent=2) + "\n").encode())
        staging.publish(run, workdir)


def assign_weights(model: keras.Model, weights: Mapping[str, np.ndarray]) -> list[str]:
    """Sets every weight of a network.

    Args:
      model: the network.
      weights: values by our names; biases that are missing here become 0.

    Returns:
      The names of the biases that became 0.

    Raises:
      ValueError: if other weights are missing, or the network has no place for some.
    """
    variables = weights_of(model)
    zeroed = [name for name in variables if name not in weights]
    faults = set(weights) - set(variables) | {name for name in zeroed if not name.endswith("/bias")}
    if faults:
        raise ValueError(f"weights must be those of {model.name}. They differ in {sorted(faults)}")
    for name, variable in variables.items():
        variable.assign(weights[name] if name in weights else np.zeros(variable.shape, "float32"))
    return zeroed


def _read(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    state = torch_files.read_state(path)
    return torch_detection.split_statistics(torch_detection.unwrap(state))


def _make_config(
    network: Unet | ResidualGenerator, patch: Discriminator | None, given: Mapping[str, Any]
) -> Config:
    detected = _read_generator_settings(network)
    if patch is not None:
        detected |= _read_settings(patch, network, given)
    for name, value in detected.items():
        if given.get(name, value) != value:
            raise UsageError(
                f"the files have `{name}={value}`: leave it out. Received: `{name}={text(given[name])}`"
            )
    field = given.get("receptive_field", detected.get("receptive_field", 70))
    # A residual generator takes all sizes.
    usual = 2**network.depth if isinstance(network, Unet) else RESNET_SIZE
    size = given.get("image_size", max(usual, LEAST_SIZES.get(field, LEAST_SIZE)))
    if min(parse_size(size, "image_size")) < 2**network.depth:
        raise UsageError(
            f"`image_size` must be at least {2**network.depth} for a {network}. Received: {text(size)}"
        )
    usual_settings: dict[str, Any] = {"dropout": "torch"} if isinstance(network, Unet) else {}
    if isinstance(patch, MultiscaleDiscriminator) or (not isinstance(network, Unet) and network.is_hd):
        usual_settings["method"] = "pix2pixhd"
    return make_config(**{"image_size": size, "precision": "float32", **usual_settings, **given, **detected})


def _read_generator_settings(network: Unet | ResidualGenerator) -> dict[str, Any]:
    """Returns the settings that a generator's file decides."""
    detected: dict[str, Any] = {
        "base_filters": network.base_filters,
        "normalization": "batch" if network.affine else "plain_instance" if network.biased else "none",
        "input_channels": network.input_channels,
        "output_channels": network.output_channels,
    }
    if isinstance(network, Unet):
        return {**detected, "generator": "unet", "upsampling": "transposed", "depth": network.depth}
    detected["generator"] = network.generator
    if not network.is_hd:
        return {**detected, "dropout": "torch" if network.dropout else "none"}
    detected |= {"depth": network.depth, "residual_blocks": network.blocks}
    if network.enhancers:
        detected |= {"enhancers": network.enhancers, "enhancer_blocks": network.enhancer_blocks}
    return detected


def _read_settings(
    patch: Discriminator, network: Unet | ResidualGenerator, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the settings that a discriminator's file decides."""
    if isinstance(patch, MultiscaleDiscriminator):
        fits = network.biased and not network.affine
        detected = {
            "discriminator": "multiscale",
            "num_discriminators": patch.scales,
            "discriminator_layers": patch.strided,
        }
    else:
        # The reference's norm "none" had biases in some versions, in which it looks like its "instance".
        fits = patch.affine == network.affine and (patch.biased or not network.biased)
        fields = {strided: px for px, strided in STRIDED_CONVOLUTIONS.items()}
        if patch.strided not in fields:
            raise UserError(f"a {patch} has no counterpart here: there are 1 to {max(fields)} strided ones")
        detected = {"discriminator": "patch", "receptive_field": fields[patch.strided]}
    if not fits:
        raise UserError(f"the files are not of one run: a {network}, and a {patch}")
    as_wide = patch.base_filters == network.base_filters and "discriminator_filters" not in given
    return {
        **detected,
        "discriminator_filters": None if as_wide else patch.base_filters,
        "objective": _find_objective(patch, network, given),
    }


def _find_objective(patch: Discriminator, network: Unet | ResidualGenerator, given: Mapping[str, Any]) -> str:
    """Returns the objective that a discriminator of so many channels is for."""
    pair = network.input_channels + network.output_channels
    sees_input = patch.channels == pair
    if not sees_input and patch.channels != network.output_channels:
        raise UserError(
            f"the files are not of one run: a {network}, and a {patch}, which would have {pair} for pairs, "
            f"or {network.output_channels} for targets alone"
        )
    wanted = ("cgan", "l1+cgan") if sees_input else ("gan", "l1+gan")
    # pix2pixHD has no L1 term.
    objective = given.get("objective", wanted[0 if isinstance(patch, MultiscaleDiscriminator) else 1])
    if objective not in wanted:
        raise UsageError(
            f"`objective` must be {' or '.join(wanted)} with this `discriminator`. Received: {objective}"
        )
    return objective


def _describe_differences(
    config: Config, patch: Discriminator | None, statistics: int, zeroed: list[str], noisy: bool
) -> list[str]:
    notes = []
    if statistics:
        notes.append(
            f"{statistics} running statistics were left out: here each image is normalised by its own, "
            "as the reference does at batch size 1 without --eval"
        )
    if noisy:
        notes.append(
            "dropout is where the reference has it, and on when translating, as there without --eval; "
            "files do not tell of --no_dropout: if the model was trained with it, give `dropout=none`"
        )
    if zeroed:
        notes.append(f"biases that the reference does not have there are 0: {', '.join(zeroed)}")
    if patch is None and config.objective != "l1":
        notes.append("the discriminator starts with random weights, because its file was not given")
    return [*notes, "both optimizers start anew"]
