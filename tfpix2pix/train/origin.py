"""The weights that a new run starts from: those of another run, a SavedModel, a .keras or a PyTorch file."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.export import opening
from tfpix2pix.export.names import NETWORK_SIGNATURE
from tfpix2pix.export.versions import find_version
from tfpix2pix.interop import torch_detection, torch_files, torch_names
from tfpix2pix.interop.fetching import fetch
from tfpix2pix.interop.torch_settings import Parts, settle_config
from tfpix2pix.methods.step import TranslationStep
from tfpix2pix.networks.inference import generator_of
from tfpix2pix.networks.instance_features import DRAWER
from tfpix2pix.networks.variables import DISCRIMINATOR, DISCRIMINATOR_2, ENCODER, weights_of
from tfpix2pix.pipelines.base.errors import UsageError, UserError, shorten
from tfpix2pix.pipelines.base.paths import plain_folder
from tfpix2pix.pipelines.base.places import public_url, url_of
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import read_config
from tfpix2pix.run.generator import weights_name
from tfpix2pix.train.anew import find_anew
from tfpix2pix.train.misfit import list_differing
from tfpix2pix.train.settings import find_origin_kind, split_origin

Weights = Mapping[str, np.ndarray]
OTHERS = (DISCRIMINATOR_2, ENCODER)  # networks that only some methods have
Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Origin:
    """Weights by name, `<layer>/<weight>`.

    Attributes:
      path: where they come from; what was asked for if it was downloaded.
      record: what config.json and the model card say of it.
      generator: those of the generator.
      discriminator: those of the discriminator; None where the origin has none.
      others: those of BicycleGAN's `discriminator_2` and `encoder`, where the origin has them.
      config: the settings of its networks; None where it does not tell them.
      lacks_biases: whether biases that are missing stand for 0, as in the PyTorch reference.
    """

    path: Path | str
    record: dict[str, Any]
    generator: Weights
    discriminator: Weights | None = None
    lacks_biases: bool = False
    others: Mapping[str, Weights] = dataclasses.field(default_factory=dict)
    config: Config | None = None


def read_origin(init_from: str | Path) -> Origin:
    """Reads the weights that `init_from` names.

    Args:
      init_from: folder of a run, of which the latest checkpoint counts, or `RUN:STEP` or
        `RUN:best`; folder of a SavedModel; a file `.keras`, or one that `torch_files.read_state`
        reads; or what `interop.fetch` downloads.

    Raises:
      UsageError: if there is no such thing.
      UserError: if it cannot be downloaded or read, or its weights have no names.
    """
    place = str(fetch(init_from))
    kind = find_origin_kind(place)
    path, checkpoint = split_origin(place)
    if kind == "run":
        origin = _read_run(path, checkpoint)
    else:
        origin = {"saved_model": _read_saved_model, "keras": _read_keras, "torch": _read_torch}[kind](path)
    if place == str(init_from):
        return origin
    name = public_url(init_from)  # The record goes into the model card.
    record = {**origin.record, "name": name, **({"path": name} if url_of(place) else {})}
    return dataclasses.replace(origin, path=name, record=record)


def describe_origin(origin: Origin) -> str:
    """Returns what weights come from, for people."""
    step = f", step {origin.record['step']}" if "step" in origin.record else ""
    return f"{origin.path}{step}"


def _record(path: Path, kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "name": path.resolve().name, "path": str(path), **more}


def _read_run(path: Path, checkpoint: str) -> Origin:
    config, step = read_config(path), checkpoints.find_step(path, checkpoint)
    generator, discriminator = (
        checkpoints.read_weights(path, step, name) for name in (weights_name(path), DISCRIMINATOR)
    )
    others = {name: checkpoints.read_weights(path, step, name) for name in OTHERS}
    record = _record(path, "run", dataset=config.dataset, step=step)
    return Origin(path, record, generator, discriminator or None, others=others, config=config)


def _read_saved_model(path: Path) -> Origin:
    version = find_version(path) or path
    try:
        with plain_folder(version) as plain:
            loaded = tf.saved_model.load(str(plain))
        variables = loaded.signatures[NETWORK_SIGNATURE].variables
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise UserError(
            f"{version} cannot be read as a SavedModel of tfpix2pix.export: {shorten(error)}"
        ) from error
    weights = {variable.name.removesuffix(":0"): variable.numpy() for variable in variables}
    if len(weights) < len(variables) or not all("/" in name for name in weights):
        raise UserError(
            f"the weights in {version} have no names of layers; take the run that it was exported from"
        )
    try:
        config = opening.read_config(version)
    except UserError:  # The weights are there without their card.
        config = None
    return Origin(path, _record(path, "saved_model", version=version.name), weights, config=config)


def load_keras(path: Path) -> keras.Model:
    """Opens a `.keras` file.

    Raises:
      UserError: if it cannot be read.
    """
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises various errors for files that it cannot read.
        raise UserError(f"{path} cannot be read as a Keras model: {shorten(error)}") from error


def _read_keras(path: Path) -> Origin:
    model = load_keras(path)
    generator, discriminator = generator_of(model), None
    if generator is not model:  # It is a Pix2Pix, which has both.
        discriminator = model.discriminator and _read_values(model.discriminator)
    weights = dict(_read_rebuilt(*each) for each in _read_values(generator).items())
    return Origin(path, _record(path, "keras"), weights, discriminator)


def _read_values(model: keras.Model) -> Weights:
    return {name: variable.numpy() for name, variable in weights_of(model).items()}


def _read_rebuilt(name: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    """Returns a weight as the generator has it.

    In files of `export`, norms are depthwise convolutions, and modulations by z are two dense layers.
    """
    layer, _, kind = name.rpartition("/")
    for part in ("scale", "offset"):
        if layer.endswith(f"_modulation_{part}"):
            return f"{layer.removesuffix(f'_{part}')}/{part}_kernel", value
    if layer.endswith("_norm") and kind in ("kernel", "bias"):
        return f"{layer}/{'gamma' if kind == 'kernel' else 'beta'}", value.reshape(-1)
    return name, value


def _read_torch(path: Path) -> Origin:
    state = torch_detection.unwrap(torch_files.read_state(path))
    weights, _ = torch_detection.split_statistics(state)
    parts = Parts(torch_detection.detect_generator(weights, path))
    ours, config = torch_names.to_ours(weights, parts.table("generator")), settle_config(parts, {})
    return Origin(path, _record(path, "torch"), ours, lacks_biases=True, config=config)


def start_from(
    origin: Origin,
    generator: keras.Model,
    discriminator: keras.Model | None,
    *,
    config: Config | None = None,
    **others: keras.Model,
) -> None:
    """Gives new networks the weights of an origin, by name; says what starts anew.

    Where the number of channels of the images differs, the convolution that reads or writes
    them keeps its random weights; so do enhancers around a global generator, and the last
    convolution behind them; and in a residual generator, what a latent vector decides where the origin has
    none. All other weights must have the shapes of the origin's. Clusters of features are
    not taken, as a training makes its own.

    Args:
      origin: the weights.
      generator: the new generator.
      discriminator: the new discriminator; None where the method has none.
      config: the settings of the new networks, for messages.
      **others: further new networks, named as in `OTHERS`.

    Raises:
      UsageError: if a weight has another shape there, or only one side has it; the message
        names the first one, and the settings that differ.
    """
    for model, weights in _match(origin, generator, discriminator, others):
        values, anew = _settle(origin, model, weights, config)
        for name, variable in weights_of(model).items():
            if name in values:
                variable.assign(values[name])
        for why in dict.fromkeys(anew.values()):
            first, *more = (layer for layer, reason in anew.items() if reason == why)
            rest = f" and {len(more)} more of its layers" if more else ""
            start = "start" if more else "starts"
            say(f"{first} of the {model.name}{rest} {start} with random weights: {why}")
    missing = [name for name in others if not origin.others.get(name)]
    if discriminator is not None and not origin.discriminator:
        missing.insert(0, DISCRIMINATOR)
    for name in missing:
        say(f"the {name} starts with random weights, as {origin.path} has none")


def find_others(train_step: TranslationStep) -> dict[str, keras.Model]:
    """Returns the networks of a training step that only some methods have, named as in `OTHERS`."""
    found = {name: getattr(train_step, name, None) for name in OTHERS}
    return {name: network for name, network in found.items() if network is not None}


def check_fit(
    origin: Origin,
    generator: keras.Model,
    discriminator: keras.Model | None,
    *,
    config: Config | None = None,
    **others: keras.Model,
) -> None:
    """Raises UsageError where `start_from` would; the networks keep their weights, and nothing is said."""
    for model, weights in _match(origin, generator, discriminator, others):
        _settle(origin, model, weights, config)


def _match(
    origin: Origin,
    generator: keras.Model,
    discriminator: keras.Model | None,
    others: Mapping[str, keras.Model],
) -> list[tuple[keras.Model, Weights]]:
    """Returns the networks that the origin has weights of, with these weights."""
    matched = [(generator, origin.generator)]
    if discriminator is not None and origin.discriminator:
        matched.append((discriminator, origin.discriminator))
    found = [(model, origin.others.get(name)) for name, model in others.items()]
    return [*matched, *((model, weights) for model, weights in found if weights)]


def _settle(
    origin: Origin, model: keras.Model, weights: Weights, config: Config | None
) -> tuple[Weights, dict[str, str]]:
    """Returns the values that weights of a network get, by name, and why its other layers start anew."""
    variables, weights = (_drop_clusters(each) for each in (weights_of(model), weights))
    anew = find_anew(model, variables, weights)
    kept = {name: variable for name, variable in variables.items() if name.rpartition("/")[0] not in anew}
    values = dict(weights)
    for name, variable in kept.items():
        if origin.lacks_biases and name.endswith("/bias"):
            values.setdefault(name, np.zeros(variable.shape, np.float32))
        here, there = tuple(variable.shape), values[name].shape if name in values else None
        if here != there:
            found = f"has the shape {there} there" if there else "is missing there"
            what = f"{name} {found}, and has the shape {here} here"
            raise UsageError(_explain(origin, model, what, config))
    if others := sorted(name for name in weights if name not in variables):
        raise UsageError(_explain(origin, model, f"{others[0]} is there, and has no place here", config))
    return {name: values[name] for name in kept}, anew


def _drop_clusters(weights: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in weights.items() if not name.startswith(f"{DRAWER}/")}


def _explain(origin: Origin, model: keras.Model, what: str, config: Config | None) -> str:
    start = (
        f"`init_from={origin.path}` does not fit the {model.name}: {what}. Give the settings of its networks"
    )
    if origin.config and config:
        differing = list_differing(origin.config, config, origin.discriminator is not None)
        return f"{start}, which differ: {' '.join(differing)}" if differing else start
    return f"{start}, such as `generator`, `depth`, `base_filters` and `normalization`"
