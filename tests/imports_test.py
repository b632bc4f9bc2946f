"""Who may import whom, read from the sources: every import counts, also those inside functions."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipelines", "tfpix2pix")
COMMANDS = {
    f"tfpix2pix.{name}"
    for name in ("train", "translate", "export", "quickstart", "evaluate", "reproduce", "metrics.fcn")
    + ("serving.client", "serving.serve", "study", "web.demo", "interop.torch_weights")
}
# Module -> all that it may import of ours.
FOUNDATIONS = {
    "tfpix2pix.convolutions": set(),
    "tfpix2pix.layers": {"tfpix2pix.convolutions"},
    "tfpix2pix.losses": set(),
    "tfpix2pix.generators": {"tfpix2pix.layers"},
    "tfpix2pix.discriminators": {"tfpix2pix.layers"},
    "tfpix2pix.keras_versions": {"pipelines.command_line"},
    "tfpix2pix.optimizers": {"tfpix2pix.keras_versions"},
    "tfpix2pix.step": {
        "tfpix2pix.losses",
        "tfpix2pix.keras_versions",
        "tfpix2pix.optimizers",
        "tfpix2pix.generators",
        "tfpix2pix.discriminators",
    },
}
# What answers --help, and everything it imports, must not wait for TensorFlow.
LIGHT = {"pipelines.catalogue", "pipelines.command_line", "tfpix2pix.config"} | COMMANDS


def _module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _find_modules(root: Path) -> dict[str, ast.Module]:
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return {_module_name(path, root): ast.parse(path.read_text("utf-8"), str(path)) for path in paths}


def _imports(importer: str, nodes: Iterator[ast.AST], modules: dict[str, ast.Module]) -> set[str]:
    """Returns the full names that import statements among `nodes` load, submodules by their own name."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{importer}:{node.lineno} imports by a relative name"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in names}
    return found - {importer}


def _all_imports(modules: dict[str, ast.Module]) -> dict[str, set[str]]:
    return {name: _imports(name, ast.walk(tree), modules) for name, tree in modules.items()}


def _statements_at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING"):
            continue
        yield statement
        for field in ("body", "orelse", "finalbody"):
            yield from _statements_at_import(getattr(statement, field, []))
        for handler in getattr(statement, "handlers", []):
            yield from _statements_at_import(handler.body)


def _loaded_at_import(name: str, modules: dict[str, ast.Module]) -> set[str]:
    """Returns all that importing a module loads, by way of our own modules and their packages."""
    loaded, waiting = set(), {name}
    while waiting:
        current = waiting.pop()
        loaded.add(current)
        if current in modules:
            waiting |= _imports(current, _statements_at_import(modules[current].body), modules) - loaded
            waiting |= {current.rpartition(".")[0] or current} - loaded
    return loaded


def _find_violations(root: Path) -> list[str]:
    modules = _find_modules(root)
    violations = []
    for importer, imported in _all_imports(modules).items():
        ours = {name for name in imported if name.split(".")[0] in PACKAGES}
        forbidden = ours & COMMANDS
        if importer in FOUNDATIONS:
            forbidden |= ours - FOUNDATIONS[importer]
        if importer.split(".")[0] == "pipelines":
            forbidden |= {name for name in ours if name.split(".")[0] == "tfpix2pix"}
        violations += [f"{importer} imports {name}" for name in sorted(forbidden)]
    for name in sorted(LIGHT & set(modules)):
        heavy = {each.split(".")[0] for each in _loaded_at_import(name, modules)} & {"tensorflow", "keras"}
        violations += [f"{name} loads {each} when imported" for each in sorted(heavy)]
    return violations


def test_imports_follow_the_architecture():
    assert _find_violations(ROOT) == []


def test_the_rules_speak_of_modules_that_exist():
    missing = (set(FOUNDATIONS) | LIGHT) - set(_find_modules(ROOT))
    assert missing <= {"tfpix2pix.evaluate"}


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        ("pipelines/pairs.py", "def f():\n  import tfpix2pix.a", "pipelines.pairs imports tfpix2pix.a"),
        ("tfpix2pix/layers.py", "from pipelines import transforms", "tfpix2pix.layers imports pipelines"),
        ("tfpix2pix/losses.py", "from tfpix2pix import step", "tfpix2pix.losses imports tfpix2pix.step"),
        ("tfpix2pix/step.py", "from tfpix2pix.loop import run", "tfpix2pix.step imports tfpix2pix.loop"),
        ("tfpix2pix/loop.py", "from tfpix2pix import train", "tfpix2pix.loop imports tfpix2pix.train"),
        ("tfpix2pix/export.py", "from tfpix2pix.train import f", "tfpix2pix.export imports tfpix2pix.train"),
        ("tfpix2pix/config.py", "import tensorflow as tf", "tfpix2pix.config loads tensorflow when imported"),
        (
            "tfpix2pix/config.py",
            "try:\n  from tfpix2pix import step\nexcept OSError:\n  pass",
            "tfpix2pix.config loads keras when imported",
        ),
        ("tfpix2pix/__init__.py", "import keras", "tfpix2pix.config loads keras when imported"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path, path, source, violation):
    files = {
        "tfpix2pix/__init__.py": "",
        "tfpix2pix/config.py": "def f():\n  import tensorflow",
        "tfpix2pix/step.py": "from keras import Model",
        "tfpix2pix/train.py": "from tfpix2pix import config",
        "tfpix2pix/loop.py": "from tfpix2pix import step",
        "pipelines/pairs.py": "import tensorflow",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _find_violations(tmp_path) == []
    (tmp_path / path).write_text(source)
    assert violation in _find_violations(tmp_path)
