"""Who may import whom, read from the sources: every import counts, also those inside functions."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The floors of the house, from the ground up. A room imports itself and the rooms before it.
FLOORS = (
    "tfpix2pix",  # the names of the API, imported when they are used
    "tfpix2pix.pipelines.base",
    "tfpix2pix.pipelines.remote",
    "tfpix2pix.pipelines.class_colours",
    "tfpix2pix.pipelines.catalogue",
    "tfpix2pix.pipelines.meaning",
    "tfpix2pix.pipelines.tasks",
    "tfpix2pix.pipelines.synthetic",
    "tfpix2pix.pipelines.files",
    "tfpix2pix.pipelines.labels",
    "tfpix2pix.pipelines.placing",
    "tfpix2pix.pipelines",
    "tfpix2pix.config",
    "tfpix2pix.networks",
    "tfpix2pix.methods",
    "tfpix2pix.pictures",
    "tfpix2pix.run",
    "tfpix2pix.metrics",
    "tfpix2pix.metrics.fcn",
    "tfpix2pix.model",
    "tfpix2pix.export",
    "tfpix2pix.export.files",
    "tfpix2pix.interop",
    "tfpix2pix.train",
    "tfpix2pix.translate",
    "tfpix2pix.cluster",
    "tfpix2pix.evaluate",
    "tfpix2pix.serving",
    "tfpix2pix.reproduce",
    "tfpix2pix.web",
    "tfpix2pix.web.demo",
    "tfpix2pix.study",
    "tfpix2pix.study.results",
)
# Commands beside the `__main__` of rooms. A command stands above all rooms, and nobody imports it.
COMMANDS = {
    "tfpix2pix.quickstart",
    "tfpix2pix.cluster.train",
    "tfpix2pix.cluster.translate",
    "tfpix2pix.pipelines.prepare",
    "tfpix2pix.serving.client",
    "tfpix2pix.serving.serve",
    "tfpix2pix.interop.torch_weights",
    "tfpix2pix.reproduce.check",
    "tfpix2pix.web.gradio_app",
}
# What answers --help, and everything it imports, must not wait for TensorFlow; nor must these.
LIGHT = {
    "tfpix2pix.pipelines.base.command_line",
    "tfpix2pix.pipelines.catalogue",
    "tfpix2pix.pipelines.tasks.registry",
    "tfpix2pix.config.config",
}

# What only POSIX systems have: no module needs it to be imported.
POSIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
# Windows does not have these names either, which a module has to ask for with `hasattr` before it uses them.
POSIX_NAMES = {
    *(f"os.{name}" for name in ("fork", "getloadavg", "geteuid", "getuid", "killpg", "nice", "setsid")),
    *(f"os.{name}" for name in ("chown", "sched_getaffinity", "statvfs", "sync", "uname")),
    *(f"signal.{name}" for name in ("SIGALRM", "SIGHUP", "SIGUSR1", "SIGUSR2", "alarm", "setitimer")),
}

Modules = dict[str, ast.Module]


def _module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts if parts[0] == "tfpix2pix" else ("tfpix2pix", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _find_modules(root: Path) -> Modules:
    # tfpix2pix/pipelines is a link to pipelines/, which rglob does not follow.
    paths = [path for folder in ("pipelines", "tfpix2pix") for path in sorted((root / folder).rglob("*.py"))]
    return {_module_name(path, root): ast.parse(path.read_text("utf-8"), str(path)) for path in paths}


def _is_command(name: str) -> bool:
    return name in COMMANDS or name.endswith(".__main__")


def _floor(name: str) -> int:
    if _is_command(name):
        return len(FLOORS)
    rooms = [(len(room), place) for place, room in enumerate(FLOORS) if f"{name}.".startswith(f"{room}.")]
    return max(rooms)[1]


def _imports(importer: str, nodes: Iterator[ast.AST], modules: Modules) -> set[str]:
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


def _all_imports(modules: Modules) -> dict[str, set[str]]:
    return {name: _imports(name, ast.walk(tree), modules) for name, tree in modules.items()}


def _is_for_types(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")


def _statements_at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_types(statement):
            continue
        yield statement
        for field in ("body", "orelse", "finalbody"):
            yield from _statements_at_import(getattr(statement, field, []))
        for handler in getattr(statement, "handlers", []):
            yield from _statements_at_import(handler.body)


def _loaded_at_import(name: str, modules: Modules) -> set[str]:
    """Returns all that importing a module loads, by way of our own modules and their packages."""
    loaded, waiting = set(), {name}
    while waiting:
        current = waiting.pop()
        loaded.add(current)
        waiting |= {current.rpartition(".")[0] or current} - loaded
        if current in modules:
            waiting |= _imports(current, _statements_at_import(modules[current].body), modules) - loaded
    return loaded


def _find_violations(root: Path) -> list[str]:
    modules = _find_modules(root)
    violations = []
    for importer, imported in _all_imports(modules).items():
        for name in sorted(imported):
            if name.split(".")[0] == "pipelines":
                violations.append(f"{importer} imports {name}, which is called tfpix2pix.{name}")
            if name.split(".")[0] != "tfpix2pix":
                continue
            if _is_command(name):
                violations.append(f"{importer} imports the command {name}")
            # The table of the API names modules of every floor.
            elif importer != "tfpix2pix" and _floor(name) > _floor(importer):
                violations.append(f"{importer} imports {name}, which is a floor above")
    for name, tree in modules.items():
        found = _imports(name, _statements_at_import(tree.body), modules) & POSIX
        violations += [f"{name} imports {each}, which Windows does not have" for each in sorted(found)]
        text = ast.unparse(tree)
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & POSIX_NAMES
        unasked = [each for each in used if "hasattr({}, '{}')".format(*each.split(".")) not in text]
        violations += [f"{name} uses {each}, which Windows does not have" for each in sorted(unasked)]
    for name in sorted(LIGHT | {name for name in modules if _is_command(name)}):
        heavy = {each.split(".")[0] for each in _loaded_at_import(name, modules)} & {"tensorflow", "keras"}
        violations += [f"{name} loads {each} when imported" for each in sorted(heavy)]
    return violations


def test_imports_follow_the_architecture():
    assert _find_violations(ROOT) == []


def test_the_rules_speak_of_what_exists():
    assert set(FLOORS) | COMMANDS | LIGHT <= set(_find_modules(ROOT))


def test_the_root_of_the_package_holds_rooms():
    names = {path.name for path in (ROOT / "tfpix2pix").iterdir() if path.name != "__pycache__"}
    assert {name for name in names if "." in name} == {
        "__init__.py",
        "__main__.py",
        "quickstart.py",
        "py.typed",
    }


def test_every_room_says_what_it_is_for_and_names_its_face():
    modules = _find_modules(ROOT)
    rooms = {name.rpartition(".")[0] for name in modules} & set(modules) - {"tfpix2pix"}
    for room in sorted(rooms):
        package = importlib.import_module(room)
        assert (package.__doc__ or "").strip().endswith("."), room
        assert package.__all__, room
        for name in package.__all__:
            value = getattr(package, name)
            # A name that is a function here and a module there would change with what was imported before.
            assert inspect.ismodule(value) or f"{room}.{name}" not in modules, f"{room}.{name}"
        with pytest.raises(AttributeError, match=f"module '{room}' has no attribute 'nobody'"):
            _ = package.nobody


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        (
            "pipelines/batches.py",
            "def f():\n  import tfpix2pix.run.loop",
            "tfpix2pix.pipelines.batches imports tfpix2pix.run.loop, which is a floor above",
        ),
        (
            "tfpix2pix/methods/pix2pix.py",
            "from tfpix2pix.run import loop",
            "tfpix2pix.methods.pix2pix imports tfpix2pix.run.loop, which is a floor above",
        ),
        (
            "tfpix2pix/run/loop.py",
            "from tfpix2pix.run import __main__",
            "tfpix2pix.run.loop imports the command tfpix2pix.run.__main__",
        ),
        (
            "tfpix2pix/run/loop.py",
            "from tfpix2pix.pipelines.prepare import f",
            "tfpix2pix.run.loop imports the command tfpix2pix.pipelines.prepare",
        ),
        (
            "tfpix2pix/run/loop.py",
            "import pipelines.batches",
            "tfpix2pix.run.loop imports pipelines.batches, which is called tfpix2pix.pipelines.batches",
        ),
        (
            "tfpix2pix/config/config.py",
            "import tensorflow as tf",
            "tfpix2pix.config.config loads tensorflow when imported",
        ),
        (
            "tfpix2pix/run/__main__.py",
            "try:\n  from tfpix2pix.methods import pix2pix\nexcept OSError:\n  pass",
            "tfpix2pix.run.__main__ loads keras when imported",
        ),
        (
            "tfpix2pix/run/loop.py",
            "import fcntl",
            "tfpix2pix.run.loop imports fcntl, which Windows does not have",
        ),
        (
            "tfpix2pix/run/loop.py",
            "import os\ndef f():\n  os.sync()",
            "tfpix2pix.run.loop uses os.sync, which Windows does not have",
        ),
        ("tfpix2pix/__init__.py", "import keras", "tfpix2pix.config.config loads keras when imported"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path, path, source, violation):
    files = {
        "tfpix2pix/__init__.py": "",
        "tfpix2pix/config/config.py": "def f():\n  import tensorflow",
        "tfpix2pix/methods/pix2pix.py": "from keras import Model",
        "tfpix2pix/run/loop.py": "from tfpix2pix.methods import pix2pix",
        "tfpix2pix/run/__main__.py": "from tfpix2pix.config import config",
        "pipelines/batches.py": "import tensorflow",
        "pipelines/prepare.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _find_violations(tmp_path) == []
    (tmp_path / path).write_text(source)
    assert violation in _find_violations(tmp_path)
