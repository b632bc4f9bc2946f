"""The benchmark of opening: its files are what it says, and a start tells what its first step took."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import first_step, opening
from tfpix2pix.run.manifests import manifest_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("opening") / "pairs"
    for split, count in (("train", 5), ("val", 2)):
        opening.write_files(folder / split, count, opening.WIDTH_PX)
    return folder


def test_files_differ_and_have_the_size_that_is_told(folder):
    images = [np.asarray(Image.open(file)) for file in sorted((folder / "train").iterdir())]
    assert [image.shape for image in images] == [(32, 64, 3)] * 5
    assert len({image.tobytes() for image in images}) == 5


def test_photos_are_counted_and_opened_alone(folder):
    told = first_step.measure_photos(folder)
    assert told["photos"] == 5 and told["cpu_sec"] > 0 and told["wall_sec"] > 0 and told["peak_rss_mib"] > 100


@pytest.mark.slow
def test_a_start_tells_what_its_first_step_took_and_keeps_a_manifest(folder, tmp_path):
    told = first_step.measure_training(folder, tmp_path / "run", 1)
    assert told["step"] == 1 and told["cpu_sec"] > 0 and told["wall_sec"] > 0 and told["peak_rss_mib"] > 100
    assert manifest_of(tmp_path / "run", "train").is_file()
