"""Which settings of networks a new run has to share with the model whose weights it starts from."""

from typing import Any

from tfpix2pix.config.config import Config, find_unused
from tfpix2pix.config.options import text
from tfpix2pix.networks.generators import depth_for
from tfpix2pix.networks.residual import GLOBAL_BLOCKS, GLOBAL_DEPTH

# What decides the names and the shapes of weights. Channels of images are not among it: the layers that read
# or write them may start anew.
_OF_GENERATORS = (
    "generator", "depth", "base_filters", "normalization", "upsampling", "last_block", "residual_blocks",
    "enhancers", "enhancer_blocks", "latent_size", "latent_at",
)  # fmt: skip
_OF_DISCRIMINATORS = (
    "discriminator", "receptive_field", "num_discriminators", "discriminator_layers", "discriminator_filters",
)  # fmt: skip
_DECODERS = ("unet", "encoder_decoder")


def list_differing(theirs: Config, ours: Config, has_discriminator: bool) -> list[str]:
    """Returns the settings that a new run should take over, as `name=value`, in backticks.

    Args:
      theirs: settings of the model that the weights are of.
      ours: settings of the new run.
      has_discriminator: whether the weights of the discriminator are there, too.
    """
    free = {*find_unused(theirs)}
    if theirs.generator == "global" and ours.generator == "enhancer":  # which is built around the other one
        free |= {"generator"}
    if not theirs.latent_size and theirs.generator not in _DECODERS:  # which can be added there
        free |= {"latent_size"}
    if theirs.discriminator_filters is ours.discriminator_filters is None:  # then `base_filters` tells them
        free |= {"discriminator_filters"}
    names = (*_OF_GENERATORS, *(_OF_DISCRIMINATORS if has_discriminator else ()))
    return [
        f"`{name}={text(_value(theirs, name))}`"
        for name in names
        if name not in free and _value(theirs, name) != _value(ours, name)
    ]


def _value(config: Config, name: str) -> Any:
    """Returns the value of a setting, for None the one that the networks take."""
    value = getattr(config, name)
    if value is not None:
        return value
    is_decoder = config.generator in _DECODERS
    return {
        "depth": depth_for(config.image_size) if is_decoder else GLOBAL_DEPTH,
        "residual_blocks": GLOBAL_BLOCKS,
        "last_block": "refined" if config.upsampling == "bilinear" else "single",
        "discriminator_filters": config.base_filters,
    }.get(name)
