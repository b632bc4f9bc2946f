"""Which files are images, and which folders are walked: links are followed, circles are not."""

import itertools
import os
import random
import re

import pytest

from tfpix2pix.pipelines.files import image_listing


def test_list_is_in_natural_order_and_counts_the_rest(tmp_path):
    for name in ("10.png", "2.JPG", "1.jpeg", "a1.bmp", "a01.bmp", ".DS_Store", "._1.jpeg", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    files, num_others = image_listing.list_image_files(tmp_path)
    assert [file.name for file in files] == ["1.jpeg", "2.JPG", "10.png", "a01.bmp", "a1.bmp"]
    assert num_others == 3


def _split(name):
    """Returns a key of natural order: texts and numbers in turn."""
    parts = re.split(r"(\d+)", name.lower())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def test_natural_order_is_that_of_texts_and_numbers_in_turn(tmp_path):
    pieces = ("a", "A", "-", "_", "~", "0", "7", "12", "007", "\u0663", "\x01")
    names = {f"{''.join(parts)}.png" for parts in itertools.product(pieces, repeat=3)}
    for name in names:
        (tmp_path / name).touch()
    listed, *_ = image_listing.list_image_names(tmp_path)
    assert listed == sorted(names, key=_split)


@pytest.mark.parametrize("start", ["cmp_B", "\u00e9 \udcff"])
def test_names_that_differ_in_digits_alone_are_sorted_in_the_same_way(tmp_path, start, monkeypatch):
    names = [f"{start}{number:03d}_{2 * number:04d}.png" for number in range(200)]
    for name in random.Random(0).sample(names, len(names)):
        (tmp_path / name).touch()
    monkeypatch.setattr(image_listing, "_natural_key", None)
    assert image_listing.list_image_names(tmp_path)[0] == names == sorted(names, key=_split)


def test_links_are_files_and_pipes_are_none(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "c.png").symlink_to("nothing.png")
    (tmp_path / "d.png").symlink_to("d.png")
    os.mkfifo(tmp_path / "e.png")
    (tmp_path / "real").mkdir()
    (tmp_path / "f.png").symlink_to("real")
    files, num_others = image_listing.list_image_files(tmp_path)
    assert [file.name for file in files] == ["a.png", "b.png", "c.png", "d.png"] and num_others == 0
    (tmp_path / ".hidden").mkdir()
    assert image_listing.list_image_names(tmp_path)[2] == ["f.png", "real"]
    assert image_listing.list_folders(tmp_path) == ["f.png", "real"]


@pytest.mark.parametrize(
    "name", ["a.jfif", "a.JPE", "a.TIF", "a.webp", "a.gif", "a.npy", "[x].png", "a?\\\n.png"]
)
def test_an_image_is_known_by_its_suffix(tmp_path, name):
    assert not image_listing.has_images(tmp_path)
    (tmp_path / name).touch()
    assert image_listing.has_images(tmp_path)
    assert image_listing.list_image_files(tmp_path) == ([tmp_path / name], 0)


def test_linked_folders_are_walked_and_circles_are_not(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    (inside / "sub").mkdir(parents=True)
    (inside / ".hidden").mkdir()
    (outside / "deep").mkdir(parents=True)
    (inside / "one").symlink_to(outside)
    (inside / "two").symlink_to("../out")
    (inside / "sub/up").symlink_to("..")
    (outside / "deep/back").symlink_to(inside)
    (inside / "itself").symlink_to(".")
    (inside / "lost").symlink_to("nothing")
    walked = [str(folder.relative_to(tmp_path)) for folder in image_listing.walk_folders(inside)]
    assert walked == ["in", "in/one", "in/one/deep", "in/sub", "in/two", "in/two/deep"]
