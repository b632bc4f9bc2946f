"""The two images of a pair have one size, or the input image is resized to the size of its target."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs
from tfpix2pix.config import config
from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.tasks.tasks import Task
from tfpix2pix.run import splits

RANDOM = np.random.default_rng(0)


def _draw(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def _write(folder, **images: np.ndarray) -> None:
    for split in ("train", "val"):
        for name, image in images.items():
            runs.write_image(folder / f"mine/{split}/{name.replace('_', '/')}.png", image)


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


@pytest.mark.parametrize("cache_mib", [64, 0])
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_the_input_gets_the_size_of_the_target(tmp_path, cache_mib, direction):
    small, large, same = _draw(6, 8, 3), _draw(24, 30, 3), _draw(10, 12, 3)
    sides = ("input", "target") if direction == "AtoB" else ("target", "input")
    _write(tmp_path, **{f"{sides[0]}_1": small, f"{sides[1]}_1": large})
    _write(tmp_path, **{f"{sides[0]}_2": large, f"{sides[1]}_2": small})
    _write(tmp_path, **{f"{sides[0]}_3": same, f"{sides[1]}_3": same})
    source = datasets.open_split(
        "mine",
        "train",
        data_dir=tmp_path,
        direction=direction,
        cache_mib=cache_mib,
        resize_input_to_target=True,
    )
    expected = [(_resize(small, (24, 30)), large), (_resize(large, (6, 8)), small), (same, same)]
    for index, (input_image, target_image) in enumerate(expected):
        images = source.read(tf.constant(index, tf.int64))
        assert [image.dtype for image in images] == [tf.uint8, tf.uint8]
        np.testing.assert_allclose(images[0].numpy().astype(int), input_image.astype(int), atol=1)
        np.testing.assert_array_equal(images[1], target_image)
    np.testing.assert_array_equal(images[0], same)
    (batch,) = build_dataset(source, image_size=(12, 12), batch_size=3, training=False)
    assert batch["input_image"].shape == batch["target_image"].shape == (3, 12, 12, 3)


def test_depth_and_channels_are_kept(tmp_path):
    _write(tmp_path, input_1=_draw(4, 4, 1, dtype=np.uint16), target_1=_draw(8, 8, 3))
    source = datasets.open_split(
        "mine", "val", data_dir=tmp_path, task=Task((1, 3)), resize_input_to_target=True
    )
    image, target = source.read(tf.constant(0, tf.int64))
    assert (image.shape, image.dtype, target.dtype) == ((8, 8, 1), tf.uint16, tf.uint8)


def test_the_error_names_the_setting(tmp_path):
    _write(tmp_path, input_1=_draw(6, 8, 3), target_1=_draw(24, 32, 3))
    settings = runs.tiny_config(tmp_path, dataset="mine")
    with pytest.raises(BadImageError, match="input/1.png is 8x6 and .*target/1.png is 32x24.*"):
        splits.open_split(settings, "train")
    with pytest.raises(BadImageError, match="same size, unless `resize_input_to_target` is set"):
        splits.open_split(settings, "train")
    settings = runs.tiny_config(tmp_path, dataset="mine", resize_input_to_target=True)
    assert len(splits.open_split(settings, "train")) == 1
    assert config.from_json(settings.to_json()).resize_input_to_target


def test_a_run_of_an_older_version_has_it_off(tmp_path):
    text = runs.tiny_config(tmp_path).to_json()
    assert '"resize_input_to_target": false' in text
    older = text.replace('"resize_input_to_target": false,', "")
    assert not config.from_json(older).resize_input_to_target
