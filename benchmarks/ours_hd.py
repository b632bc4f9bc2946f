"""The contestant that runs on TensorFlow for pix2pixHD: this package's networks and step.

The networks and the sizes are those of `benchmarks.pytorch_hd`.

    python -m benchmarks.ours_hd WHAT PRECISION HEIGHTxWIDTH BATCH_SIZE
"""

import sys
from collections.abc import Callable

from tfpix2pix.pipelines.base import command_line

command_line.import_tensorflow()  # As commands do it, so that the memory is that of a training.

import tensorflow as tf

from benchmarks.contestant import answer
from tfpix2pix.methods.losses import LossTerm, feature_matching
from tfpix2pix.methods.pix2pixhd import HDTrainStep
from tfpix2pix.networks.discriminators import multiscale_discriminator
from tfpix2pix.networks.inference import cast_kernels
from tfpix2pix.networks.layers import use_minimal_filtering
from tfpix2pix.networks.residual import global_generator

INPUT_CHANNELS = 36  # of Cityscapes: 35 classes and the boundaries
LAMBDA_FEATURE_MATCHING = 10.0
Size = tuple[int, int]


def _random_batch(size: Size, batch_size: int) -> dict[str, tf.Tensor]:
    return {
        "input_image": tf.random.uniform([batch_size, *size, INPUT_CHANNELS], -1, 1),
        "target_image": tf.random.uniform([batch_size, *size, 3], -1, 1),
        "noise_seed": tf.zeros([batch_size, 2], tf.int32),
    }


def build_step(precision: str, size: Size, batch_size: int, remat: bool = False) -> Callable[[], object]:
    """Returns a function that takes one training step of pix2pixHD and reads a loss."""
    step = HDTrainStep(
        use_minimal_filtering(global_generator(INPUT_CHANNELS, dtype=precision)),
        use_minimal_filtering(multiscale_discriminator(input_channels=INPUT_CHANNELS, dtype=precision)),
        objective="cgan",
        gan_loss="least_squares",
        terms={"matching": LossTerm(LAMBDA_FEATURE_MATCHING, feature_matching, reads_features=True)},
        global_batch_size=batch_size,
    )
    if remat:
        step.rematerialize()
    batches = iter(tf.data.Dataset.from_tensors(_random_batch(size, batch_size)).repeat())
    return lambda: step.run_steps(batches, 1)["generator_loss"].numpy()


def build_remat_step(precision: str, size: Size, batch_size: int) -> Callable[[], object]:
    """Returns a function that takes the same step, which keeps few feature maps of the generator."""
    return build_step(precision, size, batch_size, remat=True)


def build_forward(precision: str, size: Size, batch_size: int) -> Callable[[], object]:
    """Returns a function that runs the generator once and reads the image."""
    generator = cast_kernels(use_minimal_filtering(global_generator(INPUT_CHANNELS, dtype=precision)))
    batch = _random_batch(size, batch_size)
    inputs = [batch["input_image"], batch["noise_seed"]]
    forward = tf.function(lambda images, seeds: generator([images, seeds], training=False))
    return lambda: forward(*inputs).numpy()


BUILDERS = {"step": build_step, "remat_step": build_remat_step, "forward": build_forward}

if __name__ == "__main__":
    what, precision, size, batch_size = sys.argv[1:]
    height, width = map(int, size.split("x"))
    call = BUILDERS[what](precision, (height, width), int(batch_size))
    answer(call, warm_ups=2, tensorflow=tf.__version__)
