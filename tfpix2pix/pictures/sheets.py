"""Makes contact sheets and maps of what the discriminator thinks, and writes PNG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.pictures.examples import show_image
from tfpix2pix.pipelines.base import staging

GAP_PX = 4


def contact_sheet(columns: Sequence[np.ndarray | tf.Tensor]) -> np.ndarray:
    """Lays images out on white: each example has a row, each kind of image a column.

    Args:
      columns: pictures, uint8 [B, H, W, 3]; or images, float32 [B, H, W, C] in [-1, 1], which
        `show_image` turns into pictures. All have the same B, H and W.

    Returns:
      uint8 [B * (H + gap) + gap, columns * (W + gap) + gap, 3].
    """
    images = [np.asarray(column) if column.dtype == tf.uint8 else show_image(column) for column in columns]
    rows, height, width = images[0].shape[:3]
    sheet_size = (rows * (height + GAP_PX) + GAP_PX, len(images) * (width + GAP_PX) + GAP_PX, 3)
    sheet = np.full(sheet_size, 255, np.uint8)
    for x, column in enumerate(images):
        for y, image in enumerate(column):
            top, left = GAP_PX + y * (height + GAP_PX), GAP_PX + x * (width + GAP_PX)
            sheet[top : top + height, left : left + width] = image
    return sheet


def patch_map(patch_logits: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Shows what the discriminator thinks of each patch: white stands for real, black for generated.

    Args:
      patch_logits: what the discriminator returned, float32 [B, h, w, 1].
      image_size: (height, width) of the map in px.

    Returns:
      float32 [B, height, width, 1] in [-1, 1].
    """
    probabilities = tf.sigmoid(patch_logits) * 2 - 1
    return tf.image.resize(probabilities, image_size, "nearest")


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes a PNG file, which appears whole or not at all, and its folder where that is missing.

    Args:
      path: of the file.
      image: uint8 or uint16 [H, W, C], C from 1 to 4.
    """
    staging.write_file(path, tf.io.encode_png(image).numpy())
