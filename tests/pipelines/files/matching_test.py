"""Names of files: every file is an example, and the two files of a pair find each other."""

import dataclasses
import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.files import finding, matching, sources
from tfpix2pix.pipelines.tasks.tasks import make_task


def _write(folder: Path, *names: str, size: tuple[int, int] = (8, 4)) -> None:
    for level, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (level, level, 200)).save(folder / name)


def _level(image: tf.Tensor) -> int:
    return int(image[0, 0, 0])


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a.jpg", "a.jpg.png", "a.png", "b.png"], ["a.jpg", "a.jpg.png", "a.png", "b"]),
        (["a.png", "b.png"], ["a", "b"]),
        (["1.bmp", "1.png", "2.png"], ["1.bmp", "1.png", "2"]),
    ],
)
def test_every_file_has_a_name_of_its_own(tmp_path, files, names):
    named = matching.name_files(tmp_path, files)
    assert list(named) == names and [named[name] for name in names] == [(tmp_path / file,) for file in files]
    _write(tmp_path / "train", *files)
    assert sources.open_source(tmp_path, "train", "AtoB").example_ids == tuple(names)


def test_composed_and_decomposed_names_are_a_pair(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    _write(tmp_path / "train", "input/1.png", f"input/{composed}.png")
    _write(tmp_path / "train", f"target/{decomposed}.png", "target/1.png")
    source = sources.open_source(tmp_path, "train", "AtoB")
    assert source.example_ids == ("1", composed)
    assert [_level(source.read(tf.constant(index, tf.int64))[1]) for index in (0, 1)] == [1, 0]
    both = {composed: Path("c.png"), decomposed: Path("d.png")}
    pairs = matching.match_by_stem(both, dict(reversed(both.items())))
    assert pairs == {stem: (file, file) for stem, file in both.items()}
    names = [str(number) for number in range(20)]
    assert len(finding.hold_out([*names, composed], 50) ^ finding.hold_out([*names, decomposed], 50)) in (
        0,
        2,
    )


def test_ends_of_names_in_two_folders():
    def drop(*sides):
        files = [{name: Path(f"{name}.png") for name in names.split()} for names in sides]
        return [" ".join(side) for side in matching.drop_ends(*files)]

    assert drop("10_A 2_A", "2_B 10_B") == ["10 2", "2 10"]
    assert drop("1_B", "1_A 2_A") == ["1", "1 2"]
    # One of another name, one name in both folders, and two names that would become one.
    for names in (["1_A 2", "1_B 2_B"], ["1_A 2_A", "1_A 2_B"], ["1_A 1-A", "1_B 1-B"], ["1_A", "1_A"]):
        assert drop(*names) == names


def test_of_three_ways_to_store_a_name_none_is_dropped():
    ways = ["\u1ead", "a\u0323\u0302", "\u00e2\u0323"]  # one letter with two marks
    inputs = {ways[0]: Path("0.png")}
    with pytest.raises(UserError, match=r"1 image has no partner .*: (1|2)\.png\. Add"):
        matching.match_by_stem(inputs, {way: Path(f"{place}.png") for place, way in enumerate(ways) if place})


@pytest.mark.parametrize("suffix", [".png", ".tif"])  # TensorFlow decodes the first kind itself
@pytest.mark.parametrize("cache_mib", [0, 2048])
def test_names_that_are_not_utf_8_are_read_and_shown(tmp_path, cache_mib, suffix):
    names = [os.fsdecode(b"caf\xe9"), os.fsdecode(b"\xff\xfe"), "x" * 251]
    _write(tmp_path / "train", *(f"{name}{suffix}" for name in names))
    source = sources.open_source(tmp_path, "train", "AtoB", cache_mib=cache_mib)
    assert source.example_ids == (r"caf\xe9", "x" * 251, r"\xff\xfe")
    assert [_level(source.read(tf.constant(index, tf.int64))[0]) for index in range(3)] == [0, 2, 1]
    assert json.loads(json.dumps(source.example_ids)) == list(source.example_ids)
    assert "".join(source.example_ids).isascii() and source.describe_failure(range(3)) is None


@pytest.mark.parametrize("ends", [("_A", "_B"), ("-A", "-B"), ("_input", "_target")])
def test_pairs_by_the_ends_of_their_names(tmp_path, ends):
    _write(tmp_path / "train", *(f"{number}{end}.png" for number in (10, 9) for end in ends))
    source = sources.open_source(tmp_path, "train", "AtoB")
    assert source.example_ids == ("9", "10")
    assert list(map(_level, source.read(tf.constant(0, tf.int64)))) == [2, 3]
    assert f"input *_{ends[0][1:]} (A), target *_{ends[1][1:]} (B)" in source.told
    backward = sources.open_source(tmp_path, "train", "BtoA")
    assert list(map(_level, backward.read(tf.constant(0, tf.int64)))) == [3, 2]


def test_one_file_of_another_name_makes_all_of_them_side_by_side_files(tmp_path):
    _write(tmp_path / "train", "0_A.png", "0_B.png", "map.png")
    assert sources.open_source(tmp_path, "train", "AtoB").example_ids == ("0_A", "0_B", "map")


@pytest.mark.parametrize("size", [(8, 8), (16, 12), (12, 16), (32, 18), (32, 12)])
def test_single_photos_are_warned_of(tmp_path, capsys, size):
    _write(tmp_path / "train", "1.png", size=(16, 8))
    _write(tmp_path / "train", "2.png", "3.png", size=size)
    sources.open_source(tmp_path, "train", "AtoB")
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"warning: {tmp_path}/train: 2 of 3 files are not about twice as wide as high")
    assert f"the first is 2.png, {size[0]}x{size[1]} px" in warning
    assert "its left half and its right half" in warning and "put inputs into input/" in warning
    sources.open_source(tmp_path, "train", "AtoB", task=make_task("inpaint"))
    for side in ("input", "target"):
        _write(tmp_path / "val", f"{side}/1.png", size=size)
    sources.open_source(tmp_path, "val", "AtoB")
    assert capsys.readouterr().err == ""


def test_pairs_of_square_images_are_not_warned_of(tmp_path, capsys):
    _write(tmp_path / "train", "1.png", size=(16, 8))
    _write(tmp_path / "train", "2.png", size=(30, 16))
    sources.open_source(tmp_path, "train", "AtoB")
    assert capsys.readouterr().err == ""


def test_a_name_without_a_partner_is_still_an_error(tmp_path):
    _write(tmp_path / "train", "input/1.png", "input/2.png", "target/1.png")
    with pytest.raises(UserError, match="1 image has no partner of the same name: .*input/2.png"):
        sources.open_source(tmp_path, "train", "AtoB")


@pytest.mark.parametrize(
    "names", [("1.png",), ("x.jpg", "x.a.png", "x.j.png"), ("10.png", "1.png"), ("a/1.png", "b/1.png")]
)
def test_what_all_paths_begin_with(tmp_path, names):
    if "/" in names[0]:
        by_name = {name: (tmp_path / name, tmp_path / f"{name}.jpg") for name in names}
    else:
        by_name = matching.name_files(tmp_path, names)
    files = matching.FileList(by_name, list(by_name))
    start, rests = files.divide_paths()
    assert start.startswith(str(tmp_path)) and len(start) > len(str(tmp_path))
    assert [start + rest for rest in rests] == [path for paths in files.list_paths() for path in paths]


@pytest.mark.parametrize("cache_mib", [0, 10])
@pytest.mark.parametrize("task", ["pairs", "edges"])
def test_types_are_known_before_anything_is_read(tmp_path, task, cache_mib):
    _write(tmp_path / "train", "1.png")
    pixels = np.zeros((4, 8), np.uint16)
    Image.fromarray(pixels).save(tmp_path / "train/2.png")
    source = sources.open_source(tmp_path, "train", "AtoB", cache_mib=cache_mib, task=make_task(task))
    told = source.dtypes
    assert told == tuple(image.dtype for image in source.read(tf.constant(1, tf.int64)))
    assert dataclasses.replace(source, read=lambda index: source.read(index)).dtypes == told
