import shlex
import sys
from pathlib import Path

from tfpix2pix.pipelines.base import shell


def _install(folder, monkeypatch):
    folder.mkdir(parents=True)
    for name in ("python", "tensorboard"):
        (folder / name).touch(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))


def test_an_active_environment_is_called_by_short_names(tmp_path, monkeypatch):
    _install(tmp_path / "env" / "bin", monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path / "env" / "bin"))
    assert shell.python() == "python"
    assert shell.tensorboard(Path("my runs")) == "tensorboard --logdir='my runs/tensorboard'"


def test_one_that_is_not_active_is_called_by_its_path(tmp_path, monkeypatch):
    _install(tmp_path / "an env" / "bin", monkeypatch)
    monkeypatch.setenv("PATH", "/usr/bin")
    assert shlex.split(shell.python()) == [str(tmp_path / "an env" / "bin" / "python")]
    words = shlex.split(shell.tensorboard(Path("runs")))
    assert words == [
        str(tmp_path / "an env" / "bin" / "python"),
        "-m",
        "tensorboard.main",
        "--logdir=runs/tensorboard",
    ]
