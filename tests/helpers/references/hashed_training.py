"""Trains a small pair of networks for five steps and prints a checksum of every number it keeps."""

import hashlib

import keras
import tensorflow as tf

from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.networks import discriminators, generators


def main() -> None:
    """Prints the SHA-256 of all weights and Adam's moments after five steps with dropout."""
    keras.utils.set_random_seed(0)
    train_step = TrainStep(
        generators.unet_generator((32, 32), depth=3, base_filters=16),
        discriminators.patch_discriminator(16, base_filters=16),
        global_batch_size=2,
    )
    draw = tf.random.Generator.from_seed(1)
    batches = tf.data.Dataset.from_tensor_slices(
        {
            "input_image": draw.uniform([5, 2, 32, 32, 3], -1, 1),
            "target_image": draw.uniform([5, 2, 32, 32, 3], -1, 1),
            "noise_seed": draw.uniform([5, 2, 2], -99, 99, tf.int32),
        }
    )
    train_step.run_steps(iter(batches), 5)
    checksum = hashlib.sha256()
    for owner in (
        train_step.generator,
        train_step.discriminator,
        train_step.generator_optimizer,
        train_step.discriminator_optimizer,
    ):
        variables = owner.variables
        for variable in variables() if callable(variables) else variables:
            checksum.update(variable.numpy().tobytes())
    print(checksum.hexdigest())


if __name__ == "__main__":
    main()
