"""Files appear whole, under any name that the disk takes."""

import os

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
