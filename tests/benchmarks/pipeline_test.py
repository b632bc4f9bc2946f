"""The benchmark of the input pipeline: its contestants make what they claim, and its command runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import feeds, pipeline
from benchmarks.measurement import Result

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    pipeline.write_generated_pairs(folder / "train", 3, 64)
    return folder


def _run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks.pipeline", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def _take(folder: Path, what: str, count: int) -> list[dict[str, np.ndarray]]:
    return list(feeds.BUILDERS[what](folder).take(count).as_numpy_iterator())


def test_ours_makes_the_same_batches_whatever_is_kept(folder):
    streams = [_take(folder, what, 9) for what in ("ours", "ours_decoded", "ours_files")]
    for stream in streams[1:]:
        for batch, expected in zip(stream, streams[0], strict=True):
            for key in expected:
                np.testing.assert_array_equal(batch[key], expected[key])


def _nearest(image: np.ndarray) -> np.ndarray:
    places = [(2 * place + 1) * 64 // (2 * 286) for place in range(286)]
    return image[places][:, places] / np.float32(127.5) - 1


def _find_window(view: np.ndarray, image: np.ndarray) -> tuple[int, int, bool] | None:
    for mirrored in (False, True):
        window = view[:, ::-1] if mirrored else view
        for top, left in np.ndindex(31, 31):
            place = (slice(top, top + 256), slice(left, left + 256))
            if np.allclose(image[top, place[1]], window[0], atol=1e-6):
                if np.allclose(image[place], window, atol=1e-6):
                    return top, left, mirrored
    return None


def test_the_tutorial_cuts_one_window_from_label_map_and_photo(folder):
    decoded = [tf.io.decode_jpeg(file.read_bytes()).numpy() for file in sorted((folder / "train").iterdir())]
    photos, label_maps = (
        [_nearest(pair[:, :64]) for pair in decoded],
        [_nearest(pair[:, 64:]) for pair in decoded],
    )
    seen, batches = [], _take(folder, "tutorial", 6)
    for batch in batches:
        assert batch["input_image"].shape == (1, 256, 256, 3)
        places = [
            (index, _find_window(batch["input_image"][0], label_map))
            for index, label_map in enumerate(label_maps)
        ]
        ((index, place),) = [each for each in places if each[1]]
        assert _find_window(batch["target_image"][0], photos[index]) == place
        seen.append(index)
    assert sorted(seen[:3]) == sorted(seen[3:]) == [0, 1, 2]


def test_numbers_by_hand():
    facts = {"images": 10, "cpu_sec": [9.0, 9.0] + [0.5] * 6, "peak_rss_mib": 7.0}
    numbers = pipeline.summarise_feed(
        Result(np.array([1.0, 2.0]), facts), Result(np.array([3.0, 8.0]), facts)
    )
    assert numbers == {
        "images_per_sec": {"median": 7.5, "low": 6.25, "high": 8.75},
        "ratio": {"median": 3.5, "low": 3.25, "high": 3.75},
        "cpu_ms_per_image": {"median": 50.0, "low": 50.0, "high": 50.0},
        "peak_rss_mib": 7.0,
        "images": 10,
    }


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_its_numbers(folder, tmp_path):
    process = _run(f"--data={folder}", "--rounds=1", f"--json={tmp_path / 'numbers.json'}")
    assert process.returncode == 0, process.stderr
    rows = process.stdout.splitlines()[2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(pipeline.CONTESTANTS.values())
    assert re.search(r"\| 1\.00x \(1\.00-1\.00\) \|", rows[list(pipeline.CONTESTANTS).index(pipeline.PEER)])
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert numbers["pipelines"]["ours"]["images"] == 3
    assert numbers["command"].startswith("python -m benchmarks.pipeline --data=")


def test_a_folder_without_pairs_is_refused(tmp_path):
    process = _run(f"--data={tmp_path}")
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == (
        f"error: {tmp_path} holds no train/*.jpg; --data names a folder of side-by-side JPEG pairs"
    )
