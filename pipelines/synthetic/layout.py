"""The grammar of generated facades: which parts a building has, and where they are.

The label map follows from the layout alone. Lengths are in layout units, in which the area of the image
is 1, so that windows keep their proportions in an image of any shape.
"""

import dataclasses
import itertools
import math
import types
from collections.abc import Iterator, Mapping

import numpy as np

from tfpix2pix.pipelines import catalogue

# As in CMP, "cornice" is the hood above one window, and "molding" is the band across the whole facade.
_KINDS_OF_CLASS = {
    "background": ("sky", "neighbour", "pavement"),
    "facade": ("wall", "base", "roof", "chimney", "surround"),
    "window": ("window",),
    "door": ("door",),
    "cornice": ("hood",),
    "sill": ("sill",),
    "balcony": ("balcony",),
    "blind": ("shutter", "roller"),
    "deco": ("panel", "pediment"),
    "molding": ("band",),
    "pillar": ("pillar",),
    "shop": ("shop",),
}
CLASS_ID_OF_KIND: Mapping[str, int] = types.MappingProxyType(
    {kind: i for i, name in enumerate(catalogue.FACADES_PALETTE) for kind in _KINDS_OF_CLASS[name]}
)
NUM_CLASSES = len(_KINDS_OF_CLASS)
# What is behind and between the objects is not counted: all of it has one id.
UNCOUNTED_CLASSES = frozenset({CLASS_ID_OF_KIND["sky"], CLASS_ID_OF_KIND["wall"]})

_Spans = tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a building, which covers the parts before it.

    Attributes:
      kind: what it is; a key of `CLASS_ID_OF_KIND`.
      left, top, right, bottom: the sides of its box, in layout units from the top left corner of the
        image; they may lie outside the image.
      shape: which part of the box it fills: `box`, `arch`, `triangle` or `hip`.
    """

    kind: str
    left: float
    top: float
    right: float
    bottom: float
    shape: str = "box"


@dataclasses.dataclass(frozen=True)
class _Building:
    """The main lines of a facade, in layout units; `floors` are tops and bottoms above the ground floor."""

    width: float
    height: float
    left: float
    right: float
    roof_top: float
    wall_top: float
    base_top: float
    bottom: float
    floors: _Spans
    columns: tuple[float, ...]
    pitch: float


def draw_layout(rng: np.random.Generator, size_px: tuple[int, int]) -> list[Part]:
    """Draws the layout of one facade.

    Args:
      rng: the source of every choice.
      size_px: (height, width) of the image. Small images get fewer and larger windows.

    Returns:
      The parts in the order in which they are painted. The first ones cover the whole image.
    """
    building = _draw_building(rng, size_px)
    return [
        *_surroundings(rng, building),
        *_roof(rng, building),
        Part("wall", building.left, building.wall_top, building.right, building.base_top),
        Part("base", building.left, building.base_top, building.right, building.bottom),
        *_upper_floors(rng, building),
        *_ground_floor(rng, building),
        *_bands(rng, building),
        *_balconies(rng, building),
    ]


def _upright(kind: str, centre: float, half: float, top: float, bottom: float, shape: str = "box") -> Part:
    return Part(kind, centre - half, top, centre + half, bottom, shape)


def _grown(part: Part, kind: str, margin: float) -> Part:
    return Part(kind, part.left - margin, part.top - margin, part.right + margin, part.bottom, part.shape)


def _chance(rng: np.random.Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(rng.random())


def _draw_building(rng: np.random.Generator, size_px: tuple[int, int]) -> _Building:
    unit_px = math.sqrt(size_px[0] * size_px[1])
    height, width = size_px[0] / unit_px, size_px[1] / unit_px
    left = -0.05 if _chance(rng, 0.4) else _between(rng, 0.03, 0.14) * width
    right = width + (0.05 if _chance(rng, 0.4) else -_between(rng, 0.03, 0.14) * width)
    roof_top = -0.02 if _chance(rng, 0.15) else _between(rng, 0.04, 0.15) * height
    wall_top = roof_top + (_between(rng, 0.07, 0.15) * height if _chance(rng, 0.55) else 0.0)
    bottom = height + (-_between(rng, 0.03, 0.07) * height if _chance(rng, 0.6) else 0.02)
    base_top = bottom - min(_between(rng, 0.17, 0.24), 0.4 * (bottom - wall_top))
    # Windows of fewer pixels than this would look like dots.
    pitch = max(_between(rng, 0.12, 0.22), 9.0 / unit_px)
    storey = max(_between(rng, 0.15, 0.26), 12.0 / unit_px)
    columns = max(1, round((min(right, width) - max(left, 0.0)) / pitch))
    floors = max(1, round((base_top - wall_top) / storey))
    return _Building(
        width=width,
        height=height,
        left=left,
        right=right,
        roof_top=roof_top,
        wall_top=wall_top,
        base_top=base_top,
        bottom=bottom,
        floors=_draw_floors(rng, wall_top, base_top, floors),
        columns=_draw_columns(rng, left, right, columns),
        pitch=(right - left) / columns,
    )


def _draw_floors(rng: np.random.Generator, top: float, bottom: float, count: int) -> _Spans:
    heights = [_between(rng, 0.8, 1.0), *[1.0] * (count - 1)]
    heights[-1] *= _between(rng, 1.0, 1.2)
    scale = (bottom - top) / sum(heights)
    bottoms = [top + scale * height for height in itertools.accumulate(heights)]
    return tuple(zip([top, *bottoms[:-1]], bottoms, strict=True))


def _draw_columns(rng: np.random.Generator, left: float, right: float, count: int) -> tuple[float, ...]:
    pitch = (right - left) / count
    centres = [left + pitch * (column + 0.5) for column in range(count)]
    if count % 2 == 0 and _chance(rng, 0.4):
        nearer = pitch * _between(rng, 0.06, 0.14)
        centres = [centre + (-nearer if column % 2 else nearer) for column, centre in enumerate(centres)]
    return tuple(centres)


def _surroundings(rng: np.random.Generator, building: _Building) -> Iterator[Part]:
    yield Part("sky", -0.1, -0.1, building.width + 0.1, building.height + 0.1)
    for left, right in ((-0.1, building.left), (building.right, building.width + 0.1)):
        if _chance(rng, 0.7):
            yield Part("neighbour", left, _between(rng, -0.05, 0.5) * building.height, right, building.bottom)
    yield Part("pavement", -0.1, building.bottom, building.width + 0.1, building.height + 0.1)


def _roof(rng: np.random.Generator, building: _Building) -> Iterator[Part]:
    roof_height = building.wall_top - building.roof_top
    if roof_height <= 0:
        return
    for _ in range(int(rng.integers(0, 4))):
        centre = _between(rng, building.left, building.right)
        half, rise = _between(rng, 0.012, 0.025), _between(rng, 0.01, 0.05)
        yield _upright("chimney", centre, half, building.roof_top - rise, building.wall_top)
    shape = "hip" if _chance(rng, 0.6) else "box"
    yield Part("roof", building.left, building.roof_top, building.right, building.wall_top, shape)
    if not _chance(rng, 0.6):
        return
    half, rise = building.pitch * _between(rng, 0.15, 0.22), roof_height * _between(rng, 0.55, 0.75)
    top, bottom = building.wall_top - rise, building.wall_top - roof_height * 0.15
    for centre in building.columns[1:-1]:
        yield _upright("surround", centre, 1.5 * half, top - half, bottom + 0.01)
        yield _upright("window", centre, half, top, bottom)


def _upper_floors(rng: np.random.Generator, building: _Building) -> Iterator[Part]:
    if len(building.columns) > 1 and _chance(rng, 0.35):
        yield from _pilasters(rng, building)
    half = building.pitch * _between(rng, 0.2, 0.3)
    head, foot = _between(rng, 0.2, 0.28), _between(rng, 0.14, 0.24)
    all_arched, blinds = _chance(rng, 0.12), float(rng.random())
    sills, surrounds = _chance(rng, 0.8), _chance(rng, 0.6)
    for top, bottom in building.floors:
        storey = bottom - top
        shape = "arch" if all_arched or _chance(rng, 0.1) else "box"
        ornament = float(rng.random())
        for centre in building.columns:
            window = _upright("window", centre, half, top + head * storey, bottom - foot * storey, shape)
            if surrounds:
                yield _grown(window, "surround", min(0.015, 0.2 * half))
            yield window
            yield from _blinds(rng, window, blinds)
            if sills:
                ledge = window.bottom + min(0.02, 0.6 * foot * storey)
                yield _upright("sill", centre, 1.2 * half, window.bottom, ledge)
            yield from _ornament(window, ornament, head * storey)


def _pilasters(rng: np.random.Generator, building: _Building) -> Iterator[Part]:
    half = building.pitch * _between(rng, 0.05, 0.09)
    every = 1 if _chance(rng, 0.6) else 2
    for left, right in list(itertools.pairwise(building.columns))[::every]:
        yield _upright("pillar", (left + right) / 2, half, building.wall_top, building.base_top)


def _blinds(rng: np.random.Generator, window: Part, mode: float) -> Iterator[Part]:
    """Yields shutters on every window if `mode` is below 0.22, or roller blinds on some if below 0.5."""
    width, height = window.right - window.left, window.bottom - window.top
    if mode < 0.22 and window.shape == "box":
        for left in (window.left - 0.45 * width, window.right):
            yield Part("shutter", left, window.top, left + 0.45 * width, window.bottom)
    elif mode < 0.5 and _chance(rng, 0.55):
        drop = height * _between(rng, 0.25, 1.0)
        yield Part("roller", window.left, window.top, window.right, window.top + drop, window.shape)


def _ornament(window: Part, choice: float, room: float) -> Iterator[Part]:
    """Yields what is above a window: a hood, a hood with a pediment, a panel, or nothing."""
    width = window.right - window.left
    if window.shape == "arch" or choice > 0.75:
        return
    left, right, bottom = window.left - 0.15 * width, window.right + 0.15 * width, window.top - 0.15 * room
    if choice > 0.55:
        yield Part("panel", window.left, window.top - 0.75 * room, window.right, bottom)
        return
    thick = min(0.024, 0.35 * room)
    yield Part("hood", left, bottom - thick, right, bottom)
    if choice < 0.2:
        peak = max(bottom - thick - 0.4 * width, window.top - room)
        yield Part("pediment", left, peak, right, bottom - thick, "triangle")


def _ground_floor(rng: np.random.Generator, building: _Building) -> Iterator[Part]:
    tall = building.bottom - building.base_top
    top = building.base_top + tall * _between(rng, 0.18, 0.28)
    door_column = int(rng.integers(0, len(building.columns)))
    shops = _chance(rng, 0.55)
    shape = "arch" if _chance(rng, 0.3) else "box"
    half = building.pitch * (_between(rng, 0.36, 0.44) if shops else _between(rng, 0.22, 0.3))
    for column, centre in enumerate(building.columns):
        if column == door_column:
            door = _upright("door", centre, 0.8 * half, top + 0.06 * tall, building.bottom, shape)
            yield _grown(door, "surround", min(0.02, 0.3 * half))
            yield door
            if shape == "box" and _chance(rng, 0.5):
                yield _upright("hood", centre, half, top - 0.08 * tall, top + 0.03 * tall)
        elif shops and _chance(rng, 0.85):
            yield _upright("shop", centre, half, top, building.bottom - 0.02 * tall, shape)
        else:
            foot = building.bottom - 0.3 * tall
            yield _upright("window", centre, 0.7 * half, top, foot, shape)
            yield _upright("sill", centre, 0.85 * half, foot, foot + 0.09 * tall)
    if _chance(rng, 0.35):
        half = building.pitch * _between(rng, 0.06, 0.09)
        for column in range(len(building.columns) + 1):
            middle = building.left + column * building.pitch
            yield _upright("pillar", middle, half, building.base_top, building.bottom)


def _bands(rng: np.random.Generator, building: _Building) -> Iterator[Part]:
    left, right = building.left, building.right
    thick = _between(rng, 0.016, 0.026)
    if _chance(rng, 0.6):
        yield Part("band", left, building.base_top - thick, right, building.base_top + thick)
    for top, _ in building.floors[1:]:
        if _chance(rng, 0.35):
            yield Part("band", left, top - thick / 2, right, top + thick / 2)
    if _chance(rng, 0.88):
        eaves = _between(rng, 0.025, 0.06)
        top = building.wall_top - 0.3 * eaves
        yield Part("band", left - 0.012, top, right + 0.012, top + eaves)


def _balconies(rng: np.random.Generator, building: _Building) -> Iterator[Part]:
    mode = float(rng.random())
    centres, half = building.columns, building.pitch * _between(rng, 0.36, 0.48)
    balcony_column = int(rng.integers(0, len(centres)))
    for top, bottom in building.floors if mode > 0.35 else ():
        foot = bottom - _between(rng, 0.02, 0.1) * (bottom - top)
        rail = foot - min(0.34 * (bottom - top), 0.075)
        if mode > 0.9 and _chance(rng, 0.5):
            yield Part("balcony", centres[0] - half, rail, centres[-1] + half, foot)
            continue
        for column, centre in enumerate(centres):
            if column in (balcony_column, len(centres) - 1 - balcony_column) and _chance(rng, 0.75):
                yield _upright("balcony", centre, half, rail, foot)
