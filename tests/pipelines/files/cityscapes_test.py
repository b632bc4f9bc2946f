"""The official Cityscapes download: paired in place, colours or ids, prepared from its two zips."""

import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines import catalogue, datasets
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.files import cityscapes
from tfpix2pix.pipelines.labels.palettes import class_ids, colour_ids, dataset_palette
from tfpix2pix.pipelines.placing.dataset_folder import find_dataset_folder, prepare_dataset

SPEC = catalogue.DatasetSpec(
    name="cityscapes",
    title="",
    direction="BtoA",
    recipe=catalogue.CATALOGUE["cityscapes"].recipe,
    palette=catalogue.CITYSCAPES_PALETTE,
    void=catalogue.CITYSCAPES_VOID,
    counts={"train": 2, "val": 1},
)
FRAMES = {"train": ("aachen_000000_000019", "bremen_000001_000019"), "val": ("lindau_000000_000019",)}
PALETTE = dataset_palette(SPEC)
TRAIN_IDS = np.array([[0, 13, 18], [255, 10, 2]], np.uint8)
LABEL_IDS = np.array([[7, 26, 33], [4, 23, 11]], np.uint8)  # road, car, bicycle; static, sky, building


def _write(folder, kinds=("color",)):
    """Writes a download of three frames; returns the photos by name."""
    photos, draw = {}, np.random.default_rng(0)
    colours = colour_ids(TRAIN_IDS, PALETTE).numpy()
    maps = {
        "color": np.dstack([colours, np.full((2, 3), 255, np.uint8)]),  # RGBA, as in the download
        "labelTrainIds": TRAIN_IDS,
        "labelIds": LABEL_IDS,
    }
    for split, names in FRAMES.items():
        for name in names:
            city = name.split("_")[0]
            for root in ("leftImg8bit", "gtFine"):
                (folder / root / split / city).mkdir(parents=True)
            photos[name] = draw.integers(0, 256, (2, 3, 3), np.uint8)
            Image.fromarray(photos[name]).save(folder / f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png")
            for kind in kinds:
                Image.fromarray(maps[kind]).save(folder / f"gtFine/{split}/{city}/{name}_gtFine_{kind}.png")
            (folder / f"gtFine/{split}/{city}/{name}_gtFine_polygons.json").write_text("{}")
    return photos


@pytest.mark.parametrize("kinds", [("color", "labelIds"), ("labelTrainIds", "labelIds"), ("labelIds",)])
@pytest.mark.parametrize("cache_mib", [0, 100])
def test_frames_are_paired_in_place(tmp_path, kinds, cache_mib):
    photos = _write(tmp_path / "cityscapes", kinds)
    source = datasets.open_split(SPEC, "train", data_dir=tmp_path, direction="AtoB", cache_mib=cache_mib)
    assert source.example_ids == FRAMES["train"]
    for index, name in enumerate(FRAMES["train"]):
        photo, label_map = source.read(tf.constant(index, tf.int64))
        np.testing.assert_array_equal(photo, photos[name])
        np.testing.assert_array_equal(label_map, colour_ids(TRAIN_IDS, PALETTE))
        np.testing.assert_array_equal(class_ids(label_map, PALETTE), TRAIN_IDS)
    backward = datasets.open_split(SPEC, "val", data_dir=tmp_path, cache_mib=cache_mib)
    np.testing.assert_array_equal(backward.read(tf.constant(0, tf.int64))[1], photos["lindau_000000_000019"])


def test_the_folder_itself_can_be_named(tmp_path):
    _write(tmp_path)
    assert find_dataset_folder("cityscapes", tmp_path) == tmp_path
    assert len(datasets.open_split(SPEC, "train", data_dir=tmp_path)) == 2


def test_a_license_plate_is_a_car():
    np.testing.assert_array_equal(class_ids(np.array([[[0, 0, 142]]], np.uint8), PALETTE), [[13]])


def test_label_ids_are_those_of_the_datasets_tools():
    names = list(catalogue.CITYSCAPES_PALETTE)
    by_name = dict(zip(names, cityscapes.LABEL_IDS, strict=True))
    assert (by_name["road"], by_name["pole"], by_name["sky"], by_name["bicycle"]) == (7, 17, 23, 33)


def test_missing_label_maps_are_named(tmp_path):
    _write(tmp_path)
    (tmp_path / "gtFine/train/aachen/aachen_000000_000019_gtFine_color.png").unlink()
    with pytest.raises(UserError, match="1 label maps are missing, the first: .*aachen_000000_000019_gtFine"):
        datasets.open_split(SPEC, "train", data_dir=tmp_path)
    (tmp_path / "gtFine/train/bremen/bremen_000001_000019_gtFine_color.png").unlink()
    with pytest.raises(UserError, match=r"gtFine/train holds none of \*_gtFine_color.png, "):
        datasets.open_split(SPEC, "train", data_dir=tmp_path)


def _zip(folder, archive, root):
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((folder / root).rglob("*")):
            file.write(path, path.relative_to(folder))
        file.writestr("license.txt", "terms")
    return archive


def test_the_two_official_zips_are_prepared(tmp_path, capsys):
    _write(tmp_path / "download")
    zips = [_zip(tmp_path / "download", tmp_path / f"{root}.zip", root) for root in ("leftImg8bit", "gtFine")]
    data_dir = tmp_path / "datasets"
    assert prepare_dataset(SPEC, data_dir, *zips) == data_dir / "cityscapes"
    assert "is ready in" in (output := capsys.readouterr().out) and "train 2, val 1" in output
    assert sorted(entry.name for entry in (data_dir / "cityscapes").iterdir()) == [
        "gtFine", "leftImg8bit", "license.txt",
    ]  # fmt: skip
    assert len(datasets.open_split(SPEC, "train", data_dir=data_dir)) == 2
    assert prepare_dataset(SPEC, data_dir) == data_dir / "cityscapes"


@pytest.mark.parametrize("root, missing", [("leftImg8bit", "gtFine"), ("gtFine", "leftImg8bit")])
def test_one_zip_alone_says_which_is_missing(tmp_path, root, missing):
    _write(tmp_path / "download")
    archive = _zip(tmp_path / "download", tmp_path / "one.zip", root)
    with pytest.raises(UserError, match=f"there is no folder {missing}/; it takes both leftImg8bit_train"):
        prepare_dataset(SPEC, tmp_path / "datasets", archive)
    assert not (tmp_path / "datasets" / "cityscapes").exists()


def test_the_same_zip_twice_is_refused(tmp_path):
    _write(tmp_path / "download")
    archive = _zip(tmp_path / "download", tmp_path / "one.zip", "gtFine")
    with pytest.raises(UserError, match="both .*one.zip and an archive before it hold a folder gtFine/"):
        prepare_dataset(SPEC, tmp_path / "datasets", archive, archive)
