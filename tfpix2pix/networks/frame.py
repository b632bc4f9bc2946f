"""What all generators have around them: inputs, classes as channels, padding and cropping, tanh."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from tfpix2pix.networks.class_channels import encode_input, list_colours
from tfpix2pix.networks.image_model import ImageModel
from tfpix2pix.networks.instance_features import CLUSTERS, DRAWER, READER, DrawFeatures
from tfpix2pix.networks.padding import CropLike, PadToMultiple
from tfpix2pix.pipelines.meaning import Palette


@dataclasses.dataclass(frozen=True)
class Frame:
    """What a generator's frame is made by.

    Attributes:
      name: name of the model.
      input_channels: channels of the input image.
      multiple_px: what the sides of an image are padded to a multiple of.
      palette: classes of label maps, of which the network sees a channel for each; None for pictures.
      boundary_classes: classes of label maps with ids of instances; None without them.
      dtype: Keras dtype policy.
      instance_features: channels of features of instances that the network sees beside; 0 for none.
      feature_clusters: the most clusters of a class that they are drawn from.
    """

    name: str
    input_channels: int
    multiple_px: int
    palette: Palette | None
    boundary_classes: Palette | None
    dtype: str
    instance_features: int = 0
    feature_clusters: int = CLUSTERS


def build_in_frame(frame: Frame, make: Callable[[Any, Any], Any]) -> keras.Model:
    """Builds a generator.

    Args:
      frame: what is around it.
      make: turns the padded image, symbolic float [B, H, W, C], and the noise seeds, int32 [B, 2], into
        the generated image before tanh, at the size of the padded one.

    Returns:
      A functional model `[input_image, noise_seed] -> generated_image`.
    """
    input_image = keras.Input((None, None, frame.input_channels), name="input_image")
    noise_seed = keras.Input((2,), dtype="int32", name="noise_seed")
    images = _append_features(
        encode_input(input_image, frame.palette, frame.boundary_classes), input_image, noise_seed, frame
    )
    images = PadToMultiple(frame.multiple_px, name="pad", dtype=frame.dtype)(images)
    images = make(images, noise_seed)
    images = CropLike(name="crop", dtype=frame.dtype)([images, input_image])
    generated_image = keras.layers.Activation("tanh", name="generated_image", dtype="float32")(images)
    return ImageModel([input_image, noise_seed], generated_image, name=frame.name)


def _append_features(images, input_image, noise_seed, frame: Frame):
    """Returns what the network sees of its input, with features of instances if it takes some."""
    if not frame.instance_features:
        return images
    if frame.boundary_classes is None:
        raise ValueError(
            "instance_features needs boundary_classes, which tell instances apart. "
            f"Received: instance_features={frame.instance_features}"
        )
    colours, sizes = list_colours(frame.boundary_classes), (frame.instance_features, frame.feature_clusters)
    drawn = DrawFeatures(*colours, *sizes, name=DRAWER)([input_image, noise_seed])
    return keras.layers.Concatenate(name=READER, dtype="float32")([images, drawn])
