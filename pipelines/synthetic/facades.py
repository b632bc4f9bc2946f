"""Generated facades with exact labels: a dataset that needs no files and no network.

A pair is a pure function of (seed, index, size); nothing is stored or downloaded. The label map follows
the grammar of facades in `layout.py`. The photo adds what labels do not tell, which is colours,
materials and light: `style.py` draws them, `render.py` paints them, and the camera in this file takes
the photo.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.synthetic.layout import draw_layout
from tfpix2pix.pipelines.synthetic.materials import Array, as_planes, draw_grain
from tfpix2pix.pipelines.synthetic.render import paint_layout
from tfpix2pix.pipelines.synthetic.style import draw_style

LEAST_SIZE_PX = 32
PALETTE = np.array(list(catalogue.FACADES_PALETTE.values()), np.uint8)
PALETTE.flags.writeable = False

# Images of up to this many pixels are painted at twice the size; otherwise their bars and ledges alias.
_SUPERSAMPLED_PX = 160 * 160


class SyntheticPair(NamedTuple):
    """A generated facade.

    Attributes:
      photo: uint8 RGB [H, W, 3].
      class_ids: uint8 [H, W], from 0 to 11 in the order of `catalogue.FACADES_PALETTE`.
      label_map: uint8 RGB [H, W, 3], the colours of `class_ids` in that palette.
      instance_ids: uint16 [H, W], a number of its own for each window, door and so on; all that is
        background has one number, and so has the wall. None where nobody knows.
    """

    photo: npt.NDArray[np.uint8]
    class_ids: npt.NDArray[np.uint8]
    label_map: npt.NDArray[np.uint8]
    instance_ids: npt.NDArray[np.uint16] | None = None


def pair_index(split: str, example: int) -> int:
    """Returns the index of an example of a split; no two splits share an index.

    Args:
      split: `train`, `val` or `test`.
      example: its number within the split, from 0.

    Returns:
      The argument `index` of `draw_pair`.

    Raises:
      ValueError: for an unknown split or a negative example.
    """
    if split not in catalogue.SPLITS:
        raise ValueError(f"Expected a split among {', '.join(catalogue.SPLITS)}. Received: {split!r}")
    if example < 0:
        raise ValueError(f"Expected an example of 0 or more. Received: {example}")
    return example * len(catalogue.SPLITS) + catalogue.SPLITS.index(split)


def draw_pair(seed: int, index: int, image_size: tuple[int, int] = (256, 256)) -> SyntheticPair:
    """Draws one facade; the same arguments always give the same pair.

    Args:
      seed: the seed of the dataset, from 0 to 2**32 - 1.
      index: number of the pair, from 0 to 2**32 - 1; see `pair_index` for the splits.
      image_size: (height, width) in pixels, each at least 32.

    Returns:
      The photo and its labels.

    Raises:
      ValueError: for a seed or an index out of range, or an image that is too small.
    """
    height, width = image_size
    if min(height, width) < LEAST_SIZE_PX:
        raise ValueError(
            f"Expected an image_size of at least {LEAST_SIZE_PX} x {LEAST_SIZE_PX} pixels. "
            f"Received: {height} x {width}"
        )
    if not (0 <= seed < 2**32 and 0 <= index < 2**32):
        raise ValueError(
            f"Expected a seed and an index from 0 to 2**32 - 1. Received: seed={seed}, index={index}"
        )
    scale = 2 if height * width <= _SUPERSAMPLED_PX else 1
    layout = draw_layout(_generator(seed, index, 0), (height, width))
    rng = _generator(seed, index, 1)
    ids, scene = paint_layout(rng, layout, draw_style(rng), (height * scale, width * scale), scale)
    rows, columns = _draw_view(rng, (height * scale, width * scale))
    photo = _developed(rng, _halved(_sampled(scene, rows, columns), scale))
    rows, columns = _halved(rows, scale), _halved(columns, scale)
    class_ids, instance_ids = (_nearest(each, rows, columns) for each in ids)
    return SyntheticPair(photo, class_ids, PALETTE[class_ids], instance_ids)


def _generator(seed: int, index: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index, stream])))


def _draw_view(rng: np.random.Generator, size_px: tuple[int, int]) -> tuple[Array, Array]:
    """Draws where the pixels of the camera lie on the canvas: their rows and columns, float32 [h, w]."""
    height, width = size_px
    tilt, lean, turn, bulge = ((float(value) - 0.5) * 0.06 for value in rng.random(4))
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1)[:, None]
    x = ((np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1)[None, :]
    # The factor 0.94 keeps the corners on the canvas with any distortion.
    radial = 0.94 + 0.5 * bulge * (x * x + y * y - 1)
    columns = (x * (radial + 0.5 * tilt * y) + 0.4 * lean * y + 1) * (width / 2) - 0.5
    rows = (y * (radial + 0.5 * turn * x) - 0.4 * lean * x + 1) * (height / 2) - 0.5
    return np.clip(rows, 0, height - 1.001), np.clip(columns, 0, width - 1.001)


def _sampled(scene: Array, rows: Array, columns: Array) -> Array:
    """Samples a scene, float32 [3, h, w], by bilinear interpolation."""
    width = scene.shape[2]
    row, column = rows.astype(np.intp), columns.astype(np.intp)
    down, across = rows - row, columns - column
    corner = row * width + column
    flat = scene.reshape(3, -1)

    def at(offset: int) -> Array:
        return flat.take(corner + offset, axis=1, mode="clip")

    left = at(0) + (at(width) - at(0)) * down
    right = at(1) + (at(width + 1) - at(1)) * down
    return left + (right - left) * across


def _halved(planes: Array, scale: int) -> Array:
    """Averages blocks of `scale` x `scale` of the last two axes."""
    if scale == 1:
        return planes
    upper, lower = planes[..., ::2, :], planes[..., 1::2, :]
    return 0.25 * (upper[..., ::2] + upper[..., 1::2] + lower[..., ::2] + lower[..., 1::2])


def _nearest(ids: npt.NDArray[Any], rows: Array, columns: Array) -> npt.NDArray[Any]:
    return ids[(rows + 0.5).astype(np.intp), (columns + 0.5).astype(np.intp)]


def _developed(rng: np.random.Generator, scene: Array) -> npt.NDArray[np.uint8]:
    """Turns a scene, float32 [3, H, W], into a photo: exposure, vignette, tone, noise."""
    height, width = scene.shape[1:]
    exposure, warm, corner, contrast, noise = (float(value) for value in rng.random(5))
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    vignette = (0.85 + 0.3 * exposure) * (1 - (0.04 + 0.1 * corner) * (x * x + y * y))
    photo = scene * vignette * as_planes((0.97 + 0.06 * warm, 1.0, 1.03 - 0.06 * warm))
    photo = np.clip(photo, 0, 1)
    photo += (0.15 + 0.35 * contrast) * (photo * photo * (3 - 2 * photo) - photo)
    photo += (0.01 + 0.02 * noise) * draw_grain(rng, (3 * height, width)).reshape(photo.shape)
    photo = np.clip(photo * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(photo.transpose(1, 2, 0))
