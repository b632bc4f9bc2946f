"""A latent vector z, from which a generator takes what the input image does not tell.

z is Gaussian and a function of the noise seed, as the masks of `networks/noise.py` are. So an image and a
seed fix the output. `with_latent` makes z an input of its own.

Here z is appended to what the encoder of a U-Net sees, whose first and last block are not normalised.
`modulation.py` brings it into residual generators.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.config.choices import LATENT_PLACES
from tfpix2pix.networks.gradients import Fork
from tfpix2pix.networks.keras_versions import IS_KERAS_3, layer_calls
from tfpix2pix.networks.noise import hash_bits

# (images [B, H, W, C], noise_seed [B, 2] or with z) -> images.
Generate = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# Random streams beside those of the dropout layers, which are numbered from 0.
STREAM = -1
SECOND_STREAM = -2
FEATURE_STREAM = -3  # that of `networks/instance_features.py`


@dataclasses.dataclass(frozen=True)
class Latent:
    """Where a generator takes z.

    Attributes:
      size: number of values of z; with 0 there is none.
      at: in all places, or where the network sees the input image alone (`input`). `LatentMaps` and
        `modulation.Modulation` say what that means.

    Raises:
      ValueError: for another place, or a negative size.

    Source: `where_add` of BicycleGAN (Zhu et al., NIPS 2017, Sec. 4 and Fig. 3).
    """

    size: int = 0
    at: str = "all"

    def __post_init__(self) -> None:
        if self.at not in LATENT_PLACES:
            raise ValueError(
                f"latent_at must be one of {', '.join(LATENT_PLACES)}. Received: latent_at={self.at!r}"
            )
        if self.size < 0:
            raise ValueError(f"latent_size must be at least 0. Received: latent_size={self.size}")


class LatentMaps:
    """Appends z to the feature maps of a U-Net that is being built.

    Args:
      latent: where the generator takes z: `all` appends it to what each encoder block sees, `input` to the
        input image alone.
      noise_seed: symbolic int32 [B, 2].
      places: how many maps z is appended to with `all`.
      dtype: Keras dtype policy of the maps.
    """

    def __init__(self, latent: Latent, noise_seed: Any, places: int, dtype: str):
        self._dtype = dtype
        self._copies: list[Any] = []
        if latent.size:
            drawn = DrawLatent(latent.size, name="latent", dtype="float32")(noise_seed)
            many = latent.at == "all" and places > 1
            self._copies = Fork(places, name="latent_fork", dtype="float32")(drawn) if many else [drawn]

    def append(self, images: Any, name: str) -> Any:
        """Returns symbolic float [B, H, W, C + size], or the images where no z is left for them."""
        if not self._copies:
            return images
        copy, *self._copies = self._copies
        return AppendLatent(name=f"{name}_latent", dtype=self._dtype)([images, copy])


@keras.utils.register_keras_serializable("tfpix2pix")
class DrawLatent(keras.layers.Layer):
    """Draws z from the noise seed of each example.

    Args:
      size: number of values of z.
      stddev: standard deviation; with 0, z is 0.

    Call arguments:
      noise_seed: int32 [B, 2].

    Returns:
      float32 [B, size].
    """

    def __init__(self, size: int, stddev: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.stddev = stddev

    def call(self, noise_seed):
        return draw_normal(noise_seed, self.size, STREAM) * self.stddev

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.size)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "stddev": self.stddev}


@keras.utils.register_keras_serializable("tfpix2pix")
class AppendLatent(keras.layers.Layer):
    """Appends z to each pixel of feature maps, behind their channels.

    Call arguments:
      inputs: (images, float [B, H, W, C]; latent, float [B, size]).

    Returns:
      float [B, H, W, C + size].
    """

    def call(self, inputs):
        images, latent = inputs
        shape = tf.concat([tf.shape(images)[:3], [latent.shape[-1]]], 0)
        everywhere = tf.broadcast_to(tf.cast(latent, images.dtype)[:, None, None, :], shape)
        return tf.concat([images, everywhere], axis=-1)

    def compute_output_shape(self, input_shape):
        images, latent = input_shape
        return (*images[:3], images[3] + latent[1])


def draw_normal(noise_seed: tf.Tensor, size: int, stream: int) -> tf.Tensor:
    """Returns independent draws from N(0, 1), which depend on the seed of each example alone.

    Args:
      noise_seed: int32 [B, 2].
      size: number of draws for each example.
      stream: number of the random stream.

    Returns:
      float32 [B, size]. Source: Box and Muller, 1958, with 24 bits for each uniform number.
    """
    seeds = tf.cast(noise_seed, tf.int32)
    bits = hash_bits(seeds[:, :1], seeds[:, 1:], tf.constant(stream), tf.range(2 * size)[None])
    uniform = (tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) + 0.5) / 2**24
    radius = tf.sqrt(-2.0 * tf.math.log(uniform[:, :size]))
    return radius * tf.cos(2 * math.pi * uniform[:, size:])


def attach_latent(noise_seed: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
    """Returns noise seeds that bring z along, so that z goes wherever the noise seed goes.

    Args:
      noise_seed: int32 [B, 2].
      latent: float32 [B, size].

    Returns:
      int32 [B, 2 + size]: the seeds, and behind them the bits of z.
    """
    return tf.concat([tf.cast(noise_seed, tf.int32), tf.bitcast(tf.cast(latent, tf.float32), tf.int32)], 1)


def settle_latent(noise_seed: tf.Tensor, latent: DrawLatent) -> tf.Tensor:
    """Returns noise seeds that bring z along: those of `attach_latent` as they are, others with a drawn z.

    Args:
      noise_seed: int32 [B, 2] or [B, 2 + size].
      latent: the layer that draws z.
    """
    settled = tf.cond(
        tf.shape(noise_seed)[1] > 2,
        lambda: noise_seed,
        lambda: attach_latent(noise_seed[:, :2], latent(noise_seed[:, :2])),
    )
    return tf.ensure_shape(settled, [None, 2 + latent.size])


def hold_latent(generate: Generate, size: int) -> Generate:
    """Returns a function that settles the latent vector of each image before the image is cut into windows.

    Args:
      generate: what takes images, and noise seeds that bring z along.
      size: number of values of z; with 0, `generate` is returned.
    """
    if not size:
        return generate
    latent = DrawLatent(size)
    return lambda images, noise_seed: generate(images, settle_latent(noise_seed, latent))


def detach_latent(noise_seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the seeds, int32 [B, 2], and z, float32 [B, size], of noise seeds that bring z along."""
    return noise_seed[:, :2], tf.bitcast(noise_seed[:, 2:], tf.float32)


def find_latent(generator: keras.Model) -> DrawLatent | None:
    """Returns the layer that draws a generator's z; None for a generator without one."""
    return next((layer for layer in generator.layers if isinstance(layer, DrawLatent)), None)


def with_latent(generator: keras.Model) -> keras.Model:
    """Returns a generator of the same layers, so of the same weights, whose z is an input of its own.

    Args:
      generator: `[input_image, noise_seed] -> generated_image` with a latent vector; what
        `instance_features.with_features` returns has one more input.

    Returns:
      A functional model `[input_image, noise_seed, latent] -> generated_image`, where `latent` is
      float32 [B, latent_size], behind all other inputs. The noise seed decides the dropout alone.

    Raises:
      ValueError: for a generator without a latent vector.

    Example:
    >>> generator = unet_generator((32, 32), base_filters=4, latent_size=8)
    >>> image, seed, latent = np.zeros((1, 32, 32, 3), "float32"), np.zeros((1, 2), "int32"), np.ones((1, 8))
    >>> with_latent(generator)([image, seed, latent]).shape
    TensorShape([1, 32, 32, 3])
    """
    latent = find_latent(generator)
    if latent is None:
        raise ValueError(f"{generator.name} has no latent vector; build it with latent_size=8, for example")
    # The layer may be called in other models too.
    (drawn,) = next(call.outputs for call in layer_calls(generator) if call.layer is latent)
    return take_as_input(generator, drawn, f"{generator.name}_with_latent")


def take_as_input(generator: keras.Model, drawn: Any, name: str) -> keras.Model:
    """Returns a generator of the same layers that takes as its last input what it drew from the noise seed.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`, or what this function returned, to which it
        adds one more input.
      drawn: the symbolic tensor inside it that becomes an input.
      name: name of the model.

    Returns:
      A functional model `[input_image, noise_seed, ..., drawn] -> generated_image`.
    """
    if IS_KERAS_3 or _draws_more(generator, drawn):
        return keras.Model([*generator.inputs, drawn], generator.output, name=name)
    # Where it is an input, nothing reads the noise seed, and Keras 2 takes only inputs that are read.
    inside = keras.Model([generator.inputs[0], *generator.inputs[2:], drawn], generator.output)
    inputs = [keras.Input(each.shape[1:], dtype=each.dtype) for each in (*generator.inputs, drawn)]
    return keras.Model(inputs, inside([inputs[0], *inputs[2:]]), name=name)


def _draws_more(generator: keras.Model, drawn: Any) -> bool:
    """Returns whether something else than `drawn` is drawn from the noise seed."""
    return any(
        any(tensor is generator.inputs[1] for tensor in call.inputs)
        and not any(tensor is drawn for tensor in call.outputs)
        for call in layer_calls(generator)
    )
