"""A tiny network with made-up weights, and a run of it on disk as `train` leaves it, but untrained."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from tfpix2pix.config.config import Config, make_config
from tfpix2pix.export.run import export_run
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.methods.step import TranslationStep
from tfpix2pix.networks import generators
from tfpix2pix.pipelines.files import sources
from tfpix2pix.run import checkpoints, splits
from tfpix2pix.run.folder import write_config
from tfpix2pix.run.generator import load_generator

CONFIG = make_config(dataset="synthetic", direction="BtoA", image_size=32, depth=3, base_filters=4, seed=5)


def write_run(
    workdir: Path,
    config: Config = CONFIG,
    source: sources.Source | None = None,
    change: Callable[[TranslationStep], None] | None = None,
) -> Path:
    """Writes the checkpoints of steps 1 and 2, the first of them the best; returns `workdir`.

    `source` is what the run seems to have been trained on; None stands for a pair of black images. `change`
    is called with the step before it is saved.
    """
    palette = splits.find_input_palette(config, source.meaning) if source else None
    train_step = build_train_step(config, total_steps=2, palette=palette)
    if change:
        change(train_step)
    workdir.mkdir(parents=True)
    black = [
        np.zeros((1, 32, 32, channels), np.uint8)
        for channels in (config.input_channels, config.output_channels)
    ]
    write_config(workdir, config, source or sources.from_arrays(*black))
    for step in (1, 2):
        train_step.step.assign(step)
        for variable in train_step.generator.trainable_variables:
            variable.assign(variable * 2)
        checkpoints.save(workdir, train_step.variables(), {"best": {"step": 1, "metric": "l1", "score": 0.5}})
    return workdir


def export(run: Path, verify: bool = False) -> Path:
    """Exports a run to the folder `saved` beside it; returns the version's folder."""
    generator, config, step = load_generator(run)
    return export_run(generator, config, step, run, run.parent / "saved", verify=verify)


def build_generator(**settings) -> keras.Model:
    """Returns a generator whose weights reach its output, the same each time."""
    keras.utils.set_random_seed(0)
    generator = generators.unet_generator(depth=3, base_filters=4, **settings)
    for variable in generator.variables:
        variable.assign(variable * 3)  # The initial weights hardly matter to the output.
    return generator
