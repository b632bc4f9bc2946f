"""Pixels in memory: one budget for all stages and splits, and pairs that are kept when they are read."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import runs
from tfpix2pix.pipelines.batches import build_dataset, keep_resized
from tfpix2pix.pipelines.files import memory, sources
from tfpix2pix.pipelines.files.memory import Room

MIB = 2**20
PAIR_BYTES = 32 * 64 * 3  # decoded
RESIZED_BYTES = 2 * 16 * 16 * 3 * 4


@pytest.fixture
def folder(tmp_path):
    return runs.write_dataset(tmp_path / "set", train=6, val=4)


@pytest.fixture
def many(monkeypatch):
    """Takes any set for one of very many files."""
    monkeypatch.setattr(memory, "_QUICK_PX", 0)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The stream of the files of `folder`, of which nothing but decoded images is kept."""
    folder = runs.write_dataset(tmp_path_factory.mktemp("expected") / "set", train=6)
    return _stream(sources.open_source(folder, "train", "AtoB"))


def _room(num_bytes):
    return Room(num_bytes / MIB)


def _stream(source, count=14):
    batches = build_dataset(
        source, image_size=(8, 8), load_size=(16, 16), batch_size=1, training=True, mirror=True
    )
    return [batch["input_image"].numpy() for batch in batches.take(count)]


def test_splits_share_one_budget(folder):
    room = _room(7 * PAIR_BYTES)
    train = sources.open_source(folder, "train", "AtoB", cache_mib=room)
    val = sources.open_source(folder, "val", "AtoB", cache_mib=room)
    assert room.left_bytes == PAIR_BYTES
    assert not train.files and len(val.files) == 4  # one is in memory, and the other is read from its files


@pytest.mark.parametrize(
    "num_bytes, keeps_decoded, is_resized",
    [
        (6 * (PAIR_BYTES + RESIZED_BYTES), True, True),
        (6 * (PAIR_BYTES + RESIZED_BYTES) - 1, False, True),
        (6 * RESIZED_BYTES, False, True),
        (6 * RESIZED_BYTES - 1, False, False),
    ],
)
def test_resized_images_come_before_decoded_ones(folder, expected, num_bytes, keeps_decoded, is_resized):
    room = _room(num_bytes)
    source = sources.open_source(folder, "train", "AtoB", cache_mib=room, keep_size=(16, 16))
    assert bool(source.plan.store) == keeps_decoded
    kept = keep_resized(source, (16, 16), room)
    assert (kept is not source) == is_resized
    # Decoded images are given up for the resized ones.
    assert room.left_bytes == num_bytes - (6 * RESIZED_BYTES if is_resized else 0)
    if is_resized:
        np.testing.assert_array_equal(_stream(kept), expected)


@pytest.mark.parametrize("mib, stage", [(1, "resized"), (6 * PAIR_BYTES / MIB, "decoded"), (0, "none")])
def test_very_many_pairs_are_kept_when_they_are_read_first(folder, expected, many, mib, stage):
    room, size = Room(mib), (16, 16) if stage != "decoded" else (32, 48)
    source = sources.open_source(folder, "train", "AtoB", cache_mib=room, keep_size=size)
    source = keep_resized(source, size, room)
    assert len(source.files) == 6
    # One epoch reads all files, and after that they are needed no more.
    np.testing.assert_array_equal(_stream(source), expected)
    if stage != "none":
        for (file,) in source.files:
            file.unlink()
        np.testing.assert_array_equal(_stream(source), expected)


def test_damage_among_very_many_pairs_is_named_when_it_is_reached(folder, many):
    file = folder / "train/train-2.png"
    file.write_bytes(file.read_bytes()[:-500])
    source = sources.open_source(folder, "train", "AtoB")
    assert [image.shape for image in source.read(tf.constant(0, tf.int64))] == [(32, 32, 3)] * 2
    with pytest.raises(sources.BadImageError, match="train-2.png is damaged or cut short"):
        with source.naming_bad_files([2]):
            source.read(tf.constant(2, tf.int64))
