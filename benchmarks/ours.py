"""Contestants that run on TensorFlow: this package's step and generator, and the machine's limits.

python -m benchmarks.ours WHAT PRECISION IMAGE_SIZE BATCH_SIZE
"""

import functools
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tfpix2pix.pipelines.base import command_line

command_line.import_tensorflow()  # As commands do it, so that the memory is that of a training.

import keras
import numpy as np
import tensorflow as tf

from benchmarks.contestant import answer
from benchmarks.networks import COPY_MIB, MATMUL_COUNT, MATMUL_SIDE
from tfpix2pix.export.names import DEFAULT_SIGNATURE, FLOAT32, IMAGE_BYTES, INPUT_IMAGE
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.export.servable import Servable
from tfpix2pix.methods.pix2pix import TrainStep
from tfpix2pix.networks.discriminators import patch_discriminator
from tfpix2pix.networks.generators import unet_generator
from tfpix2pix.networks.inference import cast_kernels
from tfpix2pix.networks.layers import use_minimal_filtering
from tfpix2pix.pipelines.tasks.transforms import to_uint8


def random_batch(image_size: int, batch_size: int) -> dict[str, tf.Tensor]:
    """Returns a training batch of random pixels."""
    shape = [batch_size, image_size, image_size, 3]
    return {
        "input_image": tf.random.uniform(shape, -1, 1),
        "target_image": tf.random.uniform(shape, -1, 1),
        "noise_seed": tf.zeros([batch_size, 2], tf.int32),
    }


def build_step(
    precision: str, image_size: int, batch_size: int, filtering: bool = True
) -> Callable[[], object]:
    """Returns a function that takes one training step of the facades networks and reads a loss."""
    generator = unet_generator((image_size, image_size), dtype=precision)
    discriminator = use_minimal_filtering(patch_discriminator(dtype=precision), filtering)
    train_step = TrainStep(generator, discriminator, global_batch_size=batch_size)
    batches = iter(tf.data.Dataset.from_tensors(random_batch(image_size, batch_size)).repeat())
    return lambda: train_step.run_steps(batches, 1)["l1_loss"].numpy()


def build_forward(precision: str, image_size: int, batch_size: int) -> Callable[[], object]:
    """Returns a function that runs the generator once and reads the image."""
    generator = cast_kernels(unet_generator((image_size, image_size), dtype=precision))
    batch = random_batch(image_size, batch_size)
    inputs = [batch["input_image"], batch["noise_seed"]]
    forward = tf.function(lambda images, seeds: generator([images, seeds], training=False))
    return lambda: forward(*inputs).numpy()


def build_matmul(precision: str, image_size: int, batch_size: int) -> Callable[[], object]:
    """Returns a function that multiplies large matrices: the limit of arithmetic. Sizes are ignored."""
    dtype = keras.dtype_policies.DTypePolicy(precision).compute_dtype
    matrix = tf.cast(tf.random.normal([MATMUL_SIDE, MATMUL_SIDE]) * MATMUL_SIDE**-0.5, dtype)

    @tf.function
    def multiply():
        product = matrix
        for _ in range(MATMUL_COUNT):
            product = tf.matmul(product, matrix)
        return product

    return lambda: multiply().numpy()


def build_copy(precision: str, image_size: int, batch_size: int) -> Callable[[], object]:
    """Returns a function that copies a large tensor: the limit of memory. All arguments are ignored."""
    source, target = (tf.Variable(tf.zeros([COPY_MIB * 2**18])) for _ in range(2))
    copy = tf.function(lambda: target.assign(source + 1.0)[0])
    return lambda: copy().numpy()


def build_served_array(
    precision: str, image_size: int, batch_size: int, requests: int = 1
) -> Callable[[], object]:
    """Returns a function that calls a SavedModel with tensors, so many requests at the same time."""
    request = {INPUT_IMAGE: random_batch(image_size, batch_size)["input_image"].numpy()}
    return _serve(precision, image_size, FLOAT32, request, requests)


def build_served_file(
    precision: str, image_size: int, batch_size: int, requests: int = 1
) -> Callable[[], object]:
    """Returns a function that calls a SavedModel with PNG files, so many requests at the same time."""
    batch = random_batch(image_size, batch_size)["input_image"]
    files = [tf.io.encode_png(to_uint8(image)).numpy() for image in batch]
    return _serve(precision, image_size, DEFAULT_SIGNATURE, {IMAGE_BYTES: np.array(files, object)}, requests)


def _serve(
    precision: str, image_size: int, signature: str, request: dict, requests: int
) -> Callable[[], object]:
    generator = unet_generator((image_size, image_size), dtype=precision)
    with tempfile.TemporaryDirectory() as folder:
        size = (image_size, image_size)
        servable = Servable(export_saved_model(generator, folder, verify=False, image_size=size))
    pool = ThreadPoolExecutor(requests)
    return lambda: list(pool.map(lambda _: servable(signature, request), range(requests)))


BUILDERS: dict[str, Callable[..., Callable[[], object]]] = {
    "step": build_step,
    "step_direct": functools.partial(build_step, filtering=False),
    "forward": build_forward,
    "matmul": build_matmul,
    "copy": build_copy,
    "served_array": build_served_array,
    "served_file": build_served_file,
    "served_array_4": functools.partial(build_served_array, requests=4),
    "served_array_16": functools.partial(build_served_array, requests=16),
    "served_file_4": functools.partial(build_served_file, requests=4),
    "served_file_16": functools.partial(build_served_file, requests=16),
}

if __name__ == "__main__":
    what, precision, image_size, batch_size = sys.argv[1:]
    answer(BUILDERS[what](precision, int(image_size), int(batch_size)), tensorflow=tf.__version__)
