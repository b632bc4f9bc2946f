"""A latent vector z in a residual generator, whose convolutions are all normalised.

Appended to what a convolution sees, z would be the same at all pixels, and the normalisation would remove it.
So z comes after the normalisation, and decides its scale and offset: conditional instance normalisation.
"""

from typing import Any

import keras
import tensorflow as tf

from tfpix2pix.networks.gradients import Fork
from tfpix2pix.networks.latent import DrawLatent, Latent
from tfpix2pix.networks.layers import weight_initializer


class Modulation:
    """Lets z modulate the normalised feature maps of a generator that is being built.

    Args:
      latent: where the generator takes z. `all` means after each normalisation, `input` after those alone
        that follow a convolution of the input image.
      noise_seed: symbolic int32 [B, 2].
      dtype: Keras dtype policy of the maps.
    """

    def __init__(self, latent: Latent, noise_seed: Any, dtype: str):
        self._at, self._dtype = latent.at, dtype
        self._left: Any = None
        if latent.size:
            self._left = DrawLatent(latent.size, name="latent", dtype="float32")(noise_seed)

    def apply(self, images: Any, name: str, sees_input: bool = False) -> Any:
        """Returns symbolic float [B, H, W, C], which are the images where no z is for them.

        Args:
          images: normalised maps, symbolic float [B, H, W, C].
          name: name of the block; that of the layer ends in `_modulation`.
          sees_input: whether the convolution before saw the input image.
        """
        if self._left is None or (self._at == "input" and not sees_input):
            return images
        latent, self._left = Fork(2, name=f"{name}_latent", dtype="float32")(self._left)
        return ModulateByLatent(name=f"{name}_modulation", dtype=self._dtype)([images, latent])


@keras.utils.register_keras_serializable("tfpix2pix")
class ModulateByLatent(keras.layers.Layer):
    """Scales each channel of feature maps by 1 + a(z) and adds b(z), where a and b are linear.

    With z = 0, the maps are what they were.

    Call arguments:
      inputs: (images, float [B, H, W, C]; latent, float [B, size]).

    Returns:
      float [B, H, W, C].

    Source: Dumoulin et al., A Learned Representation for Artistic Style, ICLR 2017, Sec. 2.2; with linear
    functions of z, as Huang and Belongie, ICCV 2017, take those of a style image.
    """

    def build(self, input_shape):
        images, latent = input_shape
        shape = (latent[-1], images[-1])
        self.scale_kernel, self.offset_kernel = (
            self.add_weight(name=name, shape=shape, initializer=weight_initializer())
            for name in ("scale_kernel", "offset_kernel")
        )
        self.built = True

    def call(self, inputs):
        images, latent = inputs
        latent = tf.cast(latent, images.dtype)
        scale, offset = (
            tf.matmul(latent, tf.cast(kernel, images.dtype))[:, None, None]
            for kernel in (self.scale_kernel, self.offset_kernel)
        )
        return images * (1 + scale) + offset

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])
