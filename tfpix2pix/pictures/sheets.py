"""Makes contact sheets and maps of what the discriminator thinks, and writes PNG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from tfpix2pix.pictures.examples import show_image
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.files.encoding import encode_png

GAP_PX = 4
CAPTION_PX = 20
# What the brightness of a `patch_map` means, in lines that fit below narrow pictures too.
PATCH_LEGEND = ("white: taken for real", "black: for generated")
# From the largest to the smallest; a text that is too long even then is cut off.
_FONT_SIZES = (13, 5)


def contact_sheet(
    columns: Sequence[np.ndarray | tf.Tensor],
    titles: Sequence[str] | None = None,
    legend: Sequence[str] = (),
) -> np.ndarray:
    """Lays images out on white: each example has a row, each kind of image a column.

    Args:
      columns: pictures, uint8 [B, H, W, 3]; or images, float32 [B, H, W, C] in [-1, 1], which
        `show_image` turns into pictures. All have the same B, H and W.
      titles: a caption above each column; None leaves the captions out.
      legend: lines below all rows.

    Returns:
      uint8 [caption + B * (H + gap) + gap + legend, columns * (W + gap) + gap, 3], where the caption and each
      line of the legend is `CAPTION_PX` high. The caption is 0 px high without titles.
    """
    images = [np.asarray(column) if column.dtype == tf.uint8 else show_image(column) for column in columns]
    rows, height, width = images[0].shape[:3]
    sheet_size = (rows * (height + GAP_PX) + GAP_PX, len(images) * (width + GAP_PX) + GAP_PX, 3)
    sheet = np.full(sheet_size, 255, np.uint8)
    for x, column in enumerate(images):
        for y, image in enumerate(column):
            top, left = GAP_PX + y * (height + GAP_PX), GAP_PX + x * (width + GAP_PX)
            sheet[top : top + height, left : left + width] = image
    captions = np.full((CAPTION_PX if titles else 0, sheet.shape[1], 3), 255, np.uint8)
    for x, title in enumerate(titles or ()):
        left = GAP_PX + x * (width + GAP_PX)
        captions[:, left : left + width] = _draw_caption(title, width)
    return np.concatenate([captions, sheet, *(_draw_caption(line, sheet.shape[1]) for line in legend)])


def _draw_caption(text: str, width: int) -> np.ndarray:
    """Returns the text in the largest letters that fit, uint8 [CAPTION_PX, width, 3]."""
    for size in range(*_FONT_SIZES, -1):
        font = ImageFont.load_default(size)
        if font.getlength(text) <= width:
            break
    picture = Image.new("RGB", (width, CAPTION_PX), "white")
    ImageDraw.Draw(picture).text((width / 2, CAPTION_PX / 2 + 1), text, "black", font, anchor="mm")
    return np.asarray(picture)


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
      path: where the file is written.
      image: uint8 or uint16 [H, W, C], C from 1 to 4.
    """
    staging.write_file(path, encode_png(image).numpy())
