"""Channels, 16 bits and arrays: what is read is what was written."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import runs
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files import image_files, sources
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.tasks.tasks import Task


def _draw(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def test_16_bits_are_kept_and_8_bits_spread_over_them(tmp_path):
    deep, flat = _draw(4, 5, 3, dtype=np.uint16), _draw(4, 5, 3)
    deep_file, flat_file = (
        runs.write_image(tmp_path / "deep.png", deep),
        runs.write_image(tmp_path / "flat.png", flat),
    )
    np.testing.assert_array_equal(image_files.load_image(deep_file, 3, np.uint16), deep)
    np.testing.assert_array_equal(image_files.load_image(flat_file, 3, np.uint16), flat.astype(int) * 257)
    assert image_files.read_header(deep_file)[:4] == (4, 5, 3, np.uint16)
    assert image_files.read_header(flat_file)[:4] == (4, 5, 3, np.uint8)
    jpeg = tmp_path / "photo.jpg"
    Image.fromarray(flat).save(jpeg)
    expected = image_files.load_image(jpeg).astype(int) * 257
    np.testing.assert_array_equal(image_files.load_image(jpeg, 3, np.uint16), expected)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP"])
def test_one_channel_is_gray(tmp_path, file_format):
    file = tmp_path / "picture"
    gray = _draw(8, 8)
    Image.fromarray(gray).save(file, file_format, **({"quality": 100} if file_format == "JPEG" else {}))
    np.testing.assert_allclose(image_files.load_image(file, 1)[..., 0], gray, atol=1)
    Image.fromarray(np.full((8, 8, 3), [255, 0, 0], np.uint8)).save(file, file_format)
    np.testing.assert_allclose(image_files.load_image(file, 1), 76, atol=1)  # 0.299 * 255


def test_four_channels_are_colour_and_alpha(tmp_path):
    pixels = _draw(4, 5, 4)
    np.testing.assert_array_equal(
        image_files.load_image(runs.write_image(tmp_path / "a.png", pixels), 4), pixels
    )
    Image.fromarray(pixels[..., :3]).save(tmp_path / "a.bmp")
    opaque = image_files.load_image(tmp_path / "a.bmp", 4)
    np.testing.assert_array_equal(opaque[..., :3], pixels[..., :3])
    np.testing.assert_array_equal(opaque[..., 3], 255)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((2, 2, 3), np.int32), "holds int32; expected uint8, uint16, or floats in"),
        (np.full((2, 2, 3), 1.5, np.float32), "holds values from 1.5 to 1.5; floats must be in"),
        (np.full((2, 2, 3), np.nan), "holds values from nan to nan"),
        (np.zeros((2, 2, 4), np.uint8), "has 4 channels; expected 3"),
        (np.zeros((2, 2, 2, 3), np.uint8), r"has shape \(2, 2, 2, 3\); expected \[H, W, C\] or \[H, W\]"),
        (np.zeros((0, 2, 3), np.uint8), r"has shape \(0, 2, 3\)"),
    ],
)
def test_arrays_that_cannot_be_read(tmp_path, pixels, reason):
    file = runs.write_image(tmp_path / "bad.npy", pixels)
    with pytest.raises(BadImageError, match=f"bad.npy {reason}"):
        image_files.load_image(file, 3, np.float32)


def test_a_file_that_is_no_array(tmp_path):
    (tmp_path / "text.npy").write_text("hello")
    with pytest.raises(BadImageError, match="text.npy is not a .npy file of numbers, or it is cut short"):
        image_files.read_header(tmp_path / "text.npy")
    with pytest.raises(BadImageError, match="gone.npy cannot be read: No such file"):
        image_files.read_header(tmp_path / "gone.npy")


@pytest.mark.parametrize("cache_mib", [64, 0])
def test_each_side_has_its_channels_and_the_type_of_its_deepest_file(tmp_path, cache_mib):
    inputs = {"1": _draw(6, 8, 5, dtype=np.uint16), "2": np.linspace(-1, 1, 6 * 8 * 5).reshape(6, 8, 5)}
    targets = {"1": _draw(6, 8, 1), "2": _draw(6, 8, 1, dtype=np.uint16)}
    for stem in inputs:
        runs.write_image(tmp_path / f"val/input/{stem}.npy", inputs[stem])
        runs.write_image(tmp_path / f"val/target/{stem}.png", targets[stem])
    forward = sources.open_source(tmp_path, "val", "AtoB", cache_mib=cache_mib, task=Task((5, 1)))
    backward = sources.open_source(tmp_path, "val", "BtoA", cache_mib=cache_mib, task=Task((1, 5)))
    for index, stem in enumerate(inputs):
        input_image, target_image = forward.read(tf.constant(index, tf.int64))
        assert (input_image.dtype, target_image.dtype) == (tf.float32, tf.uint16)
        expected = inputs["1"] / 32767.5 - 1 if stem == "1" else inputs["2"]
        np.testing.assert_allclose(input_image, expected, atol=1e-6)
        np.testing.assert_array_equal(target_image, targets[stem].astype(int) * (257 if stem == "1" else 1))
        for image, swapped in zip((target_image, input_image), backward.read(tf.constant(index, tf.int64))):  # noqa: B905
            np.testing.assert_array_equal(image, swapped)
    dataset = build_dataset(forward, image_size=(6, 8), batch_size=2, training=False)
    (batch,) = dataset
    assert batch["input_image"].shape == (2, 6, 8, 5)
    np.testing.assert_allclose(batch["target_image"][1], targets["2"] / 32767.5 - 1, atol=1e-6)


@pytest.mark.parametrize("cache_mib", [64, 0])
def test_a_side_by_side_file_may_be_gray_on_one_side(tmp_path, cache_mib):
    pixels = _draw(6, 16, 3)
    runs.write_image(tmp_path / "val/1.png", pixels)
    source = sources.open_source(tmp_path, "val", "BtoA", cache_mib=cache_mib, task=Task((1, 3)))
    input_image, target_image = source.read(tf.constant(0, tf.int64))
    np.testing.assert_allclose(input_image[..., 0], pixels[:, 8:] @ [0.299, 0.587, 0.114], atol=1)
    np.testing.assert_array_equal(target_image, pixels[:, :8])


@pytest.mark.parametrize(
    ("channels", "message"),
    [((4, 3), "input/1.png has 3 channels where 4 were asked for"), ((3, 1), "target/1.npy has 3 channels")],
)
def test_channels_that_files_lack_are_an_error(tmp_path, channels, message):
    runs.write_image(tmp_path / "val/input/1.png", _draw(6, 8, 3))
    runs.write_image(tmp_path / "val/target/1.npy", _draw(6, 8, 3))
    with pytest.raises(BadImageError, match=message):
        sources.open_source(tmp_path, "val", "AtoB", task=Task(channels))


@pytest.mark.parametrize("folder", ["val", "val/photos"])
def test_single_photos_are_found(tmp_path, folder):
    from tfpix2pix.pipelines.tasks.tasks import Inpaint

    photos = {"1": _draw(6, 9, 3), "2": _draw(5, 4, 3)}
    for stem, photo in photos.items():
        runs.write_image(tmp_path / f"{folder}/{stem}.png", photo)
    source = sources.open_source(tmp_path, "val", "AtoB", task=Inpaint())
    assert source.example_ids == ("1", "2")
    for index, photo in enumerate(photos.values()):
        (image,) = source.read(tf.constant(index, tf.int64))
        np.testing.assert_array_equal(image, photo)


@pytest.mark.parametrize("cache_mib", [64, 0])
def test_drawings_are_made_of_photos_of_full_size(tmp_path, cache_mib):
    pytest.importorskip("cv2")
    from tfpix2pix.pipelines.tasks.drawings import draw_edges
    from tfpix2pix.pipelines.tasks.tasks import Edges

    buffer = io.BytesIO()
    Image.fromarray(_draw(9, 7, 3)).resize((70, 90)).save(buffer, "PNG")
    (tmp_path / "val").mkdir()
    (tmp_path / "val/1.png").write_bytes(buffer.getvalue())
    source = sources.open_source(tmp_path, "val", "AtoB", cache_mib=cache_mib, task=Edges())
    drawing, photo = source.read(tf.constant(0, tf.int64))
    np.testing.assert_array_equal(drawing, draw_edges(photo.numpy()))
    assert set(np.unique(drawing)) == {0, 255}
