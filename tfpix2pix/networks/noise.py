"""The paper's z: dropout whose mask is a function of a seed."""

import keras
import tensorflow as tf

from tfpix2pix.networks.traced import find_sizes


@keras.utils.register_keras_serializable("tfpix2pix")
class NoiseDropout(keras.layers.Layer):
    """Dropout whose mask is a pure function of a seed given per example: the paper's z.

    It is on in training and in inference alike (Sec. 3.1), keeps no seed of its
    own, and gives an image the same mask in every batch.

    Args:
      rate: share of the activations that are dropped, in [0, 1).
      stream: number of this layer's own random stream.

    Call arguments:
      inputs: (activations, float [B, H, W, C]; noise_seed, int32 [B, 2]).
    """

    def __init__(self, rate: float = 0.5, stream: int = 0, **kwargs):
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be in [0, 1). Received: rate={rate}")
        super().__init__(**kwargs)
        self.rate = rate
        self.stream = stream

    def call(self, inputs):
        activations, noise_seed = inputs
        _, height, width, channels = find_sizes(activations)
        places = tf.reshape(tf.range(height * width * channels), [1, height, width, channels])
        first, second = tf.unstack(tf.reshape(tf.cast(noise_seed, tf.int32), [-1, 2, 1, 1, 1]), axis=1)
        bits = hash_bits(first, second, tf.constant(self.stream), places)
        kept = bits >= tf.constant(round(self.rate * 2**32), tf.uint32)
        return activations * tf.cast(kept, activations.dtype) * (1 / (1 - self.rate))

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "stream": self.stream}


def hash_bits(*words: tf.Tensor) -> tf.Tensor:
    """Returns 32 well mixed bits for each element of the broadcast int32 `words`, as uint32.

    Source: the finaliser of MurmurHash3 (Appleby), chained over the words.
    """
    # Constants take most of the time of building a graph, so they are made once for all words.
    start, half, third, first_factor, second_factor = (
        tf.constant(number, tf.uint32) for number in (0x9E3779B9, 16, 13, 0x85EBCA6B, 0xC2B2AE35)
    )
    xor, shift = tf.bitwise.bitwise_xor, tf.bitwise.right_shift
    mixed = start
    for word in words:
        mixed = xor(mixed, tf.bitcast(tf.cast(word, tf.int32), tf.uint32))
        mixed = xor(mixed, shift(mixed, half)) * first_factor
        mixed = xor(mixed, shift(mixed, third)) * second_factor
        mixed = xor(mixed, shift(mixed, half))
    return mixed
