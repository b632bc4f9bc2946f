"""The Python in the README runs as it is written, and the pages name what exists."""

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import runs

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_snippet_runs(tmp_path, monkeypatch):
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(snippet, "README.md", "exec"), names)
    assert set(names["losses"]) >= {"discriminator_loss", "generator_gan_loss", "l1_loss"}
    assert all(np.isfinite(float(value)) for value in names["losses"].values())
    assert names["photos"].shape == (1, 64, 64, 3)
    assert (tmp_path / "saved_models" / "mine" / "1" / "saved_model.pb").is_file()


TINY = ["--image_size=32", "--base_filters=2", "--depth=3", "--receptive_field=16", "--steps=2"]


def _commands(section: str) -> list[list[str]]:
    """Returns the commands of a section of the README, without their comments."""
    text = (ROOT / "README.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [
        line
        for block in re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("python", "tensorboard"))]


def test_the_walk_with_ones_own_pairs(tmp_path):
    draw = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        for number in range(count):
            for side in "AB":
                pixels = draw.integers(0, 256, (40, 48, 3), np.uint8)
                runs.write_image(tmp_path / "my_pairs" / split / side / f"{number}.png", pixels)
    done = []
    for program, *arguments in _commands("Your own pairs"):
        if program == "tensorboard":
            continue
        tiny = TINY if arguments[1] == "tfpix2pix.train" else []
        process = runs.call([program, *arguments, *tiny], cwd=tmp_path)
        assert process.returncode == 0, f"{arguments}: {process.stderr}"
        done.append(arguments[1].removeprefix("tfpix2pix."))
    assert done == ["train", "train", "translate", "evaluate", "export"]
    config = json.loads((tmp_path / "runs/my_pairs/config.json").read_text())["config"]
    assert (config["dataset"], config["direction"]) == ("my_pairs", "AtoB")
    with Image.open(tmp_path / "out" / "0.png") as picture:
        assert picture.size == (48, 40)
    assert (tmp_path / "runs/my_pairs/eval/index.html").is_file()
    assert (tmp_path / "saved_models/my_pairs/2/saved_model.pb").is_file()  # train wrote version 1


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")])


def _commands_of_pages() -> dict[tuple[str, ...], set[str]]:
    """Returns the flags that the pages give each command, which is a module and perhaps a subcommand."""
    given: dict[tuple[str, ...], set[str]] = {}
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"^ *python -m (tfpix2pix\.[^\n]*)", text, re.MULTILINE):
            module, *words = shlex.split(line, comments=True)
            subcommand = words[:1] if module == "tfpix2pix.study" else []
            # What follows -- are the flags of train.
            parts = [*" ".join(words).split(" -- "), ""][:2]
            for command, part in zip([(module, *subcommand), ("tfpix2pix.train",)], parts, strict=True):
                flags = {word.partition("=")[0] for word in part.split() if word.startswith("--")}
                given.setdefault(command, set()).update(flags)
    return given


@pytest.mark.parametrize("command", sorted(_commands_of_pages()), ids=" ".join)
def test_the_commands_of_the_pages_have_their_flags(command, tmp_path):
    module, *subcommand = command
    process = runs.run([sys.executable, "-m", module, *subcommand, "--help"], cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    known = set(re.findall(r"^  (--\w+)", process.stdout, re.MULTILINE))
    known |= {flag.replace("--", "--no", 1) for flag in known}
    assert _commands_of_pages()[command] <= known | {"--help"}


def _anchors(page: Path) -> set[str]:
    """Returns what GitHub calls the sections of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere():
    for page in PAGES:
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


def test_the_table_of_files_names_tests_that_exist():
    section = (ROOT / "docs" / "data.md").read_text().partition("\n## Which file does what where\n")[2]
    section = section.partition("\n## ")[0]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", section)
    assert len(named) > 30
    for file, name in named:
        assert f"\ndef {name}(" in (ROOT / file).read_text(), f"docs/data.md names {file}::{name}"
    listed = re.findall(r"^- (\w+): ", section, re.MULTILINE)
    used = {
        letter
        for letters in re.findall(r"\(([a-z]{1,2}(?:, [a-z]{1,2})*)\)", section)
        for letter in letters.split(", ")
    }
    assert len(set(listed)) == len(listed) and used == set(listed)
