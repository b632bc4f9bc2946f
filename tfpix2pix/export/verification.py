"""Tries a SavedModel before it is published: a fresh process must answer as the generator does."""

import math
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.export.names import SEEDED
from tfpix2pix.export.signatures import Contract, takes_files
from tfpix2pix.networks.inference import Generate, compile_generator, complete_pictures, sample_seed, silence
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.tasks.transforms import to_uint8, to_uint16, to_unit_range

# Largest difference from the Keras model, of values in [-1, 1]. Half precision
# rounds at other places once TensorFlow has fused operations.
TOLERANCE = 1e-5
HALF_TOLERANCE = 0.1
# By which colours may widen a difference of the network's output, on the way from CIE Lab to sRGB.
_WIDENING = 16


class _Trial(NamedTuple):
    """Two images for one kind of signature, and what is hoped for."""

    input_name: str
    output_name: str
    given: np.ndarray  # what is sent
    expected: dict[str, list[np.ndarray]]  # "" or "_seeded" -> answers
    tolerance: float


def verify(generator: keras.Model, contract: Contract, model: Path) -> None:
    """Compares the answers of a fresh process with the generator's to single images.

    Args:
      generator: what was exported.
      contract: with what.
      model: folder of the SavedModel.

    Raises:
      UserError: when they differ, or there is none.
    """
    seeds = np.stack([sample_seed(contract.noise_seed, sample) for sample in (0, 1)])
    trials = _make_trials(generator, contract, seeds)
    requests: dict[str, Any] = {}
    for name, trial in trials.items():
        for suffix in ("", SEEDED):
            requests[f"{name}{suffix}/{trial.input_name}"] = trial.given
        requests[f"{name}{SEEDED}/noise_seed"] = seeds
    answers = _ask_fresh_process(model, requests)
    for name, trial in trials.items():
        for suffix, expected in trial.expected.items():
            answer = answers[f"{name}{suffix}/{trial.output_name}"]
            received: Iterable[np.ndarray] = answer
            if trial.output_name == "image_bytes":
                received = [tf.io.decode_png(file).numpy() for file in answer]
            _compare(name + suffix, received, expected, trial.tolerance)


def _make_trials(generator: keras.Model, contract: Contract, seeds: np.ndarray) -> dict[str, _Trial]:
    """Returns signature name -> trial."""
    task = contract.task
    halved = any(layer.compute_dtype in ("bfloat16", "float16") for layer in generator.layers)
    tolerance = HALF_TOLERANCE if halved else TOLERANCE
    draws = np.random.default_rng(0)
    side = math.isqrt(contract.max_pixels)
    sizes = [(min(height, side), min(width, side)) for height, width in ((37, 45), (37, 45), (24, 50))]
    pixels = [draws.integers(0, 256, (*size, task.channels[0]), np.uint8) for size in sizes[:2]]
    pictures = [draws.integers(0, 256, (*size, task.picture_channels[0]), np.uint8) for size in sizes]

    # Compiled, because operations run one by one round otherwise (1.5e-5 with large weights).
    generate = compile_generator(generator)
    ways = {}
    if contract.noise == "fixed":
        ways[""] = (generate, seeds[[0, 0]])
    elif contract.noise == "off":
        ways[""] = (compile_generator(silence(generator)), seeds)
    ways[SEEDED] = (generate, seeds)

    def expect(images: list[np.ndarray], by_task: bool) -> dict[str, list[np.ndarray]]:
        given = [to_unit_range(image) for image in images]
        return {
            suffix: _translate(complete_pictures(task, generate) if by_task else generate, given, each_seed)
            for suffix, (generate, each_seed) in ways.items()
        }

    def round_to(to_integers: Any, expected: dict[str, list[np.ndarray]]) -> dict[str, list[np.ndarray]]:
        return {key: [to_integers(image).numpy() for image in images] for key, images in expected.items()}

    given = to_unit_range(np.stack(pixels)).numpy()
    trials = {"float32": _Trial("input_image", "generated_image", given, expect(pixels, False), tolerance)}
    expected = expect(pictures[:2], True)
    for name, to_integers, step in (("uint8", to_uint8, 1), ("uint16", to_uint16, 257)):
        given = np.stack(pictures[:2]) * np.array(step, name)
        levels = 1 + tolerance * _WIDENING * np.iinfo(name).max / 2
        trials[name] = _Trial(
            "input_image", "generated_image", given, round_to(to_integers, expected), levels
        )
    if takes_files(task):
        files = np.array([tf.io.encode_png(picture).numpy() for picture in pictures[1:]], object)
        expected = round_to(to_uint8, expect(pictures[1:], True))
        trials["serving_default"] = _Trial(
            "image_bytes", "image_bytes", files, expected, trials["uint8"].tolerance
        )
    return trials


def _translate(generate: Generate, images: Iterable[tf.Tensor], seeds: np.ndarray) -> list[np.ndarray]:
    """Translates images one by one, float32 [H, W, C] of any sizes."""
    # On the CPU, as in the other process: a GPU rounds differently.
    with tf.device("CPU:0"):
        pairs = zip(images, seeds, strict=True)
        return [generate(image[None], tf.constant(seed[None]))[0].numpy() for image, seed in pairs]


def _ask_fresh_process(model: Path, requests: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Runs `tfpix2pix.export.servable` on the model; it finds the modules that this process finds."""
    requests_file, answers_file = model.with_name("requests.npz"), model.with_name("answers.npz")
    np.savez(requests_file, **requests)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    command = [
        sys.executable,
        "-m",
        "tfpix2pix.export.servable",
        *map(str, (model, requests_file, answers_file)),
    ]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    if process.returncode:
        lines = [line for line in process.stderr.splitlines() if line and not line[0].isspace()]
        reason = lines[-1] if lines else f"exit status {process.returncode}"
        raise UserError(f"the SavedModel does not run in a fresh process, so it was not published: {reason}")
    with np.load(answers_file, allow_pickle=True) as answers:
        return {key: answers[key] for key in answers.files}


def _compare(
    name: str, answers: Iterable[np.ndarray], expected: Iterable[np.ndarray], tolerance: float
) -> None:
    for answer, image in zip(answers, expected, strict=True):
        difference = np.inf
        if answer.shape == image.shape:
            difference = np.max(np.abs(answer.astype(np.float64) - image))
        if not difference <= tolerance:
            raise UserError(
                f"the SavedModel was not published: its signature {name} is {difference:.2g} off "
                f"the generator, more than {tolerance:.2g}"
            )
