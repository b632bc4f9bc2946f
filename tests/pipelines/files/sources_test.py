"""Both layouts, the memory and the disk path, bad files and unexpected folders."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines import catalogue, datasets
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.files import generated, image_files, sources
from tfpix2pix.pipelines.synthetic import facades
from tfpix2pix.pipelines.tasks import tasks

IN_MEMORY, FROM_DISK = 2048, 0  # cache_mib
ONE = (1, 2, 2, 3)  # the shape of one image


def _image(seed: int, height: int = 6, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _write(file: Path, image: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(file)


def _write_cut_short(file: Path) -> None:
    _write(file, _image(0, 60, 80))
    file.write_bytes(file.read_bytes()[:-2000])


def _read_all(source: sources.Source) -> list[tuple[np.ndarray, np.ndarray]]:
    dataset = tf.data.Dataset.range(len(source)).map(source.read)
    return [(input_image.numpy(), target_image.numpy()) for input_image, target_image in dataset]


@pytest.mark.parametrize("cache_mib", [IN_MEMORY, FROM_DISK])
def test_side_by_side_files_of_any_size(tmp_path, cache_mib):
    images = {"10": _image(0), "2": _image(1, 4, 10), "a": _image(2, 9, 2)}
    for name, image in images.items():
        _write(tmp_path / f"val/{name}.png", image)
    forward = sources.open_source(tmp_path, "val", "AtoB", cache_mib=cache_mib)
    backward = sources.open_source(tmp_path, "val", "BtoA", cache_mib=cache_mib)
    assert forward.example_ids == ("2", "10", "a")
    assert len(forward) == 3
    for name, pair, swapped in zip(forward.example_ids, _read_all(forward), _read_all(backward), strict=True):
        half = images[name].shape[1] // 2
        np.testing.assert_array_equal(pair[0], images[name][:, :half])
        np.testing.assert_array_equal(pair[1], images[name][:, half:])
        np.testing.assert_array_equal(swapped[0], pair[1])
        np.testing.assert_array_equal(swapped[1], pair[0])


@pytest.mark.parametrize("cache_mib", [IN_MEMORY, FROM_DISK])
def test_two_folders(tmp_path, cache_mib):
    for seed, (stem, shape) in enumerate({"1": (6, 8), "2": (5, 7)}.items()):
        _write(tmp_path / f"test/input/{stem}.PNG", _image(seed, *shape))
        _write(tmp_path / f"test/target/{stem}.bmp", _image(seed + 10, *shape))
    forward = sources.open_source(tmp_path, "test", "AtoB", cache_mib=cache_mib)
    backward = sources.open_source(tmp_path, "test", "BtoA", cache_mib=cache_mib)
    assert forward.example_ids == ("1", "2")
    np.testing.assert_array_equal(_read_all(forward)[1][0], _image(1, 5, 7))
    np.testing.assert_array_equal(_read_all(forward)[1][1], _image(11, 5, 7))
    np.testing.assert_array_equal(_read_all(backward)[1][0], _image(11, 5, 7))


def test_photos_and_labels(tmp_path):
    _write(tmp_path / "val/photos/1.png", _image(1, 6, 8))
    _write(tmp_path / "val/labels/1.png", _image(2, 6, 8))
    (pair,) = _read_all(sources.open_source(tmp_path, "val", "BtoA"))
    np.testing.assert_array_equal(pair[0], _image(2, 6, 8))
    np.testing.assert_array_equal(pair[1], _image(1, 6, 8))


def test_only_what_exceeds_the_budget_is_read_again(tmp_path):
    for place in range(2):
        _write(tmp_path / f"train/{place}.png", _image(place, 512, 1024))  # 1.5 MiB each
    kept = sources.open_source(tmp_path, "train", "AtoB", cache_mib=3)
    read_again = sources.open_source(tmp_path, "train", "AtoB", cache_mib=2)
    for source in (kept, read_again):
        np.testing.assert_array_equal(_read_all(source)[1][0], _image(1, 512, 1024)[:, :512])
    for file in (tmp_path / "train").iterdir():
        file.unlink()
    assert len(_read_all(kept)) == 2
    with pytest.raises(tf.errors.NotFoundError):
        _read_all(read_again)


def test_equal_stems_keep_their_suffix(tmp_path):
    for name in ("1.png", "1.bmp", "2.png"):
        _write(tmp_path / "train" / name, _image(0))
    assert sources.open_source(tmp_path, "train", "AtoB").example_ids == ("1.bmp", "1.png", "2")


BAD_FILES = [
    ("empty.jpg", lambda file: file.touch(), r"empty.jpg is empty \(0 bytes\)"),
    ("text.png", lambda file: file.write_text("hello"), "text.png is not a JPEG, PNG, BMP, TIFF,"),
    ("odd.png", lambda file: _write(file, _image(0, 6, 9)), "odd.png is 9 pixels wide"),
    ("gone.png", lambda file: file.symlink_to("nowhere.png"), "gone.png cannot be read: No such file"),
    ("short.jpg", _write_cut_short, "short.jpg is damaged or cut short"),
]


@pytest.mark.parametrize("cache_mib", [IN_MEMORY, FROM_DISK])
@pytest.mark.parametrize(("name", "make", "message"), BAD_FILES, ids=[name for name, *_ in BAD_FILES])
def test_bad_file_is_named_or_skipped(tmp_path, capsys, name, make, message, cache_mib):
    for stem in ("a", "z"):
        _write(tmp_path / f"train/{stem}.png", _image(0))
    make(tmp_path / "train" / name)
    if name != "short.jpg" or cache_mib == IN_MEMORY:  # Damage behind the header shows when it is decoded.
        with pytest.raises(
            sources.BadImageError, match=f"1 of 3 pairs cannot be used \\(`on_bad_image=skip` .*{message}"
        ):
            sources.open_source(tmp_path, "train", "AtoB", "stop", cache_mib)
    source = sources.open_source(tmp_path, "train", "AtoB", "skip", cache_mib)
    assert source.example_ids == ("a", "z")
    assert len(source.skipped) == 1
    assert name in source.skipped[0]
    assert len(_read_all(source)) == 2
    warnings = capsys.readouterr().err
    assert f"warning: skipped: {source.skipped[0]}" in warnings
    assert "1 of 3 pairs cannot be used and is left out" in warnings


def test_every_bad_file_is_counted_and_ten_are_named(tmp_path):
    _write(tmp_path / "train/good.png", _image(0))
    for place in range(12):
        (tmp_path / f"train/{place}.png").touch()
    with pytest.raises(sources.BadImageError, match="12 of 13 .*/9.png is empty .*; and 2 more$") as failure:
        sources.open_source(tmp_path, "train", "AtoB")
    assert "10.png" not in str(failure.value)
    assert "\n" not in str(failure.value)
    assert len(sources.open_source(tmp_path, "train", "AtoB", "skip").skipped) == 12


def test_nothing_left_is_an_error_even_when_skipping(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/1.png").touch()
    with pytest.raises(sources.BadImageError, match="1 of 1 pair cannot be used, so none is left: .*1.png"):
        sources.open_source(tmp_path, "train", "AtoB", "skip")


def test_the_bad_half_of_a_pair_is_named(tmp_path):
    _write(tmp_path / "train/input/1.png", _image(0, 60, 80))
    _write_cut_short(tmp_path / "train/target/1.png")
    with pytest.raises(sources.BadImageError, match="target/1.png is damaged"):
        sources.open_source(tmp_path, "train", "AtoB")


def test_sizes_of_a_pair_must_agree(tmp_path):
    _write(tmp_path / "train/input/1.png", _image(0, 6, 8))
    _write(tmp_path / "train/target/1.png", _image(0, 6, 9))
    with pytest.raises(sources.BadImageError, match="input/1.png is 8x6 and .*target/1.png is 9x6: the two"):
        sources.open_source(tmp_path, "train", "AtoB")


def _write_turned(file: Path, image: np.ndarray, orientation: int = 6) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(file, exif=exif)


def test_an_exif_orientation_is_warned_of_once_per_split(tmp_path, capsys):
    for name, orientation in (("1", 1), ("2", 6), ("3", 3)):
        _write_turned(tmp_path / f"train/{name}.jpg", _image(0, 6, 12), orientation)
    _write_turned(tmp_path / "val/1.jpg", _image(0, 6, 12), 1)
    sources.open_source(tmp_path, "train", "AtoB", exif=False)
    sources.open_source(tmp_path, "val", "AtoB", exif=False)
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith(
        f"warning: {tmp_path}/train: the EXIF orientation of 2 files is not applied, "
        f"the first: {tmp_path}/train/2.jpg; "
    )
    assert "mogrify -auto-orient" in warning


def test_an_exif_orientation_that_parts_a_pair_is_named(tmp_path):
    _write_turned(tmp_path / "train/input/1.jpg", _image(0, 6, 8))
    _write(tmp_path / "train/target/1.png", _image(0, 8, 6))
    cause = "must have the same size; the EXIF orientation of .*input/1.jpg is not applied: turn their pixels"
    with pytest.raises(sources.BadImageError, match=cause):
        sources.open_source(tmp_path, "train", "AtoB", exif=False)
    assert len(sources.open_source(tmp_path, "train", "AtoB")) == 1
    _write(tmp_path / "train/target/1.png", _image(0, 8, 7))
    for exif in (True, False):
        with pytest.raises(
            sources.BadImageError, match="must have the same size, unless `resize_input_to_target`"
        ):
            sources.open_source(tmp_path, "train", "AtoB", exif=exif)


@pytest.fixture
def damaged(tmp_path) -> sources.Source:
    """Three pairs that are read anew each time: 1 is good, 2 and 3 are damaged."""
    _write(tmp_path / "train/1.png", _image(0, 60, 80))
    for name in "23":
        _write_cut_short(tmp_path / f"train/{name}.png")
    return sources.open_source(tmp_path, "train", "AtoB", cache_mib=FROM_DISK)


def _tell_damage(folder: Path, *names: str) -> str:
    return "; ".join(f"{folder}/{name}.png is damaged or cut short and cannot be decoded" for name in names)


def test_damage_found_in_mid_training_can_be_named(damaged):
    folder = damaged.files[0][0].parent
    assert damaged.describe_failure([0]) is None
    assert damaged.describe_failure([0, 1, 1]) == _tell_damage(folder, "2")
    with pytest.raises(sources.BadImageError) as caught, damaged.naming_bad_files():
        _read_all(damaged)
    assert str(caught.value) == _tell_damage(folder, "2", "3")
    assert isinstance(caught.value.__cause__, tf.errors.InvalidArgumentError)


def test_only_the_pairs_that_were_read_are_looked_at_and_only_after_a_failure(damaged):
    folder, asked = damaged.files[0][0].parent, []

    def indices() -> list[int]:
        asked.append(True)
        return [0, 2]

    with damaged.naming_bad_files(indices):
        damaged.read(tf.constant(0, tf.int64))
    assert asked == []
    with pytest.raises(sources.BadImageError) as caught, damaged.naming_bad_files(indices):
        damaged.read(tf.constant(2, tf.int64))
    assert (str(caught.value), asked) == (_tell_damage(folder, "3"), [True])
    with pytest.raises(sources.BadImageError) as caught, damaged.naming_bad_files(iter([1])):
        damaged.read(tf.constant(1, tf.int64))
    assert str(caught.value) == _tell_damage(folder, "2")


def test_errors_that_no_bad_file_explains_pass_unchanged(damaged):
    def check(indices, error: Exception) -> None:
        with pytest.raises(type(error)) as caught, damaged.naming_bad_files(indices):
            raise error
        assert caught.value is error

    check([0], tf.errors.InvalidArgumentError(None, None, "a fault elsewhere"))
    for error in (ValueError("x"), tf.errors.ResourceExhaustedError(None, None, "no memory")):
        check(None, error)
    in_memory = sources.from_arrays(*np.zeros((2, 1, 4, 4, 3), np.uint8))
    with pytest.raises(tf.errors.InvalidArgumentError), in_memory.naming_bad_files():
        in_memory.read(tf.constant(1, tf.int64))


def test_unmatched_stems_are_listed(tmp_path):
    for name in ("input/1", "input/2", "target/2", "target/3"):
        _write(tmp_path / f"train/{name}.png", _image(0))
    alone = r"2 images have no partner .*: \S+/input/1.png, \S+/target/3.png. Add the partners. Rem"
    with pytest.raises(UserError, match=alone):
        sources.open_source(tmp_path, "train", "AtoB", on_bad_image="skip")


def test_two_files_for_one_side_of_a_pair(tmp_path):
    for name in ("input/1.png", "input/1.bmp", "target/1.png"):
        _write(tmp_path / f"train/{name}", _image(0))
    with pytest.raises(UserError, match="input holds more than one image of the same name: \\S+/input/1"):
        sources.open_source(tmp_path, "train", "AtoB")


@pytest.mark.parametrize(
    ("present", "message"),
    [
        ([], "train: no such folder; .* holds nothing$"),
        (["val/1.png"], "train: no such folder; .* holds val/$"),
        (
            ["train/x/1.png", "train/y/1.png"],
            "train holds x/, y/; expected .* folders input/ and target/, .*. If x/ holds the inputs: "
            "mv .*/train/x .*/train/input && mv .*/train/y .*/train/target$",
        ),
        (["train/.DS_Store", "train/a.txt"], "train holds .DS_Store, a.txt; expected JPEG, PNG, BMP, TIFF,"),
        (["train/input/1.png"], "train/target: no such folder; .*train holds input/$"),
        (["train/input/1.png", "train/target/1.txt"], "train/target holds 1.txt; expected .* one per pair$"),
    ],
)
def test_folders_without_pairs(tmp_path, present, message):
    for name in present:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=message):
        sources.open_source(tmp_path, "train", "AtoB")


def test_a_missing_val_says_how_to_get_one(tmp_path):
    _write(tmp_path / "train/1.png", _image(0))
    with pytest.raises(
        UserError, match="holds train/. Training takes val/ to validate: move some of the pairs"
    ):
        sources.open_source(tmp_path, "val", "AtoB")


def test_empty_split(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError, match="train holds nothing; expected"):
        sources.open_source(tmp_path, "train", "AtoB")


def test_other_files_are_ignored(tmp_path, capsys):
    _write(tmp_path / "train/1.png", _image(0))
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "._1.png"):
        (tmp_path / "train" / name).write_text("x")
    source = sources.open_source(tmp_path, "train", "AtoB")
    assert source.example_ids == ("1",)
    assert source.skipped == ()
    assert "train: ignored 4 files that are not JPEG, PNG" in capsys.readouterr().err


@pytest.mark.parametrize("task", [tasks.Task(), tasks.make_task("colorize")])
def test_images_beside_the_folders_that_are_read_are_counted(tmp_path, capsys, task):
    inside = "photos/" if task.from_photos else "photos/ and labels/"
    for name in ("photos/1", "labels/1", "2", "3"):
        _write(tmp_path / f"train/{name}.png", _image(0))
    assert len(sources.open_source(tmp_path, "train", "AtoB", task=task)) == 1
    warning = f"warning: {tmp_path}/train: ignored 2 images beside {inside}, which alone are read\n"
    assert capsys.readouterr().err == warning


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("left",), "direction must be AtoB or BtoA. Received: left"),
        (("AtoB", "ignore"), "on_bad_image must be stop or skip. Received: ignore"),
    ],
)
def test_arguments_that_are_not_choices_are_named(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        sources.open_source(tmp_path, "train", *arguments)
    if len(arguments) == 1:
        with pytest.raises(ValueError, match=f"^{message}$"):
            generated.open_synthetic("train", *arguments, 1, (32, 32))


def test_channels_that_files_do_not_have_name_the_settings(tmp_path):
    _write(tmp_path / "train/1.png", _image(0))
    with pytest.raises(
        UserError, match="3 channels where 2 were asked for \\(`input_channels`, `output_chann"
    ):
        sources.open_source(tmp_path, "train", "AtoB", task=tasks.Task((2, 2)))


def test_a_task_of_photos_of_a_set_of_pairs_names_the_arguments(tmp_path):
    _write(tmp_path / "maps/train/1.png", _image(0))
    told = "^`dataset=maps` is a set of pairs side by side, and `task=colorize` takes single photos"
    with pytest.raises(UsageError, match=told):
        datasets.open_split("maps", "train", data_dir=tmp_path, task=tasks.make_task("colorize"))


def test_arrays():
    inputs, targets = np.stack([_image(0), _image(1)]), np.stack([_image(2), _image(3)])[..., :1]
    source = sources.from_arrays(inputs, targets)
    assert (source.example_ids, source.channels) == (("0", "1"), (3, 1))
    np.testing.assert_array_equal(_read_all(source)[1][0], _image(1))
    np.testing.assert_array_equal(_read_all(source)[1][1], _image(3)[..., :1])
    assert sources.from_arrays(inputs, targets, ["x", "y"]).example_ids == ("x", "y")
    assert source.describe_failure([0, 1]) is None


@pytest.mark.parametrize(
    ("inputs", "targets", "ids", "message"),
    [
        (np.zeros(ONE, np.int64), np.zeros(ONE, np.uint8), None, "^input_images must be uint8, uint16 or"),
        (np.zeros(ONE, np.uint8), np.zeros(ONE, np.int64), None, "^target_images must be uint8, uint16 or"),
        (np.full(ONE, 2, np.float32), np.zeros(ONE, np.uint8), None, r"^input_images must be in \[-1, 1\]"),
        (np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 2, 4, 3), np.uint8), None, "equal N, H, W"),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8), None, "equal N, H, W"),
        (np.zeros((0, 2, 2, 3), np.uint8), np.zeros((0, 2, 2, 3), np.uint8), None, "equal N, H, W"),
        (np.zeros((2, 2, 2, 3), np.uint8), np.zeros((2, 2, 2, 3), np.uint8), ["a"], "must name 2 pairs"),
    ],
)
def test_arrays_that_do_not_match(inputs, targets, ids, message):
    with pytest.raises(ValueError, match=message):
        sources.from_arrays(inputs, targets, ids)


def test_synthetic_pairs_keep_to_the_palette_on_the_side_of_the_labels():
    palette = {tuple(colour) for colour in catalogue.FACADES_PALETTE.values()}
    to_photo = generated.open_synthetic("train", "BtoA", 2, (32, 48), seed=3)
    to_labels = generated.open_synthetic("train", "AtoB", 2, (32, 48), seed=3)
    assert to_photo.example_ids == ("train_0", "train_1")
    for (labels, photo), (photo_again, labels_again) in zip(
        _read_all(to_photo), _read_all(to_labels), strict=True
    ):
        assert labels.shape == photo.shape == (32, 48, 3)
        assert {tuple(colour) for colour in labels.reshape(-1, 3).tolist()} <= palette
        assert not {tuple(colour) for colour in photo.reshape(-1, 3).tolist()} <= palette
        np.testing.assert_array_equal(labels, labels_again)
        np.testing.assert_array_equal(photo, photo_again)


def test_a_generated_dataset_is_an_entry_with_the_function_that_draws_it():
    def draw_pair(seed, index, image_size) -> facades.SyntheticPair:
        photo = np.full((*image_size, 3), index, np.uint8)
        return facades.SyntheticPair(photo, photo[..., 0], 255 - photo)

    spec = dataclasses.replace(catalogue.custom_dataset("gray"), counts={"train": 2}, draw_pair=draw_pair)
    source = datasets.open_split(spec, "train", image_size=(4, 6))
    assert source.example_ids == ("train_0", "train_1")
    photo, label_map = _read_all(source)[1]
    # Every third number is an index of train; those between are of val and test.
    np.testing.assert_array_equal(photo, np.full((4, 6, 3), 3))
    np.testing.assert_array_equal(label_map, np.full((4, 6, 3), 252))


def test_small_generated_pairs_are_drawn_once_and_a_change_of_one_reaches_no_other():
    drawn = []

    def draw_pair(seed, index, image_size) -> facades.SyntheticPair:
        drawn.append((index, *image_size))
        photo = np.full((*image_size, 3), index, np.uint8)
        return facades.SyntheticPair(photo, photo[..., 0], photo)

    for image_size in ((4, 6), (4, 6), (2, 6), (200, 200), (200, 200)):
        for direction in ("AtoB", "BtoA"):
            source = generated.open_synthetic("train", direction, 2, image_size, draw=draw_pair)
            photo = _read_all(source)[1][0]
            assert (photo == 3).all() and photo.shape == (*image_size, 3)
            photo[:] = 0
    small, large = ([each for each in drawn if (each[1] == 200) is is_large] for is_large in (False, True))
    assert sorted(small) == [(0, 2, 6), (0, 4, 6), (3, 2, 6), (3, 4, 6)]
    assert len(large) == 8


def test_synthetic_pairs_have_the_channels_that_are_asked_for():
    photo, label_map = _read_all(generated.open_synthetic("val", "AtoB", 1, (32, 32)))[0]
    for channels in ((1, 3), (3, 1), (1, 1)):
        source = generated.open_synthetic("val", "AtoB", 1, (32, 32), task=tasks.Task(channels))
        for image, colours, wanted in zip(_read_all(source)[0], (photo, label_map), channels, strict=True):
            expected = colours if wanted == 3 else colours @ np.array([[0.299], [0.587], [0.114]])
            np.testing.assert_allclose(image, expected, atol=1)
    with pytest.raises(ValueError, match=r"task must take images of 1 or 3 channels. Received: \(3, 4\)"):
        generated.open_synthetic("val", "AtoB", 1, (32, 32), task=tasks.Task((3, 4)))


def test_synthetic_splits_and_seeds_differ():
    photos = [
        _read_all(generated.open_synthetic(split, "AtoB", 1, (32, 32), seed))[0][0].tobytes()
        for split, seed in (("train", 0), ("val", 0), ("test", 0), ("train", 1))
    ]
    assert len(set(photos)) == 4


def test_real_facades(shared_data):
    folder = shared_data / "facades"
    source = sources.open_source(folder, "train", "BtoA")
    assert len(source) == 400
    assert source.example_ids[:3] == ("1", "2", "3")
    assert source.example_ids[-1] == "400"
    colours = np.array(list(catalogue.FACADES_PALETTE.values()))
    for index in (0, 199, 399):
        labels, photo = (image.numpy().astype(int) for image in source.read(tf.constant(index, tf.int64)))
        assert labels.shape == photo.shape == (256, 256, 3)

        def near_palette(image: np.ndarray) -> float:
            distances = np.abs(image[:, :, None] - colours).max(axis=-1).min(axis=-1)
            return float((distances < 12).mean())

        assert near_palette(labels) > 0.6
        assert near_palette(photo) < 0.1
    whole = image_files.load_image(folder / "train" / "400.jpg")
    np.testing.assert_array_equal(labels, whole[:, 256:])
