"""A run goes from Keras 2 to Keras 3 and back: the same pictures, and training goes on."""

import os
import shutil
import sys

import numpy as np
import pytest

from tests.helpers import runs

OTHER_PYTHON = os.environ.get("TFPIX2PIX_OTHER_PYTHON", "")
SCRIPT = runs.ROOT / "tests" / "helpers" / "references" / "lane.py"


@pytest.fixture(scope="module")
def other_python():
    if not OTHER_PYTHON:
        pytest.skip("TFPIX2PIX_OTHER_PYTHON names no Python with the other Keras; make test-keras2 sets it")
    return OTHER_PYTHON


def _train(python, run, data_dir):
    answers = run.with_suffix(".npz")
    process = runs.run([python, str(SCRIPT), str(run), str(data_dir), str(answers)])
    assert process.returncode == 0, process.stderr
    with np.load(answers) as arrays:
        return dict(arrays), process.stderr


@pytest.mark.parametrize("direction", ["from this one", "to this one"])
def test_a_run_goes_on_under_the_other_keras(direction, other_python, tmp_path):
    first, second = (sys.executable, other_python)[:: 1 if direction == "from this one" else -1]
    data_dir = runs.write_dataset(tmp_path / "data")
    expected, _ = _train(first, tmp_path / "run", data_dir)
    handed_over = tmp_path / "handed_over"
    shutil.copytree(tmp_path / "run-3", handed_over)
    found, log = _train(second, handed_over, data_dir)

    assert {int(expected["keras"]), int(found["keras"])} == {2, 3}
    assert "going on from step 3 of 6" in log
    np.testing.assert_allclose(found["pictures_3"], expected["pictures_3"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["pictures_6"], expected["pictures_6"], rtol=0, atol=1e-4)
    assert found["loss_scale"] == expected["loss_scale"] == 1024

    # Weights, moments, counts: all is there, and after as many steps nearly the same.
    states = [runs.read_state(folder, 6) for folder in (tmp_path / "run", handed_over)]
    assert states[0].keys() == states[1].keys()
    for name, values in states[0].items():
        other = states[1][name]
        assert other.dtype == values.dtype, name
        np.testing.assert_allclose(other, values, rtol=1e-2, atol=1e-5, err_msg=name)
