"""Pairs that a caller gives: every kind holds the same ones, and each fault is told with its remedy."""

import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.given import Wish, open_given
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.files.sources import from_arrays
from tfpix2pix.pipelines.tasks.tasks import Task, make_task

DRAW = np.random.default_rng(0)
INPUTS = DRAW.integers(0, 256, (3, 4, 6, 3), np.uint8)
TARGETS = DRAW.integers(0, 256, (3, 4, 6, 3), np.uint8)


class Rows:
    """What has a length and an index, as a split of Hugging Face's datasets."""

    def __init__(self, rows):
        self._rows = rows

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, index):
        assert type(index) is int  # other types are columns and slices to such a split
        return self._rows[index]


def take(data, argument="train", **settings):
    wish = {"task": Task((3, 3)), "direction": "AtoB", "cache_mib": 1, "is_stream": argument == "train"}
    return open_given(data, Wish(argument, **{**wish, **settings}))


def rows(first="input_image", second="target_image", make=lambda image: image):
    return Rows([{first: make(a), second: make(b), "id": 7} for a, b in zip(INPUTS, TARGETS, strict=True)])


def dataset(**named):
    return tf.data.Dataset.from_tensor_slices(named or (INPUTS, TARGETS))


def split():
    """Returns a split of Hugging Face's datasets."""
    datasets = pytest.importorskip("datasets", reason="the extra [datasets] is not installed")
    columns = {"imageA": INPUTS, "imageB": TARGETS}
    images = {name: [Image.fromarray(pixels) for pixels in column] for name, column in columns.items()}
    features = datasets.Features({name: datasets.Image() for name in images})
    return datasets.Dataset.from_dict(images, features=features)


KINDS = {
    "source": lambda: from_arrays(INPUTS, TARGETS),
    "arrays": lambda: (INPUTS, TARGETS),
    "list of tensors": lambda: [tf.constant(INPUTS), tf.constant(TARGETS)],
    "dict of arrays": lambda: {"input": INPUTS, "target": TARGETS},
    "list of pairs": lambda: list(zip(INPUTS, TARGETS, strict=True)),
    "rows of arrays": rows,
    "rows of Pillow's images": lambda: rows("input", "target", Image.fromarray),
    "rows by letters": lambda: rows("imageA", "imageB"),
    "split of Hugging Face's datasets": split,
    "dataset of pairs": dataset,
    "dataset of dicts": lambda: dataset(input_image=INPUTS, target_image=TARGETS, other=INPUTS),
    "dataset of batches": lambda: dataset().batch(3, drop_remainder=True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_validates_the_same_pairs(kind):
    source = take(KINDS[kind](), "validation")
    assert source.example_ids == ("0", "1", "2")
    assert source.dtypes == (tf.uint8, tf.uint8)
    (batch,) = build_dataset(source, image_size=(4, 6), batch_size=3, training=False)
    np.testing.assert_allclose(batch["input_image"], INPUTS / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(batch["target_image"], TARGETS / 127.5 - 1, atol=1e-6)


def test_letters_follow_the_direction():
    source = take(rows("A", "B"), direction="BtoA")
    np.testing.assert_array_equal(source.read(tf.constant(1, tf.int64))[0], TARGETS[1])


def test_gray_and_deep_and_float_images_are_read_as_files_are():
    gray, deep = Image.fromarray(INPUTS[0, ..., 0]), INPUTS[0].astype(np.uint16) * 257
    source = take(Rows([(gray, deep)]))
    read = source.read(tf.constant(0, tf.int64))
    assert source.dtypes == (tf.uint8, tf.uint16)
    np.testing.assert_array_equal(read[0], np.repeat(INPUTS[0, ..., :1], 3, -1))
    np.testing.assert_array_equal(read[1], deep)
    floats = take((INPUTS / 127.5 - 1, TARGETS))
    assert floats.dtypes == (tf.float32, tf.uint8)


def stream_ids(source, steps, start_step=0):
    batches = build_dataset(
        source, image_size=(4, 6), batch_size=2, training=True, start_step=start_step
    ).take(steps)
    return [[name.decode() for name in batch["example_id"].numpy()] for batch in batches]


def test_batches_of_which_the_last_is_smaller_are_counted(capfd):
    source = take(dataset().batch(2))
    assert source.example_ids == ("0", "1", "2")
    assert "counting the pairs of `train`, which comes in batches" in capfd.readouterr().err
    assert stream_ids(source, 3) == [["0", "1"], ["2", "0"], ["1", "2"]]
    assert len(take(dataset().batch(3, drop_remainder=True))) == 3
    assert "counting" not in capfd.readouterr().err


def test_a_dataset_is_trained_on_in_its_order_across_epochs(capfd):
    source = take(dataset())
    assert "is a tf.data.Dataset, which cannot be read by an index" in capfd.readouterr().err
    assert stream_ids(source, 3) == [["0", "1"], ["2", "0"], ["1", "2"]]
    first = next(iter(build_dataset(source, image_size=(4, 6), batch_size=2, training=True)))
    np.testing.assert_allclose(first["input_image"], INPUTS[:2] / 127.5 - 1, atol=1e-6)


def test_a_stream_is_not_shared_by_workers():
    with pytest.raises(ValueError, match="several input workers cannot share"):
        build_dataset(take(dataset()), image_size=(4, 6), batch_size=1, training=True, num_shards=2)


def _floats(scale):
    return (INPUTS / 255 * scale, TARGETS)


REFUSED = {
    "floats to 255": (
        lambda: _floats(255),
        r"input images of `train`: .*floats from .* `images / 127.5 - 1`",
    ),
    "floats to 65535": (lambda: _floats(65535), r"`images / 32767.5 - 1`"),
    "other floats": (lambda: _floats(-9), r"stand for the range \[-1, 1\]: scale them"),
    "integers": (
        lambda: (INPUTS.astype(np.int64), TARGETS),
        r'holds int64 from .*`images.astype\("uint8"\)`',
    ),
    "booleans": (
        lambda: (INPUTS, TARGETS > 9),
        r'target images of `train`: .*`images.astype\("uint8"\) \* 255`',
    ),
    "no channels": (lambda: (INPUTS[..., 0], TARGETS), r"`images\[..., None\]`"),
    "other numbers": (lambda: (INPUTS[:2], TARGETS), r"`train` must have equal N, H and W"),
    "channels": (
        lambda: (INPUTS[..., :1], TARGETS),
        r"`train` has input images of 1 and .*input_channels=1, ",
    ),
    "unknown keys": (
        lambda: rows("photo", "label"),
        r"^`train` has the keys photo, label, id: name .*input_image",
    ),
    "float rows": (lambda: Rows([_floats(255)[0][:1].repeat(2, 0)]), r"`train` must hold pairs"),
    "integer rows": (lambda: Rows([(INPUTS[0].tolist(), TARGETS[0])]), r"`train\[0\]`: holds int64"),
    "sizes in a row": (
        lambda: Rows([(INPUTS[0], TARGETS[0, 1:])]),
        r"`train\[0\]`: its images differ in size",
    ),
    "float dataset": (lambda: dataset(input=_floats(255)[0], target=TARGETS), r"`images / 127.5 - 1`"),
    "endless": (lambda: dataset().repeat(), r"`train` has no end: leave out `repeat\(\)`"),
    "no length": (
        lambda: dataset().filter(lambda a, b: True),
        r"`train` does not tell its length: end it with `.apply\(tf.data.experimental.assert_cardinality",
    ),
    "batches without a length": (
        lambda: dataset().filter(lambda a, b: True).batch(2),
        r"`train` does not tell its length: end it with `.unbatch\(\)` and `.apply\(",
    ),
    "ranks": (lambda: dataset().map(lambda a, b: (a[..., 0], b)), r"images \[H, W, C\], or batches"),
    "single images": (
        lambda: tf.data.Dataset.from_tensor_slices(INPUTS),
        r"must hold pairs \(input, target\)",
    ),
    "nothing": (lambda: [], r"`train` holds no pairs"),
    "a path": (lambda: "datasets/mine", r"`train` takes a Source, .*Received: str"),
    "splits": (lambda: {"train": rows(), "test": rows()}, r"Received: dict with train, test"),
    "a generator": (lambda: iter([]), r"`train` takes a Source"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_trained_on_is_told_with_its_remedy(what):
    make, message = REFUSED[what]
    with pytest.raises(UsageError, match=message):
        take(make())


def test_floats_from_0_to_1_are_warned_of(capfd):
    for make in (lambda: _floats(1), lambda: dataset(input=_floats(1)[0], target=TARGETS)):
        take(make())
        assert re.search(r"the input images of .*train.* hold floats from 0.* to 1, ", capfd.readouterr().err)


def test_pairs_do_not_go_with_tasks_that_take_photos():
    for data in ((INPUTS, TARGETS), from_arrays(INPUTS, TARGETS)):
        with pytest.raises(UsageError, match="task=colorize"):
            take(data, task=make_task("colorize", (1, 2)))


def test_a_validation_that_is_too_large_for_memory_is_refused():
    with pytest.raises(UserError, match=r"`validation` .* more than 0 MiB after 1 pair: give `.take\(N\)`"):
        take(dataset(), "validation", cache_mib=0)


def test_a_bad_pair_is_named_when_it_is_reached():
    pairs = [(INPUTS[0], TARGETS[0])] * 8 + [(INPUTS[0], np.zeros((2, 2, 3), np.uint8))]
    source = take(Rows(pairs))
    with pytest.raises(BadImageError, match=r"train\[8\]: its images differ in size"):
        with source.naming_bad_files():
            list(build_dataset(source, image_size=(4, 6), batch_size=1, training=False))
