"""A generator used alone: compiled for any size, its kernels in the precision they are multiplied in."""

import operator
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.networks import layers
from tfpix2pix.networks.instance_features import DrawFeatures, find_features
from tfpix2pix.networks.latent import DrawLatent, detach_latent, find_latent, settle_latent, with_latent
from tfpix2pix.networks.noise import NoiseDropout


def generator_of(model: keras.Model) -> keras.Model:
    """Returns the generator of a `Pix2Pix`, and any other model as it is."""
    inner = getattr(model, "generator", None)
    return inner if isinstance(inner, keras.Model) else model


def cast_kernels(generator: keras.Model) -> keras.Model:
    """Returns an equal generator whose kernels are stored in the precision that they are multiplied in.

    In half precision the copy has half the size, and it is faster, because `generator` casts
    54 million weights in each call. It cannot be trained.

    Args:
      generator: a functional model; later changes of its weights do not reach the copy.

    Returns:
      The copy, or `generator` itself where it computes in float32.
    """
    convolutions = (layers.PaddedConv2D, layers.UpConv2D, layers.UpConv2D3x3)
    if all(layer.compute_dtype == "float32" for layer in generator.layers if isinstance(layer, convolutions)):
        return generator

    def choose(layer):
        settings = layer.get_config()
        if isinstance(layer, convolutions):
            settings["dtype"] = layer.compute_dtype
        return type(layer).from_config(settings)

    copy = keras.models.clone_model(generator, clone_function=choose)
    for target, source in zip(copy.variables, generator.variables, strict=True):
        target.assign(tf.cast(source, target.dtype))
    return copy


# (input_image [B, H, W, C], noise_seed [B, 2]) -> generated_image. For a generator with a latent vector, the
# noise seeds may bring it along, as `latent.attach_latent` returns them.
Generate = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def compile_generator(generator: keras.Model, batch_statistics: bool = False) -> Generate:
    """Compiles a generator once for all sizes.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      batch_statistics: whether layers that normalise by the statistics of the batch in training do so here
        too. If not, each image is normalised by its own.
    """
    images = tf.TensorSpec([None, None, None, generator.inputs[0].shape[-1]], tf.float32)
    latent = find_latent(generator)
    seeds = tf.TensorSpec([None, None if latent else 2], tf.int32)
    network = with_latent(generator) if latent else generator

    def generate(input_image: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
        noise = detach_latent(settle_latent(noise_seed, latent)) if latent else (noise_seed,)
        return network([input_image, *noise], training=batch_statistics)

    return tf.function(generate, input_signature=[images, seeds], autograph=False)


def sample_seed(noise_seed: int, sample: int = 0) -> tf.Tensor:
    """Returns the seed of the n-th sample of any image, int32 [2].

    Args:
      noise_seed: any integer; its lower 32 bits count.
      sample: the number of the sample, from 0.
    """
    # Python cuts off what 64 bits do not hold; TensorFlow would refuse it.
    return tf.cast(tf.constant([operator.index(noise_seed) & 0xFFFFFFFF, sample], tf.int64), tf.int32)


# Filters that resize images overshoot [-1, 1] by less than this. Larger values are in another range.
OVERSHOOT = 0.5


# What draws from the noise seed, and how it is built so that it does not.
SILENT: dict[type, dict[str, Any]] = {
    NoiseDropout: {"rate": 0.0},
    DrawLatent: {"stddev": 0.0},
    DrawFeatures: {"is_random": False},
}


def silence(generator: keras.Model) -> keras.Model:
    """Returns a generator with the same layers and weights that draws nothing.

    It drops nothing, its z is 0, and each instance has the features of the first cluster of its class.
    """

    def choose(layer: keras.layers.Layer) -> keras.layers.Layer:
        silent = SILENT.get(type(layer))
        return layer if silent is None else type(layer).from_config({**layer.get_config(), **silent})

    silenced = keras.models.clone_model(generator, clone_function=choose)
    if layer := find_features(generator):
        silenced.get_layer(layer.name).set_weights(layer.get_weights())
    return silenced
