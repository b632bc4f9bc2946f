"""Label maps of class ids: recognised, coloured, refused where they are ambiguous."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.labels.palettes import Palette

PALETTE = {"sky": [70, 130, 180], "road": [128, 64, 128], "void": [[0, 0, 0]]}
IDS = np.array([[0, 1, 1], [255, 0, 2]], np.uint8)
COLOURS = np.array([[PALETTE["sky"], PALETTE["road"], PALETTE["road"]], [[0] * 3, PALETTE["sky"], [0] * 3]])


def _write(folder, label_maps, palette=PALETTE, names=("photos", "labels")):
    for number, label_map in enumerate(label_maps):
        images = (Image.new("RGB", label_map.size), label_map)
        for name, image in zip(names, images, strict=True):
            (folder / "mine" / "train" / name).mkdir(parents=True, exist_ok=True)
            image.save(folder / "mine" / "train" / name / f"{number}.png")
    if palette:
        (folder / "mine" / "palette.json").write_text(json.dumps(palette))


def _read(folder, direction="AtoB", **options):
    source = datasets.open_split(
        "mine", "train", data_dir=folder, direction=direction, val_percent=0, **options
    )
    return [image.numpy() for image in source.read(tf.constant(0, tf.int64))]


@pytest.mark.parametrize("cache_mib", [0, 100])
@pytest.mark.parametrize("direction, place", [("AtoB", 1), ("BtoA", 0)])
def test_gray_files_of_ids_are_read_in_colours(tmp_path, direction, place, cache_mib):
    _write(tmp_path, [Image.fromarray(IDS)])
    images = _read(tmp_path, direction, cache_mib=cache_mib)
    np.testing.assert_array_equal(images[place], COLOURS)
    assert not images[1 - place].any()


def test_the_palette_of_a_flag_wins(tmp_path):
    _write(tmp_path, [Image.fromarray(IDS)])
    other = Palette(("a", "b"), np.eye(2, 3, dtype=np.uint8), np.array([[9, 9, 9]], np.uint8))
    label_map = _read(tmp_path, palette=other)[1]
    np.testing.assert_array_equal(label_map[0], [[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(label_map[1, 0], [9, 9, 9])


def test_colour_maps_stay_as_they_are(tmp_path):
    colours = COLOURS.astype(np.uint8) // 2
    _write(tmp_path, [Image.fromarray(colours)])
    np.testing.assert_array_equal(_read(tmp_path)[1], colours)


def test_files_with_a_palette_of_their_own_are_colour_maps(tmp_path):
    image = Image.fromarray(IDS, "P")
    image.putpalette([1, 2, 3, 4, 5, 6] + [0] * 762)
    _write(tmp_path, [image])
    np.testing.assert_array_equal(_read(tmp_path)[1][0], [[1, 2, 3], [4, 5, 6], [4, 5, 6]])


def test_gray_stays_gray_without_classes_or_outside_labels(tmp_path):
    gray = np.repeat(IDS[..., None], 3, -1)
    _write(tmp_path / "a", [Image.fromarray(IDS)], palette=None)
    np.testing.assert_array_equal(_read(tmp_path / "a")[1], gray)
    _write(tmp_path / "b", [Image.fromarray(IDS)], names=("input", "target"))
    np.testing.assert_array_equal(_read(tmp_path / "b")[1], gray)


@pytest.mark.parametrize(
    "label_maps, palette, reason",
    [
        ([Image.fromarray(IDS), Image.new("RGB", (3, 2))], PALETTE, "0.png is gray, .* and .*1.png is not"),
        ([Image.fromarray(IDS > 0)], PALETTE, "0.png is a gray PNG of 1 bits; class ids take 8 bits"),
        ([Image.fromarray(IDS)], {"sky": [1, 2, 3]}, "labels holds class ids, and the palette has no colour"),
        ([Image.fromarray(IDS)], {"sky": 7}, 'palette .*palette.json: "sky" must be'),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, label_maps, palette, reason):
    _write(tmp_path, label_maps, palette)
    with pytest.raises(UserError, match=reason):
        _read(tmp_path)


def test_the_classes_of_a_dataset(tmp_path):
    _write(tmp_path, [Image.fromarray(IDS)])
    assert datasets.find_classes("mine", tmp_path).names == ("sky", "road")
    assert datasets.find_classes("camvid", tmp_path).names[0] == "sky"
    assert datasets.find_classes("other", tmp_path / "nowhere") is None


def _gray_ramp(ids: np.ndarray) -> Image.Image:
    image = Image.fromarray(ids, "P")
    image.putpalette([level for level in range(256) for _ in range(3)])
    return image


@pytest.mark.parametrize(
    "label_map", [_gray_ramp(IDS), Image.fromarray(np.repeat(IDS[..., None], 3, -1))], ids=["P", "RGB"]
)
def test_ids_in_any_kind_of_png_are_coloured_alike(tmp_path, label_map):
    ids = np.where(np.array(label_map.convert("L")) < 2, np.array(label_map.convert("L")), 255)
    _write(tmp_path, [_gray_ramp(ids) if label_map.mode == "P" else Image.fromarray(np.stack([ids] * 3, -1))])
    expected = np.array([*list(PALETTE.values())[:2]])[np.minimum(ids, 1)]
    expected[ids == 255] = PALETTE["void"][0]
    np.testing.assert_array_equal(_read(tmp_path)[1], expected)


def test_a_colour_map_in_black_and_white_holds_no_ids(tmp_path):
    palette = {"road": [1, 1, 1], "sky": [0, 0, 0], "void": [[9, 9, 9]]}
    colours = np.array([[[0, 0, 0], [1, 1, 1]]], np.uint8)
    _write(tmp_path, [Image.fromarray(colours)], palette)
    np.testing.assert_array_equal(_read(tmp_path)[1], colours)
