"""The parts of a training that are looked at before anything is written."""

import keras

from tfpix2pix.config.config import Config
from tfpix2pix.networks.build import (
    Builder,
    build_discriminator,
    build_encoder,
    build_feature_encoder,
    build_generator,
)
from tfpix2pix.networks.tfa_normalization import load_addons
from tfpix2pix.networks.variables import DISCRIMINATOR_2, ENCODER
from tfpix2pix.pipelines.meaning import Palette
from tfpix2pix.train.feature_clusters import import_k_means


def load_extras(config: Config) -> None:
    """Imports the optional packages that a training needs.

    Args:
      config: the settings.

    Raises:
      UserError: if one is missing; the text says how to install it.
    """
    if config.norm_backend == "addons":
        load_addons()
    if config.instance_features:
        import_k_means()


def build_networks(
    config: Config, palette: Palette | None, own: Builder | None = None
) -> tuple[keras.Model, keras.Model | None, dict[str, keras.Model]]:
    """Builds the networks that a training is about to build, with random weights.

    Args:
      config: the settings.
      palette: as for `build_generator`.
      own: as for `build_generator`.

    Returns:
      The generator; the discriminator, if there is one; and those that only some methods have, named as in
      `origin.OTHERS`.

    Raises:
      UsageError, UserError, ValueError: as `build_generator` does.
    """
    others: dict[str, keras.Model | None] = {}
    if config.method == "bicyclegan":
        others = {DISCRIMINATOR_2: build_discriminator(config, palette), ENCODER: build_encoder(config)}
    elif config.instance_features:
        others = {ENCODER: build_feature_encoder(config)}
    networks = build_generator(config, own, palette), build_discriminator(config, palette)
    return *networks, {name: network for name, network in others.items() if network is not None}
