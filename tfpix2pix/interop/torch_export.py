"""Writes the networks of a run as state dicts for the PyTorch reference."""

import contextlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfpix2pix.config.checks import name_encoding
from tfpix2pix.config.choices import HD_GENERATORS, STRIDED_CONVOLUTIONS
from tfpix2pix.config.config import Config
from tfpix2pix.interop import torch_clusters, torch_files, torch_names
from tfpix2pix.interop.torch_bicycle_names import LatentEncoder, LatentUnet, PyramidDiscriminator
from tfpix2pix.interop.torch_import import Conversion
from tfpix2pix.interop.torch_label_maps import LabelMaps, describe_label_maps
from tfpix2pix.interop.torch_names import PatchDiscriminator, Table, Unet
from tfpix2pix.interop.torch_residual_names import (
    RESNET_BLOCKS,
    RESNET_DEPTH,
    Discriminator,
    FeatureEncoder,
    MultiscaleDiscriminator,
    ResidualGenerator,
)
from tfpix2pix.interop.torch_settings import BICYCLE, Parts
from tfpix2pix.networks import generators, residual
from tfpix2pix.networks.build import (
    build_discriminator,
    build_encoder,
    build_feature_encoder,
    build_generator,
)
from tfpix2pix.networks.encoders import blocks_for
from tfpix2pix.networks.instance_features import DRAWER, find_features
from tfpix2pix.networks.variables import DISCRIMINATOR, DISCRIMINATOR_2, ENCODER, GENERATOR, weights_of
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.meaning import Palette
from tfpix2pix.pipelines.tasks.registry import PICTURE
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import read_config, read_meaning
from tfpix2pix.run.generator import weights_name
from tfpix2pix.run.splits import find_input_palette

PLAIN = "plain_instance"
# Name of a generator of CycleGAN's -> the number of its residual blocks.
_RESNETS = {f"resnet_{blocks}blocks": blocks for blocks in RESNET_BLOCKS}


def export_weights(
    workdir: Path,
    output: Path,
    discriminator: Path | None = None,
    which: str | int = "latest",
    *,
    discriminator_2: Path | None = None,
    encoder: Path | None = None,
    clusters: Path | None = None,
) -> Conversion:
    """Writes a run's networks as state dicts that the reference loads with `strict=True`.

    Args:
      workdir: folder of the run.
      output: file to write the generator to.
      discriminator: file to write the discriminator to; None does not write it.
      which: the checkpoint: `latest`, `best` or a step.
      discriminator_2: for a run of BicycleGAN: file to write the second discriminator to.
      encoder: for a run of BicycleGAN, or with features of instances: file to write the encoder to.
      clusters: for a run with features of instances: file to write their clusters to.

    Returns:
      What was converted.

    Raises:
      UsageError: if there is no such run or checkpoint, or a file exists already.
      UserError: if the reference has no such network, or a file cannot be written;
        then no file is left.
    """
    given = {DISCRIMINATOR: discriminator, DISCRIMINATOR_2: discriminator_2, ENCODER: encoder}
    files = {GENERATOR: output, **{name: file for name, file in given.items() if file is not None}}
    for file in files.values():
        torch_files.check_writable(file)
    if clusters:
        torch_files.check_array(clusters, written=True)
    config = read_config(workdir)
    step = checkpoints.find_step(workdir, which)
    meaning = read_meaning(workdir)
    palette = find_input_palette(config, meaning)
    parts = _describe_parts(config, files, describe_label_maps(config, palette, meaning))
    networks = {name: _build(name, config, palette) for name in files}
    for name, network in networks.items():
        checkpoints.restore_model(
            workdir, step, weights_name(workdir) if name == GENERATOR else name, network
        )
    states = [_state(network, parts.table(name)) for name, network in networks.items()]
    found = _find_clusters(networks[GENERATOR], parts.inputs, workdir) if clusters else {}
    with contextlib.ExitStack() as undo:
        for file, state in zip(files.values(), states, strict=True):
            torch_files.write_state(file, state)
            undo.callback(file.unlink)
        if clusters:
            torch_clusters.write_clusters(clusters, found)
        undo.pop_all()
    notes = _describe_differences(config, parts.generator, parts.discriminator)
    return Conversion(
        config, step, parts.generator, parts.discriminator, notes, parts.encoder, parts.label_maps
    )


def _find_clusters(generator: keras.Model, inputs: LabelMaps, workdir: Path) -> torch_clusters.Clusters:
    layer = find_features(generator)
    found = torch_clusters.get_clusters(layer, inputs.classes) if layer else {}
    if not found:
        raise UsageError(
            f"{workdir} has no clusters to write: train makes them with `instance_features` and "
            "`input_encoding=one_hot`, before a checkpoint"
        )
    return found


def _build(name: str, config: Config, palette: Palette | None) -> Any:
    if name == GENERATOR:
        return build_generator(config, palette=palette)
    if name == ENCODER:
        return build_feature_encoder(config) if config.instance_features else build_encoder(config)
    return build_discriminator(config, palette)


def _describe_parts(config: Config, names: Collection[str], label_maps: LabelMaps) -> Parts:
    """Returns the networks of a run of these names as PyTorch knows them."""
    is_bicycle = config.method == BICYCLE
    if DISCRIMINATOR_2 in names and not is_bicycle:
        raise UsageError(
            f"a run with `method={config.method}` has no `discriminator_2`; one of `bicyclegan` has"
        )
    if ENCODER in names and not is_bicycle and not config.instance_features:
        raise UsageError(
            f"a run with `method={config.method}` has no `encoder`; one of `bicyclegan` has, and one of "
            "`pix2pixhd` with `instance_features`"
        )
    has_judge = bool({DISCRIMINATOR, DISCRIMINATOR_2} & set(names))
    patch = _describe_discriminator(config, label_maps) if has_judge else None
    encoder = _describe_encoder(config) if ENCODER in names else None
    second = patch if is_bicycle else None
    return Parts(_describe_generator(config, label_maps), patch, second, encoder, label_maps)


def _describe_encoder(config: Config) -> LatentEncoder | FeatureEncoder:
    channels = config.output_channels
    if config.instance_features:
        sizes = config.feature_depth, 0, config.feature_filters
        return FeatureEncoder(*sizes, channels, config.instance_features, **_norm(config))
    return LatentEncoder(blocks_for(config.image_size), config.base_filters, channels, config.latent_size)


def read_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the value of every weight of a network, by our name `layer/weight`."""
    return {name: variable.numpy() for name, variable in weights_of(model).items()}


def _describe_generator(config: Config, label_maps: LabelMaps) -> Unet | ResidualGenerator:
    channels = label_maps.seen, config.output_channels
    if not name_encoding(config) and not config.latent_size and config.generator in _RESNETS:
        blocks, settings = _RESNETS[config.generator], _norm(config) | {"dropout": config.dropout != "none"}
        return ResidualGenerator(RESNET_DEPTH, blocks, config.base_filters, *channels, **settings)
    is_hd = config.generator in HD_GENERATORS and config.normalization == PLAIN
    if is_hd and not config.latent_size:
        has_enhancers = config.generator == "enhancer"
        return ResidualGenerator(
            config.depth or residual.GLOBAL_DEPTH,
            config.residual_blocks or residual.GLOBAL_BLOCKS,
            config.base_filters,
            *channels,
            enhancers=config.enhancers if has_enhancers else 0,
            enhancer_blocks=config.enhancer_blocks if has_enhancers else 0,
        )
    depth = config.depth or generators.depth_for(config.image_size)
    is_known = is_hd or config.generator in ("unet", *_RESNETS)
    has_latent_unet = config.generator == "unet" and config.normalization == PLAIN
    faults = [
        f"`{name}={value}`"
        for name, value, fits in (
            ("generator", config.generator, is_known),
            ("normalization", config.normalization, is_known),
            ("upsampling", config.upsampling, config.upsampling == "transposed"),
            ("depth", depth, depth >= torch_names.LEAST_DEPTH),
            ("input_encoding", config.input_encoding, config.input_encoding == PICTURE),
            ("boundaries", config.boundaries, not config.boundaries),
            ("latent_size", config.latent_size, not config.latent_size or has_latent_unet),
        )
        if not fits
    ]
    if faults:
        raise UserError(
            f"the PyTorch reference has no such generator: {', '.join(faults)}. It has U-Nets of "
            f"{torch_names.LEAST_DEPTH} or more downsamplings, with transposed convolutions, and "
            f"{' and '.join(_RESNETS)}; pix2pixHD has global and enhancer, and BicycleGAN U-Nets with a "
            "latent vector, with `normalization=plain_instance`"
        )
    return _describe_unet(config, depth)


def _describe_unet(config: Config, depth: int) -> Unet:
    filters, channels = config.base_filters, (config.input_channels, config.output_channels)
    if config.latent_size:
        latent = config.latent_size, config.latent_at
        return LatentUnet(depth, filters, *channels, False, True, *latent)
    return Unet(depth, filters, *channels, **_norm(config))


def _describe_discriminator(config: Config, label_maps: LabelMaps) -> Discriminator:
    if config.objective == "l1":
        raise UsageError("a run with `objective=l1` has no `discriminator`")
    channels = config.output_channels + (label_maps.judged if "cgan" in config.objective else 0)
    filters = config.discriminator_filters or config.base_filters
    is_like_hd = config.normalization == PLAIN
    if config.discriminator == "multiscale" and is_like_hd:
        return MultiscaleDiscriminator(
            config.num_discriminators, config.discriminator_layers, filters, channels
        )
    if config.discriminator == "pyramid" and config.num_discriminators > 1 and is_like_hd:
        return PyramidDiscriminator(config.num_discriminators, config.discriminator_layers, filters, channels)
    if config.discriminator != "patch":
        raise UserError(
            "the PyTorch reference has no such discriminator: "
            f"`discriminator={config.discriminator}` with `normalization={config.normalization}`"
        )
    strided = STRIDED_CONVOLUTIONS[config.receptive_field]
    return PatchDiscriminator(strided, filters, channels, **_norm(config))


def _norm(config: Config) -> dict[str, bool]:
    # Our instance norm, with scale and offset, is the reference's batch norm at batch size 1.
    return {
        "affine": config.normalization not in (PLAIN, "none"),
        "biased": config.normalization == PLAIN,
    }


def _state(model: keras.Model, table: Table) -> dict[str, np.ndarray]:
    weights = read_weights(model)
    homeless = set(weights) - {place.ours for place in table.values()}
    # Clusters of features are no weights there, but have a file of their own.
    lost = sorted(name for name in homeless if weights[name].any() and not name.startswith(f"{DRAWER}/"))
    if lost:
        raise UserError(
            f"the PyTorch reference has no place for {', '.join(lost)} of the {model.name}, which are not 0"
        )
    return {**torch_names.to_theirs(weights, table), **torch_names.initial_statistics(table)}


def _describe_differences(
    config: Config, network: Unet | ResidualGenerator, patch: Discriminator | None
) -> list[str]:
    notes = []
    if isinstance(patch, PatchDiscriminator) and patch.channels == network.output_channels:
        notes.append(
            "the discriminator sees targets alone, and that of the reference's pix2pix model sees pairs: "
            "networks.define_D there takes the file, --continue_train does not"
        )
    if network.affine:
        notes.append(
            "running statistics are those of an untrained network, as none are kept here: "
            "translate there without --eval"
        )
    if config.normalization == "instance":
        notes.append("instance norm with scale and offset is the reference's --norm batch at batch size 1")
    if config.dropout == "paper" and isinstance(network, Unet):
        notes.append("dropout there is one block later, and in fewer or more blocks at other depths than 8")
    if config.instance_features:
        notes.append("the clusters of features have a file of their own there, which `clusters` writes")
    halvings = network.depth + (0 if isinstance(network, Unet) else network.enhancers)
    notes.append(f"images there must be multiples of {2**halvings} px")
    return notes
