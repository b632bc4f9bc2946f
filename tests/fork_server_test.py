"""Commands that the fork server starts are processes as others are."""

import os
import signal
import subprocess
import sys

import pytest

from tests.helpers import fork_server, runs

pytestmark = pytest.mark.skipif(
    subprocess.Popen is not fork_server.ForkingPopen, reason="all commands are started as always here"
)
HELP = [sys.executable, "-m", "tfpix2pix.train", "--help"]


def is_forked(process: subprocess.Popen) -> bool:
    return process._status is not None


def test_output_and_status_are_those_of_the_command(tmp_path):
    process = runs.start(HELP)
    told, errors = process.communicate(timeout=runs.TIMEOUT_SEC)
    assert is_forked(process) and process.returncode == process.poll() == 0
    assert "--batch_size" in told and not errors
    failed = runs.run([*HELP[:-1], "--dataset=nope", "--data_dir=here"], cwd=tmp_path)
    assert failed.returncode == 1 and f"{tmp_path}/here" in failed.stderr


def test_signals_and_sessions_are_its_own(tmp_path):
    command = [*HELP[:-1], "--dataset=synthetic", "--image_size=32", "--depth=3", f"--workdir={tmp_path}"]
    process = runs.start(command, start_new_session=True)
    assert is_forked(process)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    runs.wait_until(lambda: os.getsid(process.pid) == process.pid, process)
    process.kill()
    process.communicate(timeout=runs.TIMEOUT_SEC)
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        ([sys.executable, "-c", "pass"], {}),
        (HELP, {"PYTHONPATH": f"{runs.ROOT}:/elsewhere"}),
        (HELP, {"TF_ENABLE_ONEDNN_OPTS": "false"}),
        (HELP, {"KERAS_BACKEND": "numpy"}),
    ],
)
def test_what_the_import_depends_on_is_started_as_always(command, variables):
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=runs.environment(**variables), **options) as process:
        assert not is_forked(process)
        process.kill()
