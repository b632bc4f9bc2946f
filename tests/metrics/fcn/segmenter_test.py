"""Opening segmentation networks: trained runs, any Keras file, and what is neither."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.metrics.fcn.segmenter import KerasSegmenter, load_segmenter
from tfpix2pix.pipelines.base.errors import UsageError, UserError


def _channel_scores(size=(None, None), channels=3, shrink=1, classes=3):
    """A network whose class is the channel that is the largest, at 1/`shrink` of the size."""
    images = keras.Input((*size, channels))
    scores = keras.layers.AveragePooling2D(shrink)(images) if shrink > 1 else images
    layer = keras.layers.Conv2D(classes, 1, use_bias=False)
    network = keras.Model(images, layer(scores))
    layer.set_weights([np.eye(channels, classes)[None, None]])
    return network


def _halves(side):
    """An image with a green left half and a blue right half."""
    image = np.full((side, side, 3), -1, np.float32)
    image[:, : side // 2, 1] = image[:, side // 2 :, 2] = 1
    ids = np.array([[1, 2]], np.uint8).repeat(side, 0).repeat(side // 2, 1)
    return image, ids


@pytest.mark.parametrize("shrink", [1, 4])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_keras_file(tmp_path, suffix, shrink):
    _channel_scores(shrink=shrink).save(tmp_path / f"net{suffix}")
    segmenter = load_segmenter(tmp_path / f"net{suffix}")
    assert (segmenter.num_classes, segmenter.title, segmenter.palette) == (3, f"net{suffix}", None)
    image, ids = _halves(16)
    found = segmenter(tf.constant([image, image[:, ::-1]]))
    assert found.dtype == tf.uint8
    np.testing.assert_array_equal(found, [ids, ids[:, ::-1]])


def test_a_network_of_a_fixed_size_gets_images_of_that_size():
    segmenter = KerasSegmenter(_channel_scores((8, 8)), "fixed")
    image, ids = _halves(32)
    np.testing.assert_array_equal(segmenter(image[None]), [ids])


def test_networks_of_other_shapes_are_refused():
    flat = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    two = keras.Model((images := keras.Input((8, 8, 3))), [images, images])
    cases = [flat, two, _channel_scores(channels=1, classes=2), _channel_scores(classes=1)]
    for network in cases:
        with pytest.raises(UserError, match=r"mine is not a segmenter: .* \[B, H, W, 3\] .* Received: \[\("):
            KerasSegmenter(network, "mine")


@pytest.mark.parametrize("name", ["net.pb", "missing.keras"])
def test_files_of_other_kinds_are_refused(tmp_path, name):
    (tmp_path / "net.pb").write_text("x")
    with pytest.raises(UsageError, match=f"`segmenter` takes a folder .* Received: .*{name}"):
        load_segmenter(tmp_path / name)


def test_a_file_that_is_no_model_is_named(tmp_path):
    (tmp_path / "net.keras").write_text("x")
    with pytest.raises(UserError, match="net.keras cannot be read as a Keras model"):
        load_segmenter(tmp_path / "net.keras")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="was not written by python -m tfpix2pix.metrics.fcn"):
        load_segmenter(tmp_path)


def test_a_run_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"config": {"dataset": "camvid", "generator": "unet"}}')
    with pytest.raises(
        UsageError, match=r"is a run of another kind or version \(no such setting: generator\)"
    ):
        load_segmenter(tmp_path)
