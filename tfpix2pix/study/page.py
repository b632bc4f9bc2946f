"""Renders the page of a study: its template comes from the package, its words from the study's folder."""

from pathlib import Path

from markdown_it import MarkdownIt

from tfpix2pix.pictures.page import render_template
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.study.folder import CONSENT_FILE, DEBRIEFING_FILE, INSTRUCTIONS_FILE, Study
from tfpix2pix.study.texts import Texts, choose_question

# Languages that are written from right to left.
_RIGHT_TO_LEFT = {"ar", "arc", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"}


def render_page(study_dir: Path, study: Study, texts: Texts, *, is_preview: bool = False) -> str:
    """Returns the page as HTML.

    Args:
      study_dir: folder of the study, which holds what people read in paragraphs.
      study: the study.
      texts: all other words.
      is_preview: whether the page says that nothing is recorded.

    Raises:
      UserError: when a text cannot be read.
    """
    protocol = study.protocol
    # What the scripts must know before a session is open, too.
    setup = {
        "texts": dict(texts),
        "question": choose_question(protocol, texts),
        "has_feedback": not protocol.has_preferences,
        "exposure_ms": 1000 * protocol.exposure_sec,
        "shows_input": protocol.show_input,
        "decline_url": study.decline_url,
        "screen_out_url": study.screen_out_url,
    }
    return render_template(
        "study/templates/study.html",
        title=study.title,
        mode="preview" if is_preview else "study",
        consent=render_text(_read(study_dir / CONSENT_FILE)),
        instructions=render_text(_read(study_dir / INSTRUCTIONS_FILE)),
        texts=texts,
        direction="rtl" if texts["language"].split("-")[0].lower() in _RIGHT_TO_LEFT else "ltr",
        setup=setup,
    )


def render_debriefing(study_dir: Path) -> str:
    """Returns what people read at the end as HTML; nothing, if the folder has no such file.

    Raises:
      UserError: when the text cannot be read.
    """
    file = study_dir / DEBRIEFING_FILE
    return render_text(_read(file)) if file.exists() else ""


def render_text(text: str) -> str:
    """Returns Markdown as HTML.

    HTML in it stays text, because a text may be pasted from anywhere. Headings begin at h2, because the page
    has an h1. Images are not shown, because the page shows none but those of the study. Links open in another
    window, so that nobody leaves the study.

    Args:
      text: contents of `consent.md`, `instructions.md` or `debriefing.md`.
    """
    # Lines that are indented are no code here.
    markdown = MarkdownIt("commonmark", {"html": False}).disable(["image", "code"])
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + 1, 6)}"
        for child in token.children or ():
            if child.type == "link_open":
                child.attrs |= {"target": "_blank", "rel": "noopener noreferrer"}
    return markdown.renderer.render(tokens, markdown.options, {})


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as UTF-8 text: {error}") from error
