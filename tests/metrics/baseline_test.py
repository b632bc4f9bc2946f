"""The mean target image and its scores, beside what NumPy makes of the files."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests.helpers import tiny_run
from tfpix2pix.metrics import baseline
from tfpix2pix.metrics.registry import Result, Tools, build_metrics
from tfpix2pix.metrics.scoring import Split
from tfpix2pix.run.splits import open_split


def _write_pairs(folder, sizes: dict[str, list[tuple[int, int]]]) -> dict[str, list[np.ndarray]]:
    """Writes side-by-side pairs; returns the right halves of each split, in [-1, 1]."""
    draw, targets = np.random.default_rng(0), {}
    for split, shapes in sizes.items():
        (folder / split).mkdir(parents=True)
        for place, (height, width) in enumerate(shapes):
            pixels = draw.integers(0, 256, (height, 2 * width, 3), np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{place}.png")
            targets.setdefault(split, []).append(pixels[:, width:] / 127.5 - 1)
    return targets


def _configure(folder, **settings):
    return dataclasses.replace(
        tiny_run.CONFIG, dataset="mine", data_dir=str(folder), direction="AtoB", **settings
    )


@pytest.mark.parametrize(("most", "places"), [(None, [0, 1, 2, 3, 4]), (2, [0, 2])])
def test_the_mean_target_is_that_of_images_spread_over_the_split(tmp_path, most, places):
    targets = _write_pairs(tmp_path, {"train": [(32, 32)] * 5, "val": [(32, 32)]})["train"]
    mean = baseline.compute_mean_target(_configure(tmp_path), most)
    np.testing.assert_allclose(mean, np.mean([targets[place] for place in places], axis=0), atol=1e-5)


def test_images_that_keep_their_sizes_have_a_mean_colour(tmp_path):
    targets = _write_pairs(tmp_path, {"train": [(32, 48), (40, 32)], "val": [(33, 35)]})["train"]
    mean = baseline.compute_mean_target(_configure(tmp_path, resize="none"))
    expected = np.mean([target.mean((0, 1)) for target in targets], axis=0)
    np.testing.assert_allclose(mean[0, 0], expected, atol=1e-5)
    assert mean.shape == (1, 1, 3)


@pytest.mark.parametrize("resize", ["stretch", "none"])
def test_scores_that_compare_pixels_get_a_baseline(tmp_path, resize):
    sizes = [(32, 32)] * 3 if resize == "stretch" else [(32, 48), (40, 32), (50, 50)]
    targets = _write_pairs(tmp_path, {"train": sizes, "val": sizes})
    config = _configure(tmp_path, resize=resize)
    metrics = build_metrics(["l1", "diversity"], Tools())
    split = Split(open_split(config, "val"), config.image_size, 0, Tools(), resize=config.resizes)
    results = {"l1": Result({"l1": 0.5}), "diversity": Result({"pairwise_l1": 0.5})}
    told = baseline.add_baseline(results, config, split, metrics)
    axes = (0,) if resize == "stretch" else (0, 1)
    train = targets["train"] if resize == "none" else [np.array(targets["train"])]
    mean = np.mean([target.mean(axes) for target in train], axis=0)
    expected = np.mean([np.abs(target - mean).mean() for target in targets["val"]])
    assert told["l1"].scores == {"l1": 0.5}
    assert told["l1"].baseline["l1"] == pytest.approx(expected, rel=1e-5)
    assert told["diversity"].baseline == {}


def test_without_training_images_there_is_no_baseline(tmp_path, capsys):
    _write_pairs(tmp_path, {"train": [(32, 32)] * 2, "val": [(32, 32)]})
    config, metrics = _configure(tmp_path), build_metrics(["l1"], Tools())
    split = Split(open_split(config, "val"), config.image_size, 0, Tools())
    results = {"l1": Result({"l1": 0.5})}
    damaged = tmp_path / "train" / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    assert baseline.add_baseline(results, config, split, metrics) == results
    assert f"warning: the scores have no baseline: {damaged} is damaged" in capsys.readouterr().err
    (tmp_path / "train").rename(tmp_path / "elsewhere")
    assert baseline.add_baseline(results, config, split, metrics) == results
    assert "baseline" not in capsys.readouterr().err
