"""A run of a tiny net on disk, as `train` leaves it, but with made-up weights: that takes no time."""

from pathlib import Path

import numpy as np

from pipelines import sources
from tfpix2pix import checkpoints, networks
from tfpix2pix.config import Config, make_config
from tfpix2pix.workdir import write_config

CONFIG = make_config(dataset="synthetic", direction="BtoA", image_size=32, depth=3, base_filters=4, seed=5)


def write_run(workdir: Path, config: Config = CONFIG) -> Path:
    """Writes the checkpoints of steps 1 and 2, the first of them the best; returns `workdir`."""
    train_step = networks.build_train_step(config, total_steps=2)
    workdir.mkdir(parents=True)
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    write_config(workdir, config, sources.from_arrays(pixels, pixels))
    for step in (1, 2):
        train_step.step.assign(step)
        for variable in train_step.generator.variables:
            variable.assign(variable * 2)
        checkpoints.save(workdir, train_step, {"best": {"step": 1, "metric": "l1", "score": 0.5}})
    return workdir
