"""Makes a run of state dicts of the PyTorch reference."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from tfpix2pix.config.config import Config
from tfpix2pix.interop import torch_clusters, torch_detection, torch_files, torch_names
from tfpix2pix.interop.torch_bicycle_names import LatentEncoder, LatentUnet
from tfpix2pix.interop.torch_label_maps import LabelMaps, imported_meaning
from tfpix2pix.interop.torch_names import Unet
from tfpix2pix.interop.torch_residual_names import Discriminator, FeatureEncoder, ResidualGenerator
from tfpix2pix.interop.torch_settings import BICYCLE, Parts, detect_parts, settle_config
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.methods.step import TranslationStep
from tfpix2pix.networks.build import build_generator
from tfpix2pix.networks.instance_features import DRAWER, find_features
from tfpix2pix.networks.variables import weights_of
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.meaning import Meaning
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import write_config

# This file, beside the run's configuration, says what was read and what differs.
RECORD_FILE = "torch_weights.json"
_NO_CLUSTERS = (
    "the features of instances have no clusters yet, so that without another image all are 0: train makes "
    "them, `clusters` takes them from a file, and `feature_from` needs none"
)


class Conversion(NamedTuple):
    """What was converted.

    Attributes:
      config: settings of the run.
      step: step of the checkpoint.
      generator: the generator as the reference describes it.
      discriminator: the discriminator as the reference describes it, or None; a second one is like it.
      notes: sentences that say what differs between the two sides.
      encoder: the encoder as BicycleGAN's code or pix2pixHD's describes it, or None.
      inputs: what the generator sees of its input images; None for a U-Net with a latent vector.
    """

    config: Config
    step: int
    generator: Unet | ResidualGenerator
    discriminator: Discriminator | None
    notes: list[str]
    encoder: LatentEncoder | FeatureEncoder | None = None
    inputs: LabelMaps | None = None


def import_run(
    checkpoint: Path,
    workdir: Path,
    discriminator: Path | None = None,
    *,
    discriminator_2: Path | None = None,
    encoder: Path | None = None,
    clusters: Path | None = None,
    **given: Any,
) -> Conversion:
    """Writes a run at step 0 with the weights of the reference; the optimizers start anew.

    Args:
      checkpoint: file with the state dict of the generator.
      workdir: folder of the new run; it appears whole or not at all.
      discriminator: file with the state dict of the discriminator; None: the
        discriminator starts with random weights.
      discriminator_2: for BicycleGAN: file with the state dict of the second discriminator.
      encoder: for BicycleGAN, and for pix2pixHD with features of instances: file with the state dict of the
        encoder.
      clusters: for pix2pixHD with features of instances: file of their clusters.
      **given: fields of `Config` that the files do not tell. With `input_encoding=one_hot`, `boundaries` or
        an encoder of features, `data_dir` or `dataset` names the classes of the label maps.

    Returns:
      What was converted.

    Raises:
      UsageError: if a setting contradicts the files, or `workdir` exists already.
      UserError: if a file holds a network that has no counterpart here.
    """
    if workdir.exists():
        raise UsageError(f"{workdir} exists already: choose a new folder")
    given = {name: value for name, value in given.items() if value is not None}
    files = {
        "generator": checkpoint,
        "discriminator": discriminator,
        "discriminator_2": discriminator_2,
        "encoder": encoder,
    }
    read = {name: _read(file) for name, file in files.items() if file is not None}
    given = {"dataset": re.sub(r"^\W|[^\w.-]", "_", workdir.name), **given}
    if clusters:
        torch_files.check_array(clusters, written=False)
    found = torch_clusters.read_clusters(clusters) if clusters else {}
    parts = detect_parts({name: weights for name, (weights, _) in read.items()}, files, given)
    if clusters and not parts.inputs.features:
        raise UsageError(f"`clusters` are of features of instances, and a {parts.generator} sees none")
    most = {"feature_clusters": torch_clusters.most_clusters(found)} if found else {}
    config = settle_config(parts, {**most, **given})
    train_step = build_train_step(config, total_steps=1, palette=parts.palette)
    zeroed: list[str] = []
    for name, (weights, _) in read.items():
        zeroed += assign_weights(getattr(train_step, name), torch_names.to_ours(weights, parts.table(name)))
    if found:
        layer: Any = find_features(train_step.generator)
        torch_clusters.set_clusters(layer, found, parts.inputs.classes, clusters)
    statistics = sum(len(names) for _, names in read.values())
    notes = _describe_differences(config, parts, statistics, zeroed, "dropout" in given)
    if config.instance_features and not found:
        notes.append(_NO_CLUSTERS)
    record = {name: str(file or "") for name, file in {**files, "clusters": clusters}.items()}
    meaning = imported_meaning(parts.palette, config) if parts.palette else None
    _write_run(workdir, train_step, config, {**record, "notes": notes}, meaning)
    return Conversion(config, 0, parts.generator, parts.discriminator, notes, parts.encoder, parts.inputs)


def read_generator(checkpoint: Path) -> keras.Model:
    """Returns the generator that a file of the reference holds.

    Args:
      checkpoint: file with the state dict of the generator.

    Raises:
      UsageError: if there is no such file.
      UserError: if it holds a network that has no counterpart here.
    """
    weights, _ = _read(checkpoint)
    parts = Parts(torch_detection.detect_generator(weights, checkpoint))
    generator = build_generator(settle_config(parts, {"dataset": "pretrained"}))
    assign_weights(generator, torch_names.to_ours(weights, parts.table("generator")))
    return generator


def _write_run(
    workdir: Path,
    train_step: TranslationStep,
    config: Config,
    record: Mapping[str, Any],
    meaning: Meaning | None,
) -> None:
    with staging.staged_folder(workdir) as staged:
        run = staged / workdir.name
        write_config(run, config, None, meaning=meaning)
        checkpoints.save(run, train_step.variables(), {"best": None, "scores": {}})
        staging.write_file(run / RECORD_FILE, (json.dumps(record, indent=2) + "\n").encode())
        staging.publish(run, workdir)


def assign_weights(model: keras.Model, weights: Mapping[str, np.ndarray]) -> list[str]:
    """Sets every weight of a network.

    Args:
      model: the network.
      weights: values by our names; biases that are missing here become 0, and so do clusters of features.

    Returns:
      The names of the biases that became 0.

    Raises:
      ValueError: if other weights are missing, or the network has no place for some.
    """
    variables = weights_of(model)
    absent = [name for name in variables if name not in weights]
    zeroed = [name for name in absent if not name.startswith(f"{DRAWER}/")]
    faults = set(weights) - set(variables) | {name for name in zeroed if not name.endswith("/bias")}
    if faults:
        raise ValueError(f"weights must be those of {model.name}. They differ in {sorted(faults)}")
    for name, variable in variables.items():
        variable.assign(weights[name] if name in weights else np.zeros(variable.shape, "float32"))
    return zeroed


def _read(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    state = torch_files.read_state(path)
    return torch_detection.split_statistics(torch_detection.unwrap(state))


def _describe_differences(
    config: Config, parts: Parts, statistics: int, zeroed: list[str], knows_dropout: bool
) -> list[str]:
    network, notes = parts.generator, []
    if statistics:
        notes.append(
            f"{statistics} running statistics were left out: here each image is normalised by its own, "
            "as the reference does at batch size 1 without --eval"
        )
    is_plain = isinstance(network, Unet) and not isinstance(network, LatentUnet)
    if is_plain and network.depth > torch_names.LEAST_DEPTH and not knows_dropout:
        notes.append(
            "dropout is where the reference has it, and on when translating, as it is there without --eval; "
            "files do not tell of --no_dropout: if the model was trained with it, give `dropout=none`"
        )
    if zeroed:
        notes.append(f"biases that the reference does not have there are 0: {', '.join(zeroed)}")
    if config.objective != "l1":
        names = ["discriminator"]
        if config.method == BICYCLE:
            names.append("discriminator_2")
        if config.method == BICYCLE or config.instance_features:
            names.append("encoder")
        notes += [
            f"the {name} starts with random weights, because its file was not given"
            for name in names
            if getattr(parts, name) is None
        ]
    return [*notes, "all optimizers start anew" if config.method == BICYCLE else "both optimizers start anew"]
