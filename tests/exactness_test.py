"""A run that is killed or stopped and started again ends as the one that was left alone, bit for bit."""

import contextlib
import random
import re
import signal
import subprocess

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
    "ema_decay": 0.9,
    "latent_size": 2,
    "lambda_mode_seeking": 0.5,
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("exactness") / "tiny")


@pytest.fixture(scope="module")
def uninterrupted(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("uninterrupted")
    process = runs.call(runs.train_command(data_dir, workdir, **SETTINGS))
    assert process.returncode == 0, process.stderr
    return workdir


def _reached(workdir, step):
    return any(line["step"] >= step for line in runs.read_metrics(workdir))


def test_the_reference_run_uses_what_could_break_exactness(uninterrupted):
    names = runs.read_state(uninterrupted, STEPS)
    for network in ("generator", "discriminator"):
        assert any(f"{network}_optimizer.Svelocity" in name for name in names)
        assert any(f"{network}_optimizer.Smomentum" in name for name in names)
    assert any("generator_average.S" in name for name in names)
    config = (uninterrupted / "config.json").read_text()
    assert '"jitter": true' in config and '"mirror": true' in config
    losses = [
        line["training/generator_loss"]
        for line in runs.read_metrics(uninterrupted)
        if "training/generator_loss" in line
    ]
    assert len(losses) == 12 and len(set(losses)) == 12
    assert any("training/mode_seeking_loss" in line for line in runs.read_metrics(uninterrupted))


# Of each start: the signal that ends it, the step of which it is sent, and how many steps it takes in a call.
INTERRUPTIONS = [("SIGKILL", 10, 1), ("SIGTERM", 20, 1), ("SIGKILL", 30, 4), ("SIGINT", 40, 1)]


def test_killed_and_stopped_and_rerun(data_dir, uninterrupted, tmp_path):
    delays = random.Random(0)
    saved = None
    for name, step, steps_per_call in INTERRUPTIONS:
        process = runs.start(
            runs.train_command(data_dir, tmp_path, **SETTINGS, steps_per_call=steps_per_call)
        )
        runs.wait_until(lambda step=step: _reached(tmp_path, step), process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delays.uniform(0, 0.03))
        process.send_signal(signal.Signals[name])
        told = process.communicate(timeout=runs.TIMEOUT_SEC)[1]
        if step > INTERRUPTIONS[0][1]:
            assert re.search(rf"going on from step {saved or '[0-9]+'} of {STEPS}", told), told
        saved = None
        if name == "SIGKILL":
            assert process.returncode == -signal.SIGKILL
        else:
            assert process.returncode == {"SIGINT": 130, "SIGTERM": 143}[name]
            saved = _step_of_stop(told, name, tmp_path)
            assert step <= saved < STEPS
    finished = runs.call(runs.train_command(data_dir, tmp_path, **SETTINGS, steps_per_call=4))
    assert finished.returncode == 0, finished.stderr
    assert f"going on from step {saved} of {STEPS}" in finished.stderr
    runs.assert_same_state(runs.read_state(tmp_path, STEPS), runs.read_state(uninterrupted, STEPS))
    assert runs.read_metrics(tmp_path) == runs.read_metrics(uninterrupted)
    assert not list((tmp_path / "checkpoints").glob(".*"))


def _step_of_stop(told, name, workdir):
    """Returns the step at which a signal stopped a run, from its last words."""
    reason = told.strip().splitlines()[-1]
    assert reason.startswith(f"stopped by {name} at step ")
    assert reason.endswith(f"of {STEPS}; saved in {workdir}. Run the same command to go on")
    return int(reason.split(" at step ")[1].split()[0])
