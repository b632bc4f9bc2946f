"""Class ids: nearest colours, void, palettes by name and by file, resizing."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.catalogue import CATALOGUE
from tfpix2pix.pipelines.labels.palettes import (
    Palette,
    class_ids,
    colour_ids,
    find_palette,
    numbered_colour,
    resize_ids,
)

PALETTE = Palette(
    ("red", "green"), np.array([[200, 0, 0], [0, 200, 0]], np.uint8), np.array([[0, 0, 0]], np.uint8)
)


def test_the_nearest_colour_names_the_class():
    image = np.array(
        [[[200, 0, 0], [0, 200, 0], [0, 0, 0]], [[255, 90, 90], [101, 0, 0], [99, 0, 0]]], np.uint8
    )
    ids = class_ids(image, PALETTE)
    assert ids.dtype == tf.uint8
    np.testing.assert_array_equal(ids, [[0, 1, 255], [0, 0, 255]])


def test_equally_near_colours_give_the_lower_id():
    np.testing.assert_array_equal(class_ids(np.array([[[150, 150, 0]]], np.uint8), PALETTE), [[0]])


@pytest.mark.parametrize("name", ["facades", "cityscapes", "camvid"])
def test_every_pixel_as_by_brute_force(name):
    palette = find_palette(name)
    image = np.random.default_rng(0).integers(0, 256, (2, 40, 30, 3), np.uint8)
    every = np.concatenate([palette.colours, palette.void]).astype(int)
    expected = ((image[..., None, :].astype(int) - every) ** 2).sum(-1).argmin(-1)
    expected[expected >= len(palette)] = 255
    np.testing.assert_array_equal(class_ids(image, palette), expected)
    np.testing.assert_array_equal(tf.function(lambda x: class_ids(x, palette))(image), expected)


def test_thousands_of_classes():
    numbers = np.random.default_rng(0).permutation(2**16 - 1)[:2000] + 1
    colours = np.array([numbered_colour(number) for number in numbers], np.uint8)
    palette = Palette(tuple(map(str, numbers)), colours, np.zeros((1, 3), np.uint8), tuple(numbers))
    image = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    every = np.concatenate([colours, palette.void]).astype(int)
    expected = ((image[..., None, :].astype(int) - every) ** 2).sum(-1).argmin(-1)
    found = class_ids(image, palette)
    assert found.dtype == tf.int32
    np.testing.assert_array_equal(found, expected)  # void is 2000, the number of the classes
    ids = np.arange(2001).reshape(3, 667)
    np.testing.assert_array_equal(class_ids(colour_ids(ids, palette), palette), ids)


def test_a_palette_of_all_numbers_is_read(tmp_path):
    file = tmp_path / "p.json"
    entries = {f"class {number}": number for number in range(1, 2**16)}
    file.write_text(json.dumps({**entries, "void": [0, 0, 0]}))
    palette = find_palette(str(file))
    assert palette.ids == tuple(range(1, 2**16)) and palette.no_class == 2**16 - 1


def test_a_palette_file_that_is_no_text(tmp_path):
    file = tmp_path / "p.json"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"p\.json: it is not text in UTF-8\. Write it as a JSON object"):
        find_palette(str(file))
    file.write_bytes(b"\xef\xbb\xbf" + b'{"sky": [1, 2, 3]}')  # as editors on Windows write it
    assert find_palette(str(file)).names == ("sky",)


def test_each_colour_of_a_frame_gets_the_nearest_class():
    image = np.random.default_rng(0).integers(0, 256, (1024, 2048, 3), np.uint8)
    palette = find_palette("cityscapes")
    ids = np.asarray(class_ids(image, palette))
    colours = np.concatenate([palette.colours, palette.void]).astype(int)
    some = np.random.default_rng(1).integers(0, ids.size, 500)
    nearest = ((image.reshape(-1, 1, 3)[some].astype(int) - colours) ** 2).sum(-1).argmin(-1)
    expected = np.where(nearest < len(palette.colours), nearest, palette.no_class)
    np.testing.assert_array_equal(ids.reshape(-1)[some], expected)


@pytest.mark.parametrize("name", [name for name, spec in CATALOGUE.items() if spec.palette])
def test_colours_come_back_as_their_ids(name):
    palette = find_palette(name)
    ids = np.arange(len(palette), dtype=np.uint8)
    np.testing.assert_array_equal(class_ids(colour_ids(ids, palette), palette), ids)
    assert (class_ids(palette.void, palette).numpy() == 255).all()


def test_ids_of_no_class_get_the_void_colour():
    coloured = colour_ids(np.array([[1, 2, 255]], np.uint8), PALETTE)
    np.testing.assert_array_equal(coloured, [[[0, 200, 0], [0, 0, 0], [0, 0, 0]]])


def test_cityscapes_has_19_classes_and_10_void_colours():
    palette = find_palette("cityscapes")
    assert len(palette) == 19 and palette.names[13] == "car" and len(palette.void) == 10


def test_camvids_palette_files_give_their_indices(shared_data):
    palette = find_palette("camvid")
    for file in sorted((shared_data / "camvid" / "val" / "labels").iterdir())[:20]:
        indices = np.array(Image.open(file))
        expected = np.where(indices < 11, indices, 255)
        image = np.array(Image.open(file).convert("RGB"))
        np.testing.assert_array_equal(class_ids(image, palette), expected)


def test_resizing_takes_the_nearest_pixel():
    ids = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]], np.uint8)
    np.testing.assert_array_equal(resize_ids(ids, (1, 1)), [[4]])
    np.testing.assert_array_equal(resize_ids(ids, (3, 6))[0], [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(resize_ids(ids, (2, 3)), [[0, 1, 2], [6, 7, 8]])
    np.testing.assert_array_equal(resize_ids(ids[None], (3, 3)), ids[None])


@pytest.mark.parametrize("size", [(7, 9), (5, 20), (31, 4)])
def test_resizing_is_that_of_tensorflow(size):
    ids = np.random.default_rng(1).integers(0, 256, (10, 13), np.uint8)
    expected = tf.image.resize(ids[..., None], size, "nearest")[..., 0]
    np.testing.assert_array_equal(resize_ids(ids, size), expected)


def test_a_palette_file_of_ids(tmp_path):
    file = tmp_path / "p.json"
    file.write_text('{"sky": 15, "road": {"id": 40000, "colour": [4, 5, 6]}, "car": {"colour": [7, 8, 9]}}')
    palette = find_palette(str(file))
    assert palette.ids == (15, 40000, 2)
    # Class 15 of PASCAL VOC is person, [192, 128, 128].
    np.testing.assert_array_equal(palette.colours, [[192, 128, 128], [4, 5, 6], [7, 8, 9]])
    file.write_text(palette.to_json())
    again = find_palette(str(file))
    assert again.ids == palette.ids and again.colours.tolist() == palette.colours.tolist()


def test_ids_have_the_colours_of_pascal_voc():
    published = [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
        [0, 128, 128],
    ]
    published += [[128, 128, 128], [64, 0, 0], [192, 0, 0], [64, 128, 0], [192, 128, 0], [64, 0, 128]]
    assert [list(numbered_colour(number)) for number in range(13)] == published
    assert len({numbered_colour(number) for number in range(2**16)}) == 2**16


def test_a_palette_file(tmp_path):
    file = tmp_path / "p.json"
    file.write_text('{"sky": [1, 2, 3], "road": [4, 5, 6], "void": [[0, 0, 0], [9, 9, 9]]}')
    palette = find_palette(str(file))
    assert palette.names == ("sky", "road")
    np.testing.assert_array_equal(palette.colours, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(palette.void, [[0, 0, 0], [9, 9, 9]])
    file.write_text('{"sky": [1, 2, 3], "void": [0, 0, 0]}')
    np.testing.assert_array_equal(find_palette(str(file)).void, [[0, 0, 0]])
    file.write_text('{"sky": [1, 2, 3]}')
    assert find_palette(str(file)).void.shape == (0, 3)


@pytest.mark.parametrize("name", ["facades", "cityscapes"])
def test_a_palette_comes_back_from_its_own_file(tmp_path, name):
    palette = find_palette(name)
    (tmp_path / "p.json").write_text(palette.to_json())
    again = find_palette(str(tmp_path / "p.json"))
    assert again.names == palette.names
    np.testing.assert_array_equal(again.colours, palette.colours)
    np.testing.assert_array_equal(again.void, palette.void)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"sky": [1, 2]}', r'"sky" must be \[red, green, blue\], each 0 to 255, found \[1, 2\]'),
        ('{"sky": [1, 2, 256]}', '"sky" must be'),
        ('{"sky": [1, 2, 3.5]}', '"sky" must be'),
        ('{"sky": "blue"}', '"sky" must be'),
        ('{"a": [1, 2, 3], "b": [1, 2, 3]}', r'"a" and "b" have the same colour \[1, 2, 3\]'),
        ('{"a": [1, 2, 3], "a": [1, 2, 4]}', '"a" is there twice'),
        ('{"a": [1, 2, 3], "void": [[1, 2, 3]]}', '"void" and "a" have the same colour'),
        ('{"a": [1, 2, 3], "void": 7}', '"void" must be a list'),
        ('{"a": [1, 2, 3], "void": [["x"]]}', '"void" must be'),
        ('{"a": 1, "b": [1, 2, 3]}', '"a" and "b" have the same id 1'),
        ('{"a": 65536}', '"a" must be .*, an id from 0 to 65535, or .*, found 65536'),
        ('{"a": {"ids": 1}}', '"a" must be .*, or {"id": ..., "colour": ...}, found'),
        ("{}", "expected 1 to 65,536 classes, found 0"),
        ("[1]", "expected an object"),
        ("{", r"it is not JSON from line 1, column 2 on\. Write it as a JSON object of names and colours"),
        ('{"a": [1, 2, 3],\n "b" [1, 2, 4]}', "it is not JSON from line 2, column 6 on"),
    ],
)
def test_a_bad_palette_file_is_named_with_its_entry(tmp_path, text, reason):
    file = tmp_path / "p.json"
    file.write_text(text)
    with pytest.raises(UserError, match=rf"palette .*p\.json: .*{reason}"):
        find_palette(str(file))


def test_a_palette_that_is_not_there():
    with pytest.raises(UsageError, match="^`palette` takes a JSON file or one of synthetic, facades, "):
        find_palette("nowhere")
    with pytest.raises(UsageError, match="the classes of maps are not known; give `palette=FILE`"):
        find_palette("maps")
