"""The training step that a configuration asks for."""

import keras

from tfpix2pix.config.choices import METHODS
from tfpix2pix.config.config import Config
from tfpix2pix.methods.step import TranslationStep
from tfpix2pix.networks.build import Builder
from tfpix2pix.pipelines.base.homes import resolve
from tfpix2pix.pipelines.meaning import Palette


def build_train_step(
    config: Config,
    total_steps: int,
    own_generator: Builder | None = None,
    palette: Palette | None = None,
) -> TranslationStep:
    """Builds networks, optimizers and step from the configuration's seed, by its method.

    An entry of `METHODS` is a function that is called with the first three arguments after
    the seed is set, and with `palette` too where there is one; it returns the step.

    Args:
      config: the run's configuration.
      total_steps: steps of the whole training, for the learning rate schedule.
      own_generator: a function that builds the generator in place of the configuration's; the
        head of `tfpix2pix/networks/build.py` says what it is called with and what it returns.
      palette: the classes of label maps that the networks encode, as `run.splits.find_input_palette`
        returns them.

    Returns:
      The step; build it inside `strategy.scope()`.
    """
    keras.utils.set_random_seed(config.seed)
    encoding = {} if palette is None else {"palette": palette}
    return resolve(METHODS[config.method])(config, total_steps, own_generator, **encoding)
