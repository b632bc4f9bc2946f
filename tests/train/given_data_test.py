"""Trainings on pairs that the caller gives: the same as on files, resumed, recorded, refused."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.train.training import train_and_evaluate


class Rows(list):
    """Pairs with an index, which `isinstance` does not take for a pair of arrays."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def arrays(data_dir):
    """The pairs of the folder as input and target images, of each split; the input is on the left."""
    splits = {}
    for split in ("train", "val"):
        files = sorted((data_dir / split).iterdir())
        images = np.stack([np.asarray(Image.open(file)) for file in files])
        splits[split] = (images[:, :, :32], images[:, :, 32:])
    return splits


def dataset(sides):
    return tf.data.Dataset.from_tensor_slices(sides)


@pytest.fixture(scope="module")
def on_files(data_dir, tmp_path_factory):
    """The state after three steps on the files of the same pairs."""
    workdir = tmp_path_factory.mktemp("files")
    result = train_and_evaluate(runs.tiny_config(data_dir, steps=3), workdir)
    return runs.read_state(workdir, 3), result.scores


@pytest.mark.slow
def test_arrays_train_as_their_files_do_and_resume_bit_for_bit(data_dir, arrays, on_files, tmp_path):
    for steps in (2, 3):
        config = runs.tiny_config("nowhere", steps=steps)
        result = train_and_evaluate(config, tmp_path, train=arrays["train"], validation=arrays["val"])
    runs.assert_same_state(runs.read_state(tmp_path, 3), on_files[0])
    assert result.scores == on_files[1]
    with pytest.raises(UsageError, match=r"was trained with builtins.tuple; give it as `train` to go on"):
        train_and_evaluate(runs.tiny_config(data_dir, steps=4), tmp_path)


def test_rows_train_as_arrays_do(arrays, on_files, tmp_path):
    rows, validation = (Rows(zip(*arrays[split], strict=True)) for split in ("train", "val"))
    train_and_evaluate(runs.tiny_config("nowhere", steps=3), tmp_path, train=rows, validation=validation)
    runs.assert_same_state(runs.read_state(tmp_path, 3), on_files[0])


@pytest.mark.slow
def test_a_run_on_a_dataset_says_that_it_does_not_resume_exactly(arrays, tmp_path, capfd, monkeypatch):
    tuned = runs.record_autotuning(monkeypatch)
    for steps in (1, 2):
        config = runs.tiny_config("nowhere", steps=steps, summary_every_steps=1)
        given = {"train": dataset(arrays["train"]), "validation": dataset(arrays["val"])}
        assert train_and_evaluate(config, tmp_path, **given).step == steps
    assert tuned and not any(tuned)
    assert capfd.readouterr().err.count("goes on begins it anew") == 2
    told = json.loads((tmp_path / "config.json").read_text())
    assert told["training_set"]["resumes_exactly"] is False
    assert sorted(told["own"]) == ["train", "validation"]
    assert describe_run(tmp_path, config, 2)["resumes_exactly"] is False
    assert all(np.isfinite(line.get("training/l1_loss", 0)) for line in runs.read_metrics(tmp_path))


def test_data_without_a_validation_are_refused_and_leave_no_run(arrays, tmp_path):
    with pytest.raises(UsageError, match="`validation` is missing"):
        train_and_evaluate(runs.tiny_config("nowhere", steps=1), tmp_path / "run", train=arrays["train"])
    with pytest.raises(UsageError, match=r"input images of `train`: an image holds int32"):
        train_and_evaluate(
            runs.tiny_config("nowhere", steps=1),
            tmp_path / "run",
            train=(arrays["train"][0].astype(np.int32), arrays["train"][1]),
            validation=arrays["val"],
        )
    assert not (tmp_path / "run").exists()
