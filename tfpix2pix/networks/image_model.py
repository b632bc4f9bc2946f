"""A generator that can be called with images alone."""

import weakref
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.networks.latent import with_latent
from tfpix2pix.networks.latent_values import spread_latents
from tfpix2pix.pipelines.files.value_warnings import LOOKED_AT, warn_of_values

# Generator -> what `with_latent` made of it, which keeps what Keras compiled for `predict`.
_BY_LATENT: weakref.WeakKeyDictionary[keras.Model, keras.Model] = weakref.WeakKeyDictionary()


@keras.utils.register_keras_serializable("tfpix2pix")
class ImageModel(keras.Model):
    """A functional model `[input_image, noise_seed] -> generated_image` whose noise seeds may be left out.

    `model(images)` and `model.predict(images)` give all images the noise seed [0, 0], so that the answer is
    the same each time. The first images that come without noise seeds are looked at: those that go from 0
    to 1 or from 0 to 255 get a warning, because the networks expect [-1, 1].
    """

    _is_checked = False

    def __call__(self, inputs, *args, **kwargs):
        """Returns the generated images of images, or of `[input_image, noise_seed]`."""
        if not isinstance(inputs, np.ndarray | tf.Tensor):
            return super().__call__(inputs, *args, **kwargs)
        self._check_once(inputs)
        noise_seed = tf.zeros([tf.shape(inputs)[0], 2], tf.int32)
        return super().__call__([tf.cast(inputs, tf.float32), noise_seed], *args, **kwargs)

    def predict(self, x, *args, latent=None, **kwargs):
        """Returns the generated images; the arguments are those of `keras.Model.predict`, and one more.

        Args:
          x: images, or `[input_image, noise_seed]`.
          *args: further arguments of `keras.Model.predict`.
          latent: z for all images, [size], or for each, [B, size], of a generator with a latent vector.
            None draws it from the noise seed.
          **kwargs: further arguments of `keras.Model.predict`.

        Raises:
          ValueError: for a `latent` of another shape, or of values that are not finite, or for a generator
            without a latent vector.
        """
        self._check_once(x)
        if latent is None:
            return super().predict(x, *args, **kwargs)
        images, noise_seed = x if isinstance(x, list | tuple) else (x, np.zeros([len(x), 2], np.int32))
        network = _BY_LATENT.get(self) or _BY_LATENT.setdefault(self, with_latent(self))
        latents = spread_latents(latent, len(images), network.inputs[-1].shape[-1])
        return network.predict([images, noise_seed, latents], *args, **kwargs)

    def _check_once(self, images: Any) -> None:
        # Tensors of a graph have no values to look at.
        if self._is_checked or not (isinstance(images, np.ndarray) or hasattr(images, "numpy")):
            return
        self._is_checked = True
        looked_at = np.asarray(images[:LOOKED_AT], "float32")
        warn_of_values("the images that the generator was called with", list(looked_at))
