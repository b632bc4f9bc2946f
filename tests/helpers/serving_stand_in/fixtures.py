"""Models and servers for tests of clients."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.serving_stand_in.exports import export_once
from tests.helpers.serving_stand_in.models import Models
from tests.helpers.serving_stand_in.servers import STARTS
from tfpix2pix.serving import RemoteModel, remote_model


@pytest.fixture(scope="session")
def saved_models() -> Path:
    """A folder with the models tiny (version 1) and probe (versions 7 and 8)."""
    return export_once()


@pytest.fixture(scope="session")
def loaded_models(saved_models) -> Models:
    models = Models()
    models.load("tiny", saved_models / "tiny")
    models.load("probe", saved_models / "probe", [7, 8])
    models.labels["probe"] = {"stable": 7}
    return models


@pytest.fixture
def models(loaded_models, monkeypatch) -> Iterator[Models]:
    monkeypatch.setattr(remote_model, "FIRST_DELAY_SEC", 0.05)
    monkeypatch.setattr(remote_model, "LONGEST_DELAY_SEC", 0.4)
    yield loaded_models
    loaded_models.before_answer = lambda: None
    loaded_models.token = ""
    loaded_models.states["probe"].update({7: "AVAILABLE", 8: "AVAILABLE"})


@pytest.fixture
def connect(models) -> Iterator[Callable]:
    """Opens a model on a server of its own."""
    with contextlib.ExitStack() as stack:

        def open_model(way: str, name: str, version: int | str | None = None, **options) -> RemoteModel:
            url, stop = STARTS[way.split()[0]](models)
            stack.callback(stop)
            if way == "rest columns":
                options["row_format"] = False
            return stack.enter_context(RemoteModel(url, name, version, **options))

        yield open_model
