"""A run that is killed or stopped and started again ends as the one that was left alone, bit for bit."""

import random
import signal

import pytest

from tests.helpers import runs

STEPS = 60
SETTINGS = {
    "steps": STEPS,
    "checkpoint_every_steps": 7,
    "summary_every_steps": 5,
    "validate_every_steps": 20,
    "sample_every_steps": 30,
    "cache_mib": 0,
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("exactness") / "tiny")


@pytest.fixture(scope="module")
def uninterrupted(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("uninterrupted")
    process = runs.run(runs.train_command(data_dir, workdir, **SETTINGS))
    assert process.returncode == 0, process.stderr
    return workdir


def _reached(workdir, step):
    return any(line["step"] >= step for line in runs.read_metrics(workdir))


def _assert_equal(workdir, expected):
    runs.assert_same_state(runs.read_state(workdir, STEPS), runs.read_state(expected, STEPS))
    assert runs.read_metrics(workdir) == runs.read_metrics(expected)


def test_the_reference_run_uses_what_could_break_exactness(uninterrupted):
    names = runs.read_state(uninterrupted, STEPS)
    for network in ("generator", "discriminator"):
        assert any(f"{network}_optimizer.Svelocity" in name for name in names)
        assert any(f"{network}_optimizer.Smomentum" in name for name in names)
    config = (uninterrupted / "config.json").read_text()
    assert '"jitter": true' in config and '"mirror": true' in config
    losses = [
        line["training/generator_loss"]
        for line in runs.read_metrics(uninterrupted)
        if "training/generator_loss" in line
    ]
    assert len(losses) == 12 and len(set(losses)) == 12


@pytest.mark.parametrize("steps_per_call", [1, 4])
def test_killed_and_rerun(data_dir, uninterrupted, tmp_path, steps_per_call):
    command = runs.train_command(data_dir, tmp_path, **SETTINGS, steps_per_call=steps_per_call)
    delays = random.Random(steps_per_call)
    for step in (10, 30)[: 3 - min(2, steps_per_call)]:
        process = runs.start(command)
        runs.wait_until(lambda step=step: _reached(tmp_path, step), process)
        try:
            process.wait(delays.uniform(0, 0.03))
        except runs.subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    finished = runs.run(command)
    assert finished.returncode == 0, finished.stderr
    assert "going on from step" in finished.stderr
    _assert_equal(tmp_path, uninterrupted)
    assert not list((tmp_path / "checkpoints").glob(".*"))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_stopped_and_rerun(data_dir, uninterrupted, tmp_path, name):
    command = runs.train_command(data_dir, tmp_path, **SETTINGS)
    process = runs.start(command)
    runs.wait_until(lambda: _reached(tmp_path, 15), process)
    process.send_signal(signal.Signals[name])
    reason = process.communicate(timeout=runs.TIMEOUT_SEC)[1].strip().splitlines()[-1]
    assert process.returncode == {"SIGINT": 130, "SIGTERM": 143}[name]
    assert reason.startswith(f"stopped by {name} at step ")
    assert reason.endswith(f"of {STEPS}; saved in {tmp_path}. Run the same command to go on")
    step = int(reason.split(" at step ")[1].split()[0])
    assert 15 <= step < STEPS
    finished = runs.run(command)
    assert finished.returncode == 0, finished.stderr
    assert f"going on from step {step} of {STEPS}" in finished.stderr
    _assert_equal(tmp_path, uninterrupted)
