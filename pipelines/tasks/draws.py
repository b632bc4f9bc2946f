"""Random numbers of a pipeline, each a pure function of a seed.

They are those of `tf.random.stateless_uniform` with Philox, whose Python makes ten times as many operations.
Each of them takes its time in every example, and at every start.
"""

from collections.abc import Sequence

import tensorflow as tf

_PHILOX = 1  # TensorFlow's number of the generator


def draw_uniform(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """Returns numbers from 0 to below 1.

    Args:
      shape: of what is returned.
      seed: integer [2], from which they follow.

    Returns:
      float32 [*shape].
    """
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    return tf.raw_ops.StatelessRandomUniformV2(shape=shape, key=key, counter=counter, alg=_PHILOX)


def draw_integers(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """Returns whole numbers over the whole range of their type.

    Args:
      shape: of what is returned.
      seed: integer [2], from which they follow.

    Returns:
      int32 [*shape].
    """
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape, key=key, counter=counter, alg=_PHILOX, dtype=tf.int32
    )
