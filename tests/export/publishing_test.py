"""Which name a model is published under, and what is said where that name holds another one."""

import dataclasses
import json
import shlex
import sys

import numpy as np
import pytest

from tests.helpers import runs
from tests.helpers.tiny_run import CONFIG, build_generator, write_run
from tfpix2pix.config.config import FIELDS
from tfpix2pix.export.publishing import choose_folder, tell_of_others
from tfpix2pix.pipelines.files import sources
from tfpix2pix.pipelines.meaning import Meaning, Side
from tfpix2pix.pipelines.remote.store import Store
from tfpix2pix.run.folder import write_config
from tfpix2pix.train.exporting import export_once

EIGHT_BITS = Meaning(Side(3, "uint8", ".jpg"), Side(3, "uint8"))
CARD = {"workdir": "exp1", "config": {name: getattr(CONFIG, name) for name in FIELDS}}


@pytest.fixture
def workdir(tmp_path):
    black = np.zeros((1, 32, 32, 3), np.uint8)
    source = dataclasses.replace(sources.from_arrays(black, black), meaning=EIGHT_BITS)
    write_config(tmp_path / "runs" / "exp 2", CONFIG, source)
    return tmp_path / "runs" / "exp 2"


@pytest.fixture
def models(tmp_path):
    return tmp_path / "saved_models"


def write_version(folder, number: int, card=None) -> str:
    """Writes what a published version is recognised by; returns its path as a run keeps it."""
    version = folder / str(number)
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    if card is not None:
        (version / "model_card.json").write_text(card if isinstance(card, str) else json.dumps(card))
    return str(version)


def other_card(**config) -> dict:
    return {**CARD, "config": {**CARD["config"], **config}}


@pytest.mark.parametrize(
    "card, reason",
    [
        (other_card(direction="AtoB"), "the other direction, AtoB"),
        (other_card(dataset="facades"), "another dataset, facades"),
        (other_card(task="colorize"), "another task, colorize"),
        (other_card(input_channels=1), "inputs of 1 channels"),
        (
            {**CARD, "meaning": {**EIGHT_BITS.to_json(), "target": Side(3, "uint16").to_json()}},
            "targets of another meaning",
        ),
    ],
)
def test_a_model_is_no_version_of_one_of_another_kind(workdir, models, card, reason, capsys):
    write_version(models / "synthetic", 9, CARD)
    write_version(models / "synthetic", 10, card)
    folder = choose_folder(models, workdir, CONFIG)
    assert folder == models / "exp_2"
    assert capsys.readouterr().err.strip() == (
        f"{models}/synthetic/10 is a model of {reason}, and servers would answer with this one in its place: "
        f"it is published as {folder}"
    )
    # It goes on there, also where nothing speaks against the other name any more.
    published = write_version(folder, 1, other_card(**{**CARD["config"], "workdir": "exp 2"}))
    assert choose_folder(models, workdir, CONFIG) == folder
    (models / "synthetic").rename(models / "away")
    assert choose_folder(models, workdir, CONFIG, published) == folder
    (models / "away").rename(models / "synthetic")
    write_version(folder, 2, card)  # A run of that name has published another kind there.
    assert choose_folder(models, workdir, CONFIG, published) == models / "exp_2_2"
    capsys.readouterr()
    tell_of_others(models / "synthetic", workdir, CONFIG, "`name=ANOTHER`")
    assert (
        f"versions up to 10, and that is of {reason}; this model becomes the next" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "card, other",
    [
        (CARD, "another run, exp1"),
        ({**CARD, "meaning": EIGHT_BITS.to_json()}, "another run, exp1"),
        ({**CARD, "meaning": Meaning(Side(3, "uint8"), Side(3, "uint8")).to_json()}, "another run, exp1"),
        ({"config": {"direction": "BtoA"}}, "a run that its card does not name"),
        (None, "a run that its card does not name"),
        ("{", "a run that its card does not name"),
        ("[]", "a run that its card does not name"),
    ],
)
def test_a_version_of_another_run_is_told_of(workdir, models, card, other, capsys):
    assert choose_folder(models, workdir, CONFIG) == models / "synthetic"
    tell_of_others(models / "synthetic", workdir, CONFIG, "`name=ANOTHER`")
    published = write_version(models / "synthetic", 1, card)
    assert choose_folder(models, workdir, CONFIG) == models / "synthetic"
    tell_of_others(models / "synthetic", workdir, CONFIG, "`name=ANOTHER`", published)
    assert capsys.readouterr().err == ""
    tell_of_others(models / "synthetic", workdir, CONFIG, "`name=ANOTHER`")
    assert capsys.readouterr().err.strip() == (
        f"{models}/synthetic holds versions up to 1, and that is of {other}; this model becomes the next, "
        "with which servers answer from now on. To keep them apart: `name=ANOTHER`"
    )
    write_version(models / "synthetic", 2, {**CARD, "workdir": "exp 2"})
    tell_of_others(models / "synthetic", workdir, CONFIG, "`name=ANOTHER`", published)
    assert capsys.readouterr().err == ""


def test_models_in_a_store_are_told_apart_too(workdir, s3, capsys):
    store = Store(f"{s3.make_bucket()}/models")
    assert choose_folder(store.url, workdir, CONFIG) == f"{store.url}/synthetic"
    for number, card in (("9", CARD), ("10", other_card(direction="AtoB"))):
        store.write(f"synthetic/{number}/model_card.json", json.dumps(card).encode())
        store.write(f"synthetic/{number}/saved_model.pb", b"")
    assert choose_folder(store.url, workdir, CONFIG) == f"{store.url}/exp_2"
    assert f"{store.url}/synthetic/10 is a model of the other direction" in capsys.readouterr().err
    tell_of_others(f"{store.url}/synthetic", workdir, CONFIG, "", f"{store.url}/synthetic/10")
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_training_and_the_command_export_publish_beside_another_model(tmp_path, models, capsys):
    write_version(models / "synthetic", 1, other_card(direction="AtoB"))
    run = write_run(tmp_path / "exp2", config := dataclasses.replace(CONFIG, saved_model_dir=str(models)))
    for step, noise, version in ((1, "fixed", 1), (2, "fixed", 2), (2, "fixed", 2), (2, "random", 3)):
        asked = dataclasses.replace(config, serving_noise=noise)
        assert export_once(build_generator(), asked, run, step) == models / "exp2" / str(version)
        # The card tells the policy, also of what earlier versions have exported.
        assert json.loads((run / "exported.json").read_text()).keys() == {"step", "path"}
    assert "this model becomes" not in capsys.readouterr().err
    assert json.loads((models / "exp2/1/model_card.json").read_text())["workdir"] == "exp2"
    command = [sys.executable, "-m", "tfpix2pix.export", f"--workdir={run}", f"--output={models}"]
    told = runs.call(command)
    assert f"it is published as {models / 'exp2'}" in told.stderr and (models / "exp2" / "4").is_dir()
    told = runs.call([*command, "--name=synthetic"])
    assert told.stderr.strip().endswith("To keep them apart: --name=ANOTHER or --output=ANOTHER")
    assert (models / "synthetic" / "2").is_dir()
    other = write_run(tmp_path / "exp 3", config)
    capsys.readouterr()
    export_once(build_generator(), config, other, 2)
    advice = capsys.readouterr().err.partition("To keep them apart: ")[2]
    assert advice.startswith("`saved_model_dir=ANOTHER`, or `export=False` and ")
    assert shlex.split(advice)[-2:] == [f"--workdir={other}", "--name=exp_3"]
