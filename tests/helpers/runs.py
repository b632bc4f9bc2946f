"""Runs real commands, in processes of their own or in this one, with six pairs on disk and tiny networks."""

import contextlib
import io
import json
import os
import resource
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image
from tensorflow.python.data.ops import iterator_ops, multi_device_iterator_ops

from tfpix2pix.config.config import Config, make_config
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.run.callbacks import Callback

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "dataset": "tiny",
    "image_size": 32,
    "depth": 3,
    "base_filters": 2,
    "receptive_field": 16,
    "precision": "float32",
    "export": False,
}
TIMEOUT_SEC = 240


def write_dataset(folder: Path, train: int = 6, val: int = 2) -> Path:
    """Writes random side-by-side pairs of 32 px; returns `folder`."""
    draw = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        (folder / split).mkdir(parents=True)
        for number in range(count):
            pixels = draw.integers(0, 256, (32, 64, 3), np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{split}-{number}.png")
    return folder


def write_image(file: Path, pixels: np.ndarray) -> Path:
    """Writes a PNG or .npy file and its folder; returns `file`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".npy":
        np.save(file, pixels)
    else:
        file.write_bytes(tf.io.encode_png(pixels).numpy())
    return file


def store_image(file: Path, image: np.ndarray) -> None:
    """Writes an array as its suffix says: a .npy file, a TIFF of one page, or what Pillow writes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".npy":
        np.save(file, image)
    elif file.suffix == ".tif":
        tifffile.imwrite(file, image)
    else:
        Image.fromarray(image).save(file)


def write_segmenter(file: Path, colours: np.ndarray) -> Path:
    """Writes a network that takes the nearest of uint8 [classes, 3] colours for the class; returns `file`."""
    images = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(len(colours), 1)
    network = keras.Model(images, layer(images))
    colours = colours / 127.5 - 1
    layer.set_weights([colours.T[None, None], -np.square(colours).sum(-1) / 2])
    network.save(file)
    return file


def tiny_config(data_dir: Path, **settings) -> Config:
    """Returns the configuration of `SETTINGS`, with `settings` in place of some of them."""
    return make_config(**{**SETTINGS, "data_dir": str(data_dir), **settings})


def train_command(data_dir: Path, workdir: Path, **settings) -> list[str]:
    """Returns the train command of `tiny_config`."""
    values = {**SETTINGS, "data_dir": data_dir, "workdir": workdir, **settings}
    options = [
        f"--{name}={str(value).lower() if value is False else value}" for name, value in values.items()
    ]
    return [sys.executable, "-m", "tfpix2pix.train", *options]


def environment(**variables: str) -> dict[str, str]:
    """Returns the environment of a process that finds the project and no GPU."""
    own = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1", **variables}
    own.pop("TF_CONFIG", None)
    return {**own, **variables}


class BreakAt(Callback):
    """Breaks a run after the checkpoint of a step."""

    def __init__(self, step: int):
        self.step = step

    def on_checkpoint(self, moment):
        if moment.step == self.step:
            raise UserError("broken")


def start(command: Sequence[str], **options) -> subprocess.Popen:
    """Starts a command whose output will be read at its end."""
    return subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def run(command: Sequence[str], **options) -> subprocess.CompletedProcess:
    """Runs a command to its end."""
    options = {"env": environment(), **options}
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SEC, **options)


def call(command: Sequence[object], cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Runs a command of the project to its end in this process, which has imported TensorFlow already.

    That saves seconds. `run` and `start` are for what depends on the process: signals that end it, its
    devices, modules that it must not import, an export that is loaded by nothing but TensorFlow.

    Args:
      command: Python, `-m`, a module and its flags, as `run` takes them.
      cwd: the working directory meanwhile. None stays in this one.
    """
    module, *arguments = map(str, command[2:])
    stdout, stderr = io.StringIO(), io.StringIO()
    at_sigterm = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [module, *arguments])
        patch.chdir(cwd or Path.cwd())
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            with pytest.raises(SystemExit) as end:
                runpy.run_module(module, run_name="__main__", alter_sys=True)
    signal.signal(signal.SIGTERM, at_sigterm)
    return subprocess.CompletedProcess(
        [*map(str, command)], end.value.code, stdout.getvalue(), stderr.getvalue()
    )


def last_line(process: subprocess.CompletedProcess) -> str:
    """Returns the last line of standard error."""
    return process.stderr.strip().splitlines()[-1]


def wait_until(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    """Waits until something is true that a running process brings about."""
    deadline = time.monotonic() + TIMEOUT_SEC
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def read_metrics(workdir: Path) -> list[dict[str, float]]:
    """Returns the lines of metrics.jsonl without the speed, which no two runs share."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    metrics = [json.loads(line) for line in lines if line.endswith("\n")]
    return [
        {name: value for name, value in line.items() if name != "training/images_per_sec"} for line in metrics
    ]


def read_state(workdir: Path, step: int) -> dict[str, np.ndarray]:
    """Returns every value of a checkpoint: weights, both optimizers, the step."""
    reader = tf.train.load_checkpoint(str(workdir / "checkpoints" / f"step-{step:08d}" / "state"))
    names = [name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    return {name: reader.get_tensor(name) for name in names}


def assert_same_state(state: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Compares two checkpoints bit for bit."""
    assert state.keys() == expected.keys()
    different = [name for name in expected if state[name].tobytes() != expected[name].tobytes()]
    assert not different


@contextlib.contextmanager
def full_disk(num_bytes: int) -> Iterator[None]:
    """Lets no file of this process grow beyond so many bytes, which acts like a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def record_autotuning(monkeypatch) -> list[bool]:
    """Returns a list that gets, for each new iterator of tf.data, whether TensorFlow would tune it."""
    tuned: list[bool] = []
    for iterator in (iterator_ops.OwnedIterator, multi_device_iterator_ops.OwnedMultiDeviceIterator):

        def begin(self, dataset=None, *others, _begin=iterator.__init__, **named):
            if dataset is not None:
                tuned.append(dataset.options().autotune.enabled is not False)
            _begin(self, dataset, *others, **named)

        monkeypatch.setattr(iterator, "__init__", begin)
    return tuned
