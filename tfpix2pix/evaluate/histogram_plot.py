"""Draws histograms as SVG text, on a log scale as in the paper's Fig. 7."""

import math
from collections.abc import Sequence

WIDTH_PX, HEIGHT_PX = 380, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 30
_LOWEST_DECADE = -7


def render_histograms(name: str, low: float, high: float, shares: dict[str, Sequence[float]]) -> str:
    """Draws shares of pixels over a quantity.

    Args:
      name: what the quantity is called.
      low: where the first bin begins.
      high: where the last bin ends.
      shares: kind -> share of each bin, in [0, 1]. The kind is also the CSS class of its line, which has
        gaps at bins without a share.

    Returns:
      An `svg` element.
    """
    seen = [share for values in shares.values() for share in values if share > 0]
    top = math.ceil(math.log10(max(seen, default=1)))
    bottom = max(math.floor(math.log10(min(seen, default=0.1))), _LOWEST_DECADE)
    bottom = min(bottom, top - 1)

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (WIDTH_PX - _LEFT - _RIGHT)

    def y(exponent: float) -> float:
        return _TOP + (top - max(exponent, bottom)) / (top - bottom) * (HEIGHT_PX - _TOP - _BOTTOM)

    step = 20 if high - low <= 100 else 50
    marks = [
        f'<text x="{x(value):.1f}" y="{HEIGHT_PX - 14}" text-anchor="middle">{value}</text>'
        for value in range(math.ceil(low / step) * step, math.floor(high) + 1, step)
    ]
    for exponent in range(bottom, top + 1):
        marks.append(
            f'<line x1="{_LEFT}" x2="{WIDTH_PX - _RIGHT}" y1="{y(exponent):.1f}" y2="{y(exponent):.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y(exponent) + 4:.1f}" text-anchor="end">10'
            f'<tspan dy="-4" font-size="8">{exponent}</tspan></text>'
        )
    curves = []
    for kind, values in shares.items():
        width = (high - low) / len(values)
        edges = [x(low + place * width) for place in range(len(values) + 1)]
        heights = [y(math.log10(share)) if share > 0 else None for share in values]
        curves.append(f'<path class="{kind}" d="{_draw_steps(edges, heights)}"/>')
    return (
        f'<svg viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" width="{WIDTH_PX}" height="{HEIGHT_PX}" role="img" '
        f'aria-label="shares of pixels over {name}">{"".join(marks)}{"".join(curves)}'
        f'<text x="{(_LEFT + WIDTH_PX - _RIGHT) / 2}" y="{HEIGHT_PX - 1}" text-anchor="middle">{name}</text>'
        "</svg>"
    )


def _draw_steps(edges: Sequence[float], heights: Sequence[float | None]) -> str:
    """Returns the data of an SVG path: a step for each bin, and a gap where there is no height."""
    path, pen = [], "M"
    for start, end, height in zip(edges, edges[1:], heights, strict=False):
        if height is None:
            pen = "M"
            continue
        path.append(f"{pen}{start:.1f},{height:.1f}H{end:.1f}")
        pen = "L"
    return "".join(path)
