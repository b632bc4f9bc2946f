"""The networks that a configuration asks for.

`GENERATORS` and `DISCRIMINATORS` in `tfpix2pix/config/choices.py` name the function that builds
each network. A new network is one such function and one entry. This is the contract of an entry:

**What it is called with.** The function is called with keywords, one for each parameter that it
names, out of the fields of `Config` and these:

    parameter        of              value
    dtype            both            Keras dtype policy: `precision`
    dropout_rate     generators      0.0 with `dropout=none`, else 0.5
    dropout_place    generators      one of `DROPOUT_PLACES`: `dropout`
    target_channels  discriminators  channels of the image that is judged: `output_channels`
    input_channels   both            of the network's input: `input_channels`, and one more with `boundaries`
    palette          both            classes of the input label maps with `input_encoding=one_hot`, else None
    boundary_classes both            classes of the input label maps with `boundaries`, else None
    conditional      discriminators  whether the network sees the input image too: `objective`
    base_filters     discriminators  `discriminator_filters`, or `base_filters` where that is unset

Other parameters need a default and keep it. A setting that is for one of the two networks alone
(`GENERATOR_SETTINGS`, `DISCRIMINATOR_SETTINGS`) is refused when the function names none of its
parameters, so that no setting is without effect.

**What it returns.** A functional Keras model, whose inputs have these names:

    generator      [input_image, noise_seed] -> generated_image
    discriminator  [input_image, target_image] -> patch_logits, and
                   target_image -> patch_logits where it is not conditional

Images are float32 [B, H, W, C] in [-1, 1], `noise_seed` is int32 [B, 2], and `patch_logits` are
float32 [B, h, w, 1] of any h and w; a discriminator of several scales returns a list of them. A
generator without noise still takes `noise_seed`, and ignores it. `DrawLatent` of
`networks/latent.py` draws a latent vector from it. Initial weights come from Keras's
global seed. A forward pass must change no variable and draw nothing but from `noise_seed`: that
rules out `BatchNormalization` and `Dropout`, for which `StatelessNormalization` and `NoiseDropout`
are there. `NoiseDropout` must be a layer of the model itself, not of a model inside it, so that an
export without noise finds it.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.config.choices import DISCRIMINATORS, DROPOUT_PLACES, GENERATORS, METHOD_RECIPES
from tfpix2pix.config.config import FIELDS, Config
from tfpix2pix.config.options import text
from tfpix2pix.networks.encoders import feature_encoder, latent_encoder
from tfpix2pix.networks.layers import use_minimal_filtering, use_native_kernels
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.homes import resolve
from tfpix2pix.pipelines.meaning import Palette
from tfpix2pix.pipelines.tasks.registry import ONE_HOT

# A function that keeps the contract.
Builder = Callable[..., keras.Model]
DROPOUT_RATE = 0.5  # Sec. 6.1.1
# Setting -> the parameters of a builder that it decides.
GENERATOR_SETTINGS = {
    "input_encoding": ("palette",),
    "boundaries": ("boundary_classes",),
    "depth": ("depth",),
    "upsampling": ("upsampling",),
    "last_block": ("last_block",),
    "dropout": ("dropout", "dropout_rate", "dropout_place"),
    "residual_blocks": ("residual_blocks",),
    "enhancers": ("enhancers",),
    "enhancer_blocks": ("enhancer_blocks",),
    "latent_size": ("latent_size",),
    "latent_at": ("latent_at",),
    "instance_features": ("instance_features",),
}
DISCRIMINATOR_SETTINGS = {
    "input_encoding": ("palette",),
    "boundaries": ("boundary_classes",),
    "receptive_field": ("receptive_field",),
    "num_discriminators": ("num_discriminators",),
    "discriminator_layers": ("discriminator_layers",),
    "discriminator_filters": ("discriminator_filters", "base_filters"),
}
# Parameters that a network's number of weights grows with.
_SIZES = ("base_filters", "latent_size", "instance_features")


def build_generator(
    config: Config, own: Builder | None = None, palette: Palette | None = None
) -> keras.Model:
    """Builds the generator of a configuration, with random weights.

    Args:
      config: the settings of the run.
      own: a function that keeps the contract above, in place of the one that the configuration names.
      palette: what `run.splits.find_input_palette` returns for the configuration.

    Raises:
      UsageError: for a setting that this generator does not have.
      UserError: when there is not enough memory for it.
      ValueError: when the builder breaks its contract.
    """
    drops = config.dropout != "none"
    values = {
        **vars(config),
        **_describe_input(config, palette),
        "dtype": _dtype(config),
        "dropout_rate": DROPOUT_RATE if drops else 0.0,
        "dropout_place": config.dropout if drops else DROPOUT_PLACES[0],
    }
    network = f"`generator={config.generator}`" if own is None else "a generator of your own"
    model = _call(network, own or resolve(GENERATORS[config.generator]), values, GENERATOR_SETTINGS)
    return _finish(network, model, ["input_image", "noise_seed"], config)


def build_discriminator(config: Config, palette: Palette | None = None) -> keras.Model | None:
    """Builds the discriminator of a configuration, with random weights; None for the objective `l1`.

    Args:
      config: the settings of the run.
      palette: as for `build_generator`.

    Raises:
      UsageError: for a setting that this discriminator does not have.
      UserError: when there is not enough memory for it.
      ValueError: when the builder breaks its contract.
    """
    if config.objective == "l1":
        return None
    conditional = "cgan" in config.objective
    values = {
        **vars(config),
        **_describe_input(config, palette),
        "dtype": _dtype(config),
        "target_channels": config.output_channels,
        "conditional": conditional,
        "base_filters": config.discriminator_filters or config.base_filters,
    }
    network = f"`discriminator={config.discriminator}`"
    model = _call(network, resolve(DISCRIMINATORS[config.discriminator]), values, DISCRIMINATOR_SETTINGS)
    inputs = ["input_image", "target_image"] if conditional else ["target_image"]
    return _finish(network, model, inputs, config)


def _describe_input(config: Config, palette: Palette | None) -> dict[str, Any]:
    return {
        "input_channels": config.input_channels + config.boundaries,
        "palette": palette if config.input_encoding == ONE_HOT else None,
        "boundary_classes": palette if config.boundaries else None,
    }


def build_encoder(config: Config) -> keras.Model:
    """Builds the encoder of latent vectors of a configuration, with random weights."""
    encoder = latent_encoder(
        config.image_size,
        config.output_channels,
        latent_size=config.latent_size,
        base_filters=config.base_filters,
        normalization=config.normalization,
        dtype=_dtype(config),
    )
    return _choose_ways(encoder, config)


def build_feature_encoder(config: Config) -> keras.Model:
    """Builds the encoder of features of instances of a configuration, with random weights."""
    encoder = feature_encoder(
        config.output_channels,
        config.instance_features,
        depth=config.feature_depth,
        base_filters=config.feature_filters,
        normalization=config.normalization,
        dtype=_dtype(config),
    )
    return _choose_ways(encoder, config)


def _dtype(config: Config) -> str:
    # A run settles its precision when it starts (config/precision.py); without a run, arithmetic is plain.
    return "float32" if config.precision == "auto" else config.precision


def _call(
    network: str,
    build: Builder,
    values: Mapping[str, Any],
    settings: Mapping[str, tuple[str, ...]],
) -> keras.Model:
    """Calls a builder with the values that it names parameters for."""
    named = inspect.signature(build).parameters
    for setting, parameters in settings.items():
        value, unchosen = values[setting], [FIELDS[setting].default]
        if setting != "latent_size":  # Without it, a method that takes a latent vector cannot work.
            unchosen.append(METHOD_RECIPES.get(values["method"], {}).get(setting))
        if value not in unchosen and not any(parameter in named for parameter in parameters):
            raise UsageError(
                f"`{setting}` has no effect on {network}; leave it out. Received: `{setting}={text(value)}`"
            )
    try:
        return build(**{name: values[name] for name in named if name in values})
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        sizes = ", ".join(f"`{name}={values[name]}`" for name in _SIZES if name in named and values[name])
        raise UserError(
            f"the network of {network} is too large for the memory there is; take smaller values of what "
            f"decides its size. Received: {sizes}"
        ) from error


def _finish(network: str, model: keras.Model, expected: list[str], config: Config) -> keras.Model:
    """Returns a network that has the inputs it must have, and convolves as the configuration says."""
    names = [tensor.name for tensor in model.inputs]
    if names != expected:
        raise ValueError(
            f"the network of {network} must have the inputs {', '.join(expected)}. "
            f"Received: {', '.join(names)}"
        )
    return _choose_ways(model, config)


def _choose_ways(model: keras.Model, config: Config) -> keras.Model:
    """Returns a network whose convolutions are done as the configuration says."""
    if config.conv_kernels == "native":
        use_native_kernels(model)
    return use_minimal_filtering(model, config.minimal_filtering and config.conv_kernels != "native")
