"""What the quickstart shows, also for images that are not resized."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests.helpers import tiny_run
from tfpix2pix.train.showcase import BASELINES, MODEL, Showcase


@pytest.mark.slow
def test_images_that_are_not_resized_are_scored_whole_and_shown_in_their_middle(tmp_path, capsys):
    draw, sizes = np.random.default_rng(0), [(40, 32), (64, 50)]
    pairs = {}
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        for place, (height, width) in enumerate(sizes):
            pixels = draw.integers(0, 256, (height, 2 * width, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / f"{place}.png")
            pairs[split, place] = pixels[:, :width], pixels[:, width:]
    config = dataclasses.replace(
        tiny_run.CONFIG, dataset="mine", data_dir=str(tmp_path), direction="AtoB", resize="none"
    )
    showcase = Showcase(tiny_run.build_generator(), config)
    scores = showcase.score()
    colour = np.mean([pairs["train", place][1].mean((0, 1)) for place in range(2)], axis=0)
    photos = [pairs["val", place] for place in range(2)]
    by_hand = {
        BASELINES[0]: np.mean([np.abs(target - colour).mean() for _, target in photos]) / 127.5,
        BASELINES[1]: np.mean([np.abs(target.astype(float) - source).mean() for source, target in photos])
        / 127.5,
    }
    assert scores.keys() == {MODEL, *by_hand}
    for name, l1 in by_hand.items():
        assert scores[name]["l1"] == pytest.approx(l1, rel=1e-4)
    showcase.write_contact_sheet(tmp_path / "sheet.png", 2)
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    middle = photos[1][0][16:48, 9:41]
    row = pixels[-36:-4, 4:36]
    np.testing.assert_array_equal(row, middle)
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0] for line in told].count(f"{tmp_path / 'val'}") == 1
