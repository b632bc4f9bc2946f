"""Under which name the model of a run is published: never as the next version of another kind of model.

A server that polls the folder of a model answers with its newest version. TensorFlow is not imported.
"""

import contextlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfpix2pix.config.config import Config
from tfpix2pix.export.names import CARD_FILE
from tfpix2pix.export.versions import choose_newest, find_version
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.places import below, is_remote, settle_url
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.catalogue import name_folder
from tfpix2pix.pipelines.remote.failures import MissingError
from tfpix2pix.pipelines.remote.store import Store
from tfpix2pix.run.folder import read_meaning

# Entry of a card's `config` -> what a model is of that differs in it.
_KINDS = {
    "dataset": "another dataset, {}",
    "task": "another task, {}",
    "hole": "another hole, {}",
    "direction": "the other direction, {}",
    "input_channels": "inputs of {} channels",
    "output_channels": "targets of {} channels",
}
_OF_SIDES = ("channels", "dtype", "palette", "ids")


def choose_folder(
    output: str | Path, workdir: Path, config: Config, published: str | None = None
) -> str | Path:
    """Returns the folder of a run's model: that of its last version, or else of the name of the dataset.

    Where the newest version there is another kind of model, the folder has the name of the run's folder, and
    that is said.

    Args:
      output: folder of all models, such as `saved_models`, or its URL.
      workdir: folder of the run.
      config: configuration of the run.
      published: the last version of the run that was published, a path or a URL.
    """
    own, reasons = name_folder(workdir), []
    first = Path(published).parent.name if published else config.dataset
    for name in itertools.chain((first, config.dataset, own), (f"{own}_{n}" for n in itertools.count(2))):
        folder = below(output, name)
        newest = _find_newest(folder)
        card = read_card(below(folder, newest)) if newest else {}
        difference = _find_difference(card, workdir, config)
        if not difference:
            break
        reasons.append(f"{below(folder, newest or '')} is a model of {difference}")
    if reasons:
        told = "; ".join(dict.fromkeys(reasons))
        say(f"{told}, and servers would answer with this one in its place: it is published as {folder}")
    return folder


def tell_of_others(
    folder: str | Path, workdir: Path, config: Config, advice: str, published: str | None = None
) -> None:
    """Says where the newest version in the folder of a model is of another run than the next one.

    Args:
      folder: folder of the model, or its URL.
      workdir: folder of the run whose model becomes the next version.
      config: configuration of the run.
      advice: how to keep them apart.
      published: the last version of the run that was published, a path or a URL.
    """
    newest = _find_newest(folder)
    if newest is None or _is_same(published, below(folder, newest)):
        return
    card = read_card(below(folder, newest))
    other = _find_difference(card, workdir, config)
    if not other and card.get("workdir") != workdir.resolve().name:
        other = (
            f"another run, {card['workdir']}" if card.get("workdir") else "a run that its card does not name"
        )
    if other:
        say(
            f"{folder} holds versions up to {newest}, and that is of {other}; this model becomes the next, "
            f"with which servers answer from now on. To keep them apart: {advice}"
        )


def read_card(version: str | Path) -> Mapping[str, Any]:
    """Returns the card of a version, a path or a URL; it is empty where there is none that can be read."""
    try:
        if is_remote(version):
            text = Store(settle_url(version)).read(CARD_FILE) or b"{}"
        else:
            text = (Path(version) / CARD_FILE).read_bytes()
        card = json.loads(text)
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}


def _is_same(published: str | None, version: str | Path) -> bool:
    if published is None or is_remote(version):
        return published == version
    return Path(published) == Path(version).resolve()


def _find_newest(folder: str | Path) -> str | None:
    """Returns the newest version in the folder of a model, or None."""
    if is_remote(folder):
        with contextlib.suppress(MissingError):
            return choose_newest(Store(settle_url(folder)).list_files())
        return None
    with contextlib.suppress(UsageError):
        version = find_version(Path(folder))
        return version.name if version and version.name.isdecimal() else None
    return None


def _find_difference(card: Mapping[str, Any], workdir: Path, config: Config) -> str:
    """Returns what a model is of, by its card, and the model of a run is not; nothing if they are alike."""
    told, sides = card.get("config"), card.get("meaning")
    if isinstance(told, dict):
        for name, text in _KINDS.items():
            if name in told and told[name] != getattr(config, name):
                return text.format(told[name])
    own = read_meaning(workdir).to_json()
    if own and isinstance(sides, dict):
        for name, title in (("input", "inputs"), ("target", "targets")):
            other = sides.get(name)
            if isinstance(other, dict) and any(other.get(n, own[name][n]) != own[name][n] for n in _OF_SIDES):
                return f"{title} of another meaning"
    return ""
