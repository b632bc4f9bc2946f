"""The training step that a configuration asks for."""

from collections.abc import Callable

import keras

from tfpix2pix.config.config import Config
from tfpix2pix.methods.optimizers import LinearDecay, build_adam
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.networks.build import build_discriminator, build_generator
from tfpix2pix.networks.tfa_normalization import use_addons


def build_train_step(
    config: Config, total_steps: int, own_generator: Callable[[Config], keras.Model] | None = None
) -> TrainStep:
    """Builds networks, optimizers and step from the configuration's seed.

    Args:
      config: the run's configuration.
      total_steps: steps of the whole training, for the learning rate schedule.
      own_generator: builds the generator in place of the configuration's.

    Returns:
      The step; build it inside `strategy.scope()`.
    """
    keras.utils.set_random_seed(config.seed)

    def build_optimizer():
        rate = config.learning_rate
        schedule = LinearDecay(rate, total_steps) if config.lr_schedule == "linear_decay" else rate
        return build_adam(schedule, loss_scaling=config.precision == "mixed_float16")

    generator = (own_generator or build_generator)(config)
    discriminator = build_discriminator(config)
    if config.norm_backend == "addons":
        generator = use_addons(generator)
        discriminator = use_addons(discriminator) if discriminator is not None else None
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
