"""What the workers of one training must have in common, compared before the first step."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.config.options import text
from tfpix2pix.pipelines.placing.checksums import hash_file
from tfpix2pix.run import training_set
from tfpix2pix.run.folder import name_own
from tfpix2pix.run.loop import Training
from tfpix2pix.run.workers import Workers

# Paths, memory and threads of one machine, and what the chief alone reads. Of two of them it is compared what
# they stand for.
_OF_ONE_MACHINE = {
    "data_dir",
    "pairs",
    "cache_mib",
    "threads",
    "init_from",
    "saved_model_dir",
    "segmenter",
    "vgg19_weights",
}
_DIGITS = 12


def check_same_settings(workers: Workers, config: Config, own: Mapping[str, Any]) -> None:
    """Raises UserError in all workers if they were started with other settings, parts or versions.

    Args:
      workers: all workers.
      config: the settings of this one.
      own: the caller's own parts, by name.
    """
    if not workers.are_several:
        return
    settings = {
        f"`{name}`": text(value)
        for name, value in dataclasses.asdict(config).items()
        if name not in _OF_ONE_MACHINE
    }
    # All validate together where there is none, and the chief alone where there is one.
    settings["`segmenter`"] = "given" if config.segmenter else "not given"
    vgg = config.vgg19_weights
    settings["`vgg19_weights`"] = f"a file {hash_file(Path(vgg))[:_DIGITS]}" if Path(vgg).is_file() else vgg
    workers.check_equal(
        {**settings, **name_own(own), "the version of TensorFlow": tf.__version__},
        "Start all of them with the same command",
    )


def check_same_state(workers: Workers, training: Training) -> None:
    """Raises UserError in all workers if they have other training data, or restored other weights.

    Args:
      workers: all workers.
      training: what this one is about to go on with.
    """
    if not workers.are_several:
        return
    sources = training.train_source, training.val_source
    data, validation = (training_set.fingerprint(each) for each in sources)
    # Files of class ids are the same bytes whatever palette.json says that they stand for.
    meanings = [_shorten(json.dumps(each.meaning.to_json())) for each in sources]
    workers.check_equal(
        {
            "the number of training examples": data["examples"],
            "the digest of their names": str(data["ids_sha256"])[:_DIGITS],
            "the digest of their contents": str(data.get("content_sha256", ""))[:_DIGITS],
            "the digest of their classes, channels and type": meanings[0],
            "the number of validation examples": validation["examples"],
            "the digest of their files": _summarise(validation),
            "the digest of the classes, channels and type of the validation examples": meanings[1],
            "the precision": training.config.precision,
            "the step to go on from": training.step,
            "the digest of the weights": _digest(training.train_step.checkpoint_variables())[:_DIGITS],
        },
        "All of them must see the same images and the same palette.json, and the same folder as their "
        f"`workdir`, {training.workdir}",
    )


def _shorten(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _summarise(data: Mapping[str, Any]) -> str:
    return f"{data['ids_sha256'][:_DIGITS]} {data.get('content_sha256', '')[:_DIGITS]}".strip()


def _digest(variables: Mapping[str, tf.Variable]) -> str:
    digest = hashlib.sha256()
    for name in sorted(variables):
        digest.update(name.encode())
        digest.update(variables[name].numpy().tobytes())
    return digest.hexdigest()
