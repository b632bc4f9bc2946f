"""The parts of a training that are looked at before anything is written."""

from tfpix2pix.config.config import Config
from tfpix2pix.networks.tfa_normalization import load_addons
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
