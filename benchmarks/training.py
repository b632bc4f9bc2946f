"""Contestants of `benchmarks.command`: the bare training step, and all that `train` does around it.

python -m benchmarks.training bare|whole PRECISION IMAGE_SIZE DATASET DATA_DIR
"""

import os
import tempfile
import threading
from collections.abc import Sequence

import tensorflow as tf

from benchmarks.contestant import answer
from benchmarks.ours import random_batch
from tfpix2pix.config.config import Config, make_config
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.train import training

STEPS_PER_CALL = 25  # Each call writes the scalars once, which is twice as often as by default.
NEVER = 10**9


def make_settings(precision: str, image_size: int, dataset: str, data_dir: str) -> Config:
    """Returns the settings of a dataset's recipe, without validations, checkpoints and an end."""
    return make_config(
        dataset=dataset,
        data_dir=data_dir,
        precision=precision,
        image_size=image_size,
        steps=NEVER,
        summary_every_steps=STEPS_PER_CALL,
        validate_every_steps=NEVER,
        checkpoint_every_steps=NEVER,
        sample_every_steps=NEVER,
        export=False,
    )


def take_bare_steps(config: Config) -> None:
    """Takes turns with the training step alone, always on the same random batch."""
    train_step = build_train_step(config, NEVER)
    batches = iter(tf.data.Dataset.from_tensors(random_batch(config.image_size[0], 1)).repeat())

    def call() -> None:
        for _ in range(STEPS_PER_CALL):
            train_step.run_steps(batches, 1)["l1_loss"].numpy()

    answer(call, warm_ups=1)


def take_whole_steps(config: Config) -> None:
    """Takes turns with `train`, whose loop waits before each step until it is its turn."""
    may_go, gone = threading.Semaphore(0), threading.Semaphore(0)

    class PacedTraining(training.Training):
        started = False

        def advance(self, batches):
            if self.started:
                gone.release()
            self.started = True
            may_go.acquire()
            return super().advance(batches)

    def call() -> None:
        for _ in range(STEPS_PER_CALL):
            may_go.release()
            gone.acquire()

    def take_turns() -> None:
        answer(call, warm_ups=1)
        os._exit(0)

    training.Training = PacedTraining  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        # Signals are for the main thread, and `train` listens to them.
        threading.Thread(target=take_turns, daemon=True).start()
        training.train_and_evaluate(config, os.path.join(folder, "run"))


def main(argv: Sequence[str]) -> None:
    """Takes the turns of one contestant."""
    what, precision, image_size, dataset, data_dir = argv[1:]
    settings = make_settings(precision, int(image_size), dataset, data_dir)
    {"bare": take_bare_steps, "whole": take_whole_steps}[what](settings)


if __name__ == "__main__":
    command_line.run(main)
