"""Tries a SavedModel before it is published: in a fresh process, it must answer as the generator does."""

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.export.names import (
    DEFAULT_SIGNATURE,
    FLOAT32,
    GENERATED_IMAGE,
    IMAGE_BYTES,
    INPUT_IMAGE,
    INSTANCE_BYTES,
    INSTANCE_IDS,
    LATENT,
    LATENT_VECTOR,
    NOISE_SEED,
    SEEDED,
    UINT8,
    UINT16,
    WITH_INSTANCES,
)
from tfpix2pix.export.signatures import Contract, takes_files
from tfpix2pix.networks.inference import Generate, compile_generator, sample_seed, silence
from tfpix2pix.networks.latent import attach_latent, find_latent, settle_latent
from tfpix2pix.networks.scale import Scale, translate_pictures
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.files.encoding import encode_png
from tfpix2pix.pipelines.labels.label_files import colour_levels
from tfpix2pix.pipelines.tasks.tasks import Task
from tfpix2pix.pipelines.tasks.transforms import to_uint8, to_uint16, to_unit_range

# The largest difference from the Keras model that is accepted, of values in [-1, 1]. A batch is convolved in
# other ways than a single image is: that made 2.3e-5 with the 9 residual blocks of pix2pixHD, on a processor
# without AVX-512. Half precision rounds at other places once TensorFlow has fused operations.
TOLERANCE = 1e-4
HALF_TOLERANCE = 0.1
# The conversion from CIE Lab to sRGB may widen a difference of the network's output by this factor.
_WIDENING = 16


# What follows the name of the signature, "", "_seeded" or "_latent" -> its answers.
_Answers = dict[str, list[np.ndarray]]


class _Trial(NamedTuple):
    """Two images for signatures of one name, and the answers that are expected."""

    output_name: str
    given: Mapping[str, np.ndarray]  # what is sent
    expected: _Answers
    tolerance: float


def verify(generator: keras.Model, contract: Contract, model: Path) -> None:
    """Compares the answers of a fresh process with what the generator makes of single images.

    Args:
      generator: the network that was exported.
      contract: what the SavedModel promises.
      model: folder of the SavedModel.

    Raises:
      UserError: when the answers differ, or there are none.
    """
    seeds = np.stack([sample_seed(contract.noise_seed, sample) for sample in (0, 1)])
    trials = _make_trials(generator, contract, seeds)
    requests: dict[str, Any] = {}
    for name, trial in trials.items():
        latent = _make_latents(generator)
        for suffix in ("", SEEDED, *([LATENT] if latent is not None else [])):
            requests |= {f"{name}{suffix}/{each}": value for each, value in trial.given.items()}
            if suffix:
                requests[f"{name}{suffix}/{NOISE_SEED}"] = seeds
            if suffix == LATENT:
                requests[f"{name}{suffix}/{LATENT_VECTOR}"] = latent
    answers = _ask_fresh_process(model, requests)
    for name, trial in trials.items():
        for suffix, expected in trial.expected.items():
            received: Iterable[np.ndarray] = answers[f"{name}{suffix}/{trial.output_name}"]
            if trial.output_name == IMAGE_BYTES:
                received = [tf.io.decode_png(file).numpy() for file in received]
            _compare(name + suffix, received, expected, trial.tolerance)


def _make_trials(generator: keras.Model, contract: Contract, seeds: np.ndarray) -> dict[str, _Trial]:
    """Returns name of the signature -> trial."""
    task = contract.task
    halved = any(layer.compute_dtype in ("bfloat16", "float16") for layer in generator.layers)
    tolerance = HALF_TOLERANCE if halved else TOLERANCE
    draws = np.random.default_rng(0)
    side = math.isqrt(contract.max_pixels)
    sizes = [(min(height, side), min(width, side)) for height, width in ((37, 45), (37, 45), (24, 50))]
    floats = [
        to_unit_range(draws.integers(0, 256, (*size, task.channels[0]), np.uint8)) for size in sizes[:2]
    ]
    pictures = [draws.integers(0, 256, (*size, task.picture_channels[0]), np.uint8) for size in sizes]
    ids = [draws.integers(0, 4, (*size, 1), np.uint16) for size in sizes]
    ways = _list_ways(generator, contract, seeds)

    def expect(given: list[tf.Tensor], scale: Scale | None) -> _Answers:
        """Returns the answers to floats for the network where there is no scale, and else to pictures."""
        return {
            suffix: _translate(
                translate_pictures(task, generate, scale) if scale else generate, given, each_seed
            )
            for suffix, (generate, each_seed) in ways.items()
        }

    trials = {
        FLOAT32: _Trial(GENERATED_IMAGE, {INPUT_IMAGE: np.stack(floats)}, expect(floats, None), tolerance)
    }
    for kind in ("", WITH_INSTANCES) if task.has_instances else ("",):
        answers = expect(_show(task, pictures[:2], ids[:2] if kind else []), Scale())
        sent = {INSTANCE_IDS: np.stack(ids[:2])[..., 0].astype(np.int32)} if kind else {}
        for name, to_integers, step in ((UINT8, to_uint8, 1), (UINT16, to_uint16, 257)):
            given = {INPUT_IMAGE: np.stack(pictures[:2]) * np.array(step, name), **sent}
            levels = 1 + tolerance * _WIDENING * np.iinfo(name).max / 2
            trials[name + kind] = _Trial(GENERATED_IMAGE, given, _round(answers, to_integers), levels)
        if takes_files(task):
            files, shown = _make_files(pictures[1:], contract, draws)
            answers = _round(expect(_show(task, shown, ids[1:] if kind else []), contract.scale), to_uint8)
            sent = {INSTANCE_BYTES: _encode_all(ids[1:])} if kind else {}
            given = {IMAGE_BYTES: files, **sent}
            trials[DEFAULT_SIGNATURE + kind] = _Trial(IMAGE_BYTES, given, answers, trials[UINT8].tolerance)
    return trials


def _show(task: Task, pictures: list[np.ndarray], ids: list[np.ndarray]) -> list[tf.Tensor]:
    """Returns pictures as floats, with the ids of their instances if there are any."""
    floats = list(map(to_unit_range, pictures))
    if not ids:
        return floats
    return [
        task.add_instances(picture, to_unit_range(each, tf.uint16.max))
        for picture, each in zip(floats, ids, strict=True)
    ]


def _encode_all(pictures: list[np.ndarray]) -> np.ndarray:
    return np.array([encode_png(picture).numpy() for picture in pictures], object)


def _make_files(
    pictures: list[np.ndarray], contract: Contract, draws: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns PNG files, the last one of ids if inputs are ids, and the pictures that they stand for."""
    files, side = _encode_all(pictures), contract.meaning.input
    if side and side.ids:
        ids = draws.choice(
            np.array(side.ids, np.min_scalar_type(max(side.ids))), (*pictures[-1].shape[:2], 1)
        )
        files[-1] = encode_png(ids).numpy()
        pictures = [*pictures[:-1], colour_levels(ids[..., 0], side).numpy()]
    return files, pictures


def _list_ways(
    generator: keras.Model, contract: Contract, seeds: np.ndarray
) -> dict[str, tuple[Generate, np.ndarray]]:
    """Returns how the signatures of each suffix answer: by which network, with which seeds."""
    # Compiled, because operations run one by one round otherwise (1.5e-5 with large weights).
    generate = compile_generator(generator)
    ways = {}
    if contract.noise == "fixed":
        ways[""] = (generate, _settle(seeds[[0, 0]], generator))
    elif contract.noise == "off":
        silent = silence(generator)
        ways[""] = (compile_generator(silent), _settle(seeds, silent))
    ways[SEEDED] = (generate, _settle(seeds, generator))
    latent = _make_latents(generator)
    if latent is not None:
        ways[LATENT] = (generate, attach_latent(seeds, latent).numpy())
    return ways


def _settle(seeds: np.ndarray, generator: keras.Model) -> np.ndarray:
    """Returns seeds that bring the latent vector along, if the generator has one."""
    layer = find_latent(generator)
    return seeds if layer is None else settle_latent(tf.constant(seeds), layer).numpy()


def _make_latents(generator: keras.Model) -> np.ndarray | None:
    """Returns latent vectors for two images, float32 [2, size]; None for a generator without one."""
    layer = find_latent(generator)
    if layer is None:
        return None
    return np.linspace(-1, 1, 2 * layer.size, dtype=np.float32).reshape(2, layer.size)


def _round(answers: _Answers, to_integers: Callable[[np.ndarray], tf.Tensor]) -> _Answers:
    return {suffix: [to_integers(image).numpy() for image in images] for suffix, images in answers.items()}


def _translate(generate: Generate, images: Iterable[tf.Tensor], seeds: np.ndarray) -> list[np.ndarray]:
    """Translates images one by one, float32 [H, W, C] of any sizes."""
    # The CPU is used, as in the other process, because a GPU rounds differently.
    with tf.device("CPU:0"):
        pairs = zip(images, seeds, strict=True)
        return [generate(image[None], tf.constant(seed[None]))[0].numpy() for image, seed in pairs]


def _ask_fresh_process(model: Path, requests: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Runs `tfpix2pix.export.servable` on the model, with the modules that this process finds."""
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
