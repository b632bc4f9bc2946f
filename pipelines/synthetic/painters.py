"""How each kind of part looks: a painter for each kind takes the part's box and returns its colours.

The lengths of details are in layout units, so that they scale with the image.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfpix2pix.pipelines.synthetic.materials import Array, as_planes
from tfpix2pix.pipelines.synthetic.scene import Box, Scene


def _size(box: Box) -> tuple[int, int]:
    return box[0].stop - box[0].start, box[1].stop - box[1].start


def _profile(values: Sequence[float], count: int) -> Array:
    """Returns `values` stretched over `count` pixels, float32 [count]."""
    steps = (np.arange(count) * len(values)) // count
    return np.array(values, np.float32)[steps]


def _paint_backdrop(name: str) -> Callable[[Scene, Box], Array]:
    return lambda scene, box: scene.backdrop_in(name, box)


def _paint_neighbour(scene: Scene, box: Box) -> Array:
    height, width = _size(box)
    patch = scene.surface(scene.style.neighbour, box) * np.float32(0.85)
    storey, pitch = scene.length_px(0.2, 6), scene.length_px(0.11, 5)
    offset = int(scene.rng.integers(0, pitch))
    rows = (np.arange(height) % storey) > 0.45 * storey
    columns = ((np.arange(width) + offset) % pitch) > 0.55 * pitch
    panes = rows[:, None] & columns
    np.copyto(patch, scene.backdrop_in("mirror", box), where=panes)
    return patch


def _paint_pavement(scene: Scene, box: Box) -> Array:
    patch = scene.surface((0.48, 0.47, 0.46), box)
    kerb = _size(box)[0] // 2
    patch[:, kerb:] *= 0.7
    patch[:, kerb : kerb + scene.length_px(0.005)] *= 1.7
    return patch


def _paint_chimney(scene: Scene, box: Box) -> Array:
    patch = scene.backdrop_in("wall", box) * np.float32(0.75)
    patch[:, : scene.length_px(0.008)] *= 1.3
    return patch


def _paint_surround(scene: Scene, box: Box) -> Array:
    return scene.surface(scene.style.trim, box)


def _paint_window(scene: Scene, box: Box) -> Array:
    style, (height, width) = scene.style, _size(box)
    patch = scene.backdrop_in("mirror", box) * np.float32(0.5 + 0.6 * scene.rng.random())
    if scene.rng.random() < style.curtains:
        _hang_curtains(scene, patch)
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
    np.copyto(patch, scene.surface(style.frame, box), where=is_frame)
    return patch


def _hang_curtains(scene: Scene, patch: Array) -> None:
    width = patch.shape[2]
    folds = (np.arange(width) // scene.length_px(0.008, 2) % 2).astype(np.float32)
    curtain = as_planes((1.0, 0.97, 0.9)) * (0.66 + 0.14 * folds)
    drawn = int(width * (0.2 + 0.3 * scene.rng.random()))
    for columns in (slice(0, drawn), slice(width - drawn, width)):
        patch[:, :, columns] = 0.35 * patch[:, :, columns] + 0.65 * curtain[:, :, columns]


def _paint_door(scene: Scene, box: Box) -> Array:
    height, width = _size(box)
    patch = scene.surface(scene.style.door, box)
    transom = int(0.22 * height)
    glass = scene.backdrop_in("mirror", box)
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
    patch = scene.surface(scene.style.sign, box)
    fascia, bar = int(0.2 * height), scene.length_px(0.007)
    panes = np.zeros((height, width), np.bool_)
    panes[fascia : int(0.88 * height)] = True
    for upright in range(0, width, max(scene.length_px(0.075), width // 3)):
        panes[:, upright : upright + bar] = False
    panes[:, width - bar :] = False
    glow = as_planes((1.0, 0.86, 0.66)) * np.float32(0.15 + 0.5 * scene.rng.random())
    window = 0.5 * scene.backdrop_in("mirror", box) + glow * _draw_goods(scene, height, width)
    np.copyto(patch, window, where=panes)
    letter = scene.length_px(0.008)
    letters = np.repeat(scene.rng.random(width // letter + 1) < 0.6, letter)[:width]
    letters[: width // 8] = letters[width - width // 8 :] = False
    rows = slice(int(0.3 * fascia), max(int(0.75 * fascia), int(0.3 * fascia) + 1))
    patch[:, rows, letters] = as_planes((0.92, 0.88, 0.76))
    patch[:, fascia : fascia + bar] *= 0.6
    return patch


def _draw_goods(scene: Scene, height: int, width: int) -> Array:
    """Draws what is in a shop window: blocks of muted colours, which are brighter near the floor."""
    tall, wide = scene.length_px(0.022, 2), scene.length_px(0.015, 2)
    tones = 0.25 + 0.75 * scene.rng.random((3, height // tall + 1, width // wide + 1), np.float32)
    tones = 0.35 * tones + 0.65 * tones[:1]
    goods = tones.repeat(tall, axis=1)[:, :height].repeat(wide, axis=2)[:, :, :width]
    return goods * np.linspace(0.5, 1.1, height, dtype=np.float32)[:, None]


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
    height, width = _size(box)
    patch = scene.surface(scene.style.trim, box) * (0.97 + 0.7 * scene.backdrop_in("relief", box))
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height - 0.5)[:, None]
    x = ((np.arange(width, dtype=np.float32) + 0.5) / height) % 1 - 0.5
    rosette = x * x + y * y
    patch *= np.where(rosette < 0.1, 1 - 0.7 * (x + y), np.where(rosette < 0.16, 0.72, 1)).astype(np.float32)
    edge = scene.length_px(0.004)
    patch[:, :edge] *= 1.12
    patch[:, -edge:] *= 0.65
    patch[:, :, :edge] *= 1.08
    patch[:, :, -edge:] *= 0.7
    return patch


def _paint_pillar(scene: Scene, box: Box) -> Array:
    height, width = _size(box)
    lit = 0.35 if scene.style.sun_side > 0 else 0.65
    across = (np.arange(width, dtype=np.float32) + 0.5) / width - lit
    patch = scene.surface(scene.style.trim, box)
    patch *= 1.1 - 0.9 * across * across
    ends = scene.length_px(0.018)
    for rows in (slice(0, ends), slice(max(height - ends, 0), height)):
        patch[:, rows] *= 1.12
    for row in (ends, height - ends - 1):
        patch[:, row : row + scene.length_px(0.004)] *= 0.6
    return patch


def _paint_shutter(scene: Scene, box: Box) -> Array:
    height, width = _size(box)
    patch = scene.surface(scene.style.blind, box)
    slat, edge = scene.length_px(0.007, 2), scene.length_px(0.004)
    tones = (0.72 + 0.5 * (np.arange(height) % slat) / (slat - 1)).astype(np.float32)
    tones[:edge] = tones[height // 2 : height // 2 + edge] = tones[height - edge :] = 1.0
    patch[:, :, edge : width - edge] *= tones[:, None]
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
    stone = scene.surface(style.trim, box)
    place = (..., *box)
    patch = scene.colour[place] * np.float32(0.7)
    rail = scene.length_px(0.009)
    if style.railing == "iron":
        bars = np.arange(width) % scene.length_px(0.013, 3) < scene.length_px(0.004)
        patch[:, :, bars] = patch[:, : max(rail - 1, 1)] = 0.14
    elif style.railing == "stone":
        pitch = scene.length_px(0.02, 4)
        across = np.abs((np.arange(width, dtype=np.float32) % pitch + 0.5) / pitch * 2 - 1)
        baluster = across < _profile((0.75, 0.45, 0.6, 0.75, 0.8, 0.6, 0.75), height)[:, None]
        np.copyto(patch, stone * (1.1 - 0.4 * across), where=baluster)
        patch[:, :rail] = stone[:, :rail] * np.float32(1.08)
    else:
        patch = stone * (0.92 + 0.3 * scene.backdrop_in("relief", box))
        patch[:, :rail] *= 1.15
        patch[:, rail : rail + scene.length_px(0.003)] *= 0.75
    slab = max(height // 5, 1)
    patch[:, height - slab :] = stone[:, height - slab :] * np.float32(0.92)
    patch[:, height - max(slab // 3, 1) :] *= 0.6
    return patch


PAINTERS: Mapping[str, Callable[[Scene, Box], Array]] = {
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
