"""A run goes on with the threads that it began with, which may decide on the last bits of its weights."""

import os
import re
import shutil

import pytest

from tests.helpers import runs
from tfpix2pix.pipelines.base import processor
from tfpix2pix.run import checkpoints, threads

SETTINGS = {"steps": 4, "checkpoint_every_steps": 2, "keep_checkpoints": 2, "cache_mib": 0}
CORES = len(os.sched_getaffinity(0))
OTHER = CORES + 1
VARIABLES = {"TF_NUM_INTRAOP_THREADS": str(OTHER), "TF_NUM_INTEROP_THREADS": str(OTHER)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Returns a command and the folder of its whole run, which took other threads than cores."""
    folder = tmp_path_factory.mktemp("threads")
    command = runs.train_command(runs.write_dataset(folder / "tiny"), folder / "run", **SETTINGS)
    process = runs.run(command, env=runs.environment(**VARIABLES))
    assert process.returncode == 0, process.stderr
    return command, folder / "run"


def _halve(whole, tmp_path):
    """Returns a command that goes on with the run from its middle, and its folder."""
    command, workdir = whole
    shutil.copytree(workdir, tmp_path / "run")
    shutil.rmtree(checkpoints.checkpoint_folder(tmp_path / "run", 4))
    flag = f"--workdir={workdir}"
    return [f"--workdir={tmp_path / 'run'}" if each == flag else each for each in command], tmp_path / "run"


@pytest.mark.slow
def test_a_run_goes_on_with_the_threads_that_it_began_with(whole, tmp_path):
    command, workdir = _halve(whole, tmp_path)
    process = runs.run(command)
    assert process.returncode == 0, process.stderr
    assert "warning" not in process.stderr
    assert f"goes on with {OTHER} threads, as it began, on {CORES} core" in process.stderr
    runs.assert_same_state(runs.read_state(workdir, 4), runs.read_state(whole[1], 4))
    told = checkpoints.read_metadata(workdir, 4)[threads.KEY]
    assert told["intra_op_threads"] == told["inter_op_threads"] == OTHER


@pytest.mark.slow
def test_other_threads_are_warned_of(whole, tmp_path):
    command, workdir = _halve(whole, tmp_path)
    # TensorFlow has begun to compute in this process, so its threads are as many as there are cores.
    process = runs.call([*command, "--threads=1"])
    assert process.returncode == 0, process.stderr
    (warning,) = re.findall("warning: (.*)", process.stderr)
    here = threads.describe_computing()["intra_op_threads"]
    assert warning.startswith(
        f"{workdir} was computed with {OTHER} intra-op threads and is with {here} intra-op threads"
    )
    assert warning.endswith("the last bits of its weights will not be those of a run without interruption")
    assert checkpoints.read_metadata(workdir, 4)[threads.KEY]["intra_op_threads"] == here


def test_another_processor_is_told_and_older_checkpoints_tell_nothing(whole, tmp_path, capsys, monkeypatch):
    _, workdir = _halve(whole, tmp_path)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setattr(threads, "_list_features", lambda: ["avx2"])
    threads.settle_threads(workdir, 0)
    told = capsys.readouterr().err
    assert "with avx2" in told and "is with ONEDNN_MAX_CPU_ISA=AVX2" in told
    threads.settle_threads(tmp_path / "new", 0)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("features", "variable", "had"),
    [
        (["avx2"], None, False),
        (["avx512_vnni"], None, True),
        (["avx512_vnni"], "0", False),
        (["avx2"], "1", True),
    ],
)
def test_older_checkpoints_tell_by_a_variable_whether_onednn_was_used(
    features, variable, had, whole, tmp_path, capsys, monkeypatch
):
    _, workdir = _halve(whole, tmp_path)
    told = {**threads.describe_computing(), "processor": features}
    del told["onednn"]
    told |= {} if variable is None else {processor.VARIABLE: variable}
    monkeypatch.setattr(checkpoints, "read_metadata", lambda *_: {threads.KEY: told})
    monkeypatch.setattr(threads, "_list_features", lambda: features)
    monkeypatch.setenv(processor.VARIABLE, "1")
    threads.settle_threads(workdir, 0)
    expected = "computed with TF_ENABLE_ONEDNN_OPTS=0 and is with TF_ENABLE_ONEDNN_OPTS=1 now"
    assert (expected in capsys.readouterr().err) is not had
