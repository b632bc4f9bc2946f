"""TIFF, WebP and GIF files: their pixels, headers and damage, and training on them."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image

from tfpix2pix.pipelines.files import image_files, sources
from tfpix2pix.pipelines.tasks.tasks import Task

RANDOM = np.random.default_rng(0)


def _levels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def _write_tiff(file: Path, array: np.ndarray, **options: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(file, array, **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_a_tiff_of_any_depth_and_number_of_channels(tmp_path, dtype, channels):
    array = _levels(6, 8, channels, dtype=np.uint16)
    array = array.astype(dtype) if dtype != np.float32 else (array / 32768 - 1).astype(np.float32)
    file = tmp_path / "a.png"
    options = {"planarconfig": "contig"} if channels > 1 else {}
    _write_tiff(file, array, photometric="rgb" if channels in (3, 4) else "minisblack", **options)
    assert image_files.read_header(file)[:4] == (6, 8, channels, dtype)
    np.testing.assert_array_equal(image_files.load_image(file, channels, dtype), array)


def test_planes_and_pages_that_are_channels(tmp_path):
    planes = _levels(5, 6, 8)
    for place, options in enumerate(({}, {"photometric": "minisblack", "planarconfig": "separate"})):
        file = tmp_path / f"{place}.tif"
        _write_tiff(file, planes, **options)
        assert image_files.read_header(file)[:3] == (6, 8, 5)
        np.testing.assert_array_equal(image_files.load_image(file, 5), planes.transpose(1, 2, 0))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", None])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
def test_a_tiff_of_pillow(tmp_path, mode, compression):
    picture = Image.fromarray(_levels(6, 8, 3)).convert(mode)
    file = tmp_path / "a.tif"
    picture.save(file, compression=compression)
    expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(image_files.load_image(file), expected)
    assert image_files.read_header(file)[:2] == (6, 8)


def test_white_is_zero(tmp_path):
    array = _levels(6, 8)
    _write_tiff(tmp_path / "a.tif", array, photometric="miniswhite")
    np.testing.assert_array_equal(image_files.load_image(tmp_path / "a.tif", 1)[..., 0], 255 - array)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_webp(tmp_path, mode):
    picture = Image.fromarray(_levels(6, 8, 4)).convert(mode)
    picture.save(tmp_path / "a.webp", lossless=True, exact=True)
    header = image_files.read_header(tmp_path / "a.webp")
    assert header[:4] == (6, 8, 4 if mode == "RGBA" else 3, np.uint8)
    expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(image_files.load_image(tmp_path / "a.webp"), expected)


def test_the_first_frame_of_a_gif(tmp_path):
    frames = [Image.fromarray(np.full((6, 8), level, np.uint8)) for level in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert image_files.read_header(tmp_path / "a.gif")[:2] == (6, 8)
    np.testing.assert_array_equal(image_files.load_image(tmp_path / "a.gif"), np.full((6, 8, 3), 10))


def test_channels_are_converted_as_those_of_png_files(tmp_path):
    for mode in ("L", "LA", "RGB", "RGBA"):
        picture = Image.fromarray(_levels(6, 8, 4)).convert(mode)
        picture.save(tmp_path / "a.png")
        _write_tiff(
            tmp_path / "a.tif",
            np.asarray(picture),
            photometric="rgb" if "RGB" in mode else "minisblack",
            **({"extrasamples": ["unassalpha"]} if "A" in mode else {}),
        )
        for channels in (1, 3, 4):
            png, tiff = (image_files.load_image(tmp_path / name, channels) for name in ("a.png", "a.tif"))
            np.testing.assert_allclose(tiff.astype(int), png.astype(int), atol=1 if channels == 1 else 0)


def test_8_bits_of_a_16_bit_tiff_are_the_upper_ones(tmp_path):
    _write_tiff(tmp_path / "a.tif", np.array([[0, 255, 256, 65535]], np.uint16))
    np.testing.assert_array_equal(image_files.load_image(tmp_path / "a.tif")[0, :, 0], [0, 0, 1, 255])


def _encode(file_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(_levels(60, 60, 3)).save(stream, file_format, **options)
    return stream.getvalue()


@pytest.mark.parametrize("file_format", ["TIFF", "WebP", "GIF"])
def test_damage_is_named(tmp_path, file_format):
    file, contents = tmp_path / "short.png", _encode(file_format)
    file.write_bytes(contents[: len(contents) * 2 // 3])
    with pytest.raises(image_files.BadImageError, match="short.png (is damaged or cut short|has a damaged)"):
        image_files.load_image(file)
    file.write_bytes(contents[:13])
    with pytest.raises(image_files.BadImageError, match="short.png has a damaged header"):
        image_files.read_header(file)


@pytest.mark.parametrize(
    ("array", "options", "reason"),
    [
        (np.zeros((6, 8), np.int16), {}, "holds int16; expected uint8, uint16, or floats"),
        (np.full((6, 8), 7, np.float32), {}, r"holds values from 7 to 7; floats must be in \[-1, 1\]"),
        (np.zeros((2, 3, 6, 8), np.uint8), {"imagej": True}, "holds 6 pages or an image of more than three"),
    ],
)
def test_a_tiff_that_is_no_image_is_refused_by_name(tmp_path, array, options, reason):
    _write_tiff(tmp_path / "a.tif", array, **options)
    with pytest.raises(image_files.BadImageError, match=f"a.tif {reason}"):
        image_files.load_image(tmp_path / "a.tif", 1, np.float32)


def _with_tag(contents: bytes, tag: int, value: int) -> bytes:
    """Returns a little-endian TIFF whose first page has another value of a tag with one number."""
    places = [contents.find(struct.pack("<HHI", tag, kind, 1)) + 8 for kind in (3, 4)]  # of 2 or of 4 bytes
    (place,) = [place for place in places if place > 8]
    return contents[:place] + struct.pack("<I", value) + contents[place + 4 :]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda tiff, gif: _with_tag(tiff, 258, 12),
            "has 12 bits a channel, which takes `pip install imagecodecs`",
        ),
        (lambda tiff, gif: _with_tag(tiff, 256, 0), "is damaged|has a damaged header"),
        (
            lambda tiff, gif: gif[:6] + struct.pack("<HH", 20000, 20000) + gif[10:],
            "has more pixels than Pillow opens",
        ),
    ],
    ids=["12 bits", "no width", "a bomb"],
)
def test_files_for_which_a_decoder_raises_what_it_likes_are_named(tmp_path, make, reason):
    stream = io.BytesIO()
    tifffile.imwrite(stream, _levels(6, 8, dtype=np.uint16))
    file = tmp_path / "odd.tif"
    file.write_bytes(make(stream.getvalue(), _encode("GIF")))
    if "has 12 bits" in reason:
        assert image_files.read_header(file).dtype == np.uint16  # Only its pixels cannot be decoded.
    else:
        with pytest.raises(image_files.BadImageError, match=f"odd.tif ({reason})"):
            image_files.read_header(file)
    with pytest.raises(image_files.BadImageError, match=f"odd.tif ({reason}|has a damaged header)"):
        image_files.load_image(file)


@pytest.mark.parametrize("cache_mib", [2048, 0])
def test_training_on_them(tmp_path, cache_mib):
    pixels = {name: _levels(6, 8, 3) for name in ("1", "2", "3", "4")}
    for name, suffix in zip(pixels, (".tif", ".webp", ".jfif", ".TIFF"), strict=True):
        (tmp_path / "train/input").mkdir(parents=True, exist_ok=True)
        (tmp_path / "train/target").mkdir(exist_ok=True)
        options = {"lossless": True} if suffix == ".webp" else {}
        Image.fromarray(pixels[name]).save(tmp_path / f"train/input/{name}{suffix}", **options)
        Image.fromarray(pixels[name]).save(tmp_path / f"train/target/{name}.png")
    source = sources.open_source(tmp_path, "train", "AtoB", cache_mib=cache_mib)
    assert source.example_ids == ("1", "2", "3", "4")
    for index, name in enumerate(pixels):
        input_image, target_image = source.read(tf.constant(index, tf.int64))
        np.testing.assert_array_equal(target_image, pixels[name])
        if name != "3":
            np.testing.assert_array_equal(input_image, pixels[name])


@pytest.mark.parametrize("cache_mib", [2048, 0])
def test_training_on_many_channels_of_floats(tmp_path, cache_mib):
    planes = (_levels(6, 8, 6, dtype=np.uint16) / 65535 * 2 - 1).astype(np.float32)
    _write_tiff(tmp_path / "train/input/1.tif", planes, photometric="minisblack", planarconfig="contig")
    _write_tiff(tmp_path / "train/target/1.tif", planes[..., 0])
    source = sources.open_source(tmp_path, "train", "AtoB", cache_mib=cache_mib, task=Task((6, 1)))
    input_image, target_image = source.read(tf.constant(0, tf.int64))
    np.testing.assert_array_equal(input_image, planes)
    np.testing.assert_array_equal(target_image, planes[..., :1])
    with pytest.raises(sources.BadImageError, match="has 6 channels where 3 were asked for"):
        sources.open_source(tmp_path, "train", "AtoB")
