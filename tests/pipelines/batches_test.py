"""The pipeline's promises: alignment, epochs, addresses of draws, shards, evaluation."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.batches import build_dataset, example_indices, keep_resized
from tfpix2pix.pipelines.files import generated, sources
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.tasks import tasks

ROOT = Path(__file__).resolve().parents[2]
NUM_PAIRS = 7
JITTERED: dict[str, Any] = {"image_size": (8, 12), "load_size": (10, 15), "mirror": True, "training": True}
PLAIN: dict[str, Any] = {"image_size": (8, 12), "training": True}


@pytest.fixture(scope="module")
def source() -> sources.Source:
    """Pairs whose target is the negative of their input."""
    images = np.random.default_rng(0).integers(0, 256, (NUM_PAIRS, 8, 12, 3), dtype=np.uint8)
    return sources.from_arrays(images, 255 - images)


def _take(dataset: tf.data.Dataset, count: int) -> list[dict[str, np.ndarray]]:
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def _join(batches: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}


def _assert_equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_batches_have_known_shapes_and_ranges(source):
    dataset = build_dataset(source, batch_size=2, **JITTERED)
    assert dataset.element_spec == {
        "input_image": tf.TensorSpec([2, 8, 12, 3], tf.float32),
        "target_image": tf.TensorSpec([2, 8, 12, 3], tf.float32),
        "noise_seed": tf.TensorSpec([2, 2], tf.int32),
        "example_id": tf.TensorSpec([2], tf.string),
    }
    stream = _join(_take(dataset, 10))
    for key in ("input_image", "target_image"):
        assert -1.0 <= stream[key].min() < -0.9
        assert 0.9 < stream[key].max() <= 1.0


def test_pairs_stay_aligned_under_jitter_and_mirror(source):
    stream = _join(_take(build_dataset(source, batch_size=3, **JITTERED), 10))
    np.testing.assert_allclose(stream["input_image"], -stream["target_image"], atol=1e-5)
    views = {image.tobytes() for image in stream["input_image"]}
    assert len(views) > 25


def _class_source() -> sources.Source:
    """Photos whose red level is ten times the class id of the pixel."""
    ids = np.random.default_rng(1).integers(0, 25, (NUM_PAIRS, 8, 12), dtype=np.uint8)
    photos = tf.constant(np.stack([ids * 10] * 3, axis=-1))
    return sources.Source(tuple("abcdefg"), lambda index: (photos[index], tf.constant(ids)[index]))


def test_class_ids_are_moved_with_the_photo_and_never_blended():
    same_size = {**JITTERED, "image_size": (4, 5), "load_size": (8, 12)}
    dataset = build_dataset(_class_source(), batch_size=3, class_targets=True, **same_size)
    assert dataset.element_spec["target_ids"] == tf.TensorSpec([3, 4, 5], tf.uint8)
    assert "target_image" not in dataset.element_spec
    stream = _join(_take(dataset, 10))
    levels = (stream["input_image"][..., 0] + 1) * 127.5
    np.testing.assert_allclose(levels, stream["target_ids"] * 10.0, atol=1e-3)
    assert len({ids.tobytes() for ids in stream["target_ids"]}) > 25


@pytest.mark.parametrize("training", [True, False])
def test_class_ids_of_another_size_take_the_nearest_pixel(training):
    options = {"image_size": (16, 36), "batch_size": 7, "training": training, "class_targets": True}
    (batch,) = _take(build_dataset(_class_source(), **options), 1)
    whole = {name: ids for name, ids in zip(batch["example_id"], batch["target_ids"], strict=True)}
    for index, name in enumerate("abcdefg"):
        ids = _class_source().read(tf.constant(index))[1].numpy()
        np.testing.assert_array_equal(whole[name.encode()], ids.repeat(2, 0).repeat(3, 1))


def test_every_epoch_sees_each_example_once_in_a_new_order(source):
    stream = _join(_take(build_dataset(source, batch_size=2, **PLAIN), 14))
    epochs = stream["example_id"].reshape(4, NUM_PAIRS)
    for epoch in epochs:
        assert sorted(epoch) == [b"0", b"1", b"2", b"3", b"4", b"5", b"6"]
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_mirror_alone_flips_some_and_only_flips(source):
    stream = _join(_take(build_dataset(source, batch_size=1, mirror=True, **PLAIN), 28))
    (whole,) = _take(build_dataset(source, image_size=(8, 12), batch_size=7, training=False), 1)
    flips = 0
    for name, image in zip(stream["example_id"], stream["input_image"], strict=True):
        original = whole["input_image"][int(name)]
        flipped = np.array_equal(image, original[:, ::-1])
        assert flipped or np.array_equal(image, original)
        flips += flipped
    assert 5 <= flips <= 23


def test_an_example_looks_different_in_the_next_epoch(source):
    stream = _join(_take(build_dataset(source, batch_size=7, **JITTERED), 6))
    for name in (b"0", b"6"):
        views = {image.tobytes() for image in stream["input_image"][stream["example_id"] == name]}
        assert len(views) > 3


@pytest.mark.parametrize("start_step", [1, 5, 23])
def test_starting_at_a_step_equals_skipping_to_it(source, start_step):
    options = dict(batch_size=2, seed=4, **JITTERED)
    expected = _take(build_dataset(source, **options).skip(start_step), 6)
    started = _take(build_dataset(source, start_step=start_step, **options), 6)
    _assert_equal(_join(started), _join(expected))


def test_starting_late_is_immediate(source):
    (batch,) = _take(build_dataset(source, batch_size=2, start_step=10**12, **JITTERED), 1)
    assert batch["noise_seed"][0, 1] == 2 * 10**12 % 2**31


def test_shards_make_up_the_single_stream(source):
    single = _take(build_dataset(source, batch_size=4, seed=2, start_step=3, **JITTERED), 5)
    shards = [
        _take(
            build_dataset(
                source, batch_size=2, seed=2, start_step=3, num_shards=2, shard_index=place, **JITTERED
            ),
            5,
        )
        for place in range(2)
    ]
    for step in range(5):
        _assert_equal(_join([shards[0][step], shards[1][step]]), single[step])


def test_replica_batches_of_a_shard_follow_each_other(source):
    single = _take(build_dataset(source, batch_size=8, seed=2, **JITTERED), 3)
    options = dict(batch_size=2, num_shards=2, global_batch_size=8, seed=2, **JITTERED)
    first, second = (_take(build_dataset(source, shard_index=place, **options), 6) for place in range(2))
    for step in range(3):
        parts = [*first[2 * step : 2 * step + 2], *second[2 * step : 2 * step + 2]]
        _assert_equal(_join(parts), single[step])


def test_example_indices_are_those_of_the_stream(source):
    options = dict(batch_size=3, seed=9, **PLAIN)
    for step, batch in enumerate(_take(build_dataset(source, **options), 8)):
        indices = example_indices(step, 9, NUM_PAIRS, 3)
        np.testing.assert_array_equal(indices, batch["example_id"].astype(int))


def test_the_order_is_the_same_for_ever():
    # Changing these breaks resumed runs.
    assert example_indices(0, 0, 7, 7).tolist() == [3, 0, 1, 2, 5, 6, 4]
    assert example_indices(1, 0, 7, 7).tolist() == [2, 3, 6, 0, 5, 4, 1]


def test_seeds_change_order_views_and_noise(source):
    streams = [_join(_take(build_dataset(source, batch_size=7, seed=seed, **JITTERED), 2)) for seed in (0, 1)]
    assert streams[0]["example_id"].tolist() != streams[1]["example_id"].tolist()
    assert set(streams[0]["noise_seed"][:, 0]) != set(streams[1]["noise_seed"][:, 0])
    views = [
        {image.tobytes() for image in stream["input_image"][stream["example_id"] == b"3"]}
        for stream in streams
    ]
    assert views[0] != views[1]


def test_noise_seeds_of_training_never_repeat_and_do_not_depend_on_the_data(source):
    black = np.zeros((3, 8, 12, 3), np.uint8)
    other = sources.from_arrays(black, black)
    streams = [_join(_take(build_dataset(each, batch_size=4, **PLAIN), 9)) for each in (source, other)]
    seeds = streams[0]["noise_seed"]
    assert len({tuple(seed) for seed in seeds}) == 36
    assert seeds[:, 1].tolist() == list(range(36))
    assert (seeds >= 0).all()
    np.testing.assert_array_equal(seeds, streams[1]["noise_seed"])


@pytest.mark.parametrize("seed", [0, 5, -1, 2**40 + 5])
def test_evaluation_sees_each_example_once_in_order(source, seed):
    dataset = build_dataset(source, image_size=(8, 12), batch_size=3, training=False, seed=seed)
    batches = _take(dataset, 100)
    assert [len(batch["example_id"]) for batch in batches] == [3, 3, 1]
    whole = _join(batches)
    assert whole["example_id"].tolist() == [b"0", b"1", b"2", b"3", b"4", b"5", b"6"]
    assert whole["noise_seed"][:, 1].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert set(whole["noise_seed"][:, 0]) == {{0: 0, 5: 5, -1: 2**31 - 1, 2**40 + 5: 5}[seed]}
    original = source.read(tf.constant(4, tf.int64))[0].numpy()
    np.testing.assert_allclose(whole["input_image"][4], original / 127.5 - 1.0, atol=1e-6)


def test_evaluation_resizes_the_whole_image():
    ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8)[None, None, :, None], (1, 16, 1, 3))
    source = sources.from_arrays(ramp, ramp)
    (batch,) = _take(build_dataset(source, image_size=(8, 8), batch_size=1, training=False), 1)
    middle = (batch["input_image"][0, 4, 2:6, 0] + 1.0) * 127.5
    np.testing.assert_allclose(middle, [45.0, 65.0, 85.0, 105.0], atol=1e-3)


@pytest.mark.parametrize("num_pairs", [1, 2])
def test_tiny_sets(num_pairs):
    images = np.zeros((num_pairs, 8, 12, 3), np.uint8)
    stream = _join(_take(build_dataset(sources.from_arrays(images, images), batch_size=4, **PLAIN), 3))
    names, counts = np.unique(stream["example_id"], return_counts=True)
    assert names.tolist() == [b"0", b"1"][:num_pairs]
    assert set(counts) == {12 // num_pairs}


LAYOUTS = {"side_by_side": ["{}.jpg"], "two_folders": ["input/{}.jpg", "target/{}.png"]}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_reading_again_equals_memory(tmp_path, layout):
    rng = np.random.default_rng(0)
    for place, (height, width) in enumerate([(20, 24), (10, 16), (31, 40)]):
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for name in LAYOUTS[layout]:
            file = tmp_path / "train" / name.format(place)
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(file)
    streams = [
        _join(_take(build_dataset(source, batch_size=2, **JITTERED), 6))
        for source in (sources.open_source(tmp_path, "train", "AtoB", cache_mib=mib) for mib in (64, 0))
    ]
    _assert_equal(*streams)


def _write_pairs(folder: Path, sizes: list[tuple[int, int]]) -> None:
    """Writes side-by-side PNG files of noise; sizes are (height, width) of a file."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for place, (height, width) in enumerate(sizes):
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"{place}.png")


def _assert_same_streams(source: sources.Source, kept: sources.Source, **options) -> None:
    assert kept is not source
    streams = [_take(build_dataset(each, batch_size=2, **options), 8) for each in (source, kept)]
    _assert_equal(*map(_join, streams))


@pytest.mark.parametrize("cache_mib", [64, 0])
def test_resizing_beforehand_changes_no_bit(tmp_path, cache_mib):
    _write_pairs(tmp_path / "train", [(20, 24), (10, 16), (31, 40), (10, 30)])
    source = sources.open_source(tmp_path, "train", "AtoB", cache_mib=cache_mib)
    kept = keep_resized(source, (10, 15), cache_mib=1)
    assert [image.shape for image in kept.read(tf.constant(1))] == [(10, 15, 3)] * 2
    _assert_same_streams(source, kept, **JITTERED)
    shutil.rmtree(tmp_path / "train")
    _take(build_dataset(kept, batch_size=4, **JITTERED), 1)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_resizing_beforehand_keeps_ranges(dtype):
    levels = np.random.default_rng(0).integers(0, 65536, (2, 3, 9, 14, 1), dtype=np.uint16)
    images = levels if dtype == np.uint16 else levels / np.float32(32767.5) - 1
    source = sources.from_arrays(*images)
    _assert_same_streams(source, keep_resized(source, (10, 15), cache_mib=1), **JITTERED)
    _assert_same_streams(source, keep_resized(source, (8, 12), cache_mib=1), **PLAIN)


def test_resizing_beforehand_of_photos_alone():
    source = generated.open_synthetic("train", "AtoB", 2, (32, 32), task=tasks.make_task("inpaint"))
    kept = keep_resized(source, (40, 40), cache_mib=1)
    _assert_same_streams(source, kept, image_size=(32, 32), load_size=(40, 40), mirror=True, training=True)


def test_without_room_images_are_resized_again():
    photos = sources.from_arrays(*np.zeros((2, 5, 8, 8, 3), np.uint8))
    # 2 x 5 images of 128 x 128 x 3 floats are 1.875 MiB.
    assert keep_resized(photos, (128, 128), cache_mib=1) is photos
    assert keep_resized(photos, (128, 128), cache_mib=2) is not photos


def test_damage_is_named_when_resizing_beforehand(tmp_path):
    _write_pairs(tmp_path / "train", [(20, 24), (60, 80)])
    damaged = tmp_path / "train/1.png"
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    source = sources.open_source(tmp_path, "train", "AtoB", cache_mib=0)
    with pytest.raises(BadImageError) as error:
        keep_resized(source, (10, 15), cache_mib=1)
    assert str(error.value) == f"{damaged} is damaged or cut short and cannot be decoded"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(batch_size=3, num_shards=2, global_batch_size=8), "multiple of num_shards"),
        (dict(batch_size=1, load_size=(8, 11)), "load_size must be at least image_size"),
    ],
)
def test_sizes_that_do_not_go_together(source, options, message):
    with pytest.raises(ValueError, match=message):
        build_dataset(source, **PLAIN, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": "64"}, "image_size must be N or (height, width) in pixels. Received: '64'"),
        ({"image_size": (8, 0)}, "image_size must be N or (height, width) in pixels. Received: (8, 0)"),
        ({"load_size": "10"}, "load_size must be N or (height, width) in pixels. Received: '10'"),
        ({"batch_size": 0}, "batch_size must be at least 1. Received: 0"),
        ({"num_shards": 0}, "num_shards must be at least 1. Received: 0"),
    ],
)
def test_arguments_that_are_none_are_named(source, options, message):
    with pytest.raises(ValueError) as error:
        build_dataset(source, **{**PLAIN, "batch_size": 1, **options})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "foo"}, "split must be one of train, val, test. Received: foo"),
        ({"image_size": "64"}, "image_size must be N or (height, width) in pixels. Received: '64'"),
        ({"direction": "left"}, "direction must be AtoB or BtoA. Received: left"),
        ({"on_bad_image": "ignore"}, "on_bad_image must be stop or skip. Received: ignore"),
    ],
)
def test_a_split_that_cannot_be_opened_names_the_argument(options, message):
    with pytest.raises(ValueError) as error:
        datasets.open_split("synthetic", **{"split": "train", **options})
    assert str(error.value) == message


IN_ANOTHER_PROCESS = """
import sys
import numpy as np
import tensorflow as tf
from tfpix2pix.pipelines import batches as pairs
from tfpix2pix.pipelines.files import generated, sources
from tfpix2pix.pipelines.tasks import tasks
from tfpix2pix.pipelines.files.image_files import BadImageError

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
images = np.random.default_rng(0).integers(0, 256, (7, 8, 12, 3), dtype=np.uint8)
source = sources.from_arrays(images, 255 - images)

def build(context):
    return pairs.build_dataset(
        source, image_size=(8, 12), load_size=(10, 15), mirror=True, training=True, seed=6,
        batch_size=context.get_per_replica_batch_size(4), global_batch_size=4,
        num_shards=context.num_input_pipelines, shard_index=context.input_pipeline_id)

batches = iter(strategy.distribute_datasets_from_function(build))
steps = []
for _ in range(5):
    replicas = {key: strategy.experimental_local_results(value) for key, value in next(batches).items()}
    steps.append({key: np.concatenate(values) for key, values in replicas.items()})
np.savez(sys.argv[1], **{key: np.concatenate([step[key] for step in steps]) for key in steps[0]})
"""


def test_another_process_with_two_replicas_sees_the_same_stream(source, tmp_path):
    result = tmp_path / "stream.npz"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, str(result)], env=environment, check=True, timeout=120
    )
    here = _join(_take(build_dataset(source, batch_size=4, seed=6, **JITTERED), 5))
    with np.load(result, allow_pickle=True) as there:
        _assert_equal(here, dict(there))


WINDOWS: dict[str, Any] = {"image_size": (4, 5), "resize": False, "training": True, "batch_size": 2}


def test_windows_are_cut_out_of_the_stored_pixels_at_every_place(source):
    stream = _join(_take(build_dataset(source, **WINDOWS), 400))
    images = [source.read(tf.constant(place, tf.int64))[0].numpy() for place in range(NUM_PAIRS)]
    windows = {
        image[top : top + 4, left : left + 5].tobytes(): (top, left)
        for image in images
        for top in range(5)
        for left in range(8)
    }
    found = np.rint((stream["input_image"] + 1) * 127.5).astype(np.uint8)
    places = [windows[window.tobytes()] for window in found]
    assert len(set(places)) == 5 * 8
    np.testing.assert_allclose(stream["target_image"], -stream["input_image"], atol=1e-6)


def test_windows_follow_from_the_seed_and_the_place_in_the_stream(source):
    stream = _take(build_dataset(source, seed=3, **WINDOWS), 9)
    later = _take(build_dataset(source, seed=3, start_step=5, **WINDOWS), 4)
    for one, other in zip(later, stream[5:], strict=True):
        _assert_equal(one, other)
    (other,) = _take(build_dataset(source, seed=4, **WINDOWS), 1)
    assert np.any(other["input_image"] != stream[0]["input_image"])


def test_images_below_the_window_are_mirrored_outwards(source):
    settings = {**WINDOWS, "image_size": (11, 12), "batch_size": 1}
    (batch,) = _take(build_dataset(source, **settings), 1)
    np.testing.assert_array_equal(batch["input_image"][0, 8:], batch["input_image"][0, 7:4:-1])


def test_evaluation_without_resizing_yields_whole_images(source):
    settings = {"image_size": (4, 5), "resize": False, "training": False}
    batches = list(build_dataset(source, batch_size=1, **settings))
    assert len(batches) == NUM_PAIRS
    for place, batch in enumerate(batches):
        image = source.read(tf.constant(place, tf.int64))[0].numpy()
        np.testing.assert_allclose(batch["input_image"][0], image / 127.5 - 1, atol=1e-6)
    with pytest.raises(ValueError, match="batch_size above 1 in evaluation does not go with resize=False"):
        build_dataset(source, batch_size=2, **settings)
    with pytest.raises(ValueError, match="load_size does not go with resize=False"):
        build_dataset(source, load_size=(8, 9), **WINDOWS)


def test_a_side_is_a_size():
    options = {"batch_size": 1, "training": False}
    source = datasets.open_split("synthetic", "val", image_size=32)
    (square,) = _take(build_dataset(source, image_size=(32, 32), **options), 1)
    (by_side,) = _take(build_dataset(source, image_size=32, **options), 1)
    np.testing.assert_array_equal(by_side["input_image"], square["input_image"])
    assert square["input_image"].shape == (1, 32, 32, 3)
