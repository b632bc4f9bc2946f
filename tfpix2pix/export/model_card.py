"""Writes `model_card.json`, which says what a servable is, where it comes from, and what it takes."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

import tfpix2pix
from tfpix2pix.config.choices import INFERENCE_STATISTICS
from tfpix2pix.config.config import FIELDS, Config
from tfpix2pix.export.names import CARD_FILE
from tfpix2pix.export.signatures import Contract, Endpoint, takes_files
from tfpix2pix.pipelines.base.places import public_url
from tfpix2pix.pipelines.catalogue import CATALOGUE
from tfpix2pix.pipelines.meaning import Meaning
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import count_examples, read_origin, read_own, read_shapes, resumes_exactly
from tfpix2pix.run.weights import RAW, settle_weights

_NOISE = {
    "fixed": "requests without noise_seed: always the same, so equal requests get equal answers",
    "random": "requests without noise_seed: drawn anew for each image",
    "off": "requests without noise_seed: none, the dropout keeps everything",
}


def describe_run(workdir: Path, config: Config, step: int, weights: str | None = None) -> dict[str, Any]:
    """Returns what a run says of the model at one of its checkpoints, in types of JSON.

    Args:
      workdir: folder of the run.
      config: configuration of the run.
      step: step of the checkpoint.
      weights: which weights of it the model has, see `takes_average`.
    """
    weights, validated = settle_weights(workdir, weights), settle_weights(workdir)
    metadata, origin = checkpoints.read_metadata(workdir, step), read_origin(workdir) or {}
    return {
        "dataset": config.dataset,
        # The path is left out, because it is one of that machine, and secrets that older runs have in URLs.
        "origin": {name: _tell(value) for name, value in origin.items() if name != "path"} or None,
        "recipe": _find_recipe(workdir, config),
        "task": config.task,
        "side_by_side": read_shapes(workdir),
        "workdir": workdir.resolve().name,  # its name alone, as for the dataset's folder above
        "step": step,
        "weights": weights,
        "date": checkpoints.read_date(workdir, step),
        # False if the training set could not be read by an index, and a break of the training changed it.
        "resumes_exactly": resumes_exactly(workdir),
        "scores": {
            "validation": metadata.get("scores", {}) if weights == validated else {},
            "evaluation": _read_evaluation(workdir, config, step, weights),
        },
        # Settings that may change, such as folders of that machine, are left out.
        "config": {
            name: getattr(config, name) for name, field in FIELDS.items() if not field.metadata["may_change"]
        },
    }


def _tell(value: Any) -> Any:
    return public_url(value) if isinstance(value, str) else value


def _find_recipe(workdir: Path, config: Config) -> dict[str, Any] | None:
    """Returns the paper's recipe for the dataset; None for other data and unknown data."""
    spec, examples = CATALOGUE.get(config.dataset), count_examples(workdir)
    if "train" in read_own(workdir) or spec is None or spec.draw_pair or examples is None:
        return None
    return dataclasses.asdict(spec.recipe) if examples == spec.counts.get("train") else None


def _read_evaluation(workdir: Path, config: Config, step: int, weights: str) -> dict[str, Any]:
    """Returns metric -> split and scores, for evaluations of these weights on the data of their training."""
    own = {
        "checkpoint_step": step,
        "dataset": config.dataset,
        "direction": config.direction,
        "image_size": list(config.image_size),
        "weights": weights,
        "inference_statistics": INFERENCE_STATISTICS[0],  # by which a servable normalises
    }
    scores = {}
    for file in sorted((workdir / "eval").glob("*.json")):
        try:
            result = json.loads(file.read_text())
            evaluation = {**_older_entries(workdir, result["evaluation"]), **result["evaluation"]}
            if all(evaluation[name] == value for name, value in own.items()):
                scores[result["metric"]] = {"split": evaluation["split"], **result["scores"]}
        except (ValueError, LookupError, TypeError):  # It is somebody's own file.
            continue
    return scores


def _older_entries(workdir: Path, evaluation: Mapping[str, Any]) -> dict[str, str]:
    """Returns what evaluations of earlier versions did not tell, or in the title of their model alone."""
    is_raw = str(evaluation["model"]).endswith(f", {RAW} weights")
    return {
        "weights": RAW if is_raw else settle_weights(workdir),
        "inference_statistics": INFERENCE_STATISTICS[0],
    }


def write_card(
    version: Path, about: Mapping[str, Any], contract: Contract, endpoints: Mapping[str, Endpoint]
) -> None:
    """Writes the card of a SavedModel.

    Args:
      version: folder of the SavedModel.
      about: where the model comes from, as `describe_run` returns it.
      contract: what the SavedModel promises.
      endpoints: name of the signature -> endpoint.
    """
    task = contract.task
    card = {
        **about,
        "task": task.name,
        "input": {
            "files": _describe_files(contract.meaning) if takes_files(task) else None,
            "picture_channels": task.picture_channels[0],
            "network_channels": task.channels[0],
            "instances": _describe_instances(contract) if task.has_instances else None,
            "range": {"float32": [-1, 1], "uint8": [0, 255], "uint16": [0, 65535]},
            "size": "any height and width from 1 px, the same for all arrays of a request",
            "max_pixels": contract.max_pixels,
        },
        "meaning": contract.meaning.to_json(),
        "scale": {
            **contract.scale.to_json(),
            "meaning": f"files: {contract.scale.describe()}; arrays: each keeps its size",
        },
        "output": {"picture_channels": task.picture_channels[1], "network_channels": task.channels[1]},
        "noise": {
            "policy": contract.noise,
            "meaning": _NOISE[contract.noise],
            "seed": contract.noise_seed if contract.noise == "fixed" else None,
        },
        "normalization": "by each image's own statistics: answers do not depend on the batch",
        "signatures": {name: _describe_endpoint(endpoint) for name, endpoint in endpoints.items()},
        "versions": {
            "tfpix2pix": tfpix2pix.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }
    (version / CARD_FILE).write_text(json.dumps(card, indent=2) + "\n")


def _describe_files(meaning: Meaning) -> str:
    """Returns which files go in, and which come out."""
    ids = ", gray ones of class ids" if meaning.input and meaning.input.ids else ""
    if meaning.target is None:
        return f"PNG, JPEG or BMP{ids}; PNG out, of 16 bits where the input has them"
    return f"PNG, JPEG or BMP{ids}; PNG out, of {8 if meaning.target.dtype == 'uint8' else 16} bits"


def _describe_instances(contract: Contract) -> str:
    """Returns where instances come from, and what becomes of requests without them."""
    side = contract.meaning.input
    trained = "maps of instances" if side and side.instances else "the classes of label maps"
    return f"trained on the borders of {trained}; requests without instances: the borders of classes"


def _describe_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    inputs = {spec.name: {"dtype": spec.dtype.name, "shape": list(spec.shape)} for spec in endpoint.inputs}
    return {"inputs": inputs, "output": endpoint.output}
