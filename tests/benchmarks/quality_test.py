"""The scores of checkpoints: of the features of a segmentation network, and of the spectrum."""

import json

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import quality
from tests.helpers.tiny_run import write_run
from tfpix2pix.metrics.fcn.network import fcn8s
from tfpix2pix.metrics.fcn.segmenter import KerasSegmenter
from tfpix2pix.metrics.registry import Examples, Tools
from tfpix2pix.pipelines.base.errors import UsageError

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)


def _examples(generated, target) -> Examples:
    images = [tf.constant(each / 127.5 - 1, tf.float32) for each in (generated, target)]
    return Examples(images[1], images[0][None], target, generated)


def test_the_distance_of_features_and_the_detail_tell_pictures_apart():
    tools = Tools(segmenter=KerasSegmenter(fcn8s(3, width=0.02), "tiny"))
    flat = np.full_like(PICTURES, 128)
    for build, score in ((quality.fcn_kid, "kid"), (quality.fine_detail, "fine_detail")):
        metric = build(tools)
        same, other = (
            metric.combine(metric.measure(_examples(generated, PICTURES))).scores[score]
            for generated in (PICTURES, flat)
        )
        assert abs(other - same) > 1e-3
    assert same == pytest.approx(1) and other == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_the_command_scores_each_checkpoint(tmp_path, capsys, monkeypatch):
    for name in ("fcn_kid", "fine_detail"):  # so that other tests do not find what the command adds
        monkeypatch.setitem(quality.METRICS, name, None)
    fcn8s(12, width=0.02).save(tmp_path / "fcn.keras")
    run = write_run(tmp_path / "run")
    flags = [f"--models={run}", f"--segmenter={tmp_path / 'fcn.keras'}", f"--json={tmp_path / 'scores.json'}"]
    quality.main(["quality", *flags])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"| {run} |")]
    assert [row.split(" | ")[1:3] for row in rows] == [["1", "raw"], ["2", "raw"]]
    content = json.loads((tmp_path / "scores.json").read_text())
    assert [entry["step"] for entry in content["scores"]] == [1, 2]
    assert content["targets"]["fine_detail"] == 1 and 0 < content["scores"][0]["l1"] < 2
    with pytest.raises(UsageError, match="--weights takes raw, ema or both. Received: ema,mean"):
        quality.main(["quality", *flags, "--weights=ema,mean"])
