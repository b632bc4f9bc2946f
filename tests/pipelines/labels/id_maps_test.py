"""Label maps of class ids: recognised, coloured, refused where they are ambiguous."""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.files.sources import from_arrays
from tfpix2pix.pipelines.labels.label_sides import find_label_side
from tfpix2pix.pipelines.meaning import UNKNOWN, Meaning, Palette
from tfpix2pix.pipelines.placing.combine import combine_folders

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


@pytest.mark.parametrize(
    ("label_map", "is_warned_of"),
    [(IDS, False), (COLOURS.astype(np.uint8), False), (COLOURS // 2 + 99, True)],
)
def test_a_palette_that_fits_nothing_is_warned_of(tmp_path, capsys, label_map, is_warned_of):
    _write(tmp_path, [Image.fromarray(label_map.astype(np.uint8))])
    Image.new("RGB", (3, 2), (200, 200, 90)).save(tmp_path / "mine/train/photos/0.png")
    _read(tmp_path)
    warning = "mine/train has a palette.json, and neither side of the pairs holds its ids or its colours"
    assert (warning in capsys.readouterr().err) == is_warned_of


def test_colour_maps_stay_as_they_are(tmp_path):
    colours = COLOURS.astype(np.uint8) // 2
    _write(tmp_path, [Image.fromarray(colours)])
    np.testing.assert_array_equal(_read(tmp_path)[1], colours)


def test_files_with_a_palette_of_their_own_are_colour_maps(tmp_path):
    image = Image.fromarray(IDS, "P")
    image.putpalette([1, 2, 3, 4, 5, 6] + [0] * 762)
    _write(tmp_path, [image])
    np.testing.assert_array_equal(_read(tmp_path)[1][0], [[1, 2, 3], [4, 5, 6], [4, 5, 6]])


def test_gray_stays_gray_without_classes_or_where_it_may_be_no_label_map(tmp_path):
    gray = np.repeat(IDS[..., None], 3, -1)
    _write(tmp_path / "a", [Image.fromarray(IDS)], palette=None)
    np.testing.assert_array_equal(_read(tmp_path / "a")[1], gray)
    # 2 is the id of no class, and no folder says that these are labels.
    _write(tmp_path / "b", [Image.fromarray(IDS)], names=("input", "target"))
    np.testing.assert_array_equal(_read(tmp_path / "b")[1], gray)


@pytest.mark.parametrize(
    "label_maps, palette, reason",
    [
        ([Image.fromarray(IDS), Image.new("RGB", (3, 2))], PALETTE, "0.png is gray, .* and .*1.png is not"),
        ([Image.fromarray(IDS)], {"sky": [1, 2, 3]}, "labels holds class ids, and the palette has no colour"),
        ([Image.fromarray(IDS)], {"sky": "7"}, 'palette .*palette.json: "sky" must be'),
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


# The ids of two classes and of void, as colours; and how people store them.
STORED = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
SHOWN = np.array([[PALETTE["sky"], PALETTE["road"]]])[0][STORED]


def _alpha(ids: np.ndarray) -> Image.Image:
    return Image.merge("LA", [Image.fromarray(ids), Image.new("L", ids.shape[::-1], 255)])


def _gray_png(ids: np.ndarray, bits: int) -> bytes:
    """Returns a gray PNG of 1, 2, 4 or 16 bits, which Pillow does not write."""
    rows = []
    for row in ids:
        digits = "".join(f"{value:0{bits}b}" for value in row)
        digits += "0" * (-len(digits) % 8)
        rows.append(bytes([0, *(int(digits[i : i + 8], 2) for i in range(0, len(digits), 8))]))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(rows))),
        (b"IEND", b""),
    )
    parts = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _encode(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


STORAGES = {
    "gray": _encode(Image.fromarray(STORED)),
    **{f"{bits} bits": _gray_png(STORED, bits) for bits in (1, 2, 4, 16)},
    "16 bits spread": _gray_png(STORED.astype(np.uint16) * 257, 16),
    "palette": _encode(_gray_ramp(STORED)),
    "RGB": _encode(Image.fromarray(np.stack([STORED] * 3, -1))),
    "alpha": _encode(_alpha(STORED)),
    "BMP": _encode(Image.fromarray(STORED), "BMP"),
    "BMP in colours": _encode(Image.fromarray(np.stack([STORED] * 3, -1)), "BMP"),
    "TIFF": _encode(Image.fromarray(STORED), "TIFF"),
    "colours": _encode(Image.fromarray(SHOWN.astype(np.uint8))),
}


def _write_stored(folder: Path, contents: bytes, names: tuple[str, str]) -> None:
    _write(folder, [Image.fromarray(STORED)], names=names)
    (folder / "mine/train" / names[1] / "0.png").write_bytes(contents)
    photo = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) + 100
    Image.fromarray(photo).save(folder / "mine/train" / names[0] / "0.png")


@pytest.mark.parametrize("names", [("photos", "labels"), ("input", "target")])
@pytest.mark.parametrize("direction, place", [("AtoB", 1), ("BtoA", 0)])
def test_one_rule_for_ids_in_every_storage(tmp_path, names, direction, place):
    for storage, contents in STORAGES.items():
        for cache_mib in (0, 100):
            _write_stored(tmp_path / storage, contents, names)
            images = _read(tmp_path / storage, direction, cache_mib=cache_mib)
            np.testing.assert_array_equal(images[place], SHOWN, storage)
            assert images[place].dtype == np.uint8
            np.testing.assert_array_equal(images[1 - place].ravel(), range(100, 118))


@pytest.mark.parametrize("deep", [False, True])
def test_ids_in_side_by_side_pairs_of_our_own_are_coloured(tmp_path, deep):
    folders = tmp_path / "photos", tmp_path / "maps"
    photo = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) + 100
    for folder, pixels in zip(folders, (photo * np.uint16(257) if deep else photo, STORED), strict=True):
        folder.mkdir()
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        (folder / "0.png").write_bytes(tf.io.encode_png(pixels).numpy())
    combine_folders(*folders, tmp_path / "mine" / "train")
    (tmp_path / "mine/palette.json").write_text(json.dumps(PALETTE))
    photo_read, label_map = _read(tmp_path)
    np.testing.assert_array_equal(label_map, SHOWN)
    np.testing.assert_array_equal(photo_read, photo.astype(int) * (257 if deep else 1))


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("name", ["masks", "right"])
def test_ids_of_few_bits_are_joined_as_numbers_beside_a_palette(tmp_path, bits, name):
    photo = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) + 100
    for folder, contents in (("left", _encode(Image.fromarray(photo))), (name, _gray_png(STORED, bits))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.png").write_bytes(contents)
    combine_folders(tmp_path / "left", tmp_path / name, tmp_path / "pictures")
    step = {1: 255, 2: 85, 4: 17}[bits]
    assert Image.open(tmp_path / "pictures/0.png").getpixel((4, 0)) == (step,) * 3
    (tmp_path / "palette.json").write_text(json.dumps(PALETTE))
    combine_folders(tmp_path / "left", tmp_path / name, tmp_path / "mine/train")
    assert json.loads((tmp_path / "mine/train/palette.json").read_text()) == PALETTE
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "mine/train/0.png"))[:, 3:, 0], STORED)
    (tmp_path / "mine/train/palette.json").rename(tmp_path / "mine/palette.json")
    photo_read, label_map = _read(tmp_path)
    np.testing.assert_array_equal(label_map, SHOWN)
    np.testing.assert_array_equal(photo_read, photo)


def test_what_is_joined_goes_with_its_palette(tmp_path):
    for number in range(2):
        for folder, ids in (("images", STORED * 99), ("labels", STORED)):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{number}.png").write_bytes(_gray_png(ids % 4, 2))
    (tmp_path / "palette.json").write_text(json.dumps(PALETTE))
    combine_folders(tmp_path / "images", tmp_path / "labels", tmp_path / "mine", val_percent=50)
    pair = np.asarray(Image.open(tmp_path / "mine/train/0.png"))
    np.testing.assert_array_equal(pair, np.hstack([STORED * 99 % 4 * 85, STORED]))  # a picture, and ids
    np.testing.assert_array_equal(_read(tmp_path)[1], SHOWN)


def test_a_source_says_what_its_images_stand_for(tmp_path):
    _write_stored(tmp_path, STORAGES["gray"], ("photos", "labels"))
    source = datasets.open_split("mine", "train", data_dir=tmp_path, val_percent=0)
    told = source.meaning.to_json()
    assert told["input"] == {
        "channels": 3, "dtype": "uint8", "range": [0, 255], "suffix": ".png", "palette": None, "ids": [],
        "instances": False,
    }  # fmt: skip
    assert told["target"]["palette"] == PALETTE and told["target"]["ids"] == [0, 1]
    assert Meaning.from_json(json.loads(json.dumps(told))).to_json() == told


def test_the_first_pairs_do_not_decide_alone(tmp_path, capsys):
    # Nine frames of one class, nearly black, and then nine others; pairs of the first kind alone hold no ids.
    maps = [Image.fromarray(np.full((2, 3), number // 9, np.uint8)) for number in range(18)]
    names = ("input", "target")
    _write(tmp_path, maps, names=names)
    source = datasets.open_split("mine", "train", data_dir=tmp_path, direction="AtoB", val_percent=0)
    assert "the target images hold class ids" in capsys.readouterr().err
    assert source.meaning.target.ids == (0, 1)
    sources = [source, from_arrays(*np.zeros((2, 8, 2, 3, 3), np.uint8))]
    photos = np.full((2, 3, 3), 250, np.uint8)
    images = np.stack([np.zeros((2, 3, 3), np.uint8), *[photos] * 7])  # the first is of void alone
    sources.append(from_arrays(np.stack([COLOURS.astype(np.uint8)] * 8), images))
    sources.append(from_arrays(images, np.stack([photos, *[COLOURS.astype(np.uint8)] * 7])))
    palette = datasets.find_classes("mine", tmp_path)
    found = [find_label_side(each, palette) for each in sources]
    assert found == ["input", "input", "input", "target"]


def test_what_a_training_knows_is_not_found_out_anew(tmp_path):
    _write_stored(tmp_path, STORAGES["RGB"], ("input", "target"))
    known = datasets.open_split("mine", "train", data_dir=tmp_path, val_percent=0).meaning
    (tmp_path / "mine/palette.json").unlink()
    np.testing.assert_array_equal(_read(tmp_path, meaning=known)[1], SHOWN)
    # Of one class alone nobody could tell.
    flat = Image.fromarray(np.zeros((2, 3, 3), np.uint8))
    flat.save(tmp_path / "mine/train/target/0.png")
    np.testing.assert_array_equal(_read(tmp_path, meaning=known)[1], np.full((2, 3, 3), PALETTE["sky"]))


def test_a_run_of_an_earlier_version_is_read_as_it_was(tmp_path):
    for names, expected in ((("input", "target"), np.stack([STORED] * 3, -1)), (("photos", "labels"), SHOWN)):
        _write_stored(tmp_path / names[0], STORAGES["gray"], names)
        np.testing.assert_array_equal(_read(tmp_path / names[0], meaning=UNKNOWN)[1], expected)
