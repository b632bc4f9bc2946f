"""Renders pages of pictures, which show what went in beside what came out."""

import dataclasses
import html
import os
from collections.abc import Sequence
from urllib.parse import quote

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; }
p { margin: 0 0 1.5rem; opacity: .7; }
article { margin: 0 0 2rem; }
h2 { font-size: .95rem; font-weight: 600; margin: 0 0 .4rem; overflow-wrap: anywhere; }
div { display: flex; flex-wrap: wrap; gap: .75rem; }
figure { margin: 0; max-width: calc(50% - .4rem); min-width: min(256px, 100%); }
img { display: block; height: auto; max-width: 100%; }
img.small { image-rendering: pixelated; }
figcaption { font-size: .8rem; opacity: .7; }
"""

LEAST_WIDTH_PX = 256


@dataclasses.dataclass(frozen=True)
class Row:
    """One input and its outputs.

    Attributes:
      title: what the input is called.
      size: (height, width) px of all pictures of the row.
      input_file: file of the input, relative to the page.
      output_files: files of the outputs, relative to the page.
      captions: what stands below the outputs; without any, it is `output`, or `output 1`, `output 2`, ...
    """

    title: str
    size: tuple[int, int]
    input_file: str
    output_files: Sequence[str]
    captions: Sequence[str] = ()


def render_gallery(title: str, summary: str, rows: Sequence[Row], notes: str = "", style: str = "") -> str:
    """Returns a page with a row for each input; it needs only the files of the rows, and moves with them.

    Args:
      title: headline of the page.
      summary: a line below the headline.
      rows: the rows, from top to bottom.
      notes: HTML between that line and the rows.
      style: CSS that is added to the common style.

    Returns:
      HTML text.
    """
    summary = html.escape(summary)
    return render_page(title, f"<p>{summary}</p>\n{notes}{''.join(map(_render_row, rows))}", style)


def render_page(title: str, body: str, style: str = "") -> str:
    """Returns an HTML page in the style that all pages of the project have.

    Args:
      title: title and headline of the page, plain text.
      body: HTML below the headline.
      style: CSS that is added to the common style.
    """
    title = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n"
        f"<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )


def _render_row(row: Row) -> str:
    numbers = range(1, len(row.output_files) + 1)
    numbered = [f"output {number}" for number in numbers] if len(numbers) > 1 else ["output"]
    captions = row.captions or numbered
    figures = [_render_figure(row, row.input_file, "input")]
    figures += [_render_figure(row, *place) for place in zip(row.output_files, captions, strict=True)]
    return f"<article>\n<h2>{html.escape(row.title)}</h2>\n<div>\n{''.join(figures)}</div>\n</article>\n"


def _render_figure(row: Row, file: str, caption: str) -> str:
    url, alt = quote(os.fsencode(file)), html.escape(f"{caption} of {row.title}")
    return (
        f'<figure><a href="{url}"><img loading="lazy" src="{url}" alt="{alt}" {shown_size(row.size)}></a>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>\n"
    )


def shown_size(size: tuple[int, int]) -> str:
    """Returns the HTML attributes of a picture of (height, width) px, which is shown at least 256 px wide."""
    height, width = size
    if width >= LEAST_WIDTH_PX:
        return f'width="{width}" height="{height}"'
    shown_height = round(height * LEAST_WIDTH_PX / width)
    return f'class="small" width="{LEAST_WIDTH_PX}" height="{shown_height}"'
