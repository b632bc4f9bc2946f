"""The wheel, installed outside the repository, holds all that the main job needs."""

import ast
import email
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
# Name of a package in imports -> the distribution that brings it, where that has another name.
BROUGHT_BY = {
    "PIL": "pillow",
    "absl": "absl-py",
    "ai_edge_litert": "ai-edge-litert",
    "cv2": "opencv-python-headless",
    "google": "tensorflow-serving-api",
    "grpc": "tensorflow-serving-api",
    "markdown_it": "markdown-it-py",
    "pydantic": "fastapi",
    "sklearn": "scikit-learn",
    "starlette": "fastapi",
    "tensorflow_addons": "tensorflow-addons",
    "threadpoolctl": "scikit-learn",
    "tensorflow_serving": "tensorflow-serving-api",
}
# An error says to install PyYAML, which only settings in YAML need.
UNDECLARED = {"yaml"}


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


@pytest.fixture(scope="module")
def metadata(wheel) -> email.message.Message:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(archive.read(name))


def test_tells_package_indexes_what_it_is(metadata):
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Keywords"].startswith("pix2pix,")
    pythons = [line for line in metadata.get_all("Classifier") if "Python :: 3." in line]
    assert pythons == [f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13)]
    description = metadata.get_payload()
    assert "docs/fidelity.md" in description  # The name stays where the link has gone.
    targets = re.findall(r"\]\(([^)]*)\)", description)
    assert all(target.startswith("https://") for target in targets), targets
    assert re.findall(r"!\[([^\]]*)", description) == ["Open in Colab"]  # The other pictures are files.
    assert f"\nversion: {metadata['Version']}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_replaces_nothing_that_colab_ships(metadata):
    """`make test-colab` installs it there."""
    always = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert "absl-py>=1.4" in always
    assert not [line for line in always if line.startswith("setuptools")]


def test_declares_whatever_it_imports(metadata):
    declared = {re.match(r"[\w.-]+", line)[0] for line in metadata.get_all("Requires-Dist")}
    imported = set()
    for folder in ("tfpix2pix", "pipelines"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                imported |= {name.partition(".")[0] for name in names}
    packages = imported - set(sys.stdlib_module_names) - {"tfpix2pix"} - UNDECLARED
    assert {name for name in packages if BROUGHT_BY.get(name, name) not in declared} == set()


def test_extras_that_a_python_cannot_have_say_so(metadata):
    addons = [line for line in metadata.get_all("Requires-Dist") if line.endswith('extra == "addons"')]
    assert len(addons) == 4
    assert all('python_version < "3.12"' in line for line in addons)


@pytest.mark.slow
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
