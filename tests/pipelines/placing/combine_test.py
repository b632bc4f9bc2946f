"""Two folders of images become side-by-side pairs, bit for bit, or a clear error."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import runs
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.files import finding, image_files
from tfpix2pix.pipelines.placing.combine import combine_folders

REPOSITORY = Path(__file__).resolve().parents[3]
CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}


def write_image(path, seed=0, size=(6, 4), mode="RGB"):
    """Writes noise of (width, height) pixels; returns it as uint8 [H, W, 3], or [H, W, 4] with alpha."""
    shape = (size[1], size[0], CHANNELS[mode])
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.squeeze()).save(path)
    return np.repeat(pixels, 3, axis=2) if mode == "L" else pixels


def read_image(path):
    return np.asarray(Image.open(path))


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "input", tmp_path / "target", tmp_path / "out"


def refuse(folders, match):
    before = set(folders[2].parent.rglob("*"))
    with pytest.raises(UserError, match=match):
        combine_folders(*folders)
    assert set(folders[2].parent.rglob("*")) == before


def test_input_left_target_right_without_loss(folders):
    kinds = {"1": ("png", "RGB"), "2": ("bmp", "RGB"), "3": ("png", "L"), "4": ("PNG", "RGBA")}
    expected = {}
    for seed, (stem, (suffix, mode)) in enumerate(kinds.items()):
        left = write_image(folders[0] / f"{stem}.{suffix}", seed, mode=mode)
        right = write_image(folders[1] / f"{stem}.bmp", seed + 10)
        if mode == "RGBA":
            right = np.pad(right, [(0, 0), (0, 0), (0, 1)], constant_values=255)
        expected[f"{stem}.png"] = np.hstack([left, right])
    assert combine_folders(*folders) == 4
    assert sorted(path.name for path in folders[2].iterdir()) == sorted(expected)
    for name, pixels in expected.items():
        assert Image.open(folders[2] / name).size == (12, 4)
        np.testing.assert_array_equal(read_image(folders[2] / name), pixels)


def test_jpeg_pixels_are_those_of_the_file(folders):
    write_image(folders[0] / "1.jpg", 1, (16, 16))
    right = write_image(folders[1] / "1.png", 2, (16, 16))
    combine_folders(*folders)
    expected = np.hstack([read_image(folders[0] / "1.jpg"), right])
    np.testing.assert_array_equal(read_image(folders[2] / "1.png"), expected)


def test_splits_stay_splits(folders):
    for split, stems in {"train": "ab", "val": "a"}.items():
        for stem in stems:
            for folder in folders[:2]:
                write_image(folder / split / f"{stem}.png")
    assert combine_folders(*folders) == 3
    written = sorted(str(path.relative_to(folders[2])) for path in folders[2].rglob("*.png"))
    assert written == ["train/a.png", "train/b.png", "val/a.png"]
    assert sorted(path.name for path in folders[2].parent.iterdir()) == ["input", "out", "target"]


def test_splits_have_the_names_that_training_knows(folders):
    for splits, folder in zip(("training valid testing", "train valid testing"), folders, strict=False):
        for split in splits.split():
            write_image(folder / split / "1.png")
    assert combine_folders(*folders) == 3
    written = sorted(str(path.relative_to(folders[2])) for path in folders[2].rglob("*.png"))
    assert written == ["testing/1.png", "training/1.png", "valid/1.png"]


@pytest.mark.parametrize(
    "joined, other", [("train/", ""), ("train/", "holdout/"), ("train/", "train/city/"), ("", "city/deep/")]
)
def test_images_that_would_be_left_out_are_refused(folders, joined, other):
    for folder in folders[:2]:
        write_image(folder / joined / "1.png")
        (folder / "notes").mkdir()
    write_image(folders[1] / other / "2.png")
    place = re.escape(str(folders[1] / other))
    refuse(folders, rf"^{place}: the images there would be left out, because only those in \S+/input")


def test_one_folder_inside_the_other(folders):
    write_image(folders[0] / "1.png")
    write_image(folders[0] / "masks/1.png")
    assert combine_folders(folders[0], folders[0] / "masks", folders[2]) == 1


def test_names_with_dots(folders):
    for folder in folders[:2]:
        for name in ("frame.001.png", "frame.002.png"):
            write_image(folder / name)
    assert combine_folders(*folders) == 2
    assert (folders[2] / "frame.002.png").exists()


def test_photos_are_turned_as_their_exif_orientation_says(folders):
    left = write_image(folders[0] / "1.png", size=(4, 6))
    folders[1].mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 4)).save(folders[1] / "1.jpg", exif=exif)
    combine_folders(*folders)
    np.testing.assert_array_equal(read_image(folders[2] / "1.png"), np.hstack([left, np.zeros_like(left)]))


def test_unmatched_names_are_listed(folders):
    for name in range(1, 13):
        write_image(folders[0] / f"{name}.png")
    write_image(folders[1] / "1.png")
    write_image(folders[1] / "x.png")
    alone = r"12 images have no partner of the same name: \S+/input/2.png, .*input/11.png, and 2 more\. "
    refuse(folders, f"{alone}Add the partners, or move these files away$")


def test_two_files_of_one_name(folders):
    for name in ("1.png", "1.bmp"):
        write_image(folders[0] / name)
    write_image(folders[1] / "1.png")
    refuse(folders, r"input holds more than one image of the same name: \S+/input/1\.")


def test_sizes_must_match(folders):
    write_image(folders[0] / "1.png", size=(6, 4))
    write_image(folders[1] / "1.png", size=(4, 6))
    refuse(folders, r"input/1.png is 6x4 and \S+/target/1.png is 4x6: .*must have the same size")


def test_all_bad_images_are_named_or_skipped(folders, capsys):
    for name in ("train/1.png", "train/2.png", "train/3.png", "val/4.png"):
        for folder in folders[:2]:
            write_image(folder / name, size=(64, 64))
    whole = (folders[1] / "train/2.png").read_bytes()
    (folders[1] / "train/2.png").write_bytes(whole[: len(whole) // 2])
    (folders[0] / "val/4.png").write_bytes(b"no image")
    write_image(folders[0] / "train/3.png", size=(4, 6))
    start = r"^3 of 4 pairs cannot be used \(`on_bad_image=skip` leaves them out\): "
    refuse(folders, rf"{start}.*target/train/2.png .*; \S+input/train/3.png is 4x6 .*; \S+input/val/4.png ")
    assert combine_folders(*folders, on_bad_image="skip") == 1
    written = sorted(str(path.relative_to(folders[2])) for path in folders[2].rglob("*"))
    assert written == ["train", "train/1.png"]
    told = capsys.readouterr().err
    assert "skipped: " in told and "3 of 4 pairs cannot be used and are left out" in told


@pytest.mark.parametrize("ends", ["_A _B", "-B -A", "_input _target"])
def test_names_that_end_with_the_side(folders, ends):
    for folder, end in zip(folders, ends.split(), strict=False):
        for name in ("1", "a_2"):
            write_image(folder / f"{name}{end}.png")
    assert combine_folders(*folders) == 2
    assert sorted(path.name for path in folders[2].iterdir()) == ["1.png", "a_2.png"]


@pytest.mark.parametrize("below", ["", "input/1.png"])
def test_a_folder_that_cannot_be_written_is_named(folders, below):
    for folder in folders[:2]:
        write_image(folder / "1.png", size=(64, 64))
    output = folders[2].parent / below / "out"
    with runs.full_disk(1000):
        refuse((*folders[:2], output), f"cannot write {output}: File (too large|exists.*/1.png); nothing is")


def test_splits_must_match(folders):
    write_image(folders[0] / "train/1.png")
    write_image(folders[1] / "1.png")
    refuse(folders, r"input holds train/ and \S+/target no splits; both must hold the same splits")


def test_folders_without_images(folders):
    write_image(folders[0] / "1.png")
    refuse(folders, "target is not a folder")
    folders[1].mkdir()
    (folders[1] / "1.txt").write_text("x")
    refuse(folders, "target holds 1.txt; expected JPEG, PNG, BMP, TIFF, WebP or GIF files")


def test_an_existing_output_is_not_replaced(folders):
    for folder in folders[:2]:
        write_image(folder / "1.png")
    folders[2].mkdir()
    refuse(folders, "out exists already")


def test_the_command(folders):
    for folder in folders[:2]:
        write_image(folder / "train/1.png")
    command = [
        sys.executable,
        "-m",
        "tfpix2pix.pipelines.prepare",
        "--combine",
        "input",
        "target",
        "--output=out",
    ]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": ""}
    cwd = folders[2].parent
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (
        "1 pair is in out, input on the left. Train on them: python -m tfpix2pix.train --data_dir=o"
        in done.stdout
    )
    assert (folders[2] / "train/1.png").exists()
    for folder in folders[:2]:
        write_image(folder / "flat/1.png")
        write_image(folder / "flat/2.png")
    command[-3:] = ["input/flat", "target/flat", "--output=a set", "--val_percent=50"]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Train on them: python -m tfpix2pix.train --data_dir='a set' --direction=AtoB" in done.stdout
    written = sorted(str(path.relative_to(cwd / "a set")) for path in (cwd / "a set").rglob("*.png"))
    assert written == ["train/1.png", "val/2.png"]


def test_16_bits_and_class_ids_are_kept(folders):
    left = np.arange(24, dtype=np.uint16).reshape(4, 6) * 100
    for folder in folders[:2]:
        folder.mkdir()
    Image.fromarray(left).save(folders[0] / "1.png")
    right = write_image(folders[1] / "1.png")
    Image.fromarray(left).save(folders[0] / "2.png")
    Image.fromarray(left + 7).save(folders[1] / "2.png")
    combine_folders(*folders)
    joined = image_files.load_image(folders[2] / "1.png", 3, np.uint16)
    np.testing.assert_array_equal(joined[:, :6], np.repeat(left[..., None], 3, 2))
    np.testing.assert_array_equal(joined[:, 6:], right.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(folders[2] / "2.png"), np.hstack([left, left + 7]))


@pytest.mark.parametrize(
    "modes, joined", [("L LA", "LA"), ("LA RGB", "RGBA"), ("L L", "L"), ("L RGBA", "RGBA")]
)
def test_alpha_is_kept(folders, modes, joined):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 4), np.uint8)
    for folder, mode in zip(folders, modes.split(), strict=False):
        folder.mkdir()
        Image.fromarray(pixels).convert(mode).save(folder / "1.png")
    combine_folders(*folders)
    halves = [Image.fromarray(pixels).convert(mode).convert(joined) for mode in modes.split()]
    with Image.open(folders[2] / "1.png") as picture:
        assert picture.mode == joined
        np.testing.assert_array_equal(picture, np.hstack([np.asarray(half) for half in halves]))


def test_what_a_png_cannot_hold_is_refused_by_name(folders):
    write_image(folders[0] / "1.png")
    folders[1].mkdir()
    np.save(folders[1] / "1.npy", np.zeros((4, 6, 3), np.float32))
    refuse(folders, r"target/1.npy holds 3 channels of float32, which a PNG cannot hold. .* two folders")
    np.save(folders[1] / "1.npy", np.zeros((4, 6, 5), np.uint8))
    refuse(folders, r"target/1.npy holds 5 channels of uint8, which a PNG cannot hold")


def test_a_share_is_written_to_val(folders):
    names = [str(number) for number in range(20)]
    for name in names:
        for folder in folders[:2]:
            write_image(folder / f"{name}.png")
    assert combine_folders(*folders, val_percent=10) == 20
    splits = {
        split: sorted(path.stem for path in (folders[2] / split).iterdir()) for split in ("train", "val")
    }
    assert sorted(splits["train"] + splits["val"]) == sorted(names)
    # Training would set aside the same ones.
    assert set(splits["val"]) == finding.hold_out(names, 10)
    assert len(splits["val"]) == 2


def test_folders_with_splits_are_not_divided(folders):
    for folder in folders[:2]:
        write_image(folder / "train/1.png")
    with pytest.raises(UsageError, match="hold splits already"):
        combine_folders(*folders, val_percent=10)


def test_nothing_is_left_after_an_error_in_the_middle(folders):
    for number in range(40):
        for folder in folders[:2]:
            write_image(folder / f"{number:02d}.png")
    (folders[0] / "20.png").unlink()
    np.save(folders[0] / "20.npy", np.zeros((4, 4, 3), np.float32))
    refuse(folders, "20.npy holds .* which a PNG cannot hold")
    assert sorted(path.name for path in folders[2].parent.iterdir()) == ["input", "target"]
