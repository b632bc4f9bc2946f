"""The tools of the benchmarks: they take turns, compare within rounds, and count the work."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import figures, filtering, layers, measurement, networks, ours
from benchmarks.measurement import Contestant, Result
from tfpix2pix.pipelines.base.errors import UsageError, UserError

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
    memory = results["long"].facts
    assert memory["peak_rss_mib"] > 1
    if sys.platform == "linux":
        assert 0 < memory["peak_own_mib"] < memory["peak_rss_mib"]  # Python itself is a file.


def test_contestant_that_ends_early_is_named_and_heard(capfd):
    code = "print('no such file'); raise SystemExit(3)"
    with pytest.raises(UserError, match="broken ended early, with status 3"):
        measurement.take_turns([_contestant("broken", code)], rounds=1)
    assert "no such file" in capfd.readouterr().err


def test_contestant_that_dies_between_its_turns_is_named(tmp_path):
    file = tmp_path / "victim"
    victim = f"import os, pathlib; pathlib.Path({str(file)!r}).write_text(str(os.getpid())); "
    killer = "import os; from benchmarks.contestant import answer; "
    killer += f"answer(lambda: os.kill(int(open({str(file)!r}).read()), 9), warm_ups=0)"
    given = [_contestant("victim", victim + SLEEPER.format(0)), _contestant("killer", killer)]
    with pytest.raises(UserError, match="victim ended early, with status -9"):
        measurement.take_turns(given, rounds=2)


def test_contestants_leave_no_files_behind():
    keeper = "import json, os, tempfile; folder = tempfile.mkdtemp(); "
    keeper += "from benchmarks.contestant import answer; answer(lambda: None, folder=folder)"
    results = measurement.take_turns([_contestant("keeper", keeper)], rounds=1)
    folder = Path(results["keeper"].facts["folder"])
    assert folder.name and not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="about Linux's prctl")
def test_contestants_die_with_a_killed_benchmark(tmp_path):
    file = tmp_path / "contestants"
    sleeper = f"import os; print(os.getpid(), file=open({str(file)!r}, 'a')); " + SLEEPER.format(0.1)
    code = "import sys; from benchmarks.measurement import Contestant, take_turns; "
    code += f"take_turns([Contestant(name, (sys.executable, '-c', {sleeper!r})) for name in 'ab'], 1000)"
    benchmark = subprocess.Popen([sys.executable, "-c", code], cwd=measurement.ROOT, stderr=subprocess.PIPE)
    while b"0/1000" not in benchmark.stderr.readline():
        assert benchmark.poll() is None
    benchmark.send_signal(signal.SIGTERM)
    benchmark.communicate(timeout=60)
    folders = [Path("/proc", number) for number in file.read_text().split()]
    assert len(folders) == 2
    deadline = time.monotonic() + 30
    while any(_is_running(folder) for folder in folders):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_running(folder: Path) -> bool:
    try:
        return (folder / "stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_ratios_are_taken_within_the_rounds():
    # The machine was half as fast in the second round, for both and for its limit.
    results = {
        "ours float32": Result(np.array([1.0, 2.0]), {"peak_rss_mib": 5}),
        "PyTorch float32": Result(np.array([3.0, 6.0]), {"pytorch": "2.0", "peak_rss_mib": 7}),
        "limit float32": Result(np.array([0.5, 1.0]), {}),
    }
    numbers = networks.summarise_network("ours float32", results, flops=16 * 2 * 2048**3)
    assert numbers["ratio"]["PyTorch float32"] == {"median": 3, "low": 3, "high": 3}
    assert numbers["share_of_limit"] == {"median": 0.5, "low": 0.5, "high": 0.5}
    assert numbers["ms"]["median"] == 1500
    peer = networks.summarise_network("PyTorch float32", results, flops=16 * 2 * 2048**3)
    assert (peer["pytorch"], peer["peak_rss_mib"]) == ("2.0", 7)


def test_work_of_the_paper_s_networks():
    # By hand, from the table of layers: 12.1 GFLOP forward; D sees 6.4 GFLOP an image.
    assert networks.count_flops("forward", 256) == pytest.approx(12.096e9, rel=1e-3)
    assert networks.count_flops("step", 256) == pytest.approx(86.94e9, rel=1e-3)


def test_work_of_pix2pixhd_s_networks():
    # By hand: 489 G multiply-adds of the global generator at 512x1024, and 40 G of the two discriminators.
    forward = networks.count_hd_flops("forward", (512, 1024))
    assert forward == pytest.approx(2 * 489e9, rel=1e-2)
    seeing = 2 * 16 * 39 * 64 * (257 * 513 + 129 * 257)
    step = 3 * forward - 2 * 512 * 1024 * 49 * 36 * 64 + 7 * 2 * 40e9 - 2 * seeing
    assert networks.count_hd_flops("step", (512, 1024)) == pytest.approx(step, rel=1e-2)


@pytest.mark.parametrize("image_size", [96, 250, 384])
def test_sizes_that_the_networks_would_pad_are_refused(image_size):
    with pytest.raises(UsageError, match=f"multiple of 256. Received: {image_size}"):
        networks.count_flops("forward", image_size)


@pytest.mark.parametrize(("method", "size"), [("pix2pix", (256, 512)), ("pix2pixhd", (256, 500))])
def test_sizes_that_do_not_fit_a_method_are_refused(method, size):
    with pytest.raises(UsageError, match=f"image_size must be .* Received: {size[0]}x{size[1]}"):
        networks.count_method_flops(method, "step", size)


def test_numbers_are_written_with_their_command(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["/repo/benchmarks/networks.py", "--what=step", "--pytorch=/opt/a/python"]
    )
    measurement.write_json(str(tmp_path / "numbers.json"), {"gflop": 87})
    content = json.loads((tmp_path / "numbers.json").read_text())
    assert content["command"] == "python -m benchmarks.networks --what=step --pytorch=python"
    assert content["gflop"] == 87 and content["cores"] >= 1


def test_layers_of_a_generator_are_all_counted(monkeypatch):
    monkeypatch.setattr(ours, "MATMUL_COUNT", 1)  # The limit is measured in a sixteenth of the time.
    monkeypatch.setattr(layers, "MATMUL_FLOPS", networks.MATMUL_FLOPS / networks.MATMUL_COUNT)
    network, images = layers.build_generator("pix2pix", (32, 32), "float32")
    groups = layers.group_layers(network, images)
    work = sum(group.count * group.flops for group in groups)
    np.testing.assert_allclose(work, networks.count_flops("forward", 32), rtol=1e-6)
    numbers = layers.measure(network, images, groups[:3], "float32", gradients=True, rounds=3)
    assert [layer["ms"] > 0 for layer in numbers["layers"]] == [True] * 3 and "pass_ms" not in numbers
    *_, rest, total = layers.list_rows(numbers["layers"])
    assert (rest[0], total[0], total[4]) == ("all others", "sum", "100%")


def test_minimal_filtering_and_direct_convolutions_compute_the_same():
    for ways in filtering.build_ways(4, 9, 5, 7).values():
        direct, filtered = (ways[place]() for place in (0, 1))
        for one, other in zip(tf.nest.flatten(direct), tf.nest.flatten(filtered), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(one).max())


def _spread(median: float, low: float, high: float) -> dict[str, float]:
    return {"median": median, "low": low, "high": high}


def test_figures_of_results_by_hand():
    results = {
        "step float32": Result(np.array([2.0, 4.0, 6.0]), {"peak_rss_mib": 500}),
        "step mixed_bfloat16": Result(np.array([2.0]), {"peak_rss_mib": 300, "peak_own_mib": 200}),
        "PyTorch step float32": Result(np.array([4.0, 8.0, 12.0]), {}),
        "limit float32": Result(np.array([1.6, 3.2, 4.8]), {}),
    }
    found = {each.name: each.measure(results, 256) for each in figures.GROUPS["step"]}
    assert found["step, float32, against PyTorch float32"] == _spread(2, 2, 2)
    assert found["step, float32, peak memory, MiB"] == _spread(500, 500, 500)
    assert found["step, bfloat16, the same without files, MiB"] == _spread(200, 200, 200)
    # 86.94 GFLOP at the speed of 16 * 2 * 2048^3 operations in 1.6 s, of 2 s.
    assert found["step, float32, against its limit"]["median"] == pytest.approx(0.2530, rel=1e-3)
    assert found["step, bfloat16, against PyTorch bfloat16"] is None
    served = figures.Figure("served", "step float32", "PyTorch step float32", inverse=True)
    assert served.measure(results, 256) == _spread(0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "now", "then", "change"),
    [
        ("step, float32, against its limit", _spread(0.8, 0.75, 0.85), _spread(0.7, 0.6, 0.76), "-"),
        (
            "step, float32, against its limit",
            _spread(0.8, 0.77, 0.85),
            _spread(0.7, 0.6, 0.76),
            "better (+14%)",
        ),
        ("step, float32, against its limit", _spread(0.6, 0.5, 0.7), _spread(0.8, 0.75, 0.9), "worse (-25%)"),
        ("step, float32, peak memory, MiB", _spread(90, 90, 90), _spread(100, 100, 100), "better (-10%)"),
        ("step, float32, peak memory, MiB", _spread(101, 101, 101), _spread(100, 100, 100), "-"),
    ],
)
def test_changes_of_figures(name, now, then, change):
    rows = figures.list_rows({name: now}, {"figures": {name: then}})
    assert [row[-1] for row in rows] == [change]
    assert figures.list_rows({name: now}, {})[0][3:] == ["", "new"]


@pytest.mark.parametrize("content", ["{", "[]", '{"figures": {"step": {"median": 1}}}'])
def test_a_file_that_is_no_record_is_named(content, tmp_path):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(UserError, match=r"record.json is not a record of figures; write a new one"):
        figures.read_record(tmp_path / "record.json")
    assert figures.read_record(tmp_path / "none.json") == {}


@pytest.mark.slow
def test_the_quick_form_measures_a_pass(capsys):
    figures.main(["figures", "--quick"])
    lines = capsys.readouterr().out.splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][2:]
    assert names == ["pass, float32, against its limit"]
    assert '"limit float32, GFLOP/s":' in lines[-1] and '"processor":' in lines[-1]
    with pytest.raises(UserError, match="which are no record"):
        figures.main(["figures", "--quick", "--record"])
