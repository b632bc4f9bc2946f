"""`tfpix2pix COMMAND`: the same commands as `python -m tfpix2pix.COMMAND`, by their names."""

import re
import sys
from pathlib import Path

import pytest

import tfpix2pix
from tests.helpers import runs

MAIN = [sys.executable, "-m", "tfpix2pix"]
# Command -> what the documentation tells people to type after `python -m`.
MODULES = {
    "quickstart": "tfpix2pix.quickstart",
    "prepare": "tfpix2pix.pipelines.prepare",
    "train": "tfpix2pix.train",
    "translate": "tfpix2pix.translate",
    "cluster_train": "tfpix2pix.cluster.train",
    "cluster_translate": "tfpix2pix.cluster.translate",
    "evaluate": "tfpix2pix.evaluate",
    "fcn": "tfpix2pix.metrics.fcn",
    "reproduce": "tfpix2pix.reproduce",
    "export": "tfpix2pix.export",
    "serve": "tfpix2pix.serving.serve",
    "client": "tfpix2pix.serving.client",
    "demo": "tfpix2pix.web.demo",
    "gradio": "tfpix2pix.web.gradio_app",
    "study": "tfpix2pix.study",
    "torch_weights": "tfpix2pix.interop.torch_weights",
}


# How the module of a command ends.
CALL = re.compile(r"^    (command_line\.)?run\(main\b", re.MULTILINE)


@pytest.fixture
def no_tensorflow(tmp_path) -> dict[str, str]:
    """The environment of a process in which whatever is slow to import cannot be imported."""
    for name in ("tensorflow", "keras", "fastapi", "uvicorn", "torch", "gradio"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('hidden')")
    return runs.environment(PYTHONPATH=f"{tmp_path}:{runs.ROOT}")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_every_command_is_listed_with_a_sentence(no_tensorflow, arguments):
    process = runs.run([*MAIN, *arguments], env=no_tensorflow)
    assert process.returncode == 0, process.stderr
    listed = [line.split(None, 1) for line in process.stdout.splitlines() if line.startswith("  ")]
    assert [name for name, _ in listed] == list(MODULES)
    assert all(sentence.endswith(".") for _, sentence in listed)
    sentences = dict(listed)
    assert sentences["serve"] == "Starts TensorFlow Serving on a folder of SavedModels."


def test_every_command_of_the_project_has_a_name():
    files = [*(runs.ROOT / "tfpix2pix").rglob("*.py"), *(runs.ROOT / "pipelines").rglob("*.py")]
    commands = {_module(file) for file in files if re.search(CALL, file.read_text())}
    assert commands == {*MODULES.values(), "tfpix2pix", "tfpix2pix.reproduce.check"}  # which `reproduce` runs


def _module(file: Path) -> str:
    parts = file.relative_to(runs.ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__main__" else parts
    return ".".join(parts if parts[0] == "tfpix2pix" else ("tfpix2pix", *parts))


@pytest.mark.parametrize("name", MODULES)
def test_a_command_answers_help_as_its_module_does(no_tensorflow, name):
    direct = runs.run([sys.executable, "-m", MODULES[name], "--help"], env=no_tensorflow)
    named = runs.run([*MAIN, name, "--help"], env=no_tensorflow)
    assert named.returncode == direct.returncode == 0, named.stderr
    assert named.stdout == direct.stdout and len(named.stdout) > 200


def test_arguments_and_exit_status_pass_through(tmp_path):
    process = runs.run([*MAIN, "translate", "--model=m", "--output=out"], cwd=tmp_path)
    assert process.returncode == 2
    assert process.stderr == "error: --input is missing (--help lists the flags)\n"
    process = runs.run([*MAIN, "study", "results", "--study_dir=nowhere"], cwd=tmp_path)
    assert process.returncode == 2
    assert runs.last_line(process).startswith("error: nowhere holds no study")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("tranlate", "there is no command tranlate; did you mean translate?"),
        ("serving.serve", "there is no command serving.serve; did you mean serve?"),
        ("tfpix2pix.web.dmeo", "there is no command tfpix2pix.web.dmeo; did you mean demo?"),
        ("exprot", "there is no command exprot; did you mean export?"),
        ("--trian", "there is no command --trian; did you mean train?"),
        ("xyz", "there is no command xyz"),
    ],
)
def test_a_misspelt_command_gets_a_suggestion(no_tensorflow, name, error):
    process = runs.run([*MAIN, name, "--model=m"], env=no_tensorflow)
    assert process.returncode == 2 and process.stdout == ""
    assert process.stderr == f"error: {error} (tfpix2pix --help lists the commands)\n"


def test_the_version(no_tensorflow):
    process = runs.run([*MAIN, "--version"], env=no_tensorflow)
    assert (process.returncode, process.stdout) == (0, f"{tfpix2pix.__version__}\n")
