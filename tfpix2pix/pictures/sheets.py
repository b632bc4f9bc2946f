"""Pictures for people: contact sheets, patch maps, PNG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.tasks.transforms import to_uint8

GAP_PX = 4


def as_rgb(image: tf.Tensor) -> tf.Tensor:
    """Shows any number of channels: one as gray, two as red and green, of more the first three.

    Args:
      image: float32 [..., C] in [-1, 1].

    Returns:
      float32 [..., 3].
    """
    image = tf.convert_to_tensor(image)
    channels = image.shape[-1]
    if channels == 1:
        return tf.image.grayscale_to_rgb(image)
    if channels == 2:
        return tf.concat([image, -tf.ones_like(image[..., :1])], axis=-1)
    return image[..., :3]


def contact_sheet(columns: Sequence[tf.Tensor]) -> np.ndarray:
    """Lays images out with an example a row and a kind a column.

    Args:
      columns: each float32 [B, H, W, C] in [-1, 1]; the same B, H and W.

    Returns:
      uint8 [B * (H + gap) + gap, columns * (W + gap) + gap, 3], on white.
    """
    images = [to_uint8(as_rgb(column)).numpy() for column in columns]
    rows, height, width = images[0].shape[:3]
    sheet_size = (rows * (height + GAP_PX) + GAP_PX, len(images) * (width + GAP_PX) + GAP_PX, 3)
    sheet = np.full(sheet_size, 255, np.uint8)
    for x, column in enumerate(images):
        for y, image in enumerate(column):
            top, left = GAP_PX + y * (height + GAP_PX), GAP_PX + x * (width + GAP_PX)
            sheet[top : top + height, left : left + width] = image
    return sheet


def patch_map(patch_logits: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Shows what the discriminator thinks of each patch: white real, black generated.

    Args:
      patch_logits: float32 [B, h, w, 1].
      image_size: (height, width) px of the picture.

    Returns:
      float32 [B, height, width, 1] in [-1, 1].
    """
    probabilities = tf.sigmoid(patch_logits) * 2 - 1
    return tf.image.resize(probabilities, image_size, "nearest")


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes uint8 or uint16 [H, W, 1 to 4] as a PNG file, atomically; makes its folder."""
    staging.write_file(path, tf.io.encode_png(image).numpy())
