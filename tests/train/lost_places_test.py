"""What a training needs may go while it runs: its reader, its terminal, its folder, the locks of its disk."""

import errno
import fcntl
import os
import pty
import shutil
import sys

import pytest

from tests.helpers import runs
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import outliving_readers, say
from tfpix2pix.run import checkpoints
from tfpix2pix.run.callbacks import Callback
from tfpix2pix.run.folder import is_begun
from tfpix2pix.run.lock import lock
from tfpix2pix.train.training import train_and_evaluate


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    data_dir = runs.write_dataset(tmp_path_factory.mktemp("lost") / "tiny")
    return runs.tiny_config(data_dir, steps=3, summary_every_steps=1)


def _write_to_nobody(open_ends, monkeypatch):
    """Lets standard error be one end of two, of which the other one is closed."""
    reader, writer = open_ends()
    os.close(reader)
    stream = os.fdopen(writer, "w", buffering=1)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


# To write to a pipe that nobody reads is a broken pipe, and to a closed terminal an input/output error.
@pytest.mark.parametrize("open_ends", [os.pipe, pty.openpty])
def test_lines_that_nobody_reads_are_no_error(monkeypatch, open_ends):
    stream = _write_to_nobody(open_ends, monkeypatch)
    with pytest.raises(OSError), os.fdopen(os.dup(stream.fileno()), "w", buffering=1) as alone:
        alone.write("a line\n")
    with outliving_readers():
        for _ in range(3):
            say("a line")
    assert sys.stderr is stream


def test_a_training_outlives_its_terminal(config, tmp_path, monkeypatch):
    _write_to_nobody(pty.openpty, monkeypatch)
    assert train_and_evaluate(config, tmp_path / "run").step == 3
    assert checkpoints.list_steps(tmp_path / "run") == [3]


def test_a_folder_that_is_deleted_meanwhile_is_told(config, tmp_path):
    class Delete(Callback):
        """Deletes the folder of the run after the first step."""

        def on_steps(self, moment):
            shutil.rmtree(moment.workdir)

    workdir = tmp_path / "run"
    with pytest.raises(UserError) as told:
        train_and_evaluate(config, workdir, callbacks=[Delete()])
    assert str(told.value).startswith(f"could not write to {workdir} (")
    assert "Bring that folder back, which is gone, and run the same command to go on" in str(told.value)
    assert not is_begun(workdir)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_told_and_used(tmp_path, monkeypatch, capsys, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock(tmp_path / "run"):
        (tmp_path / "run" / "file").touch()
    assert capsys.readouterr().err == (
        f"warning: the disk of {tmp_path / 'run'} has no locks, so nothing keeps a second process from "
        "writing there: start only one at a time\n"
    )
