"""Paints the parts of a layout: a label map and a photo of the same parts, and the light on the photo."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfpix2pix.pipelines.synthetic.layout import CLASS_ID_OF_KIND, NUM_CLASSES, UNCOUNTED_CLASSES, Part
from tfpix2pix.pipelines.synthetic.materials import Array, as_planes
from tfpix2pix.pipelines.synthetic.painters import PAINTERS
from tfpix2pix.pipelines.synthetic.scene import Box, Scene, new_scene
from tfpix2pix.pipelines.synthetic.style import Style

Mask = npt.NDArray[np.bool_]

# How far parts stand out of the wall, in layout units; negative where they lie behind it.
_DEPTH = {
    "window": -0.012,
    "door": -0.02,
    "shop": -0.014,
    "surround": 0.004,
    "roller": 0.002,
    "shutter": 0.007,
    "panel": 0.005,
    "pediment": 0.012,
    "pillar": 0.012,
    "sill": 0.012,
    "hood": 0.018,
    "band": 0.022,
    "balcony": 0.04,
}


def paint_layout(
    rng: np.random.Generator, layout: Sequence[Part], style: Style, size_px: tuple[int, int], least_px: int
) -> tuple[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16]], Array]:
    """Paints a layout.

    Args:
      rng: the source of what only the photo shows.
      layout: the parts, in the order in which they are painted.
      style: colours, materials and light.
      size_px: (height, width) of the canvas.
      least_px: least thickness of a part, in pixels of the canvas.

    Returns:
      The class ids, uint8 [h, w], and the instance ids, uint16 [h, w]; and the scene with its light, float32
      [3, h, w] in about [0, 1].
    """
    scene = new_scene(rng, style, size_px)
    for number, part in enumerate(layout):
        _paint_part(scene, part, number, least_px)
    return (scene.class_ids, scene.instance_ids), _lit(scene)


def _paint_part(scene: Scene, part: Part, number: int, least_px: int) -> None:
    top, left = round(part.top * scene.unit_px), round(part.left * scene.unit_px)
    bottom = max(round(part.bottom * scene.unit_px), top + least_px)
    right = max(round(part.right * scene.unit_px), left + least_px)
    height, width = scene.class_ids.shape
    if bottom <= 0 or right <= 0 or top >= height or left >= width:
        return
    box = (slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width)))
    mask: Mask | bool = True
    if part.shape != "box":
        whole = _shape_mask(part.shape, bottom - top, right - left)
        mask = whole[box[0].start - top : box[0].stop - top, box[1].start - left : box[1].stop - left]
    patch = PAINTERS[part.kind](scene, box)
    _cast_shadow(scene, box, mask, _DEPTH.get(part.kind, 0.0))
    class_id = CLASS_ID_OF_KIND[part.kind]
    np.copyto(scene.class_ids[box], class_id, where=mask)
    instance_id = class_id if class_id in UNCOUNTED_CLASSES else NUM_CLASSES + number
    np.copyto(scene.instance_ids[box], instance_id, where=mask)
    place = (..., *box)
    np.copyto(scene.colour[place], patch, where=mask)


def _shape_mask(shape: str, height: int, width: int) -> Mask:
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    x = np.abs((np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1)
    if shape == "arch":
        rise = min(0.5 * width / height, 0.6)
        return (y >= rise) | (x * x + (1 - y / rise) ** 2 <= 1)
    if shape == "triangle":
        return x <= y
    if shape == "hip":
        return x * width <= width - 1.2 * height * (1 - y)
    raise ValueError(f"Expected a shape among arch, triangle and hip. Received: {shape!r}")


def _cast_shadow(scene: Scene, box: Box, mask: Mask | bool, depth: float) -> None:
    rows, columns = box
    drop = max(round(abs(depth) * scene.style.sun_drop * scene.unit_px), 1)
    side = round(abs(depth) * scene.style.sun_side * scene.unit_px)
    if depth > 0:
        cast = slice(max(columns.start + side, 0), max(columns.stop + side, 0))
        scene.light[rows.start + drop : rows.stop + drop, cast] *= 0.25
    own = scene.light[box]
    np.copyto(own, 1.0, where=mask)
    if depth < 0:
        own[:drop] *= 0.25
        own[drop:, : max(side, 0)] *= 0.4
        own[drop:, own.shape[1] + min(side, 0) :] *= 0.4


def _lit(scene: Scene) -> Array:
    light = scene.light
    light *= _draw_street_shadow(scene)
    light[scene.class_ids == CLASS_ID_OF_KIND["sky"]] = 1.0
    for _ in range(max(1, round(scene.unit_px / 160))):
        light[1:-1] = 0.25 * (light[:-2] + 2 * light[1:-1] + light[2:])
        light[:, 1:-1] = 0.25 * (light[:, :-2] + 2 * light[:, 1:-1] + light[:, 2:])
    shade = as_planes(scene.style.shade)
    return scene.colour * (shade + (1 - shade) * light)


def _draw_street_shadow(scene: Scene) -> Array:
    """Draws the shadow of the houses across the street, which most photos hardly show."""
    level, slope = scene.rng.random(2)
    height, width = scene.light.shape
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    edge = y - float(2.2 * level + 0.3) - float(1.2 * slope - 0.6) * x
    return 1 - 0.8 * np.clip(30 * edge, 0, 1)
