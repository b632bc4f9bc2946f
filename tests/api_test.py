"""The names of the package, and the examples in its docstrings."""

import doctest
import importlib
import inspect
import sys

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
        assert "Args" in inspect.getdoc(value)


def test_the_import_does_not_wait_for_tensorflow():
    text = "import tfpix2pix, sys; assert 'tensorflow' not in sys.modules; tfpix2pix.make_config()"
    process = runs.run([sys.executable, "-c", text + "; assert 'tensorflow' not in sys.modules"])
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("home", sorted(set(tfpix2pix._HOMES.values())))
def test_the_examples_run(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(home)
    if home in ("tfpix2pix.translate.translator", "tfpix2pix.run.generator", "tfpix2pix.evaluate.evaluation"):
        write_run(tmp_path / "run")  # their examples begin with one
    names = {name: getattr(tfpix2pix, name) for name in PUBLIC}
    names |= {"np": np, "tf": tf, "tfpix2pix": tfpix2pix}
    names |= {"workdir": tmp_path / "run", "folder": tmp_path / "folder"}
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(module, extraglobs=names, optionflags=flags).failed == 0
