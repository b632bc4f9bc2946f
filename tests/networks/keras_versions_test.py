"""One source for Keras 3 and Keras 2: where the difference is kept, and what the older one is refused."""

import ast
import sys

import pytest

from tests.helpers import keras2_lane, runs, tiny_run
from tfpix2pix.export.files.export_file import export_file
from tfpix2pix.export.files.formats import FileOptions, check_format
from tfpix2pix.networks import generators, keras_versions
from tfpix2pix.pipelines.base.errors import UserError

ONLY_IN_KERAS_3 = {"ops", "export", "random", "Variable", "KerasTensor", "Layer"}
# Files for other runtimes, which Keras 2 is refused when it asks for one.
NEED_KERAS_3 = {
    f"tfpix2pix/export/files/{name}.py"
    for name in (
        "portable",
        "rebuilt_features",
        "rebuilt_labels",
        "rebuilt_layers",
        "rebuilt_noise",
        "writers",
    )
}


def _names_of_keras(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "keras":
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "keras":
            yield from (alias.name for alias in node.names) if node.module == "keras" else [node.module]


def test_names_that_one_keras_lacks_are_in_one_module():
    users = {
        str(path.relative_to(runs.ROOT))
        for package in ("tfpix2pix", "pipelines")
        for path in (runs.ROOT / package).rglob("*.py")
        if any(
            name in ONLY_IN_KERAS_3 or "." in name
            for name in _names_of_keras(ast.parse(path.read_text("utf-8")))
        )
    }
    assert users == {"tfpix2pix/networks/keras_versions.py", *NEED_KERAS_3}


def test_what_the_lane_leaves_out_exists_and_has_a_reason():
    left_out = keras2_lane.LEFT_OUT
    named = left_out.keys() | keras2_lane.CORE
    assert [name for name in named if not (runs.ROOT / f"tests/{name}_test.py").is_file()] == []
    assert not left_out.keys() & keras2_lane.CORE
    assert all(len(reason.split()) > 3 for reason in left_out.values())


@pytest.mark.skipif(keras_versions.IS_KERAS_3, reason="Keras 3 writes these files")
def test_files_for_other_runtimes_are_refused_by_a_sentence(tmp_path):
    workdir = tiny_run.write_run(tmp_path / "run")
    command = [sys.executable, "-m", "tfpix2pix.export", f"--workdir={workdir}", "--format=keras"]
    result = runs.call([*command, f"--output={tmp_path / 'out'}"])
    assert result.returncode == 1
    assert runs.last_line(result).startswith("error: the format keras needs Keras 3, and this is Keras 2.15")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="onnx needs Keras 3"):  # and not a package
        check_format("onnx")
    options = FileOptions("tflite", (32, 32))
    with pytest.raises(UserError, match="tflite needs Keras 3"):
        export_file(generators.unet_generator(depth=2, base_filters=2), tmp_path / "file", options)
