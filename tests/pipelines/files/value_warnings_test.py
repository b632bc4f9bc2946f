"""Values in the wrong range are warned of once a side, with the remedy; good values are not."""

from pathlib import Path

import numpy as np
import pytest

from tests.helpers import runs
from tfpix2pix.pipelines import datasets
from tfpix2pix.pipelines.files.sources import from_arrays

RANDOM = np.random.default_rng(0)


def _warnings(capsys) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]


def _write(folder: Path, side: str, suffix: str, image: np.ndarray) -> None:
    for split in ("train", "val"):
        for name in "12":
            runs.store_image(folder / "mine" / split / side / f"{name}{suffix}", image)


def _open(folder: Path, capsys) -> list[str]:
    for split in ("train", "val"):
        datasets.open_split("mine", split, data_dir=folder)
    return _warnings(capsys)


GOOD = RANDOM.integers(0, 256, (6, 8, 3), np.uint8)
UNIT = RANDOM.uniform(0, 1, (6, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_floats_from_0_to_1_in_files(tmp_path, capsys, suffix):
    _write(tmp_path, "input", suffix, UNIT)
    _write(tmp_path, "target", ".png", GOOD)
    (warning,) = _open(tmp_path, capsys)
    assert f"the input images of {tmp_path}/mine/train hold floats from 0" in warning
    assert "`image * 2 - 1`" in warning
    _write(tmp_path, "input", suffix, UNIT * 2 - 1)
    assert _open(tmp_path, capsys) == []


def test_floats_from_0_to_1_in_arrays(capsys):
    images = np.stack([UNIT, UNIT])
    from_arrays(images, images * 2 - 1)
    (warning,) = _warnings(capsys)
    assert warning.startswith("warning: input_images hold floats from 0")
    assert "`image * 2 - 1`" in warning
    from_arrays(images * 2 - 1, np.stack([GOOD, GOOD]))
    assert _warnings(capsys) == []


def test_masks_of_0_and_1(tmp_path, capsys):
    _write(tmp_path, "input", ".png", GOOD)
    _write(tmp_path, "target", ".png", GOOD[..., 0] // 128)
    (warning,) = _open(tmp_path, capsys)
    assert f"the target images of {tmp_path}/mine/train hold no value above 1 of 255" in warning
    assert "multiply them by 255" in warning


def test_class_ids_without_a_palette(tmp_path, capsys):
    _write(tmp_path, "photos", ".png", GOOD)
    _write(tmp_path, "labels", ".png", GOOD[..., 0] % 6)
    (warning,) = _open(tmp_path, capsys)
    assert f"the target images of {tmp_path}/mine/train hold no value above 5 of 255" in warning
    assert "put a palette.json beside the splits" in warning
    palette = {f"class {number}": [number * 40, 255 - number, 9] for number in range(6)}
    (tmp_path / "mine/palette.json").write_text(str({**palette, "void": [[0, 0, 0]]}).replace("'", '"'))
    assert _open(tmp_path, capsys) == []


def test_void_and_white_are_told_apart(capsys):
    ids, mask = GOOD[None] % 6, GOOD[None] // 128 * 255
    ids[:, :2] = 255
    from_arrays(ids, mask)
    (warning,) = _warnings(capsys)
    assert warning.startswith("warning: input_images hold no value above 5 of 255")


def test_images_of_all_parts_are_looked_at(capsys):
    night, day = np.full((8, *GOOD.shape), 3, np.uint8), np.stack([GOOD] * 8)
    from_arrays(np.concatenate([night, day]), np.concatenate([day, night]))
    assert _warnings(capsys) == []
    from_arrays(np.concatenate([night, night]), np.concatenate([day, night]))
    (warning,) = _warnings(capsys)
    assert warning.startswith("warning: input_images hold no value above 3 of 255")


def test_12_of_16_bits(tmp_path, capsys):
    _write(tmp_path, "input", ".png", RANDOM.integers(0, 4096, (6, 8)).astype(np.uint16))
    _write(tmp_path, "target", ".png", RANDOM.integers(0, 65536, (6, 8)).astype(np.uint16))
    (warning,) = _open(tmp_path, capsys)
    assert "the input images" in warning
    assert "of 65535, so that they are nearly black: multiply them by 16, or" in warning


def test_black_images_are_no_reason_to_warn(capsys):
    for dtype in (np.uint8, np.uint16, np.float32):
        from_arrays(np.zeros((1, 4, 4, 3), dtype), np.zeros((1, 4, 4, 3), dtype))
    assert _warnings(capsys) == []
