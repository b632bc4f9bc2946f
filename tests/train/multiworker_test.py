"""Two processes that train one run together, on this machine."""

import json
import socket

import numpy as np
import pytest

from tests.helpers import runs

SETTINGS = {
    "normalization": "instance",
    "batch_size": 2,
    "checkpoint_every_steps": 2,
    "summary_every_steps": 2,
    "validate_every_steps": 4,
    "sample_every_steps": 4,
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("multiworker") / "tiny")


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _train_together(command):
    workers = [f"127.0.0.1:{port}" for port in _free_ports(2)]
    processes = []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        env = runs.environment(TF_CONFIG=json.dumps(task))
        pipes = {"stdout": runs.subprocess.PIPE, "stderr": runs.subprocess.PIPE, "text": True}
        processes.append(runs.subprocess.Popen(command, env=env, **pipes))
    try:
        outputs = [process.communicate(timeout=runs.TIMEOUT_SEC) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    return outputs


def test_two_workers_train_and_resume_as_one_process_would(data_dir, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for steps in (2, 4):
        command = runs.train_command(data_dir, two, strategy="multiworker", steps=steps, **SETTINGS)
        outputs = _train_together(command)
    assert all("going on from step 2 of 4" in stderr for _, stderr in outputs)
    assert "validation at step 4" in outputs[0][1] and "validation" not in outputs[1][1]
    assert len(list((two / "tensorboard").glob("events.*"))) == 2  # one for each start
    alone = runs.call(runs.train_command(data_dir, one, steps=4, **SETTINGS))
    assert alone.returncode == 0, alone.stderr
    state, expected = runs.read_state(two, 4), runs.read_state(one, 4)
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        if "optimizer" not in name:
            # Adam's first steps are as large as the learning rate, 2e-4, whatever the gradient.
            np.testing.assert_allclose(state[name], value, atol=1e-4, err_msg=name)
    losses = [[line for line in runs.read_metrics(run) if "training/l1_loss" in line] for run in (two, one)]
    assert len(losses[0]) == len(losses[1]) == 2
    for line, other in zip(*losses, strict=True):
        assert line == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("text", [None, "{}", "not json"])
def test_without_a_cluster_it_is_a_usage_error(data_dir, tmp_path, text):
    env = runs.environment(**({} if text is None else {"TF_CONFIG": text}))
    command = runs.train_command(data_dir, tmp_path / "run", strategy="multiworker", steps=2)
    process = runs.run(command, env=env)
    assert process.returncode == 2
    assert runs.last_line(process).startswith("error: --strategy=multiworker needs the TF_CONFIG variable")
    assert not (tmp_path / "run").exists()
