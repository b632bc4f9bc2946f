"""The canvas that a generated facade is painted on."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tfpix2pix.pipelines.synthetic.materials import (
    Array,
    Colour,
    as_planes,
    draw_grain,
    draw_noise,
    draw_sky,
    draw_tiles,
    draw_wall,
)
from tfpix2pix.pipelines.synthetic.style import Style

Box = tuple[slice, slice]


@dataclasses.dataclass(frozen=True)
class Scene:
    """A canvas, whose arrays are changed by painting.

    Attributes:
      rng: the source of what only the photo shows.
      style: colours, materials and light.
      unit_px: number of pixels of the canvas in a layout unit.
      class_ids: the class of each pixel, uint8 [h, w].
      instance_ids: the object of each pixel, uint16 [h, w].
      colour: the colour of each pixel without light, float32 [3, h, w].
      light: the light on each pixel, float32 [h, w], 1 in the sun and 0 in full shadow.
      backdrop: textures of the size of the canvas by name, float32 [3, h, w] or [h, w].
    """

    rng: np.random.Generator
    style: Style
    unit_px: float
    class_ids: npt.NDArray[np.uint8]
    instance_ids: npt.NDArray[np.uint16]
    colour: Array
    light: Array
    backdrop: Mapping[str, Array]

    def length_px(self, units: float, least: int = 1) -> int:
        """Returns a length in whole pixels of the canvas, at least `least`."""
        return max(least, round(units * self.unit_px))

    def backdrop_in(self, name: str, box: Box) -> Array:
        """Returns the part of a texture inside `box`, as a view."""
        place = (..., *box)
        return self.backdrop[name][place]

    def surface(self, colour: Colour, box: Box) -> Array:
        """Returns a new patch of one colour with grain, float32 [3, h, w]."""
        return as_planes(colour) * self.backdrop_in("grain", box)


def new_scene(rng: np.random.Generator, style: Style, size_px: tuple[int, int]) -> Scene:
    """Returns an empty canvas in even light, of `size_px` (height, width)."""
    unit_px = math.sqrt(size_px[0] * size_px[1])
    return Scene(
        rng=rng,
        style=style,
        unit_px=unit_px,
        class_ids=np.zeros(size_px, np.uint8),
        instance_ids=np.zeros(size_px, np.uint16),
        colour=np.zeros((3, *size_px), np.float32),
        light=np.ones(size_px, np.float32),
        backdrop=_draw_backdrop(rng, style, size_px, unit_px),
    )


def _draw_backdrop(
    rng: np.random.Generator, style: Style, size_px: tuple[int, int], unit_px: float
) -> dict[str, Array]:
    sky = draw_sky(rng, size_px, unit_px, style.sky, style.clouds)
    across = draw_noise(rng, size_px, (0.08 * unit_px, 0.1 * unit_px))
    fine = draw_noise(rng, size_px, (0.02 * unit_px, 0.016 * unit_px))
    relief = np.zeros(size_px, np.float32)
    # On small canvases the slopes from pixel to pixel are steeper.
    relief[1:, 1:] = (fine[1:, 1:] - fine[:-1, :-1]) * np.float32(min(1.0, unit_px / 256))
    return {
        "sky": sky,
        # Glass mirrors the sky and, in patches, what is across the street.
        "mirror": 0.09 + sky * np.clip(0.3 + 0.55 * across + 0.1 * fine, 0.03, 0.8),
        "wall": draw_wall(rng, size_px, unit_px, style.wall, style.wall_material),
        "base": draw_wall(rng, size_px, unit_px, style.base, style.base_material),
        "roof": draw_tiles(rng, size_px, unit_px, style.roof),
        "grain": 1 + 0.05 * fine + 0.06 * draw_grain(rng, size_px),
        "relief": relief,
    }
