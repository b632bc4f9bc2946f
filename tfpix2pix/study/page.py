"""Renders the page of a study: its frame comes from the package, its words from the study's folder."""

import html
import re
import string
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.study.folder import CONSENT_FILE, INSTRUCTIONS_FILE, Study

STATIC_FOLDER = Path(__file__).parent / "static"
_MARK = re.compile(r"(?P<kind>#{1,2}|-|\d+\.)\s+(?P<text>.+)")


def render_page(study_dir: Path, study: Study, is_preview: bool) -> str:
    """Returns the page as HTML.

    Args:
      study_dir: folder of the study, which holds the texts.
      study: the study.
      is_preview: whether the page says that nothing is recorded.

    Raises:
      UserError: when a text cannot be read.
    """
    frame = (STATIC_FOLDER / "study.html").read_text("utf-8")
    return string.Template(frame).substitute(
        title=html.escape(study.title),
        mode="preview" if is_preview else "study",
        consent=render_text(_read(study_dir / CONSENT_FILE)),
        instructions=render_text(_read(study_dir / INSTRUCTIONS_FILE)),
    )


def render_text(text: str) -> str:
    """Returns plain paragraphs as HTML. HTML in them stays text.

    A blank line ends a paragraph. `# ` and `## ` begin headings, `- ` and `1. ` the items of lists.

    Args:
      text: contents of `consent.md` or `instructions.md`.
    """
    blocks: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        mark = _MARK.fullmatch(line.strip())
        kind = "p" if mark is None else {"#": "h2", "##": "h3", "-": "ul"}.get(mark["kind"], "ol")
        words = html.escape(mark["text"] if mark else line.strip())
        if not words:
            blocks.append(("", []))
        elif blocks and blocks[-1][0] == kind and kind in ("ul", "ol"):
            blocks[-1][1].append(words)
        elif blocks and mark is None and blocks[-1][0] in ("p", "ul", "ol"):
            blocks[-1][1][-1] += f" {words}"
        else:
            blocks.append((kind, [words]))
    return "\n".join(_render_block(kind, parts) for kind, parts in blocks if parts)


def _render_block(kind: str, parts: list[str]) -> str:
    inside = "".join(f"<li>{part}</li>" for part in parts) if kind in ("ul", "ol") else parts[0]
    return f"<{kind}>{inside}</{kind}>"


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as UTF-8 text: {error}") from error
