"""One Ray for all tests of this folder, on this machine alone."""

import os
import signal

import pytest

from tests.helpers import runs
from tfpix2pix.cluster.connection import connect


@pytest.fixture(scope="session", autouse=True)
def ray(s3_server, tmp_path_factory):
    """Ray on 127.0.0.1, which commands in this process use as it is; its workers have their own cache."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(runs.ROOT))
        patch.setenv("RAY_DEDUP_LOGS", "0")
        patch.setenv("TFPIX2PIX_CACHE", str(tmp_path_factory.mktemp("workers") / "cache"))
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        with connect(None, 2):
            yield ray


@pytest.fixture
def kill_process():
    """Returns a function that kills the first process whose command line holds a text; returns its number."""

    def kill(text: str) -> int | None:
        for number in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                with open(f"/proc/{number}/cmdline") as file:
                    found = text in file.read()
            except OSError:
                continue
            if found and number != os.getpid():
                os.kill(number, signal.SIGKILL)
                return number
        return None

    return kill
