"""Photos are turned as their EXIF orientation says, wherever they are read, and not with `exif=False`."""

import io
import json
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tests.helpers.image_kinds import chunk, write_png
from tfpix2pix.config import config
from tfpix2pix.pipelines.files import image_files, orientation, sources
from tfpix2pix.pipelines.files.decoding import decode_image
from tfpix2pix.pipelines.files.headers_in_graph import find_orientation_in_graph

ORIENTATIONS = range(1, 9)


def _jpeg(number: int | None, file_format: str = "JPEG", seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    if number is not None:
        exif[0x010F], exif[0x0112], exif[0x0132] = "a camera", number, "2020:01:01 00:00:00"
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, file_format, exif=exif, lossless=True)
    return stream.getvalue()


def _as_shown(contents: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(contents)) as image:
        return np.asarray(ImageOps.exif_transpose(image))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WebP"])
@pytest.mark.parametrize("number", ORIENTATIONS)
def test_a_file_is_read_as_pillow_shows_it(tmp_path, number, file_format):
    file = tmp_path / "photo.jpg"
    file.write_bytes(_jpeg(number, file_format))
    expected = _as_shown(file.read_bytes())
    np.testing.assert_array_equal(image_files.load_image(file), expected)
    assert image_files.read_header(file)[:2] == expected.shape[:2]
    stored = _as_shown(_jpeg(1, file_format))
    np.testing.assert_array_equal(image_files.load_image(file, exif=False), stored)
    assert image_files.read_header(file, exif=False).orientation == number


def test_the_graph_of_a_servable_turns_too():
    decode = tf.function(decode_image, input_signature=[tf.TensorSpec([], tf.string)])
    for number in ORIENTATIONS:
        for contents in (_jpeg(number), _jpeg(number, "PNG")):
            np.testing.assert_array_equal(decode(tf.constant(contents)), _as_shown(contents))
    for contents in (_jpeg(None), _jpeg(None, "PNG"), _jpeg(None, "BMP")):
        np.testing.assert_array_equal(decode(tf.constant(contents)).shape, (6, 8, 3))


def _segment(number: int, order: str = "<", tag: int = 0x0112, num_entries: int = 1) -> bytes:
    tiff = struct.pack(f"{order}HIHHHIHH", 42, 8, num_entries, tag, 3, 1, number, 0)
    return b"Exif\0\0" + {"<": b"II", ">": b"MM"}[order] + tiff


@pytest.mark.parametrize(
    ("segment", "number"),
    [
        (b"", 1),
        (_segment(6), 6),
        (_segment(8, ">"), 8),
        (_segment(0), 1),
        (_segment(9), 1),
        (_segment(6, tag=0x010F), 1),
        (_segment(6, tag=0x010F, num_entries=500), 1),
        (_segment(3, num_entries=500), 3),
        (_segment(6)[:18], 1),
        (b"Exif\0\0II" + bytes([42, 0, 255, 255, 255, 255]), 1),
        (b"Exif\0\0II", 1),
        (b"http://ns.adobe.com/xap/1.0/\0", 1),
    ],
)
def test_both_readers_of_a_segment_agree(segment, number):
    assert orientation.parse_orientation(segment) == number
    assert int(orientation.parse_orientation_in_graph(tf.constant(segment))) == number


def test_the_first_of_several_segments_counts(tmp_path):
    plain = _jpeg(None)
    segments = b"".join(
        b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
        for body in (b"http://ns.adobe.com/xap/1.0/\0", _segment(1), _segment(6))
    )
    file = tmp_path / "photo.jpg"
    file.write_bytes(plain[:2] + segments + plain[2:])
    assert image_files.read_header(file, exif=False).orientation == 1
    assert int(find_orientation_in_graph(tf.constant(file.read_bytes()))) == 1
    file.write_bytes(plain[:2] + segments.replace(_segment(1), _segment(3)) + plain[2:])
    assert image_files.read_header(file, exif=False).orientation == 3
    assert int(find_orientation_in_graph(tf.constant(file.read_bytes()))) == 3


def test_both_readers_take_the_first_chunk_of_a_png_before_its_pixels(tmp_path):
    samples, file = np.zeros((2, 3, 1), int), tmp_path / "a.png"
    # In a PNG the chunk begins where the segment of a JPEG has the name Exif behind it.
    chunks = [chunk(b"eXIf", _segment(number)[6:]) for number in (6, 3)]
    plain = write_png(samples, 8, 0)
    end = plain.index(b"IEND") - 4
    for contents, number in (
        (write_png(samples, 8, 0, *chunks), 6),
        (write_png(samples, 8, 0, chunk(b"tEXt", b"eXIf" * 99), chunks[1]), 3),
        (write_png(samples, 8, 0, chunk(b"eXIf", b"II")), 1),
        (plain[:end] + chunks[0] + plain[end:], 1),
    ):
        file.write_bytes(contents)
        assert image_files.read_header(file, exif=False).orientation == number
        assert int(find_orientation_in_graph(tf.constant(contents))) == number


@pytest.mark.parametrize("cache_mib", [2048, 0])
def test_training_reads_turned_photos(tmp_path, capsys, cache_mib):
    for name, number in (("1", 1), ("2", 6)):
        for side in ("input", "target"):
            (tmp_path / "train" / side).mkdir(parents=True, exist_ok=True)
            (tmp_path / f"train/{side}/{name}.jpg").write_bytes(_jpeg(number))
    source = sources.open_source(tmp_path, "train", "AtoB", cache_mib=cache_mib)
    for index, number in enumerate((1, 6)):
        input_image, _ = source.read(tf.constant(index, tf.int64))
        np.testing.assert_array_equal(input_image, _as_shown(_jpeg(number)))
    assert capsys.readouterr().err == ""
    stored = sources.open_source(tmp_path, "train", "AtoB", cache_mib=cache_mib, exif=False)
    assert stored.read(tf.constant(1, tf.int64))[0].shape == (6, 8, 3)


def test_a_run_of_a_version_without_the_setting_reads_pixels_as_they_are_stored():
    new = config.make_config(dataset="synthetic")
    assert new.exif
    assert config.from_json(new.to_json()).exif
    older = {name: value for name, value in json.loads(new.to_json()).items() if name != "exif"}
    assert not config.from_json(json.dumps(older)).exif
    by_hand = {"dataset": "synthetic", "seed": 3}
    assert config.from_json(json.dumps(by_hand)).exif
