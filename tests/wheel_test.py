"""The wheel, installed outside the repository, holds all that the main job needs."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("wheel") / "source"
    copy.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for package in ("tfpix2pix", "pipelines", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, copy / package, symlinks=True, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(copy / "dist"), str(copy)], check=True, timeout=300)
    return next((copy / "dist").glob("tfpix2pix-*.whl"))


def test_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"tfpix2pix"}


def test_holds_every_file_of_the_package(wheel):
    kept = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = subprocess.check_output(["git", "ls-files", "tfpix2pix", "pipelines"], cwd=ROOT, text=True)
    files = {re.sub("^pipelines/", "tfpix2pix/pipelines/", name) for name in tracked.split()}
    assert kept == files - {"tfpix2pix/pipelines"}  # the link


def test_installs_the_command(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
    assert archive.read(name).decode().split("\n")[:2] == [
        "[console_scripts]",
        "tfpix2pix = tfpix2pix.__main__:run",
    ]


def test_trains_outside_the_repository_beside_other_pipelines(wheel, tmp_path):
    """Offline: the dependencies come from this environment. `make wheel-test` installs them too."""
    (tmp_path / "pipelines.py").write_text("raise ImportError('somebody else's module')\n")
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    site_packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    zipfile.ZipFile(wheel).extractall(site_packages)
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    flags = ["--dataset=synthetic", "--steps=2", "--image_size=32", "--base_filters=4"]
    result = subprocess.run(
        [python, "-m", "tfpix2pix.train", *flags],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert "done: 2 steps in runs/synthetic" in result.stdout
    assert (tmp_path / "saved_models" / "synthetic" / "1" / "saved_model.pb").is_file()
    where = [python, "-c", "import tfpix2pix; print(tfpix2pix.__file__)"]
    assert str(environment) in subprocess.check_output(where, text=True, cwd=tmp_path, env=variables)
