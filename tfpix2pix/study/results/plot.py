"""Draws rates with their intervals and the line of chance, as SVG text."""

import html
import unicodedata
from collections.abc import Mapping, Sequence

from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.study.results.statistics import Estimate

CHANCE_PERCENT = 50
WIDTH_PX = 720
_ROW_PX, _TOP, _BOTTOM, _RIGHT = 44, 34, 46, 96
_LETTER_PX = 7.2
_LONGEST_NAME = 30
# The drawing has its own background, so that it can be read on a page of any colour.
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1c2024; }
rect { fill: #ffffff; }
.grid { stroke: #d5dae0; }
.chance { stroke: #1c2024; stroke-width: 1.5; stroke-dasharray: 5 4; }
.interval { stroke: #1f6feb; stroke-width: 2.5; }
circle { fill: #1f6feb; }
.value { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9ec; }
  rect { fill: #15181c; }
  .grid { stroke: #3a4149; }
  .chance { stroke: #e6e9ec; }
  .interval { stroke: #6cb0ff; }
  circle { fill: #6cb0ff; }
}
"""


def render_rates(title: str, axis: str, rates: Mapping[str, Estimate], people: Sequence[int]) -> str:
    """Draws rates.

    Args:
      title: title of the drawing, printable text.
      axis: the trials whose share a rate is, as a phrase.
      rates: name -> its rate in percent, for at least one name.
      people: number of people behind each rate.

    Returns:
      An `svg` element, which says in words too what it shows.
    """
    height = _TOP + _ROW_PX * len(rates) + _BOTTOM
    left = 24 + _LETTER_PX * max(_count_letters(_shorten(name)) for name in rates)
    top_percent = 100 if max(rate.high for rate in rates.values()) > 60 else 60

    def x(percent: float) -> float:
        return left + percent / top_percent * (WIDTH_PX - left - _RIGHT)

    bottom = height - _BOTTOM
    marks = []
    for percent in range(0, top_percent + 1, 10):
        if percent != CHANCE_PERCENT:
            marks.append(_line("grid", x(percent), x(percent), _TOP, bottom))
        marks.append(_text(x(percent), bottom + 18, f"{percent} %", "middle"))
    marks.append(_line("chance", x(CHANCE_PERCENT), x(CHANCE_PERCENT), _TOP - 6, bottom))
    marks.append(_text(x(CHANCE_PERCENT), _TOP - 14, "chance", "middle"))
    middle = (left + WIDTH_PX - _RIGHT) / 2
    marks.append(_text(middle, height - 8, axis, "middle"))
    for place, (name, rate) in enumerate(rates.items()):
        y = _TOP + _ROW_PX * (place + 0.5)
        marks.append(_text(left - 14, y + 4.5, _shorten(name), "end"))
        marks.append(_line("interval", x(rate.low), x(rate.high), y, y))
        marks += [_line("interval", x(end), x(end), y - 6, y + 6) for end in (rate.low, rate.high)]
        marks.append(f'<circle cx="{x(rate.value):.1f}" cy="{y:.1f}" r="5.5"/>')
        marks.append(_text(WIDTH_PX - _RIGHT + 22, y + 4.5, f"{rate.value:.1f} %", "start", "value"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {height}" width="{WIDTH_PX}" '
        f'height="{height}" role="img" aria-labelledby="title desc">\n'
        f'<title id="title">{html.escape(title)}</title>\n'
        f'<desc id="desc">{html.escape(_describe(axis, rates, people))}</desc>\n'
        f'<style>{_STYLE}</style>\n<rect width="{WIDTH_PX}" height="{height}"/>\n'
        + "\n".join(marks)
        + "\n</svg>\n"
    )


def _describe(axis: str, rates: Mapping[str, Estimate], people: Sequence[int]) -> str:
    rows = [
        f"{name}: {rate.value:.1f} %, 95 % interval {rate.low:.1f} to {rate.high:.1f} %, "
        f"{count_of(count, 'person', 'people')}."
        for (name, rate), count in zip(rates.items(), people, strict=True)
    ]
    return f"Share of {axis}; chance is 50 %. {' '.join(rows)}"


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _count_letters(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _line(kind: str, x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'
