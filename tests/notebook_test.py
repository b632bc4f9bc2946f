"""The notebook runs from top to bottom, offline and small; the repository keeps it without outputs."""

import json
import os
import re
import runpy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
strip = runpy.run_path(str(FOLDER / "strip.py"))["strip"]
# Of a dataset that is not there, as facades are not where there is no network.
SMALL = {"DATASET": "absent", "STEPS": "2", "IMAGE_SIZE": "32", "BASE_FILTERS": "2", "TENSORBOARD": "0"}
TIMEOUT_SEC = 240
PNG_AS_BASE64 = "iVBORw0KGgo"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def outputs(folder) -> dict[str, list]:
    """Runs the notebook in an empty folder; returns what each cell put out."""
    notebook = nbformat.read(FOLDER / "pix2pix.ipynb", as_version=4)
    variables = {f"TFPIX2PIX_NOTEBOOK_{name}": value for name, value in SMALL.items()}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    client = NotebookClient(notebook, timeout=TIMEOUT_SEC, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, **variables, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "-1"})
    return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def _text(outputs: list) -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream")


def _pictures(outputs: list) -> int:
    """Returns how many pictures were shown."""
    shown = [output.data for output in outputs if output.output_type in ("display_data", "execute_result")]
    return sum(str(data.get(kind, "")).count(PNG_AS_BASE64) for data in shown for kind in data)


@pytest.mark.slow
def test_where_the_data_is_missing_it_is_generated(outputs):
    assert "So we take generated facades." in _text(outputs["data"])
    assert _text(outputs["data"]).endswith("\nsynthetic: 400 pairs to learn from, 100 to be examined on\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "count"),
    [("look", 2), ("augment", 2), ("blur", 3), ("field", 3), ("train", 3), ("train-l1", 3), ("train-cgan", 3)]
    + [("verdicts", 6), ("compare", 5), ("noise-move", 5), ("translate", 2), ("call", 1)],
)
def test_pictures_are_shown(outputs, cell, count):
    assert _pictures(outputs[cell]) == count


@pytest.mark.slow
def test_the_last_picture_of_a_training_is_of_its_last_step(outputs):
    (screen,) = outputs["train"]
    assert "step 2 of 2" in screen.data["text/html"]


@pytest.mark.slow
def test_the_networks_are_summarised(outputs):
    assert "unet_generator" in str(outputs["generator"]) and "noise_seed" in str(outputs["generator"])
    assert "patch_discriminator_70px" in str(outputs["discriminator"])


@pytest.mark.slow
def test_the_discriminator_of_1_px_gives_a_verdict_for_each_pixel(outputs):
    assert "1 px: 32 x 32 verdicts" in _text(outputs["field"])
    assert "70 px: 2 x 2 verdicts" in _text(outputs["field"])


@pytest.mark.slow
def test_an_image_gets_one_answer_alone_and_in_company(outputs):
    assert float(_text(outputs["statistics"]).split()[2]) < 1e-4


@pytest.mark.slow
def test_the_saved_model_answers_as_the_generator(outputs, folder):
    assert (folder / "saved_models" / "notebook" / "1" / "saved_model.pb").is_file()
    assert "the same pixels as above: True" in _text(outputs["call"])


@pytest.mark.slow
def test_the_saved_model_is_scored(outputs, folder):
    l1 = json.loads((folder / "eval" / "notebook" / "l1.json").read_text())
    assert len(l1["example_ids"]) == 100
    assert f"{l1['scores']['l1']:8.3f}" in _text(outputs["score"])
    assert (folder / "eval" / "notebook" / "index.html").is_file()


@pytest.mark.slow
def test_tensorboard_finds_the_curves_of_each_objective(outputs, folder):
    runs = {file.parents[1].name for file in (folder / "runs" / "notebook").rglob("events.out.tfevents.*")}
    assert runs == {"l1", "cgan", "l1+cgan"}


@pytest.mark.slow
def test_the_scores_of_each_objective_are_told(outputs):
    lines = _text(outputs["pixel-scores"]).splitlines()
    assert [line.split()[0] for line in lines] == ["l1", "cgan", "l1+cgan"]
    assert all(line.split()[1::2] == ["l1", "psnr", "ssim"] for line in lines)


@pytest.mark.parametrize("page", ["README.md", "notebooks/pix2pix.ipynb"])
def test_the_badge_opens_the_notebook_of_the_repository(page):
    setup = (ROOT / "setup.py").read_text("utf-8")
    (address,) = re.findall(r'^REPOSITORY = "https://github.com/(.+)"$', setup, re.MULTILINE)
    text = (ROOT / page).read_text("utf-8")
    link = f"https://colab.research.google.com/github/{address}/blob/main/notebooks/pix2pix.ipynb"
    assert f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({link})" in text
    assert set(re.findall(r"https://github.com/([\w/-]*tfpix2pix)", text)) <= {address}


@pytest.mark.slow
def test_nothing_is_written_elsewhere(outputs, folder):
    assert {path.name for path in folder.iterdir()} <= {"runs", "saved_models", "eval", "unet.png"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_stripped(path):
    text = path.read_text("utf-8")
    assert text == strip(text), f"{path.name} holds what running it left: python notebooks/strip.py"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_valid_and_their_cells_have_names(path):
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert all(cell.source.strip() for cell in notebook.cells)


def test_stripping_drops_what_a_run_leaves_and_keeps_the_rest():
    run = {
        "cells": [
            {
                "cell_type": "code",
                "id": "sum",
                "metadata": {"tags": ["parameters"], "executionInfo": {"user": "somebody"}},
                "execution_count": 7,
                "outputs": [{"output_type": "stream", "name": "stdout", "text": ["2\n"]}],
                "source": ["print(1 + 1)"],
            },
            {"cell_type": "markdown", "id": "text", "metadata": {"id": "9a"}, "source": ["Größe"]},
        ],
        "metadata": {"accelerator": "GPU", "language_info": {"name": "python", "version": "3.12.1"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    text = strip(json.dumps(run))
    code, markdown = json.loads(text)["cells"]
    assert code == {
        "cell_type": "code",
        "id": "sum",
        "metadata": {"tags": ["parameters"]},
        "execution_count": None,
        "outputs": [],
        "source": ["print(1 + 1)"],
    }
    assert markdown == {"cell_type": "markdown", "id": "text", "metadata": {}, "source": ["Größe"]}
    assert "Größe" in text
    assert sorted(json.loads(text)["metadata"]) == ["kernelspec", "language_info"]
    assert "3.12" not in text
    assert strip(text) == text
