"""State dicts on disk: every format gives back what was written, and nothing in a file is executed."""

import importlib.util
import pathlib
import re

import numpy as np
import pytest

from tfpix2pix.interop import torch_files
from tfpix2pix.pipelines.base.errors import UsageError, UserError

PACKAGES = {".pth": "torch", ".pt": "torch", ".npz": "numpy", ".safetensors": "safetensors"}
every_format = pytest.mark.parametrize("suffix", PACKAGES)


def _skip_without(suffix):
    pytest.importorskip(PACKAGES[suffix], reason=f"{suffix} files need the [torch] extra")


def _draw_state():
    draw = np.random.default_rng(0)
    kernel = draw.normal(size=(4, 4, 2, 3)).astype("float32").transpose(3, 2, 0, 1)
    return {
        "model.0.weight": kernel,
        "model.0.bias": np.float32([1, -2]),
        "n.num_batches_tracked": np.array(7, "int64"),
    }


@every_format
def test_what_was_written_is_read(suffix, tmp_path):
    _skip_without(suffix)
    state, file = _draw_state(), tmp_path / f"net{suffix}"
    torch_files.write_state(file, state)
    read = torch_files.read_state(file)
    assert read.keys() == state.keys()
    for name, value in state.items():
        assert (read[name].dtype, read[name].shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(read[name], value)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_precisions_become_float32(dtype, tmp_path):
    np.savez(tmp_path / "net.npz", weight=np.array([0.5, -3], dtype))
    read = torch_files.read_state(tmp_path / "net.npz")["weight"]
    assert read.dtype == np.float32
    assert read.tolist() == [0.5, -3]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_bfloat16_becomes_float32(suffix, tmp_path):
    torch = pytest.importorskip("torch", reason="writes bfloat16: needs the [torch] extra")
    state, file = {"weight": torch.tensor([0.5, -3]).bfloat16()}, tmp_path / f"net{suffix}"
    if suffix == ".pth":
        torch.save(state, file)
    else:
        pytest.importorskip("safetensors.torch").save_file(state, file)
    assert torch_files.read_state(file)["weight"].tolist() == [0.5, -3]


@every_format
@pytest.mark.parametrize("contents", [b"", b"not at all", b"PK\x03\x04 cut short"])
def test_damaged_files_are_named(suffix, contents, tmp_path):
    _skip_without(suffix)
    file = tmp_path / f"net{suffix}"
    file.write_bytes(contents)
    with pytest.raises(UserError, match=re.escape(f"{file} cannot be read as a {suffix} state dict")):
        torch_files.read_state(file)


@every_format
def test_a_file_cut_short_is_named(suffix, tmp_path):
    _skip_without(suffix)
    file = tmp_path / f"net{suffix}"
    torch_files.write_state(file, _draw_state())
    file.write_bytes(file.read_bytes()[:-60])
    with pytest.raises(UserError, match=re.escape(f"{file} cannot be read")):
        torch_files.read_state(file)


def test_a_compressed_file_that_was_altered_is_named(tmp_path):
    file = tmp_path / "net.npz"
    np.savez_compressed(file, **_draw_state())
    contents = file.read_bytes()
    refused = 0
    for place in range(40, len(contents) - 400, 20):
        file.write_bytes(contents[:place] + b"\xff\xff\xff\xff" + contents[place + 4 :])
        try:
            torch_files.read_state(file)
        except UserError as error:
            assert str(error).startswith(f"{file} cannot be read as a .npz state dict")
            refused += 1
    assert refused > 5


@pytest.mark.parametrize("size", [100, 5000, 30_000, 65_000, 70_000])
def test_an_archive_of_pytorch_cut_short_is_named(size, tmp_path):
    torch = pytest.importorskip("torch", reason="needs the [torch] extra")
    file = tmp_path / "net.pth"
    torch.save({"weight": torch.zeros(100_000)}, file)
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(UserError, match=re.escape(f"{file} cannot be read")):
        torch_files.read_state(file)


@pytest.mark.parametrize(
    "contents", [b"version https://git-lfs.github.com/spec/v1", b"<!DOCTYPE html>", b"hello"]
)
def test_files_that_are_not_of_pytorch_are_shown(contents, tmp_path):
    pytest.importorskip("torch", reason="needs the [torch] extra")
    (tmp_path / "net.pth").write_bytes(contents)
    with pytest.raises(UserError, match=f"not write such files: it begins with b'{contents[:5].decode()}"):
        torch_files.read_state(tmp_path / "net.pth")


class _Attack:
    """Makes a file when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return pathlib.Path.touch, (self.trace,)


def test_nothing_in_an_npz_file_is_executed(tmp_path):
    np.savez(tmp_path / "net.npz", weight=np.array([_Attack(tmp_path / "trace")], object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        torch_files.read_state(tmp_path / "net.npz")
    assert not (tmp_path / "trace").exists()


def test_nothing_in_a_pth_file_is_executed(tmp_path):
    torch = pytest.importorskip("torch", reason="needs the [torch] extra")
    torch.save({"weight": _Attack(tmp_path / "trace")}, tmp_path / "net.pth")
    with pytest.raises(UserError, match="cannot be read"):
        torch_files.read_state(tmp_path / "net.pth")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ({"epoch": 5, "state_dict": {}}, "besides tensors it holds epoch, state_dict"),
        ([1, 2], "it holds a list"),
        ({0: 1}, "its keys are not names"),
        ({"network": np.dtype}, "it holds more, such as a whole network"),
    ],
)
def test_pth_files_that_hold_something_else(contents, reason, tmp_path):
    torch = pytest.importorskip("torch", reason="needs the [torch] extra")
    torch.save(contents, tmp_path / "net.pth")
    with pytest.raises(UserError, match=reason):
        torch_files.read_state(tmp_path / "net.pth")


def test_files_that_are_not_there_or_of_another_kind(tmp_path):
    with pytest.raises(UsageError, match=r"there is no file .*net\.npz"):
        torch_files.read_state(tmp_path / "net.npz")
    with pytest.raises(UsageError, match=r"files \.pth, \.pt, \.npz, \.safetensors\. Received: .*net\.h5"):
        torch_files.read_state(tmp_path / "net.h5")


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    remedy = r"\.pth files need torch: pip install 'tfpix2pix\[torch\]'. Or take the name latest_net_G\.npz"
    with pytest.raises(UserError, match=remedy):
        torch_files.check_writable(tmp_path / "latest_net_G.pth")
    torch_files.check_writable(tmp_path / "latest_net_G.npz")
    with pytest.raises(UsageError, match="there is no file"):
        torch_files.check_readable(tmp_path / "latest_net_G.pth")
    (tmp_path / "latest_net_G.pth").touch()
    with pytest.raises(UserError, match=r"numpy\.savez\('latest_net_G\.npz'"):
        torch_files.check_readable(tmp_path / "latest_net_G.pth")
