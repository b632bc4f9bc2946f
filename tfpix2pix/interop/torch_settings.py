"""What the networks of a run are in PyTorch, and the settings of the run that their files decide."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfpix2pix.config.choices import LEAST_SIZE, LEAST_SIZES, STRIDED_CONVOLUTIONS
from tfpix2pix.config.config import Config, make_config, parse_size
from tfpix2pix.config.options import text
from tfpix2pix.interop.torch_bicycle_detection import detect_encoder, take_latent_at_input
from tfpix2pix.interop.torch_bicycle_names import (
    LatentEncoder,
    LatentUnet,
    PyramidDiscriminator,
    encoder_table,
)
from tfpix2pix.interop.torch_comparison import State
from tfpix2pix.interop.torch_detection import (
    detect_discriminator,
    detect_feature_encoder,
    detect_generator,
    is_feature_encoder,
)
from tfpix2pix.interop.torch_label_maps import LabelMaps, find_label_maps, find_palette
from tfpix2pix.interop.torch_names import Table, Unet
from tfpix2pix.interop.torch_residual_names import (
    Discriminator,
    FeatureEncoder,
    MultiscaleDiscriminator,
    ResidualGenerator,
    generator_table,
    judge_table,
)
from tfpix2pix.interop.torch_residual_names import encoder_table as feature_encoder_table
from tfpix2pix.networks.encoders import blocks_for
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.meaning import Palette
from tfpix2pix.pipelines.tasks.registry import BICUBIC

RESNET_SIZE = 256  # the reference's --crop_size
BICYCLE = "bicyclegan"


@dataclasses.dataclass(frozen=True)
class Parts:
    """The networks of a run as their code describes them; those without a file are None.

    Attributes:
      generator: G.
      discriminator: D.
      discriminator_2: D2 of BicycleGAN, which is like D.
      encoder: E of BicycleGAN, or of pix2pixHD.
      label_maps: what the generator sees of its input; None for the channels of pictures.
      palette: the classes of label maps, if the generator sees some.
    """

    generator: Unet | ResidualGenerator
    discriminator: Discriminator | None = None
    discriminator_2: Discriminator | None = None
    encoder: LatentEncoder | FeatureEncoder | None = None
    label_maps: LabelMaps | None = None
    palette: Palette | None = None

    @property
    def inputs(self) -> LabelMaps:
        """What the generator sees."""
        return self.label_maps or LabelMaps(self.generator.input_channels)

    def table(self, name: str) -> Table:
        """Returns every weight of a network, which is named as the attributes are."""
        network = getattr(self, name)
        if isinstance(network, FeatureEncoder):
            return feature_encoder_table(network)
        if isinstance(network, LatentEncoder):
            return encoder_table(network)
        return self.inputs.arrange(generator_table(network) if name == "generator" else judge_table(network))


def detect_parts(
    weights: Mapping[str, State], files: Mapping[str, Path | None], given: Mapping[str, Any]
) -> Parts:
    """Finds the networks that weights belong to.

    Args:
      weights: by the names of the attributes of `Parts`.
      files: where they come from.
      given: settings of the run, of which `method`, `latent_size`, `latent_at`, `input_encoding` and
        `boundaries` tell what the file of a generator does not, and `dataset` and `data_dir` name the classes
        of label maps.

    Raises:
      UsageError: if files are missing, or of other networks.
      UserError: if the files are not of one run, or of networks that have no counterpart here.
    """
    generator = detect_generator(weights["generator"], files["generator"])
    encoder = _detect_encoder(weights, files)
    latent = encoder if isinstance(encoder, LatentEncoder) else None
    at_input = latent or BICYCLE == given.get("method") or given.get("latent_at") == "input"
    if at_input and isinstance(generator, Unet) and not isinstance(generator, LatentUnet):
        latent_size = given.get("latent_size", latent.latent_size if latent else 8)
        generator = take_latent_at_input(generator, latent_size, files["generator"])
    names = [name for name in ("discriminator", "discriminator_2") if name in weights]
    found = {name: detect_discriminator(weights[name], files[name]) for name in names}
    features = encoder if isinstance(encoder, FeatureEncoder) else None
    palette = find_palette(given, features is not None)
    label_maps = find_label_maps((generator, found.get("discriminator"), features), palette, given)
    parts = Parts(generator, **found, encoder=encoder, label_maps=label_maps, palette=palette)
    if "discriminator_2" in found and found["discriminator_2"] != found.get("discriminator"):
        raise UserError(
            f"the files are not of one run: the second discriminator is a {found['discriminator_2']}, and "
            f"the first one {'is not given' if len(found) == 1 else f'is a {parts.discriminator}'}"
        )
    _check_encoder(parts)
    return parts


def _detect_encoder(
    weights: Mapping[str, State], files: Mapping[str, Path | None]
) -> LatentEncoder | FeatureEncoder | None:
    if "encoder" not in weights:
        return None
    is_of_features = is_feature_encoder(weights["encoder"])
    return (detect_feature_encoder if is_of_features else detect_encoder)(
        weights["encoder"], files["encoder"]
    )


def _check_encoder(parts: Parts) -> None:
    """Raises an error where an encoder, or BicycleGAN's second discriminator, is not of one run with G."""
    network, encoder = parts.generator, parts.encoder
    if isinstance(encoder, FeatureEncoder):
        is_hd = isinstance(network, ResidualGenerator) and network.is_hd
        if not is_hd or encoder.input_channels != network.output_channels or parts.discriminator_2:
            raise UserError(f"the files are not of one run: a {network}, and an {encoder}")
        return
    if not isinstance(network, LatentUnet):
        if encoder or parts.discriminator_2:
            raise UsageError(
                "an encoder and a second discriminator belong to a generator with a latent vector, and this "
                f"is a {network}"
            )
        return
    wanted = (network.base_filters, network.output_channels, network.latent_size)
    if encoder and (encoder.base_filters, encoder.channels, encoder.latent_size) != wanted:
        raise UserError(f"the files are not of one run, or have other filters: a {network}, and a {encoder}")


def settle_config(parts: Parts, given: Mapping[str, Any]) -> Config:
    """Returns the configuration of a run of networks, in which what was given wins over the defaults.

    Raises:
      UsageError: if what was given contradicts the networks, or cannot work.
      UserError: if the networks are not of one run.
    """
    network, patch, encoder = parts.generator, parts.discriminator, parts.encoder
    detected = _read_generator_settings(network) | parts.inputs.settings()
    if isinstance(encoder, FeatureEncoder):
        detected |= {"feature_filters": encoder.base_filters, "feature_depth": encoder.depth}
    if patch is not None:
        detected |= _read_settings(patch, parts, given)
    for name, value in detected.items():
        if given.get(name, value) != value:
            raise UsageError(
                f"the files have `{name}={value}`: leave it out. Received: `{name}={text(given[name])}`"
            )
    size = given.get(
        "image_size", _usual_size(parts, given.get("receptive_field", detected.get("receptive_field")))
    )
    if min(parse_size(size, "image_size")) < 2**network.depth:
        raise UsageError(
            f"`image_size` must be at least {2**network.depth} for a {network}. Received: {text(size)}"
        )
    if isinstance(encoder, LatentEncoder) and blocks_for(parse_size(size, "image_size")) != encoder.blocks:
        raise UsageError(
            f"`image_size` decides the depth of the encoder: {2 ** (encoder.blocks + 3)} goes with a "
            f"{encoder}. Received: {text(size)}"
        )
    # All three codes resize pictures bicubically, in training and in use.
    usual: dict[str, Any] = {"image_size": size, "precision": "float32", "resize_method": BICUBIC}
    if isinstance(network, LatentUnet):
        usual["method"] = BICYCLE
    elif isinstance(network, Unet):
        usual["dropout"] = "torch"
    if isinstance(patch, MultiscaleDiscriminator) or (not isinstance(network, Unet) and network.is_hd):
        usual["method"] = "pix2pixhd"
    return make_config(**{**usual, **given, **detected})


def _usual_size(parts: Parts, field: int | None) -> int:
    """Returns the size in px that the networks were built for; residual generators take all sizes."""
    if isinstance(parts.encoder, LatentEncoder):
        return 2 ** (parts.encoder.blocks + 3)
    usual = 2**parts.generator.depth if isinstance(parts.generator, Unet) else RESNET_SIZE
    return max(usual, LEAST_SIZES.get(field or 70, LEAST_SIZE))


def _read_generator_settings(network: Unet | ResidualGenerator) -> dict[str, Any]:
    """Returns the settings that a generator's file decides."""
    detected: dict[str, Any] = {
        "base_filters": network.base_filters,
        "normalization": "batch" if network.affine else "plain_instance" if network.biased else "none",
        "output_channels": network.output_channels,
    }
    if isinstance(network, Unet):
        detected |= {"generator": "unet", "upsampling": "transposed", "depth": network.depth}
        if isinstance(network, LatentUnet):
            detected |= {"latent_size": network.latent_size, "latent_at": network.latent_at}
        return detected
    detected["generator"] = network.generator
    if not network.is_hd:
        return {**detected, "dropout": "torch" if network.dropout else "none"}
    detected |= {"depth": network.depth, "residual_blocks": network.blocks}
    if network.enhancers:
        detected |= {"enhancers": network.enhancers, "enhancer_blocks": network.enhancer_blocks}
    return detected


def _read_settings(patch: Discriminator, parts: Parts, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that a discriminator's file decides."""
    network = parts.generator
    if isinstance(patch, MultiscaleDiscriminator | PyramidDiscriminator):
        fits = network.biased and not network.affine
        detected = {
            "discriminator": "multiscale" if isinstance(patch, MultiscaleDiscriminator) else "pyramid",
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
        "objective": _find_objective(patch, parts, given),
    }


def _find_objective(patch: Discriminator, parts: Parts, given: Mapping[str, Any]) -> str:
    """Returns the objective that a discriminator of so many channels is for."""
    network = parts.generator
    pair = parts.inputs.judged + network.output_channels
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
