"""`cluster.train`: workers that Ray places, stops at one step, and starts again when one is lost."""

import os
import shutil
import signal
import sys
import threading
import time

import pytest

from tests.helpers import runs
from tfpix2pix.run import checkpoints

SETTINGS = {
    "normalization": "instance",
    "batch_size": 2,
    "checkpoint_every_steps": 100000,
    "summary_every_steps": 2,
    "validate_every_steps": 100000,
    "sample_every_steps": 100000,
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("cluster") / "tiny")


def _train(arguments, own, **settings):
    command = runs.train_command(*arguments, **{**SETTINGS, **settings})[3:]
    return runs.call([sys.executable, "-m", "tfpix2pix.cluster.train", *own, "--", *command])


def _meanwhile(condition, action):
    """Calls `action` in a thread once a condition holds; returns the thread."""

    def wait():
        deadline = time.monotonic() + runs.TIMEOUT_SEC
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_two_workers_stop_at_a_signal_and_one_goes_on_though_it_is_killed(data_dir, tmp_path, kill_process):
    workdir, whole = tmp_path / "run", tmp_path / "whole"
    thread = _meanwhile(lambda: runs.read_metrics(workdir), lambda: os.kill(os.getpid(), signal.SIGTERM))
    stopped = _train((data_dir, workdir), ["--num_workers=2"], steps=100000)
    thread.join()
    (step,) = checkpoints.list_steps(workdir)
    assert stopped.returncode == 143, stopped.stderr
    last = runs.last_line(stopped)
    assert last.startswith("stopped by SIGTERM, which worker ")
    assert last.endswith(f" at step {step} of 100000; saved in {workdir}. Run the same command to go on")

    shutil.copytree(workdir, whole)
    end, killed, often = step + 200, [], {"checkpoint_every_steps": 20, "keep_checkpoints": 1000000}
    thread = _meanwhile(
        lambda: len(checkpoints.list_steps(workdir)) > 1,
        lambda: killed.append(kill_process(f"--workdir={workdir}")),
    )
    own = ["--num_workers=1", "--max_failures=1"]
    done = _train((data_dir, workdir), own, steps=end, strategy="one_device", **often)
    thread.join()
    assert done.returncode == 0 and killed[0], done.stderr
    assert f"\ndone: {end} steps in {workdir}\n" in done.stdout
    settings = {**SETTINGS, "steps": end, "strategy": "one_device"}
    assert runs.call(runs.train_command(data_dir, whole, **settings)).returncode == 0
    runs.assert_same_state(runs.read_state(workdir, end), runs.read_state(whole, end))


def test_wrong_flags_of_train_are_told_and_not_tried_again(data_dir, tmp_path):
    wrong = _train((data_dir, tmp_path / "run"), ["--max_failures=5"], batch_size=0)
    assert wrong.returncode == 2
    assert runs.last_line(wrong) == "error: --batch_size must be at least 1. Received: 0"
    without = runs.call([sys.executable, "-m", "tfpix2pix.cluster.train", "--num_workers=2"])
    assert without.returncode == 2
    assert runs.last_line(without).startswith("error: the flags of train are missing; they follow --")


def test_a_training_that_fails_again_and_again_is_given_up(tmp_path):
    data_dir = runs.write_dataset(tmp_path / "tiny", train=2)
    for file in (data_dir / "train").iterdir():
        file.write_bytes(file.read_bytes()[:-200])  # the header is whole
    failed = _train((data_dir, tmp_path / "run"), ["--max_failures=0"], steps=2)
    assert failed.returncode == 1, failed.stderr
    last = runs.last_line(failed)
    assert last.startswith(
        "error: the workers have failed once, which is more than --max_failures=0 allows; "
    )
    assert "train-" in last and "damaged or cut short" in last, last


def test_a_training_whose_connection_to_ray_is_lost_is_told_in_words(data_dir, tmp_path, kill_process):
    killed, workdir = [], tmp_path / "run"

    def kill_desks():  # those of earlier trainings may still be there
        while number := kill_process("ray::Desk"):
            killed.append(number)

    thread = _meanwhile(lambda: runs.read_metrics(workdir), kill_desks)
    lost = _train((data_dir, workdir), ["--max_failures=0"], steps=100000)
    thread.join()
    assert killed and lost.returncode == 1, lost.stderr
    assert runs.last_line(lost).startswith("error: lost the connection to Ray ("), lost.stderr
    assert runs.last_line(lost).endswith("; run the same command to go on from the last checkpoint")
