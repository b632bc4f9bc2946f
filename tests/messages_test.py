"""Messages of the library name arguments in backticks; the running command turns them into its flags."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_FLAG = re.compile(r"--[a-z{][\w{}]*")
# Files whose texts may name flags although they define none, and why.
EXCEPTIONS = {
    "pipelines/base/naming.py": "turns the names of arguments into flags",
    "pipelines/base/shell.py": "writes a command for a shell",
    "pipelines/catalogue.py": "notes on datasets hold the command that prepares them",
    "pipelines/placing/advice.py": "gives the command that prepares what was found",
    "pipelines/placing/dataset_folder.py": "gives the command that prepares a dataset",
    "tfpix2pix/cluster/gang.py": "starts the command train with a flag more",
    "tfpix2pix/config/config.py": "holds texts of --help about defaults",
    "tfpix2pix/config/fields.py": "holds the help of the flags",
    "tfpix2pix/config/network_fields.py": "holds the help of the flags",
    "tfpix2pix/config/run_config.py": "holds the help of the flags",
    "tfpix2pix/interop/torch_bicycle_detection.py": "speaks of flags of BicycleGAN's own code",
    "tfpix2pix/interop/torch_detection.py": "speaks of flags of the PyTorch reference",
    "tfpix2pix/interop/torch_export.py": "speaks of flags of the PyTorch reference",
    "tfpix2pix/interop/torch_import.py": "speaks of flags of the PyTorch reference",
    "tfpix2pix/interop/torch_label_maps.py": "writes flags of pix2pixHD's own code",
    "tfpix2pix/metrics/fcn/config.py": "holds texts of --help about defaults",
    "tfpix2pix/reproduce/grid.py": "starts commands as processes of their own",
    "tfpix2pix/run/next_commands.py": "writes commands for a shell",
    "tfpix2pix/serving/launching.py": "starts TensorFlow Serving, which has flags of its own",
    "tfpix2pix/serving/remote_model.py": "speaks of a flag of TensorFlow Serving",
}


def _texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Returns line and text of the literals below a node; docstrings are none, and values are shown as {}."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in child.values]
            yield child.lineno, "".join(map(str, parts))
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.lineno, child.value
        else:
            yield from _texts(child)


def _defines_flags(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr.startswith("DEFINE_") for node in ast.walk(tree))


def _named_flags(source: str) -> list[str]:
    """Returns the flags that the texts of a module name; of one that defines flags, none."""
    tree = ast.parse(source)
    if _defines_flags(tree):
        return []
    return [f"line {line}: {flag}" for line, text in _texts(tree) for flag in _FLAG.findall(text)]


def _find_named_flags() -> dict[str, list[str]]:
    paths = [path for folder in ("pipelines", "tfpix2pix") for path in sorted((ROOT / folder).rglob("*.py"))]
    found = {path.relative_to(ROOT).as_posix(): _named_flags(path.read_text("utf-8")) for path in paths}
    return {file: flags for file, flags in found.items() if flags and not file.endswith("__main__.py")}


def test_the_library_names_arguments_where_commands_name_flags():
    found = _find_named_flags()
    assert {file: flags for file, flags in found.items() if file not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) <= set(found), "what names no flag is no exception any more"


@pytest.mark.parametrize(
    ("source", "flags"),
    [
        ('raise UsageError(f"{folder} is there; choose another --workdir")', ["line 1: --workdir"]),
        ('REMEDY = (\n"Try "\n"--precision=float32")', ["line 2: --precision"]),
        ('warn(f"--{name} has no effect")', ["line 1: --{}"]),
        ('def f():\n  """Says what --jitter does."""\n  raise UsageError("`jitter` -- or not")', []),
        ('flags.DEFINE_bool("jitter", None, "Jitter; see --load_size.")', []),
    ],
)
def test_a_message_that_names_a_flag_is_found(source, flags):
    assert _named_flags(source) == flags
