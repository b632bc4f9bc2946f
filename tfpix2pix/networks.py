"""The networks that a configuration asks for."""

import keras
import tensorflow as tf

from tfpix2pix import addons, discriminators, generators, layers
from tfpix2pix.config import Config
from tfpix2pix.optimizers import LinearDecay, build_adam
from tfpix2pix.step import TrainStep


def build_generator(config: Config) -> keras.Model:
    """Builds the generator of a configuration, with random weights."""
    return generators.BUILDERS[config.generator](
        config.image_size,
        config.input_channels,
        config.output_channels,
        depth=config.depth,
        base_filters=config.base_filters,
        normalization=config.normalization,
        dropout_rate=0.0 if config.dropout == "none" else 0.5,
        dropout_place="paper" if config.dropout == "none" else config.dropout,
        upsampling=config.upsampling,
        conv_kernels=config.conv_kernels,
        dtype=_dtype(config),
    )


def build_discriminator(config: Config) -> keras.Model | None:
    """Builds the discriminator of a configuration; None for the objective `l1`."""
    if config.objective == "l1":
        return None
    return discriminators.patch_discriminator(
        config.receptive_field,
        config.input_channels,
        config.output_channels,
        conditional="cgan" in config.objective,
        base_filters=config.discriminator_filters or config.base_filters,
        normalization=config.normalization,
        conv_kernels=config.conv_kernels,
        dtype=_dtype(config),
    )


def cast_kernels(generator: keras.Model) -> keras.Model:
    """Returns an equal generator for use alone, its kernels stored in the precision they are multiplied in.

    Half the size in half precision, and faster: each call casts 54 million weights
    otherwise. What is in float32 comes back as it is.

    Args:
      generator: a functional model; later changes of its weights do not reach the copy.
    """
    convolutions = (layers.PaddedConv2D, layers.UpConv2D)
    if all(layer.compute_dtype == "float32" for layer in generator.layers if isinstance(layer, convolutions)):
        return generator

    def choose(layer):
        settings = layer.get_config()
        if isinstance(layer, convolutions):
            settings["dtype"] = layer.compute_dtype
        return type(layer).from_config(settings)

    copy = keras.models.clone_model(generator, clone_function=choose)
    for target, source in zip(copy.variables, generator.variables, strict=True):
        target.assign(tf.cast(source, target.dtype))
    return copy


def _dtype(config: Config) -> str:
    # A run settles it when it starts (precision.py); without one, arithmetic is plain.
    return "float32" if config.precision == "auto" else config.precision


def build_train_step(config: Config, total_steps: int) -> TrainStep:
    """Builds networks, optimizers and step from the configuration's seed.

    Args:
      config: the run's configuration.
      total_steps: steps of the whole training, for the learning rate schedule.

    Returns:
      The step; build it inside `strategy.scope()`.
    """
    keras.utils.set_random_seed(config.seed)

    def build_optimizer():
        rate = config.learning_rate
        schedule = LinearDecay(rate, total_steps) if config.lr_schedule == "linear_decay" else rate
        return build_adam(schedule, loss_scaling=config.precision == "mixed_float16")

    generator, discriminator = build_generator(config), build_discriminator(config)
    if config.norm_backend == "addons":
        generator = addons.use_addons(generator)
        discriminator = addons.use_addons(discriminator) if discriminator is not None else None
    return TrainStep(
        generator,
        discriminator,
        objective=config.objective,
        lambda_l1=config.lambda_l1,
        generator_optimizer=build_optimizer(),
        discriminator_optimizer=build_optimizer() if discriminator is not None else None,
        global_batch_size=config.batch_size,
        jit_compile=config.jit_compile,
    )
