"""Translates images that are arrays, with a generator or any other network."""

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.networks.inference import OVERSHOOT, Generate, generator_of, sample_seed
from tfpix2pix.pipelines.tasks.transforms import to_uint8, to_uint16, to_unit_range

_TO_INTEGERS = {np.dtype(np.uint8): to_uint8, np.dtype(np.uint16): to_uint16}


def translate_images(generator: keras.Model, images: npt.ArrayLike, noise_seed: int = 0) -> np.ndarray:
    """Translates an image, or a batch of equally large ones, at their own size.

    A Keras model does not know at which size it was trained, so nothing is resized: resize the images to that
    size first, or use a `Translator`, which knows it.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`, or the `Pix2Pix` that holds it.
      images: uint8, uint16, or float in [-1, 1]; [H, W, C] or [B, H, W, C], any H and W.
      noise_seed: seed of the noise, which is the same for every image.

    Returns:
      The generated images, with the height and width of `images`: uint8 for uint8, uint16 for uint16, and
      float32 in [-1, 1] for floats.

    Raises:
      ValueError: when `images` have another shape, type or range.

    Examples:
      >>> generator = unet_generator((32, 32), base_filters=4)
      >>> translate_images(generator, np.zeros((40, 50, 3), np.uint8)).shape
      (40, 50, 3)
    """
    generator = generator_of(generator)

    def generate(input_image, noise_seed):
        return generator([input_image, noise_seed], training=False)

    return translate_arrays(generate, generator.inputs[0].shape[-1], images, noise_seed)


def translate_arrays(
    generate: Generate,
    channels: int,
    images: npt.ArrayLike,
    noise_seed: int,
    sample: int = 0,
    dtype: npt.DTypeLike | None = None,
) -> np.ndarray:
    """Translates an image, or a batch of equally large ones, by any network.

    Args:
      generate: the network, of images as float32 in [-1, 1] and noise seeds.
      channels: number of channels of its inputs.
      images: as `translate_images` takes them.
      noise_seed: seed of the noise, which is the same for every image.
      sample: which one of the outputs that one `noise_seed` gives, from 0.
      dtype: uint8, uint16 or float32, the type of the result; None takes that of `translate_images`.

    Raises:
      ValueError: when `images` have another shape, type or range.
    """
    images = np.asarray(images)
    _check_images(images, channels)
    batch = images if images.ndim == 4 else images[None]
    is_integer = np.issubdtype(images.dtype, np.integer)
    max_value = np.iinfo(images.dtype).max if is_integer else None
    seeds = tf.tile(sample_seed(noise_seed, sample)[None], [len(batch), 1])
    # Nothing holds the input any longer than it is needed: it takes as much memory as all other pixels.
    generated_image = generate(
        to_unit_range(batch, max_value) if max_value else tf.constant(batch, tf.float32), seeds
    )
    wanted = np.dtype(dtype or (images.dtype if max_value else np.float32))
    if wanted in _TO_INTEGERS:
        generated_image = _TO_INTEGERS[wanted](generated_image)
    return generated_image.numpy() if images.ndim == 4 else generated_image[0].numpy()


def _check_images(images: np.ndarray, channels: int) -> None:
    if images.ndim not in (3, 4) or images.shape[-1] != channels or 0 in images.shape:
        raise ValueError(
            f"`images` must be [H, W, {channels}] or [B, H, W, {channels}]. Received: shape {images.shape}"
        )
    if images.dtype in (np.uint8, np.uint16):
        return
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"`images` must be uint8, uint16, or float in [-1, 1]. Received: {images.dtype}")
    low, high = float(images.min()), float(images.max())
    if not (low >= -1 - OVERSHOOT and high <= 1 + OVERSHOOT):
        raise ValueError(
            "`images` of floats must be in [-1, 1]; give values from 0 to 255 as uint8. "
            f"Received: {low:g} to {high:g}"
        )
