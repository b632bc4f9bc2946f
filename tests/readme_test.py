"""The Python in the README runs as it is written, and the pages name what exists."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def test_the_snippet_runs(tmp_path, monkeypatch):
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(snippet, "README.md", "exec"), names)
    assert set(names["losses"]) >= {"discriminator_loss", "generator_gan_loss", "l1_loss"}
    assert all(np.isfinite(float(value)) for value in names["losses"].values())
    assert names["photos"].shape == (1, 64, 64, 3)
    assert (tmp_path / "saved_models" / "mine" / "1" / "saved_model.pb").is_file()


def _anchors(page: Path) -> set[str]:
    """Returns what GitHub calls the sections of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]:
        for link in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text()):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page.name} names {link}"
            assert not anchor or anchor in _anchors(target), f"{page.name} names {link}"


def test_the_overview_has_every_room():
    overview = (ROOT / "docs" / "overview.md").read_text()
    for package in ("pipelines", "tfpix2pix"):
        for file in (ROOT / package).rglob("__init__.py"):
            room = file.parent.relative_to(ROOT).as_posix()
            short = room.removeprefix("tfpix2pix/")
            assert f"`{room}" in overview or f"`{short}`" in overview, f"docs/overview.md lacks {room}"


def test_fidelity_names_tests_that_exist():
    for name in re.findall(r"`([\w/]+_test)`", (ROOT / "docs" / "fidelity.md").read_text()):
        assert (ROOT / "tests" / f"{name}.py").is_file(), f"docs/fidelity.md names {name}"
