"""How long files and functions are, and how many parameters private functions take."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_PRIVATE_PARAMETERS = 6
# What is longer, and why it is not cut.
EXCEPTIONS: dict[str, str] = {}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _files() -> Iterator[tuple[str, str]]:
    for folder in ("pipelines", "tfpix2pix", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")


def _functions(tree: ast.AST, owner: str) -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        name = f"{owner}.{node.name}" if hasattr(node, "name") else owner
        if isinstance(node, Function):
            yield name, node
        yield from _functions(node, name)


def _lines_of_code(function: Function) -> int:
    """Counts from the first statement after the docstring; the signature and the docstring are free."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def _count_parameters(function: Function) -> int:
    arguments = function.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def _oversized() -> dict[str, str]:
    found = {}
    for file, text in _files():
        if (lines := text.count("\n")) > MAX_FILE_LINES:
            found[file] = f"has {lines} lines"
        for name, function in _functions(ast.parse(text), file):
            if (lines := _lines_of_code(function)) > MAX_FUNCTION_LINES:
                found[name] = f"has {lines} lines"
            is_private = function.name.startswith("_") and not function.name.startswith("__")
            if is_private and (count := _count_parameters(function)) > MAX_PRIVATE_PARAMETERS:
                found[name] = f"takes {count} parameters"
    return found


def test_nothing_outgrows_the_limits():
    oversized = _oversized()
    assert {name: what for name, what in oversized.items() if name not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) <= set(oversized), "what fits is no exception any more"
    assert all(len(reason.split()) > 3 for reason in EXCEPTIONS.values())
