"""The few layers that Keras lacks, in `tf` ops.

None of them keeps state that changes when it is called: a forward pass assigns
nothing, so that what is exported is what was trained.
"""

import keras
import tensorflow as tf

from tfpix2pix import convolutions

# Sec. 6.2 and the original code: N(0, 0.02) weights, N(1, 0.02) norm scales, epsilon 1e-5.
WEIGHT_STDDEV = 0.02
NORM_EPSILON = 1e-5


def weight_initializer() -> keras.initializers.Initializer:
    """Returns the paper's N(0, 0.02), a fresh one for each layer."""
    return keras.initializers.RandomNormal(0.0, WEIGHT_STDDEV)


@keras.utils.register_keras_serializable("tfpix2pix")
class PaddedConv2D(keras.layers.Conv2D):
    """`Conv2D` with an explicit zero padding of `pad_px` on every side, as in the original code.

    `padding="same"` pads the same only for even sizes at stride 2, and not at
    all the same at stride 1 with an even kernel.

    Args:
      filters: output channels.
      kernel_size: side of the square kernel, px.
      strides: step of the kernel, px.
      pad_px: zeros added to each side, px.
      conv_kernels: `auto` or `native`; see `convolutions.takes_matmul`.
      **kwargs: as in `keras.layers.Conv2D`.

    Raises:
      ValueError: when called on images that, padded, are smaller than the kernel.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        pad_px: int = 1,
        conv_kernels: str = "auto",
        **kwargs,
    ):
        for fixed in ("padding", "data_format"):
            kwargs.pop(fixed, None)
        super().__init__(filters, kernel_size, strides, padding="valid", **kwargs)
        self.pad_px = pad_px
        self.conv_kernels = conv_kernels

    def call(self, images):
        # TensorFlow returns uninitialised memory instead of an error.
        smallest_px = self.kernel_size[0] - 2 * self.pad_px
        if any(size is not None and size < smallest_px for size in images.shape[1:3]):
            raise ValueError(
                f"{self.name} needs images of at least {smallest_px}x{smallest_px} px. "
                f"Received: {images.shape[1]}x{images.shape[2]} px; use larger images or a shallower network"
            )
        if (self.kernel_size, self.strides, self.pad_px) == ((4, 4), (2, 2), 1):
            kernel = tf.cast(self.kernel, images.dtype)
            return _biased(self, convolutions.conv2d(images, kernel, self.conv_kernels))
        return super().call(images)

    def convolution_op(self, images, kernel):
        # Not `padding=` of the convolution itself: on a CPU its bfloat16 gradient
        # is up to 50 times slower with explicit numbers.
        pad = [self.pad_px, self.pad_px]
        return super().convolution_op(tf.pad(images, [[0, 0], pad, pad, [0, 0]]), kernel)

    def compute_output_shape(self, input_shape):
        height, width = (
            None if size is None else (size + 2 * self.pad_px - kernel) // stride + 1
            for size, kernel, stride in zip(input_shape[1:3], self.kernel_size, self.strides, strict=True)
        )
        return (input_shape[0], height, width, self.filters)

    def get_config(self):
        return {**super().get_config(), "pad_px": self.pad_px, "conv_kernels": self.conv_kernels}


@keras.utils.register_keras_serializable("tfpix2pix")
class UpConv2D(keras.layers.Conv2DTranspose):
    """`Conv2DTranspose` of a 4x4 kernel that doubles the size.

    Args:
      filters: output channels.
      conv_kernels: `auto` or `native`; see `convolutions.takes_matmul`.
      **kwargs: as in `keras.layers.Conv2DTranspose`.
    """

    def __init__(self, filters: int, conv_kernels: str = "auto", **kwargs):
        for fixed in ("kernel_size", "strides", "padding", "output_padding", "data_format"):
            kwargs.pop(fixed, None)
        super().__init__(filters, 4, 2, padding="same", **kwargs)
        self.conv_kernels = conv_kernels

    def call(self, images):
        kernel = tf.cast(self.kernel, images.dtype)
        return _biased(self, convolutions.conv2d_transpose(images, kernel, self.conv_kernels))

    def get_config(self):
        return {**super().get_config(), "conv_kernels": self.conv_kernels}


@keras.utils.register_keras_serializable("tfpix2pix")
class ResizeConv2D(PaddedConv2D):
    """Doubles the size by resizing, then convolves 3x3: no checkerboard, as no pixel gets more kernel taps.

    Args:
      filters: output channels.
      interpolation: `nearest` or `bilinear` (half-pixel centres).
      **kwargs: as in `keras.layers.Conv2D`.

    Source: Odena et al., Deconvolution and Checkerboard Artifacts, 2016.
    """

    def __init__(self, filters: int, interpolation: str = "nearest", **kwargs):
        for fixed in ("kernel_size", "strides", "pad_px"):
            kwargs.pop(fixed, None)
        super().__init__(filters, 3, **kwargs)
        self.interpolation = interpolation

    def convolution_op(self, images, kernel):
        size = tf.shape(images)[1:3] * 2
        larger = tf.cast(tf.image.resize(images, size, self.interpolation), images.dtype)
        doubled = [None if side is None else 2 * side for side in images.shape[1:3]]
        larger = tf.ensure_shape(larger, [images.shape[0], *doubled, images.shape[3]])
        return super().convolution_op(larger, kernel)

    def compute_output_shape(self, input_shape):
        height, width = (None if side is None else 2 * side for side in input_shape[1:3])
        return (input_shape[0], height, width, self.filters)

    def get_config(self):
        return {**super().get_config(), "interpolation": self.interpolation}


def _biased(layer: keras.layers.Layer, images: tf.Tensor) -> tf.Tensor:
    return tf.nn.bias_add(images, tf.cast(layer.bias, images.dtype)) if layer.use_bias else images


@keras.utils.register_keras_serializable("tfpix2pix")
class StatelessNormalization(keras.layers.Layer):
    """Batch or instance normalisation without moving averages.

    The paper normalises with the statistics of the images at hand in training
    and in inference (Sec. 3.3). Moving averages would never be read, so none
    are kept.

    Args:
      kind: `batch`: with `training=True` the statistics are those of the whole
        (replica) batch, otherwise each image's own. `instance`: always each
        image's own. At batch size 1 the two are the same. `plain_instance`:
        `instance` without scale and offset.

    Call arguments:
      images: float tensor [B, H, W, C]; statistics are taken in float32.
      training: bool; see `kind`.

    Source: Sec. 3.3, 6.1; scale N(1, 0.02), offset 0, epsilon 1e-5.
    """

    def __init__(self, kind: str = "batch", **kwargs):
        if kind not in ("batch", "instance", "plain_instance"):
            raise ValueError(f"kind must be batch, instance or plain_instance. Received: kind={kind!r}")
        super().__init__(**kwargs)
        self.kind = kind

    def build(self, input_shape):
        channels = (input_shape[-1],)
        if self.kind != "plain_instance":
            self.gamma = self.add_weight(
                name="gamma", shape=channels, initializer=keras.initializers.RandomNormal(1.0, WEIGHT_STDDEV)
            )
            self.beta = self.add_weight(name="beta", shape=channels, initializer="zeros")
        self.built = True

    def call(self, images, training=False):
        if self.kind == "plain_instance":
            gamma, beta = tf.ones(images.shape[-1:]), tf.zeros(images.shape[-1:])
        else:
            gamma, beta = tf.cast(self.gamma, tf.float32), tf.cast(self.beta, tf.float32)
        one_group = images.shape[0] == 1 or (self.kind == "batch" and training)
        if one_group and images.dtype != tf.float64:
            # One pass over memory instead of ten; there is none for float64.
            return tf.raw_ops.FusedBatchNormV3(
                x=images, scale=gamma, offset=beta, mean=[], variance=[], epsilon=NORM_EPSILON
            ).y
        # At most two readers for each tensor: see "AddN" in docs/fidelity.md.
        values = tf.cast(images, tf.float32)
        centred = values - tf.reduce_mean(values, [1, 2], keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), [1, 2], keepdims=True)
        return tf.cast(centred * (gamma * tf.math.rsqrt(variance + NORM_EPSILON)) + beta, images.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


def needs_bias(normalization: str) -> bool:
    """Returns whether a convolution has a bias: where the normalisation after it has no offset."""
    return normalization in ("none", "plain_instance")


@keras.utils.register_keras_serializable("tfpix2pix")
class NoiseDropout(keras.layers.Layer):
    """Dropout whose mask is a pure function of a seed given per example: the paper's z.

    It is on in training and in inference alike (Sec. 3.1), keeps no seed of its
    own, and gives an image the same mask whatever it is batched with.

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
        shape = tf.shape(activations)
        places = tf.reshape(tf.range(tf.reduce_prod(shape[1:])), tf.concat([[1], shape[1:]], 0))
        seeds = tf.reshape(tf.cast(noise_seed, tf.int32), [-1, 2, 1, 1, 1])
        bits = hash_bits(seeds[:, 0], seeds[:, 1], tf.constant(self.stream), places)
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
    mixed = tf.constant(0x9E3779B9, tf.uint32)
    for word in words:
        mixed = tf.bitwise.bitwise_xor(mixed, tf.bitcast(tf.cast(word, tf.int32), tf.uint32))
        for shift, multiplier in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
            shifted = tf.bitwise.right_shift(mixed, tf.constant(shift, tf.uint32))
            mixed = tf.bitwise.bitwise_xor(mixed, shifted) * tf.constant(multiplier, tf.uint32)
    return mixed


@keras.utils.register_keras_serializable("tfpix2pix")
class PadToMultiple(keras.layers.Layer):
    """Mirrors an image's borders outwards until both sides are multiples of `multiple_px`.

    Sizes that are multiples already pass unchanged, so a network built for
    256x256 is exactly the paper's there, and runs on any other size as well.
    `CropLike` undoes it.

    Args:
      multiple_px: 2 to the number of downsamplings.

    Call arguments:
      images: float tensor [B, H, W, C] of any size.
    """

    def __init__(self, multiple_px: int, **kwargs):
        super().__init__(**kwargs)
        self.multiple_px = multiple_px

    def call(self, images):
        for axis in (1, 2):
            size = images.shape[axis]
            if size is None:
                size = tf.shape(images)[axis]
            elif size % self.multiple_px == 0:
                continue
            images = tf.gather(images, _mirrored_indices(size, self.multiple_px), axis=axis)
        return images

    def compute_output_shape(self, input_shape):
        height, width = (
            None if size is None else size + -size % self.multiple_px for size in input_shape[1:3]
        )
        return (input_shape[0], height, width, input_shape[3])

    def get_config(self):
        return {**super().get_config(), "multiple_px": self.multiple_px}


def _mirrored_indices(size, multiple_px: int) -> tf.Tensor:
    """Indices that centre `size` pixels in the next multiple and reflect them as often as needed."""
    missing = -size % multiple_px
    places = (tf.range(size + missing) - missing // 2) % (2 * size)
    return tf.minimum(places, 2 * size - 1 - places)


@keras.utils.register_keras_serializable("tfpix2pix")
class CropLike(keras.layers.Layer):
    """Crops the centre of `images` to the height and width of `reference`.

    Call arguments:
      inputs: (images, float [B, H, W, C]; reference, float [B, h, w, any]), h <= H, w <= W.
    """

    def call(self, inputs):
        images, reference = inputs
        if images.shape[1:3].is_fully_defined() and images.shape[1:3] == reference.shape[1:3]:
            return images
        size, wanted = tf.shape(images), tf.shape(reference)
        top, left = (size[1] - wanted[1]) // 2, (size[2] - wanted[2]) // 2
        return images[:, top : top + wanted[1], left : left + wanted[2], :]

    def compute_output_shape(self, input_shape):
        images, reference = input_shape
        return (images[0], *reference[1:3], images[3])
