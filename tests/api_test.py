"""The names of the package, what a type checker sees of them, and the examples in its docstrings."""

import ast
import doctest
import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfpix2pix
from tests.helpers import runs
from tests.helpers.tiny_run import write_run

PUBLIC = [name for name in tfpix2pix.__all__ if not name.startswith("__")]


@pytest.mark.parametrize("name", tfpix2pix.__all__)
def test_every_public_name_is_there(name):
    assert getattr(tfpix2pix, name) is not None
    assert name in dir(tfpix2pix)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'resnet_generator'"):
        _ = tfpix2pix.resnet_generator


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name):
    value = getattr(tfpix2pix, name)
    assert inspect.getdoc(value)
    if inspect.isfunction(value) and inspect.signature(value).parameters:
        assert re.search("^Args:|The arguments", inspect.getdoc(value), re.MULTILINE)


def test_the_import_does_not_wait_for_tensorflow():
    text = "import tfpix2pix, sys; assert 'tensorflow' not in sys.modules; tfpix2pix.make_config()"
    process = runs.run([sys.executable, "-c", text + "; assert 'tensorflow' not in sys.modules"])
    assert process.returncode == 0, process.stderr


def test_a_type_checker_reads_the_same_names_from_the_same_modules():
    (block,) = (
        node
        for node in ast.parse(Path(tfpix2pix.__file__).read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    imported = {alias.asname: (node.module, alias.name) for node in block.body for alias in node.names}
    assert imported == {name: (f"tfpix2pix.{home}", name) for name, home in tfpix2pix._HOMES.items()}


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """What mypy, in its strictest mode, says of a user's script: a line of text for each line of it."""
    pytest.importorskip("mypy", reason="mypy is in the extra `dev`, which Keras 2 goes without")
    folder = tmp_path_factory.mktemp("typed")
    lines = ["import tfpix2pix", *(f"reveal_type(tfpix2pix.{name})" for name in tfpix2pix.__all__)]
    lines += ['tfpix2pix.unet_generator("x", depth="no")', "tfpix2pix.resnet_generator"]
    (folder / "script.py").write_text("\n".join(lines) + "\n")
    process = runs.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "script.py"],
        cwd=folder,
        env=runs.environment(MYPYPATH=str(runs.ROOT)),
    )
    said = re.findall(r"^script.py:(\d+): \w+: (.*)$", process.stdout, re.MULTILINE)
    return {
        number: [text for line, text in said if int(line) == number] for number in range(1, len(lines) + 1)
    }


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(tfpix2pix.__all__)), ids=tfpix2pix.__all__)
def test_a_type_checker_knows_every_public_name(checked, place):
    (text,) = checked[place + 2]
    # A class is shown as its constructor.
    assert re.match(r'Revealed type is "(def \((?!\*args: Any, \*\*kwargs: Any\))|str|builtins.str)', text), (
        text
    )


@pytest.mark.slow
def test_a_type_checker_reports_wrong_calls(checked):
    *_, call, unknown = checked.values()
    wrong = "\n".join(call)
    assert 'Argument 1 to "unet_generator" has incompatible type "str"' in wrong
    assert 'Argument "depth" to "unet_generator" has incompatible type "str"' in wrong
    assert unknown == ['Module has no attribute "resnet_generator"  [attr-defined]']


def test_arguments_of_public_functions_have_types():
    untyped = {
        f"{name}({parameter.name})"
        for name in PUBLIC
        if name not in ("UserError", "UsageError")  # their arguments are those of Exception
        for parameter in inspect.signature(getattr(tfpix2pix, name)).parameters.values()
        if parameter.annotation in (Any, inspect.Parameter.empty)
    }
    # The settings have the types of `Config`; data is given in many kinds, which `open_given` tells apart.
    data = {"train_and_evaluate(train)", "train_and_evaluate(validation)"}
    assert untyped == {"make_config(given)", *data}


@pytest.mark.slow
@pytest.mark.parametrize("home", sorted(set(tfpix2pix._HOMES.values())))
def test_the_examples_run(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"tfpix2pix.{home}")
    if home in ("translate.translator", "run.generator", "evaluate.evaluation"):
        write_run(tmp_path / "run")  # their examples begin with one
    names = {name: getattr(tfpix2pix, name) for name in PUBLIC}
    names |= {"np": np, "tf": tf, "tfpix2pix": tfpix2pix}
    names |= {"workdir": tmp_path / "run", "folder": tmp_path / "folder"}
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(module, extraglobs=names, optionflags=flags).failed == 0
