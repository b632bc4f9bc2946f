"""Benchmarks: turns taken, ratios within rounds, work counted."""

import json
import sys

import numpy as np
import pytest

from benchmarks import measurement, networks
from benchmarks.measurement import Contestant, Result
from pipelines.command_line import UserError

SLEEPER = "from benchmarks.contestant import answer; import time; print('chatter'); "
SLEEPER += "answer(lambda: time.sleep({}), 1, colour='red')"


def _contestant(name: str, code: str) -> Contestant:
    return Contestant(name, (sys.executable, "-c", code))


def test_contestants_take_turns_and_say_what_they_are():
    given = [_contestant("short", SLEEPER.format(0.01)), _contestant("long", SLEEPER.format(0.05))]
    results = measurement.take_turns(given, rounds=3, calls=2)
    assert list(results) == ["short", "long"]
    assert results["short"].seconds.shape == (3,) and results["short"].facts["colour"] == "red"
    # Sleep is never shorter than asked for; how much longer is up to the machine.
    assert results["short"].seconds.min() >= 0.01 and results["long"].seconds.min() >= 0.05
    assert results["long"].facts["peak_rss_mib"] > 1


def test_contestant_that_ends_early_is_named():
    with pytest.raises(UserError, match="broken ended early, with status 3"):
        measurement.take_turns([_contestant("broken", "raise SystemExit(3)")], rounds=1)


def test_ratios_are_taken_within_the_rounds():
    # The machine was half as fast in the second round, for both and for its limit.
    results = {
        "ours float32": Result(np.array([1.0, 2.0]), {"peak_rss_mib": 5}),
        "PyTorch float32": Result(np.array([3.0, 6.0]), {"peak_rss_mib": 5}),
        "limit float32": Result(np.array([0.5, 1.0]), {}),
    }
    numbers = networks.summarise_network("ours float32", results, flops=2 * 2048**3)
    assert numbers["ratio"]["PyTorch float32"] == {"median": 3, "low": 3, "high": 3}
    assert numbers["share_of_limit"] == {"median": 0.5, "low": 0.5, "high": 0.5}
    assert numbers["ms"]["median"] == 1500


def test_work_of_the_paper_s_networks():
    # By hand, from the table of layers: 12.1 GFLOP forward; D sees 6.4 GFLOP an image.
    assert networks.count_flops("forward", 256) == pytest.approx(12.096e9, rel=1e-3)
    assert networks.count_flops("step", 256) == pytest.approx(86.94e9, rel=1e-3)


def test_numbers_are_written_with_their_command(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/repo/benchmarks/networks.py", "--what=step"])
    measurement.write_json(str(tmp_path / "numbers.json"), {"gflop": 87})
    content = json.loads((tmp_path / "numbers.json").read_text())
    assert content["command"] == "python -m benchmarks.networks --what=step"
    assert content["gflop"] == 87 and content["cores"] >= 1
