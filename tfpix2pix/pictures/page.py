"""Renders HTML pages, those of pictures among them, which show what went in beside what came out.

All pages of the project come from the templates of this environment. A template lies in the folder
`templates` of the room whose page it is, and is named by its path in the package.
"""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

# Every value is escaped, unless a template says `safe`; a name that a template lacks is an error.
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parents[1]),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters["url"] = lambda file: quote(os.fsencode(file))


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

    @property
    def outputs(self) -> Iterator[tuple[str, str]]:
        """The file and the caption of each output."""
        numbers = range(1, len(self.output_files) + 1)
        numbered = [f"output {number}" for number in numbers] if len(numbers) > 1 else ["output"]
        return zip(self.output_files, self.captions or numbered, strict=True)


def render_gallery(title: str, summary: str, rows: Sequence[Row]) -> str:
    """Returns a page with a row for each input; it needs only the files of the rows, and moves with them.

    Args:
      title: headline of the page.
      summary: a line below the headline.
      rows: the rows, from top to bottom.

    Returns:
      HTML text.
    """
    return render_template("pictures/templates/gallery.html", title=title, summary=summary, rows=rows)


def render_template(template: str, **values: Any) -> str:
    """Returns a page as HTML.

    Args:
      template: path of the template in the package, such as `pictures/templates/page.html`.
      **values: what the template speaks of.

    Raises:
      jinja2.UndefinedError: when the template speaks of something that is not among them.
    """
    return _ENVIRONMENT.get_template(template).render(values)
