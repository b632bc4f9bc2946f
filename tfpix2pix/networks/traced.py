"""What is known when a function is traced, and what only the running graph knows: sizes and choices."""

import functools
from collections.abc import Callable

import tensorflow as tf


@functools.lru_cache(maxsize=1)
def has_gpu() -> bool:
    """Returns whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def either(condition, one: Callable[[], tf.Tensor], other: Callable[[], tf.Tensor]) -> tf.Tensor:
    """Returns what one of two functions returns: `one` if a condition, a bool or a bool tensor, holds."""
    if isinstance(condition, bool):
        return one() if condition else other()
    return tf.cond(condition, one, other)


def find_sizes(images: tf.Tensor) -> list:
    """Returns the sizes of a tensor [B, H, W, C]: numbers where they are known, else scalar tensors.

    Reading sizes while the graph runs takes a dozen operations, which each start of a training has to make.
    """
    known = list(images.shape)
    if None not in known:
        return known
    found = tf.unstack(tf.shape(images))
    return [found[axis] if known[axis] is None else known[axis] for axis in range(4)]
