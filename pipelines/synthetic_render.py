"""Paints the parts of a layout: a label map and a photo of the same boxes."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipelines import synthetic_materials as materials
from pipelines.synthetic_layout import CLASS_ID_OF_KIND, Part
from pipelines.synthetic_materials import Array, Colour, as_planes
from pipelines.synthetic_style import Style

Box = tuple[slice, slice]

# How far parts stand out of the wall (or, negative, lie behind it), in layout units.
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


@dataclasses.dataclass
class Scene:
    """A canvas being painted.

    Attributes:
      rng: the source of what only the photo shows.
      style: colours, materials and light.
      unit_px: canvas pixels per layout unit.
      least_px: the thinnest part that may be drawn.
      class_ids: uint8 [h, w].
      colour: float32 [3, h, w], without light.
      light: float32 [h, w], 1 in the sun and 0 in full shadow.
      backdrop: textures of the whole canvas by name, float32 [3, h, w] or [h, w].
    """

    rng: np.random.Generator
    style: Style
    unit_px: float
    least_px: int
    class_ids: npt.NDArray[np.uint8]
    colour: Array
    light: Array
    backdrop: Mapping[str, Array]

    def length_px(self, units: float, least: int = 1) -> int:
        """Returns a length in whole canvas pixels, at least `least`."""
        return max(least, round(units * self.unit_px))

    def surface(self, colour: Colour, box: Box) -> Array:
        """Returns a grained patch of one colour, float32 [3, h, w]."""
        return as_planes(colour) * self.backdrop["grain"][box]


def paint_layout(
    rng: np.random.Generator,
    layout: Sequence[Part],
    style: Style,
    size_px: tuple[int, int],
    least_px: int,
) -> tuple[npt.NDArray[np.uint8], Array]:
    """Paints a layout.

    Args:
      rng: the source of what only the photo shows.
      layout: the parts, in painting order.
      style: colours, materials and light.
      size_px: height and width of the canvas.
      least_px: the thinnest part that may be drawn, in canvas pixels.

    Returns:
      Class ids, uint8 [h, w], and the lit scene, float32 [3, h, w], about [0, 1].
    """
    unit_px = math.sqrt(size_px[0] * size_px[1])
    scene = Scene(
        rng=rng,
        style=style,
        unit_px=unit_px,
        least_px=least_px,
        class_ids=np.zeros(size_px, np.uint8),
        colour=np.zeros((3, *size_px), np.float32),
        light=np.ones(size_px, np.float32),
        backdrop=_draw_backdrop(rng, style, size_px, unit_px),
    )
    for part in layout:
        _paint_part(scene, part)
    return scene.class_ids, _lit(scene)


def _draw_backdrop(
    rng: np.random.Generator, style: Style, size_px: tuple[int, int], unit_px: float
) -> dict[str, Array]:
    sky = materials.draw_sky(rng, size_px, unit_px, style.sky, (0.86, 0.89, 0.92), style.clouds)
    trees = materials.draw_noise(rng, size_px, (0.07 * unit_px, 0.09 * unit_px))
    fine = materials.draw_noise(rng, size_px, (0.02 * unit_px, 0.016 * unit_px))
    relief = fine.copy()
    relief[1:, 1:] -= fine[:-1, :-1]
    return {
        "sky": sky,
        # What the glass mirrors: the sky, broken by what stands across the street.
        "mirror": sky * (0.42 + 0.26 * trees + 0.1 * fine),
        "wall": materials.draw_wall(rng, size_px, unit_px, style.wall, style.wall_material),
        "base": materials.draw_wall(rng, size_px, unit_px, style.base, style.base_material),
        "roof": materials.draw_tiles(rng, size_px, unit_px, style.roof),
        "grain": 1 + 0.05 * fine + 0.06 * materials.draw_grain(rng, size_px),
        "relief": relief,
    }


def _paint_part(scene: Scene, part: Part) -> None:
    top, bottom = round(part.top * scene.unit_px), round(part.bottom * scene.unit_px)
    left, right = round(part.left * scene.unit_px), round(part.right * scene.unit_px)
    bottom, right = max(bottom, top + scene.least_px), max(right, left + scene.least_px)
    height, width = scene.class_ids.shape
    if bottom <= 0 or right <= 0 or top >= height or left >= width:
        return
    mask = _shape_mask(part.shape, bottom - top, right - left)
    box = (slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width)))
    mask = mask[box[0].start - top : box[0].stop - top, box[1].start - left : box[1].stop - left]
    patch = _PAINTERS[part.kind](scene, box)
    _cast_shadow(scene, box, mask, _DEPTH.get(part.kind, 0.0))
    scene.class_ids[box][mask] = CLASS_ID_OF_KIND[part.kind]
    np.copyto(scene.colour[(slice(None), *box)], patch, where=mask)


def _shape_mask(shape: str, height: int, width: int) -> npt.NDArray[np.bool_]:
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    x = np.abs((np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1)
    if shape == "arch":
        rise = min(0.5 * width / height, 0.6)
        return (y >= rise) | (x * x + (1 - y / rise) ** 2 <= 1)
    if shape == "oval":
        return x * x + (2 * y - 1) ** 2 <= 1
    if shape == "triangle":
        return x <= y
    if shape == "hip":
        return x * width <= width - 1.2 * height * (1 - y)
    return np.ones((height, width), np.bool_)


def _cast_shadow(scene: Scene, box: Box, mask: npt.NDArray[np.bool_], depth: float) -> None:
    light = scene.light
    rows, columns = box
    drop = round(abs(depth) * scene.style.sun_drop * scene.unit_px)
    side = round(abs(depth) * scene.style.sun_side * scene.unit_px)
    if depth > 0:
        drop = max(drop, 1)
        cast = light[
            rows.start + drop : rows.stop + drop, max(columns.start + side, 0) : max(columns.stop + side, 0)
        ]
        cast *= 0.25
    np.copyto(light[box], 1.0, where=mask)
    if depth < 0:
        light[rows.start : min(rows.start + max(drop, 1), rows.stop), columns] *= 0.25
        if side > 0:
            light[rows, columns.start : min(columns.start + side, columns.stop)] *= 0.4
        elif side < 0:
            light[rows, max(columns.stop + side, columns.start) : columns.stop] *= 0.4


def _lit(scene: Scene) -> Array:
    light = scene.light
    light[scene.class_ids == CLASS_ID_OF_KIND["sky"]] = 1.0
    for _ in range(max(1, round(scene.unit_px / 160))):
        light[1:-1] = 0.25 * (light[:-2] + 2 * light[1:-1] + light[2:])
        light[:, 1:-1] = 0.25 * (light[:, :-2] + 2 * light[:, 1:-1] + light[:, 2:])
    shade = as_planes(scene.style.shade)
    return scene.colour * (shade + (1 - shade) * light)


def _size(box: Box) -> tuple[int, int]:
    return box[0].stop - box[0].start, box[1].stop - box[1].start


def _profile(values: Sequence[float], count: int) -> Array:
    """Returns `values` stretched over `count` pixels, float32 [count]."""
    steps = (np.arange(count) * len(values)) // count
    return np.array(values, np.float32)[steps]


def _paint_backdrop(name: str) -> Callable[[Scene, Box], Array]:
    return lambda scene, box: scene.backdrop[name][(slice(None), *box)]


def _paint_neighbour(scene: Scene, box: Box) -> Array:
    height, width = _size(box)
    patch = scene.surface(scene.style.neighbour, box) * np.float32(0.85)
    storey, pitch = scene.length_px(0.2, 6), scene.length_px(0.11, 5)
    offset = int(scene.rng.integers(0, pitch))
    rows = (np.arange(height) % storey) > 0.45 * storey
    columns = ((np.arange(width) + offset) % pitch) > 0.55 * pitch
    panes = rows[:, None] & columns
    np.copyto(patch, scene.backdrop["mirror"][(slice(None), *box)], where=panes)
    return patch


def _paint_pavement(scene: Scene, box: Box) -> Array:
    patch = scene.surface((0.48, 0.47, 0.46), box)
    kerb = _size(box)[0] // 2
    patch[:, kerb:] *= 0.7
    patch[:, kerb : kerb + scene.length_px(0.005)] *= 1.7
    return patch


def _paint_chimney(scene: Scene, box: Box) -> Array:
    patch = scene.backdrop["wall"][(slice(None), *box)] * np.float32(0.75)
    patch[:, : scene.length_px(0.008)] *= 1.3
    return patch


def _paint_surround(scene: Scene, box: Box) -> Array:
    return scene.surface(scene.style.trim, box)


def _paint_window(scene: Scene, box: Box) -> Array:
    style, (height, width) = scene.style, _size(box)
    patch = scene.backdrop["mirror"][(slice(None), *box)] * np.float32(0.55 + 0.6 * scene.rng.random())
    if scene.rng.random() < style.curtains:
        folds = 0.62 + 0.12 * (np.arange(width) // scene.length_px(0.008, 2) % 2).astype(np.float32)
        curtain = as_planes((1.0, 0.97, 0.9)) * folds
        share = 0.2 + 0.35 * float(scene.rng.random())
        for columns in (slice(0, int(share * width)), slice(width - int(share * width), width)):
            patch[:, :, columns] = 0.45 * patch[:, :, columns] + 0.55 * curtain[:, :, columns]
    frame = scene.surface(style.frame, box)
    thick, bar = scene.length_px(0.006), scene.length_px(0.004)
    is_frame = np.zeros((height, width), np.bool_)
    is_frame[:thick] = is_frame[height - thick :] = True
    is_frame[:, :thick] = is_frame[:, width - thick :] = True
    for mullion in range(style.mullions):
        middle = (mullion + 1) * width // (style.mullions + 1)
        is_frame[:, middle - bar // 2 : middle - bar // 2 + bar] = True
    if style.transom:
        crossbar = int(style.transom * height)
        is_frame[crossbar : crossbar + bar] = True
    np.copyto(patch, frame, where=is_frame)
    return patch


def _paint_door(scene: Scene, box: Box) -> Array:
    height, width = _size(box)
    patch = scene.surface(scene.style.door, box)
    transom = int(0.22 * height)
    glass = scene.backdrop["mirror"][(slice(None), *box)]
    edge = scene.length_px(0.006)
    for leaf in (slice(0, width // 2), slice(width // 2, width)):
        leaf_width = leaf.stop - leaf.start
        inside = slice(leaf.start + leaf_width // 5, max(leaf.stop - leaf_width // 5, leaf.start + 1))
        patch[:, edge:transom, inside] = 0.8 * glass[:, edge:transom, inside]
        for start, stop in ((0.3, 0.58), (0.64, 0.92)):
            rows = slice(int(start * height), int(stop * height))
            patch[:, rows, inside] *= 1.25
            patch[:, rows.start : rows.start + edge, inside] *= 0.6
    patch[:, transom : transom + edge] *= 1.4
    patch[:, :, width // 2 : width // 2 + 1] *= 0.4
    return patch


def _paint_shop(scene: Scene, box: Box) -> Array:
    height, width = _size(box)
    style = scene.style
    patch = scene.surface(style.sign, box)
    fascia, plinth, bar = int(0.2 * height), int(0.88 * height), scene.length_px(0.007)
    inner = (box[0], box[1])
    warm = 0.5 + 0.9 * np.abs(scene.backdrop["relief"][inner])
    glow = as_planes((0.62, 0.5, 0.36)) * warm * np.float32(0.3 + 0.6 * scene.rng.random())
    glass = 0.4 * scene.backdrop["mirror"][(slice(None), *box)] + 0.6 * glow
    panes = np.ones((height, width), np.bool_)
    panes[:fascia] = panes[plinth:] = False
    for upright in range(0, width, max(scene.length_px(0.075), width // 3)):
        panes[:, upright : upright + bar] = False
    panes[:, width - bar :] = False
    np.copyto(patch, glass, where=panes)
    letters = scene.rng.random(width // scene.length_px(0.008) + 1) < 0.6
    stripe = np.repeat(letters, scene.length_px(0.008))[:width]
    stripe[: width // 8] = stripe[width - width // 8 :] = False
    rows = slice(int(0.3 * fascia), max(int(0.75 * fascia), int(0.3 * fascia) + 1))
    patch[:, rows] = np.where(stripe, as_planes((0.92, 0.88, 0.76)), patch[:, rows])
    patch[:, fascia : fascia + bar] *= 0.6
    return patch


def _paint_ledge(*tones: float) -> Callable[[Scene, Box], Array]:
    def paint(scene: Scene, box: Box) -> Array:
        return scene.surface(scene.style.trim, box) * _profile(tones, _size(box)[0])[:, None]

    return paint


def _paint_band(scene: Scene, box: Box) -> Array:
    height, width = _size(box)
    patch = scene.surface(scene.style.trim, box)
    patch *= _profile((1.12, 1.0, 0.78, 1.02, 0.92, 0.66), height)[:, None]
    if height >= 8:
        tooth = scene.length_px(0.009, 2)
        gaps = (np.arange(width) // tooth) % 2 == 0
        patch[:, height * 2 // 3 : height - 1, gaps] *= 0.62
    return patch


def _paint_panel(scene: Scene, box: Box) -> Array:
    patch = scene.surface(scene.style.trim, box) * (1 + 1.6 * scene.backdrop["relief"][box])
    edge = scene.length_px(0.005)
    patch[:, :edge] *= 1.15
    patch[:, -edge:] *= 0.65
    patch[:, :, :edge] *= 1.1
    patch[:, :, -edge:] *= 0.7
    return patch


def _paint_pillar(scene: Scene, box: Box) -> Array:
    height, width = _size(box)
    across = (np.arange(width, dtype=np.float32) + 0.5) / width - (0.35 if scene.style.sun_side > 0 else 0.65)
    patch = scene.surface(scene.style.trim, box) * (1.1 - 0.9 * across * across)
    ends = scene.length_px(0.018)
    for rows in (slice(0, ends), slice(max(height - ends, 0), height)):
        patch[:, rows] *= 1.12
    for row in (ends, height - ends - 1):
        patch[:, row : row + scene.length_px(0.004)] *= 0.6
    return patch


def _paint_shutter(scene: Scene, box: Box) -> Array:
    height, width = _size(box)
    slat = scene.length_px(0.007, 2)
    patch = scene.surface(scene.style.blind, box)
    patch *= (0.72 + 0.5 * (np.arange(height) % slat) / max(slat - 1, 1)).astype(np.float32)[:, None]
    edge = scene.length_px(0.004)
    plain = scene.surface(scene.style.blind, box)
    for rows, columns in (
        (slice(0, edge), slice(None)),
        (slice(height // 2, height // 2 + edge), slice(None)),
        (slice(None), slice(0, edge)),
        (slice(None), slice(width - edge, width)),
    ):
        patch[:, rows, columns] = plain[:, rows, columns]
    return patch


def _paint_roller(scene: Scene, box: Box) -> Array:
    height = _size(box)[0]
    slat = scene.length_px(0.009, 2)
    red, green, blue = scene.style.blind
    pale = (0.45 + 0.5 * red, 0.45 + 0.5 * green, 0.43 + 0.5 * blue)
    patch = scene.surface(pale, box)
    patch[:, slat - 1 :: slat] *= 0.75
    patch[:, height - scene.length_px(0.005) :] *= 0.6
    return patch


def _paint_balcony(scene: Scene, box: Box) -> Array:
    height, width = _size(box)
    style = scene.style
    patch = scene.colour[(slice(None), *box)] * np.float32(0.7)
    stone = scene.surface(style.trim, box)
    if style.railing == "iron":
        bar, gap = scene.length_px(0.004), scene.length_px(0.013, 3)
        bars = (np.arange(width) % gap) < bar
        patch[:, :, bars] = scene.surface((0.13, 0.13, 0.14), box)[:, :, bars]
        patch[:, : scene.length_px(0.007)] = 0.17
    elif style.railing == "stone":
        pitch = scene.length_px(0.02, 4)
        across = np.abs((np.arange(width) % pitch + 0.5) / pitch * 2 - 1)
        baluster = across < _profile((0.75, 0.45, 0.6, 0.75, 0.8, 0.6, 0.75), height)[:, None]
        np.copyto(patch, stone * (1.1 - 0.4 * across.astype(np.float32)), where=baluster)
        patch[:, : scene.length_px(0.01)] = stone[:, : scene.length_px(0.01)] * np.float32(1.08)
    else:
        patch = stone * (0.95 + 0.5 * scene.backdrop["relief"][box])
        patch[:, : scene.length_px(0.009)] *= 1.12
    slab = max(height // 5, 1)
    patch[:, height - slab :] = stone[:, height - slab :] * np.float32(0.92)
    patch[:, height - max(slab // 3, 1) :] *= 0.6
    return patch


_PAINTERS: Mapping[str, Callable[[Scene, Box], Array]] = {
    "sky": _paint_backdrop("sky"),
    "wall": _paint_backdrop("wall"),
    "base": _paint_backdrop("base"),
    "roof": _paint_backdrop("roof"),
    "neighbour": _paint_neighbour,
    "pavement": _paint_pavement,
    "chimney": _paint_chimney,
    "surround": _paint_surround,
    "window": _paint_window,
    "door": _paint_door,
    "shop": _paint_shop,
    "sill": _paint_ledge(1.15, 0.8),
    "hood": _paint_ledge(1.15, 1.0, 0.75),
    "band": _paint_band,
    "panel": _paint_panel,
    "pediment": _paint_panel,
    "pillar": _paint_pillar,
    "shutter": _paint_shutter,
    "roller": _paint_roller,
    "balcony": _paint_balcony,
}
