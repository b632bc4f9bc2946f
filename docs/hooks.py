"""What `make docs` adds to the pages of this folder.

The README and its neighbours become pages of the site, links work in the repository as in the site, and each
room of the package gets a page of its docstrings.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import tfpix2pix

ROOT = Path(__file__).resolve().parents[1]
# File of the repository -> its page; what is in docs/ keeps its name.
PAGES = {
    "README.md": "index.md",
    "BUILD.md": "building.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "saved_models/README.md": "saved_models.md",
}
_SOURCES = {page: file for file, page in PAGES.items()}
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> None:
    """Adds the reference to the navigation."""
    pages = [{name: page} for name, page in _reference_pages().items()]
    config.nav = [*(config.nav or []), {"Reference": pages}]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the pages whose files are not in docs/, and those of the reference."""
    for file, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / file).read_text("utf-8")))
    icon = ROOT / "tfpix2pix" / "web" / "static" / "icon.svg"
    files.append(File.generated(config, "icon.svg", abs_src_path=str(icon)))
    for name, page in _reference_pages().items():
        files.append(File.generated(config, page, content=_refer(name)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links between files of the repository into links between pages."""
    source = _SOURCES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(lambda link: _relink(link, source), part) for part in parts[::2]]
    return "".join(parts)


def _relink(link: re.Match[str], source: str) -> str:
    """Returns a link to the page of a file; without a page, only the text of the link."""
    mark, text, target, anchor = link.groups("")
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if file in PAGES:
        return f"[{text}]({PAGES[file]}{anchor})"
    if file.startswith("docs/"):
        return f"{mark}[{text}]({file.removeprefix('docs/')}{anchor})"
    return text


def _reference_pages() -> dict[str, str]:
    """Returns the name of each package with Python of its own -> its page."""
    package = ROOT / "tfpix2pix"
    # package/pipelines is a link, which rglob does not follow.
    files = [*package.rglob("__init__.py"), *(package / "pipelines").rglob("__init__.py")]
    names = sorted(".".join(file.parent.relative_to(ROOT).parts) for file in files)
    return {name: f"reference/{name}.md" for name in names}


def _refer(name: str) -> str:
    """Returns the page of a package: the public names of the project, or all modules of a room."""
    if name == "tfpix2pix":
        members = [member for member in tfpix2pix.__all__ if member != "__version__"]
    else:
        files = sorted((ROOT / name.replace(".", "/")).glob("*.py"))
        members = [file.stem for file in files if not file.stem.startswith("__")]
    # What the package itself says stands below its title; its members follow.
    options = "    options: {members: false, show_root_heading: false}"
    return "\n\n".join([f"# {name}", f"::: {name}\n{options}", *(f"::: {name}.{each}" for each in members)])
