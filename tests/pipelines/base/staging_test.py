"""Files appear whole, under any name that the disk takes."""

import errno
import fcntl
import os
import threading

import pytest

from tfpix2pix.pipelines.base import staging


@pytest.mark.parametrize("name", ["a", "x" * 255, "é" * 127, os.fsdecode(b"\xe9" * 250)])
def test_a_file_may_have_the_longest_name_there_is(tmp_path, name):
    for contents in (b"old", b"new"):
        staging.write_file(tmp_path / "folder" / name, contents)
    assert (tmp_path / "folder" / name).read_bytes() == b"new"
    assert os.listdir(tmp_path / "folder") == [name]


def test_a_longer_name_is_told(tmp_path):
    with pytest.raises(staging.LongNameError, match=f"{'x' * 256} cannot be written: the name is longer"):
        staging.write_file(tmp_path / ("x" * 256), b"")
    assert list(tmp_path.iterdir()) == []


def test_one_at_a_time_and_the_others_are_told(tmp_path):
    entered, told = threading.Event(), []

    def enter():
        with staging.waiting_lock(tmp_path / "lock", lambda: told.append("waits")):
            entered.set()

    with staging.waiting_lock(tmp_path / "lock", lambda: told.append("first")):
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.3)
    other.join(10)
    assert entered.is_set() and told == ["waits"]


def test_a_disk_without_locks_lets_all_in(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with staging.waiting_lock(tmp_path / "lock", lambda: pytest.fail("nobody has to wait")):
        pass
