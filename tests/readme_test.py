"""The Python in the README runs as it is written, and the pages name what exists."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "BUILD.md",
    "CONTRIBUTING.md",
    "docs/overview.md",
    "docs/serving.md",
    "saved_models/README.md",
)


def test_the_snippet_runs(tmp_path, monkeypatch):
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(snippet, "README.md", "exec"), names)
    assert set(names["losses"]) >= {"discriminator_loss", "generator_gan_loss", "l1_loss"}
    assert all(np.isfinite(float(value)) for value in names["losses"].values())
    assert names["photos"].shape == (1, 64, 64, 3)
    assert (tmp_path / "saved_models" / "mine" / "1" / "saved_model.pb").is_file()


def test_links_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
            if not link.startswith("http"):
                assert ((ROOT / page).parent / link).exists(), f"{page} names {link}"


def test_the_overview_has_every_module():
    overview = (ROOT / "docs" / "overview.md").read_text()
    for package in ("pipelines", "tfpix2pix"):
        for module in (ROOT / package).rglob("*.py"):
            if module.name != "__init__.py":
                assert f"{module.name}`" in overview, f"docs/overview.md does not mention {module}"


def test_fidelity_names_tests_that_exist():
    for name in re.findall(r"`(\w+_test)`", (ROOT / "docs" / "fidelity.md").read_text()):
        assert (ROOT / "tests" / f"{name}.py").is_file(), f"docs/fidelity.md names {name}"
