"""What a label map does not tell about the photo of a facade: colours, materials, light.

A style is drawn apart from the layout, so that a label map may belong to many photos.
"""

import dataclasses

import numpy as np

from tfpix2pix.pipelines.synthetic.materials import Colour

_WALLS = (
    (0.86, 0.80, 0.66), (0.82, 0.70, 0.48), (0.80, 0.62, 0.50), (0.74, 0.72, 0.68), (0.88, 0.86, 0.82),
    (0.70, 0.74, 0.64), (0.66, 0.70, 0.74), (0.84, 0.72, 0.66), (0.70, 0.58, 0.44), (0.78, 0.76, 0.58),
)  # fmt: skip
_BRICKS = ((0.58, 0.34, 0.26), (0.66, 0.44, 0.32), (0.50, 0.32, 0.26), (0.70, 0.58, 0.42))
_TRIMS = ((0.90, 0.88, 0.83), (0.80, 0.76, 0.68), (0.70, 0.66, 0.60), (0.84, 0.78, 0.66))
_FRAMES = ((0.90, 0.90, 0.88), (0.90, 0.90, 0.88), (0.38, 0.27, 0.19), (0.22, 0.22, 0.23), (0.28, 0.36, 0.30))
_DOORS = ((0.38, 0.23, 0.14), (0.30, 0.19, 0.13), (0.16, 0.28, 0.22), (0.18, 0.22, 0.32), (0.46, 0.16, 0.14))
_BLINDS = ((0.24, 0.36, 0.28), (0.40, 0.28, 0.20), (0.62, 0.60, 0.54), (0.34, 0.40, 0.46), (0.66, 0.52, 0.36))
_SIGNS = ((0.46, 0.12, 0.12), (0.12, 0.24, 0.40), (0.14, 0.32, 0.22), (0.22, 0.20, 0.20), (0.72, 0.56, 0.20))
_ROOFS = ((0.52, 0.29, 0.21), (0.44, 0.27, 0.22), (0.34, 0.34, 0.37), (0.40, 0.32, 0.27))
_SKIES = ((0.36, 0.55, 0.82), (0.50, 0.66, 0.86), (0.72, 0.77, 0.84), (0.58, 0.64, 0.72))
_MATERIALS = ("plaster", "plaster", "plaster", "brick", "stone")
_RAILINGS = ("iron", "iron", "stone", "solid")


@dataclasses.dataclass(frozen=True)
class Style:
    """The colours, materials and light of one photo. Colours are RGB in [0, 1].

    Attributes:
      wall_material: `plaster`, `brick` or `stone`.
      base_material: `plaster` or `stone`.
      railing: `iron`, `stone` or `solid`.
      mullions: number of upright bars in a window.
      transom: place of a window's crossbar below its top, as a share of its height; 0 for no crossbar.
      sun_side: shift of shadows to the right per unit of depth; negative to the left.
      sun_drop: downward shift of shadows per unit of depth.
      shade: light that is left in a shadow, for each colour channel.
      clouds: from 0 for a clear sky to 1 for an overcast one.
      curtains: share of windows with curtains.
    """

    wall: Colour
    wall_material: str
    base: Colour
    base_material: str
    neighbour: Colour
    trim: Colour
    frame: Colour
    door: Colour
    blind: Colour
    sign: Colour
    roof: Colour
    sky: Colour
    railing: str
    mullions: int
    transom: float
    sun_side: float
    sun_drop: float
    shade: Colour
    clouds: float
    curtains: float


def draw_style(rng: np.random.Generator) -> Style:
    """Draws the style of one photo from `rng`."""
    wall_material = _pick(rng, _MATERIALS)
    wall = _colour(rng, _BRICKS if wall_material == "brick" else _WALLS)
    base_material = _pick(rng, ("stone", "plaster"))
    clouds = float(rng.random())
    dim = 0.42 + 0.38 * clouds
    blue = 0.06 * (1 - clouds)
    return Style(
        wall=wall,
        wall_material=wall_material,
        base=_mix(wall, _colour(rng, _TRIMS), 0.3 + 0.7 * float(rng.random()), 0.85),
        base_material=base_material,
        neighbour=_colour(rng, _WALLS + _BRICKS),
        trim=_mix(wall, _colour(rng, _TRIMS), 0.4 + 0.6 * float(rng.random()), 1.04),
        frame=_colour(rng, _FRAMES),
        door=_colour(rng, _DOORS),
        blind=_colour(rng, _BLINDS),
        sign=_colour(rng, _SIGNS),
        roof=_colour(rng, _ROOFS),
        sky=_colour(rng, _SKIES),
        railing=_pick(rng, _RAILINGS),
        mullions=int(rng.integers(0, 3)),
        transom=(0.0, 0.3, 0.5)[int(rng.integers(0, 3))],
        sun_side=1.6 * float(rng.random()) - 0.8,
        sun_drop=0.7 + 0.7 * float(rng.random()),
        shade=(dim - blue, dim, dim + blue),
        clouds=clouds,
        curtains=0.7 * float(rng.random()),
    )


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(0, len(choices)))]


def _colour(rng: np.random.Generator, choices: tuple[Colour, ...]) -> Colour:
    red, green, blue = choices[int(rng.integers(0, len(choices)))]
    level, warm = 0.88 + 0.2 * float(rng.random()), 0.06 * float(rng.random()) - 0.03
    return (red * level + warm, green * level, blue * level - warm)


def _mix(one: Colour, other: Colour, share: float, level: float) -> Colour:
    red, green, blue = (level * (a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return (red, green, blue)
