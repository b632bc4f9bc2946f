"""A generator of residual blocks and a layer, as a user of this package writes them: outside of it."""

import keras

from tfpix2pix.networks.layers import PaddedConv2D, UpConv2D
from tfpix2pix.networks.noise import NoiseDropout
from tfpix2pix.networks.normalization import StatelessNormalization
from tfpix2pix.networks.padding import ReflectionPad2D


def resnet_generator(
    input_channels: int, output_channels: int, base_filters: int = 64, dtype: str = "float32"
) -> keras.Model:
    """The PyTorch reference's `ResnetGenerator` in small: two downsamplings, two blocks, two upsamplings."""

    def activate(images):
        images = StatelessNormalization("instance", dtype=dtype)(images)
        return keras.layers.ReLU(dtype=dtype)(images)

    input_image = keras.Input((None, None, input_channels), name="input_image")
    noise_seed = keras.Input((2,), dtype="int32", name="noise_seed")
    images = ReflectionPad2D(3, dtype=dtype)(input_image)
    images = activate(PaddedConv2D(base_filters, 7, pad_px=0, use_bias=False, dtype=dtype)(images))
    for filters in (2 * base_filters, 4 * base_filters):
        images = activate(PaddedConv2D(filters, 3, 2, pad_px=1, use_bias=False, dtype=dtype)(images))
    for block in (1, 2):
        residual = activate(PaddedConv2D(4 * base_filters, 3, pad_px=1, dtype=dtype)(images))
        residual = NoiseDropout(0.5, stream=block, dtype=dtype)([residual, noise_seed])
        images = images + keras.layers.Conv2D(4 * base_filters, 3, padding="same", dtype=dtype)(residual)
    up = keras.layers.Conv2DTranspose(2 * base_filters, 3, 2, padding="same", dtype=dtype)
    images = activate(up(images))
    images = activate(UpConv2D(base_filters, dtype=dtype)(images))
    images = PaddedConv2D(output_channels, 7, pad_px=3, dtype=dtype)(images)
    generated_image = keras.layers.Activation("tanh", dtype="float32")(images)
    return keras.Model([input_image, noise_seed], generated_image, name="resnet_generator")


class Boost(keras.layers.Layer):
    """A layer that only the user has, and that forgets its factor when it is copied."""

    def __init__(self, factor: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, images):
        return images * self.factor

    def get_config(self):
        return super().get_config()
