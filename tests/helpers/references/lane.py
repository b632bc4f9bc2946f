"""Trains to step 3 and on to step 6 with this Keras, and writes the results: `lane.py RUN DATA ANSWERS.npz`.

If RUN exists already, its training goes on. At step 3 it is copied to `RUN-3`, for the other Keras.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.config.config import make_config
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.networks.keras_versions import IS_KERAS_3, tf_variable
from tfpix2pix.run import checkpoints
from tfpix2pix.train.training import train_and_evaluate
from tfpix2pix.translate.arrays import translate_images

SETTINGS: dict[str, Any] = {
    "dataset": "tiny",
    "image_size": 32,
    "depth": 3,
    "base_filters": 2,
    "receptive_field": 16,
    "normalization": "instance",
    "precision": "float32",
    "export": False,
}
HALF_STEP = 7
LOSS_SCALE = 1024.0


def main(run: Path, data_dir: Path, answers: Path) -> None:
    """Writes `keras` (its major version), `pictures_3`, `pictures_6` and `loss_scale`."""
    images = np.random.default_rng(0).uniform(-1, 1, (2, 40, 48, 3)).astype(np.float32)
    found: dict[str, Any] = {"keras": 3 if IS_KERAS_3 else 2}
    for steps in (3, 6):
        config = make_config(**SETTINGS, data_dir=str(data_dir), steps=steps)
        result = train_and_evaluate(config, run)
        found[f"pictures_{steps}"] = translate_images(result.generator, images)
        if steps == 3:
            shutil.copytree(run, f"{run}-3", dirs_exist_ok=True)
    np.savez(answers, **found, loss_scale=_hand_over_loss_scale(run.with_name("half"), config=config))


def _hand_over_loss_scale(workdir: Path, config) -> float:
    """Returns the loss scale of the float16 checkpoint in `workdir`; writes one where there is none."""
    config = make_config(**{**SETTINGS, "precision": "mixed_float16"}, data_dir=config.data_dir)
    train_step = build_train_step(config, HALF_STEP)
    optimizer = train_step.generator_optimizer
    if not checkpoints.restore_latest(workdir, train_step.variables()):
        train_step.step.assign(HALF_STEP)
        tf_variable(optimizer.dynamic_scale).assign(LOSS_SCALE)
        tf_variable(optimizer.step_counter).assign(5)
        checkpoints.save(workdir, train_step.variables(), {})
    assert int(tf_variable(optimizer.step_counter)) == 5
    return float(tf_variable(optimizer.dynamic_scale))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
