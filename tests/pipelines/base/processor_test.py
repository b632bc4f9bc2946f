"""TensorFlow computes with oneDNN on every x86 processor, unless a variable says otherwise."""

import os
import platform
import subprocess
import sys

import pytest

from tests.helpers.runs import ROOT
from tfpix2pix.pipelines.base import processor

# TensorFlow's own answer, which has no public name.
ASK = "from tensorflow.python.util import _pywrap_util_port as port; print(port.IsMklEnabled())"
IMPORT = "from tfpix2pix.pipelines.base import command_line; command_line.import_tensorflow(False); "
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")


@pytest.mark.parametrize(
    ("features", "value", "expected"),
    [
        (["avx2", "fma"], None, False),
        (["avx2", "fma"], "", False),
        (["avx2", "avx_vnni"], None, True),
        (["avx512f", "avx512_vnni"], None, True),
        (["avx2", "fma"], "1", True),
        (["amx_tile"], "0", False),
        (["amx_tile"], "False", False),
    ],
)
def test_the_variable_decides_and_without_it_the_processor(features, value, expected):
    assert processor.has_onednn(features, value) is expected


def test_the_first_core_is_read_and_no_file_means_no_features(tmp_path):
    file = tmp_path / "cpuinfo"
    assert processor.read_features(file) == []
    file.write_text("processor : 0\nflags\t\t: fma avx2 fpu\nprocessor : 1\nflags : other\n")
    assert processor.read_features(file) == ["avx2", "fma", "fpu"]


def test_a_variable_that_is_set_is_left_alone(monkeypatch):
    monkeypatch.setenv(processor.VARIABLE, "0")
    processor.take_onednn()
    assert os.environ[processor.VARIABLE] == "0"


@pytest.mark.slow
@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param("", marks=pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux")),
        pytest.param(IMPORT, marks=pytest.mark.skipif(not IS_X86, reason="oneDNN is asked for on x86")),
    ],
    ids=["TensorFlow decides", "import_tensorflow decides"],
)
def test_whether_tensorflow_takes_onednn(prepare):
    environment = {name: value for name, value in os.environ.items() if name != processor.VARIABLE}
    command = [sys.executable, "-c", f"{prepare}{ASK}"]
    process = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    expected = bool(prepare) or processor.has_onednn(processor.read_features())
    assert process.stdout.split() == [str(expected)], process.stderr
