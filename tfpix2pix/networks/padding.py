"""Padding by mirroring.

`PadToMultiple` and `CropLike` bring images of any size through networks that need multiples of 2;
`ReflectionPad2D` stands in front of convolutions.
"""

import keras
import tensorflow as tf


@keras.utils.register_keras_serializable("tfpix2pix")
class PadToMultiple(keras.layers.Layer):
    """Mirrors an image's borders outwards until both sides are multiples of `multiple_px`.

    Sizes that are multiples already pass unchanged, so a network built for
    256x256 is exactly the paper's there, and runs on any other size as well.
    `CropLike` undoes it.

    Args:
      multiple_px: what the sides become multiples of, which is 2 to the number of downsamplings.

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
    """Returns indices that centre `size` pixels in the next multiple, mirrored as often as needed."""
    missing = -size % multiple_px
    places = (tf.range(size + missing) - missing // 2) % (2 * size)
    return tf.minimum(places, 2 * size - 1 - places)


@keras.utils.register_keras_serializable("tfpix2pix")
class CropLike(keras.layers.Layer):
    """Crops the centre of images to the height and the width of a reference.

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


@keras.utils.register_keras_serializable("tfpix2pix")
class ReflectionPad2D(keras.layers.Layer):
    """Mirrors an image's borders outwards by `pad_px` on every side; the outermost pixels are not repeated.

    Residual generators pad like that in front of their convolutions.

    Args:
      pad_px: pixels that are added to each side.

    Call arguments:
      images: float tensor [B, H, W, C], H and W larger than `pad_px`.

    Raises:
      ValueError: when called on smaller images.

    Source: `nn.ReflectionPad2d` in the `ResnetGenerator` of the PyTorch reference.
    """

    def __init__(self, pad_px: int, **kwargs):
        super().__init__(**kwargs)
        self.pad_px = pad_px

    def call(self, images):
        if any(size is not None and size <= self.pad_px for size in images.shape[1:3]):
            raise ValueError(
                f"{self.name} needs images of at least {self.pad_px + 1}x{self.pad_px + 1} px. "
                f"Received: {images.shape[1]}x{images.shape[2]} px"
            )
        pad = [self.pad_px, self.pad_px]
        return tf.pad(images, [[0, 0], pad, pad, [0, 0]], "REFLECT")

    def compute_output_shape(self, input_shape):
        height, width = (None if size is None else size + 2 * self.pad_px for size in input_shape[1:3])
        return (input_shape[0], height, width, input_shape[3])

    def get_config(self):
        return {**super().get_config(), "pad_px": self.pad_px}
