"""The few layers that Keras lacks, made of `tf` operations.

None of them keeps state that changes when it is called: a forward pass assigns
nothing, so that what is exported is what was trained.
"""

from collections.abc import Iterator

import keras
import tensorflow as tf

from tfpix2pix.config.choices import CONV_KERNELS
from tfpix2pix.networks import convolutions, filtering, strips
from tfpix2pix.networks.traced import either, find_sizes

# Sec. 6.2 and the original code: N(0, 0.02) weights, N(1, 0.02) norm scales, epsilon 1e-5.
WEIGHT_STDDEV = 0.02


def weight_initializer() -> keras.initializers.Initializer:
    """Returns a new initializer that draws from the paper's N(0, 0.02); each layer needs its own."""
    return keras.initializers.RandomNormal(0.0, WEIGHT_STDDEV)


def redraw_kernels(model: keras.Model, gain: float) -> None:
    """Draws the kernels of a network anew from Glorot and Bengio's normal distribution, times `gain`.

    Biases and the scales of normalisations stay. Source: `xavier_normal_` of PyTorch, with which BicycleGAN
    begins.
    """
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            draw = keras.initializers.VarianceScaling(gain**2, "fan_avg", "untruncated_normal")
            variable.assign(draw(variable.shape, "float32"))


def use_minimal_filtering(network: keras.Model, use: bool = True) -> keras.Model:
    """Lets the convolutions of a network use minimal filtering where it is faster, or not.

    Args:
      network: a Keras model, which is changed; models inside it are too.
      use: whether to use it.

    Returns:
      The network.
    """
    for layer in list_layers(network):
        if isinstance(layer, PaddedConv2D):
            layer.minimal_filtering = use
    return network


def use_native_kernels(network: keras.Model) -> keras.Model:
    """Lets the convolutions of a network be computed by TensorFlow's kernels alone.

    Args:
      network: a Keras model, which is changed; models inside it are too.

    Returns:
      The network.
    """
    for layer in list_layers(network):
        if isinstance(layer, PaddedConv2D | UpConv2D | UpConv2D3x3):
            layer.conv_kernels = "native"
    return network


def list_layers(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a network and of the models inside it."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from list_layers(layer)
        else:
            yield layer


@keras.utils.register_keras_serializable("tfpix2pix")
class PaddedConv2D(keras.layers.Conv2D):
    """`Conv2D` with an explicit zero padding of `pad_px` on every side, as in the original code.

    With a 4x4 kernel, `padding="same"` pads like that only at stride 2 and for even sizes.

    Args:
      filters: output channels.
      kernel_size: side of the square kernel, px.
      strides: step of the kernel, px.
      pad_px: zeros added to each side, px.
      conv_kernels: `auto` or `native`, as `convolutions.takes_matmul` takes it.
      minimal_filtering: whether `filtering` convolves where it is faster, unless `conv_kernels` is `native`.
      **kwargs: further arguments of `keras.layers.Conv2D`.

    Raises:
      ValueError: for unknown `conv_kernels`, or when called on images that are smaller
        than the kernel even with their padding.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        pad_px: int = 1,
        conv_kernels: str = "auto",
        minimal_filtering: bool = False,
        **kwargs,
    ):
        for fixed in ("padding", "data_format"):
            kwargs.pop(fixed, None)
        super().__init__(filters, kernel_size, strides, padding="valid", **kwargs)
        self.pad_px = pad_px
        self.conv_kernels = _check_kernels(conv_kernels)
        self.minimal_filtering = minimal_filtering

    def call(self, images):
        # TensorFlow returns uninitialised memory instead of an error.
        smallest_px = self._reach_px[0] - 2 * self.pad_px
        if any(size is not None and size < smallest_px for size in images.shape[1:3]):
            raise ValueError(
                f"{self.name} needs images of at least {smallest_px}x{smallest_px} px. "
                f"Received: {images.shape[1]}x{images.shape[2]} px; use larger images or a shallower network"
            )
        if (self.kernel_size, self.strides, self.pad_px, self.groups) == ((4, 4), (2, 2), 1, 1):
            kernel = tf.cast(self.kernel, images.dtype)
            return _finish(self, convolutions.conv2d(images, kernel, self.conv_kernels))
        # Keras would add the bias by three operations, and nine more for the gradient.
        return _finish(self, self.convolution_op(images, self.kernel))

    @property
    def _reach_px(self) -> tuple[int, int]:
        """The height and the width in px that the dilated kernel covers."""
        sides = zip(self.kernel_size, self.dilation_rate, strict=True)
        height, width = ((kernel - 1) * dilation + 1 for kernel, dilation in sides)
        return height, width

    def convolution_op(self, images, kernel):
        kernel = tf.cast(kernel, images.dtype)
        is_dense = (self.dilation_rate, self.groups) == ((1, 1), 1)

        def filter_tiles():
            return filtering.conv2d(images, kernel, self.pad_px, layer=self)

        def convolve():
            # The convolution could pad by itself, but with explicit numbers its bfloat16 gradient is up to 50
            # times slower on a CPU.
            pad = [self.pad_px, self.pad_px]
            padded = tf.pad(images, [[0, 0], pad, pad, [0, 0]]) if self.pad_px else images
            if is_dense and self.strides[0] == self.strides[1]:
                return strips.conv2d(padded, kernel, self.strides[0], self.conv_kernels)
            return super(PaddedConv2D, self).convolution_op(padded, kernel)

        plain = is_dense and self.strides == (1, 1)
        filters = self.minimal_filtering and self.conv_kernels != "native" and plain
        return either(filters and filtering.is_faster(images, kernel), filter_tiles, convolve)

    def compute_output_shape(self, input_shape):
        height, width = (
            None if size is None else (size + 2 * self.pad_px - reach) // stride + 1
            for size, reach, stride in zip(input_shape[1:3], self._reach_px, self.strides, strict=True)
        )
        return (input_shape[0], height, width, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "pad_px": self.pad_px,
            "conv_kernels": self.conv_kernels,
            "minimal_filtering": self.minimal_filtering,
        }


@keras.utils.register_keras_serializable("tfpix2pix")
class UpConv2D(keras.layers.Conv2DTranspose):
    """`Conv2DTranspose` with a 4x4 kernel that doubles the size.

    Args:
      filters: output channels.
      conv_kernels: `auto` or `native`, as `convolutions.takes_matmul` takes it.
      **kwargs: further arguments of `keras.layers.Conv2DTranspose`.
    """

    def __init__(self, filters: int, conv_kernels: str = "auto", **kwargs):
        for fixed in ("kernel_size", "strides", "padding", "output_padding", "data_format"):
            kwargs.pop(fixed, None)
        super().__init__(filters, 4, 2, padding="same", **kwargs)
        self.conv_kernels = _check_kernels(conv_kernels)

    def call(self, images):
        kernel = tf.cast(self.kernel, images.dtype)
        return _finish(self, convolutions.conv2d_transpose(images, kernel, self.conv_kernels))

    def get_config(self):
        return {**super().get_config(), "conv_kernels": self.conv_kernels}


@keras.utils.register_keras_serializable("tfpix2pix")
class UpConv2D3x3(keras.layers.Conv2DTranspose):
    """`Conv2DTranspose` with a 3x3 kernel that doubles the size, and is centred on the even pixels.

    Args:
      filters: output channels.
      conv_kernels: `auto` or `native`, as `strips.conv2d_transpose` takes it.
      **kwargs: further arguments of `keras.layers.Conv2DTranspose`.

    Source: `ConvTranspose2d(3, stride=2, padding=1, output_padding=1)` in pix2pixHD and CycleGAN.
    `padding="same"` would centre the kernel on the odd pixels.
    """

    def __init__(self, filters: int, conv_kernels: str = "auto", **kwargs):
        for fixed in ("kernel_size", "strides", "padding", "output_padding", "data_format"):
            kwargs.pop(fixed, None)
        super().__init__(filters, 3, 2, padding="valid", **kwargs)
        self.conv_kernels = _check_kernels(conv_kernels)

    def call(self, images):
        kernel = tf.cast(self.kernel, images.dtype)
        batch, height, width, _ = find_sizes(images)
        # Not the call of Keras, whose version 2 takes `compute_output_shape` for that of the convolution.
        size = [batch, 2 * height, 2 * width, self.filters]
        larger = strips.conv2d_transpose(images, kernel, size, 2, pad_px=1, kernels=self.conv_kernels)
        return _finish(self, tf.ensure_shape(larger, self.compute_output_shape(images.shape)))

    def compute_output_shape(self, input_shape):
        height, width = (None if side is None else 2 * side for side in input_shape[1:3])
        return (input_shape[0], height, width, self.filters)

    def get_config(self):
        return {**super().get_config(), "conv_kernels": self.conv_kernels}


@keras.utils.register_keras_serializable("tfpix2pix")
class ResizeConv2D(PaddedConv2D):
    """Doubles the size by resizing, then convolves 3x3.

    It leaves no checkerboard pattern, because all pixels get equally many taps of the kernel.

    Args:
      filters: output channels.
      interpolation: `nearest` or `bilinear` (half-pixel centres).
      **kwargs: further arguments of `keras.layers.Conv2D`.

    Source: Odena et al., Deconvolution and Checkerboard Artifacts, 2016.
    """

    def __init__(self, filters: int, interpolation: str = "nearest", **kwargs):
        for fixed in ("kernel_size", "strides", "pad_px"):
            kwargs.pop(fixed, None)
        super().__init__(filters, 3, **kwargs)
        self.interpolation = interpolation

    def convolution_op(self, images, kernel):
        _, height, width, _ = find_sizes(images)
        larger = tf.cast(tf.image.resize(images, [2 * height, 2 * width], self.interpolation), images.dtype)
        doubled = [None if side is None else 2 * side for side in images.shape[1:3]]
        larger = tf.ensure_shape(larger, [images.shape[0], *doubled, images.shape[3]])
        return super().convolution_op(larger, kernel)

    def compute_output_shape(self, input_shape):
        height, width = (None if side is None else 2 * side for side in input_shape[1:3])
        return (input_shape[0], height, width, self.filters)

    def get_config(self):
        return {**super().get_config(), "interpolation": self.interpolation}


def _check_kernels(conv_kernels: str) -> str:
    if conv_kernels not in CONV_KERNELS:
        raise ValueError(
            f"conv_kernels must be one of {', '.join(CONV_KERNELS)}. Received: conv_kernels={conv_kernels!r}"
        )
    return conv_kernels


def _finish(layer: keras.layers.Layer, images: tf.Tensor) -> tf.Tensor:
    """Does what Keras's convolutions do after the convolution."""
    if layer.use_bias:
        images = tf.nn.bias_add(images, tf.cast(layer.bias, images.dtype))
    return layer.activation(images)
