"""Textures of generated facades: noise, masonry, tiles, skies.

Only additions, multiplications and stable draws are used, and no transcendental functions, so that every
machine computes the same pixels.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Colour = tuple[float, float, float]


def as_planes(colour: Colour) -> Array:
    """Returns a colour as float32 [3, 1, 1], which multiplies planes [3, H, W]."""
    return np.array(colour, np.float32).reshape(3, 1, 1)


def _lattice(count: int, cell_px: float) -> tuple[npt.NDArray[np.intp], Array]:
    position = np.arange(count, dtype=np.float32) / np.float32(cell_px)
    cell = position.astype(np.intp)
    inside = position - cell.astype(np.float32)
    return cell, inside * inside * (3 - 2 * inside)


def draw_noise(rng: np.random.Generator, size_px: tuple[int, int], cell_px: tuple[float, float]) -> Array:
    """Draws smooth noise.

    Args:
      rng: the source of the noise.
      size_px: (height, width) of the noise.
      cell_px: (height, width) of its bumps.

    Returns:
      float32 [H, W] in [-1, 1].
    """
    row, row_weight = _lattice(size_px[0], max(cell_px[0], 1.0))
    column, column_weight = _lattice(size_px[1], max(cell_px[1], 1.0))
    grid = rng.random((int(row[-1]) + 2, int(column[-1]) + 2), np.float32) * 2 - 1
    rows = grid[row] + (grid[row + 1] - grid[row]) * row_weight[:, None]
    near = rows[:, column]
    return near + (rows[:, column + 1] - near) * column_weight


def draw_grain(rng: np.random.Generator, size_px: tuple[int, int]) -> Array:
    """Draws independent noise for each pixel, float32 [H, W] in [-1, 1]; values near 0 are most probable."""
    return rng.random(size_px, np.float32) - rng.random(size_px, np.float32)


def draw_masonry(
    rng: np.random.Generator, size_px: tuple[int, int], block_px: tuple[float, float]
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Draws courses of blocks, of which every second one is shifted by half a block.

    Args:
      rng: the source of the tones of the blocks.
      size_px: (height, width) of the masonry.
      block_px: (height, width) of a block with its joint.

    Returns:
      The tone of the block of each pixel, float32 [H, W] in [-1, 1], and whether the pixel is in a
      joint, bool [H, W].
    """
    tall, wide = max(block_px[0], 3.0), max(block_px[1], 5.0)
    y = np.arange(size_px[0], dtype=np.float32) / np.float32(tall)
    course = y.astype(np.intp)
    x = np.arange(size_px[1], dtype=np.float32) / np.float32(wide) + (course % 2)[:, None] * np.float32(0.5)
    block = x.astype(np.intp)
    tones = rng.random((int(course[-1]) + 1, int(block.max()) + 1), np.float32) * 2 - 1
    joints = x - block < 1 / wide
    joints |= (y - course < 1 / tall)[:, None]
    return tones[course[:, None], block], joints


def draw_wall(
    rng: np.random.Generator, size_px: tuple[int, int], unit_px: float, colour: Colour, material: str
) -> Array:
    """Draws a wall.

    Args:
      rng: the source of the texture.
      size_px: (height, width) of the wall.
      unit_px: number of pixels in a layout unit.
      colour: colour of the clean material.
      material: `plaster`, `brick` or `stone`.

    Returns:
      float32 [3, H, W], about [0, 1].
    """
    stains = draw_noise(rng, size_px, (0.15 * unit_px, 0.12 * unit_px))
    streaks = draw_noise(rng, size_px, (0.25 * unit_px, 0.012 * unit_px))
    tone = 1 + 0.05 * stains + 0.035 * streaks + 0.05 * draw_grain(rng, size_px)
    if material == "plaster":
        tone += 0.035 * draw_noise(rng, size_px, (0.012 * unit_px, 0.012 * unit_px))
        return as_planes(colour) * tone
    block = (0.013, 0.036) if material == "brick" else (0.045, 0.1)
    blocks, joints = draw_masonry(rng, size_px, (block[0] * unit_px, block[1] * unit_px))
    tone += (0.16 if material == "brick" else 0.06) * blocks
    wall = as_planes(colour) * tone
    joint = (0.72, 0.69, 0.64) if material == "brick" else (0.6 * colour[0], 0.6 * colour[1], 0.6 * colour[2])
    weight = np.float32(0.55) * joints
    return wall + (as_planes(joint) - wall) * weight


def draw_tiles(rng: np.random.Generator, size_px: tuple[int, int], unit_px: float, colour: Colour) -> Array:
    """Draws roof tiles, float32 [3, H, W]; the arguments are those of `draw_wall`."""
    blocks, joints = draw_masonry(rng, size_px, (0.016 * unit_px, 0.014 * unit_px))
    stains = draw_noise(rng, size_px, (0.06 * unit_px, 0.1 * unit_px))
    tone = (1 + 0.14 * blocks + 0.13 * stains) * (1 - np.float32(0.3) * joints)
    return as_planes(colour) * tone


def draw_sky(
    rng: np.random.Generator, size_px: tuple[int, int], unit_px: float, colour: Colour, clouds: float
) -> Array:
    """Draws a sky that pales towards the horizon.

    Args:
      rng: the source of the clouds.
      size_px: (height, width) of the sky.
      unit_px: number of pixels in a layout unit.
      colour: colour at the top of the image.
      clouds: from 0 for a clear sky to 1 for an overcast one.

    Returns:
      float32 [3, H, W], about [0, 1].
    """
    top, horizon, cloud = as_planes(colour), as_planes((0.86, 0.89, 0.92)), as_planes((0.94, 0.94, 0.95))
    sky = top + (horizon - top) * np.linspace(0, 1, size_px[0], dtype=np.float32)[:, None]
    shape = draw_noise(rng, size_px, (0.1 * unit_px, 0.22 * unit_px))
    shape += 0.5 * draw_noise(rng, size_px, (0.03 * unit_px, 0.06 * unit_px))
    cover = np.clip(1.3 * shape + np.float32(2.4 * clouds - 1), 0, 1)
    return sky + (cloud - sky) * cover
