"""A manifest of the headers of a set: what has not changed is not read again, and what has changed is."""

import os

import numpy as np
import pytest
from PIL import Image

from tests.helpers import runs
from tfpix2pix.pipelines.files import sources
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.files.measuring import read_table, write_table
from tfpix2pix.pipelines.files.reading import Reading


@pytest.fixture
def folder(tmp_path):
    return runs.write_dataset(tmp_path / "set", train=5)


@pytest.fixture
def read_files(monkeypatch):
    """Returns a list that gets the name of each file whose header is read."""
    names, measure = [], Reading.measure

    def note(self, files):
        names.append(files[0].name)
        return measure(self, files)

    monkeypatch.setattr(Reading, "measure", note)
    return names


def _open(folder, manifest, **options):
    source = sources.open_source(folder, "train", "AtoB", manifest=manifest, **options)
    write_table(manifest, source.table)
    return source


def test_only_headers_of_changed_and_new_files_are_read(folder, tmp_path, read_files):
    manifest = tmp_path / "manifests/train.npz"
    first = _open(folder, manifest)
    assert len(read_files) == 5
    read_files.clear()
    again = _open(folder, manifest)
    assert read_files == [] and again.content == first.content and again.example_ids == first.example_ids
    np.testing.assert_array_equal(again.table.sizes, [[[32, 32]] * 2] * 5)
    Image.new("RGB", (80, 40)).save(folder / "train/train-3.png")
    (folder / "train/train-0.png").rename(folder / "train/train-9.png")
    changed = _open(folder, manifest)
    # A file of another name has no row, whatever it was called before.
    assert sorted(read_files) == ["train-3.png", "train-9.png"]
    assert changed.content != first.content
    assert changed.table.sizes[changed.example_ids.index("train-3")].tolist() == [[40, 40]] * 2
    assert changed.content == sources.open_source(folder, "train", "AtoB").content


def test_other_pixels_with_the_size_and_the_time_of_before_are_noticed(folder, tmp_path, read_files):
    manifest, file = tmp_path / "train.npz", folder / "train/train-2.png"
    first, before = _open(folder, manifest), file.stat()
    contents = bytearray(file.read_bytes())
    contents[-20] ^= 1
    file.write_bytes(contents)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns and file.stat().st_size == before.st_size
    read_files.clear()
    with pytest.raises(BadImageError, match="train-2.png is damaged"):
        sources.open_source(folder, "train", "AtoB", manifest=manifest)
    assert read_files == ["train-2.png"]
    assert (
        sources.open_source(folder, "train", "AtoB", manifest=manifest, cache_mib=0).content != first.content
    )


@pytest.mark.parametrize(
    "option", [dict(exif=False), dict(direction="BtoA"), dict(resize_input_to_target=True)]
)
def test_what_was_found_out_in_another_way_is_not_used(folder, tmp_path, read_files, option):
    manifest = tmp_path / "train.npz"
    _open(folder, manifest)
    read_files.clear()
    sources.open_source(folder, "train", **{"direction": "AtoB", **option}, manifest=manifest)
    # The direction is applied to what is read, and not to the files.
    assert len(read_files) == (0 if "direction" in option else 5)


def test_a_damaged_manifest_is_told_and_made_anew(folder, tmp_path, capsys, read_files):
    manifest = tmp_path / "train.npz"
    _open(folder, manifest)
    whole = manifest.read_bytes()
    for damaged in (whole[:-100], b"", whole.replace(b"train-1", b"train-8"), b"PK" + whole[2:500]):
        manifest.write_bytes(damaged)
        read_files.clear()
        _open(folder, manifest)
        assert len(read_files) == 5
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"warning: {manifest} is damaged (") and line.endswith("it is made anew")
        assert read_table(manifest).names == [f"train-{place}" for place in range(5)]


def test_files_that_are_bad_are_looked_at_anew_and_decoded_ones_are_not(folder, tmp_path, read_files):
    manifest, bad = tmp_path / "train.npz", folder / "train/train-1.png"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:-500])
    options = dict(on_bad_image="skip", cache_mib=0)
    for _ in range(2):
        source = _open(folder, manifest, **options)
        assert source.skipped == (f"{bad} is damaged or cut short and cannot be decoded",)
        assert source.table.decoded.all() and len(source) == 4
    read_files.clear()
    bad.write_bytes(whole)
    assert len(_open(folder, manifest, **options)) == 5
    assert read_files == ["train-1.png"]
