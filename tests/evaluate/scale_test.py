"""What `evaluate` scores is what `translate` writes: the same files at the same size."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests.helpers.tiny_run import CONFIG, write_run
from tests.helpers.translating import COMMAND
from tfpix2pix.config.config import make_config
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.pipelines.synthetic.facades import draw_pair
from tfpix2pix.pipelines.tasks.transforms import resize

SIZE = (32, 32)
# Pictures have 8 bits: a value is 1 / 255 off at most, in either direction.
TOLERANCE = 1e-3


def read(file) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


def scale_to_floats(pixels) -> np.ndarray:
    return np.asarray(pixels, np.float32) / 127.5 - 1


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run without dropout, as `evaluate` gives each image noise of its own, on pairs of other sizes."""
    folder = tmp_path_factory.mktemp("scale")
    for place, size in enumerate([(192, 160), (75, 110), (32, 40)]):
        pair = draw_pair(0, place, size)
        (folder / "data" / "val").mkdir(parents=True, exist_ok=True)
        sides = np.concatenate([pair.photo, pair.label_map], axis=1)
        Image.fromarray(sides).save(folder / "data" / "val" / f"{place}.png")
    config = dataclasses.replace(CONFIG, dataset="facades", data_dir=str(folder / "data"), dropout="none")
    return write_run(folder / "run", config)


@pytest.mark.slow
def test_the_l1_of_evaluate_is_that_of_the_files_that_translate_writes(workdir, tmp_path):
    l1 = evaluate_model(workdir, tmp_path / "eval", metrics=["l1"], gallery_size=0).results["l1"].scores["l1"]
    photos = workdir.parent / "data" / "val"
    distances = {"trained": [], "native": []}
    for name, settings in (("trained", ["--output_size=trained"]), ("native", ["--image_size=native"])):
        flags = [f"--model={workdir}", f"--input={photos}", f"--output={tmp_path / name}", "--crop=right"]
        COMMAND["main"](["translate", *flags, *settings])
        for file in sorted(photos.iterdir()):
            pair, generated = read(file), read(tmp_path / name / file.name)
            target = resize(pair[:, : pair.shape[1] // 2], SIZE)
            generated = generated if name == "trained" else resize(generated, SIZE)
            distances[name].append(np.abs(scale_to_floats(generated) - scale_to_floats(target)).mean())
    assert np.mean(distances["trained"]) == pytest.approx(l1, abs=TOLERANCE)
    assert abs(np.mean(distances["native"]) - l1) > 2 * TOLERANCE


def test_a_residual_generator_takes_the_sizes_that_its_depth_allows(workdir, tmp_path):
    config = make_config(
        dataset="facades",
        data_dir=str(workdir.parent / "data"),
        generator="enhancer",
        depth=2,
        residual_blocks=1,
        enhancer_blocks=1,
        image_size=64,
        base_filters=2,
    )
    run = write_run(tmp_path / "run", config)
    scored = evaluate_model(run, tmp_path / "eval", metrics=["l1"], gallery_size=0, image_size=32)
    assert scored.results["l1"].scores["l1"] > 0
