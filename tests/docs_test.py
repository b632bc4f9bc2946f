"""The site of `make docs` has every page; building it checks the links and the docstrings."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "saved_models" / "README.md"]


def test_every_page_has_a_place_on_the_site():
    placed = re.findall(r"^ +- .*: (\w+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    brought = re.findall(
        r'^    "(.+\.md)": "(\w+\.md)"', (ROOT / "docs/hooks.py").read_text("utf-8"), re.MULTILINE
    )
    assert {file for file, _ in brought} == {
        page.relative_to(ROOT).as_posix() for page in PAGES if page.parent.name != "docs"
    }
    in_docs = [page.name for page in PAGES if page.parent.name == "docs"]
    assert sorted(placed) == sorted([*in_docs, *(name for _, name in brought)])
