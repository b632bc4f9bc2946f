"""Two processes that train one run together, on this machine."""

import dataclasses
import json
import re
import shutil
import signal
import sys

import numpy as np
import pytest

from benchmarks.kills import free_ports
from tests.helpers import runs
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.run import checkpoints
from tfpix2pix.run.joining import wait_for_all
from tfpix2pix.run.workers import Workers
from tfpix2pix.train.training import train_and_evaluate

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


def _start_together(*commands):
    """Starts a worker with each command; a single one is for two workers."""
    commands = commands if len(commands) > 1 else commands * 2
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index, command in enumerate(commands):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        env = runs.environment(TF_CONFIG=json.dumps(task))
        pipes = {"stdout": runs.subprocess.PIPE, "stderr": runs.subprocess.PIPE, "text": True}
        processes.append(runs.subprocess.Popen(command, env=env, **pipes))
    return processes


def _end_together(processes):
    """Returns the exit statuses, and what each worker has printed on standard error."""
    try:
        outputs = [process.communicate(timeout=runs.TIMEOUT_SEC)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], outputs


def _last_lines(outputs):
    return [output.strip().splitlines()[-1] for output in outputs]


def _command(data_dir, workdir, **settings):
    return runs.train_command(data_dir, workdir, **{**SETTINGS, "strategy": "multiworker", **settings})


@pytest.mark.slow
def test_a_lost_worker_is_named_and_one_process_then_two_go_on_as_one_would(data_dir, tmp_path):
    one, changing = tmp_path / "one", tmp_path / "changing"
    kept = {"keep_checkpoints": 100000, "validate_every_steps": 100000}
    processes = _start_together(_command(data_dir, changing, steps=100000, **kept))
    runs.wait_until(lambda: (changing / "checkpoints" / "step-00000002").exists(), processes[0])
    processes[1].kill()
    statuses, outputs = _end_together(processes)
    latest = checkpoints.list_steps(changing)[-1]
    assert statuses == [1, -signal.SIGKILL], outputs
    told = _last_lines(outputs)[0]
    assert re.match(
        r"error: the connection to worker 1 \(127.0.0.1:\d+\) is lost; the checkpoint of step "
        rf"{latest} is intact. Run the same command on all workers to go on$",
        told,
    ), told
    for step in checkpoints.list_steps(changing)[1:]:
        shutil.rmtree(checkpoints.checkpoint_folder(changing, step))
    alone = runs.call(_command(data_dir, changing, steps=3, strategy="one_device"))
    assert alone.returncode == 0 and "going on from step 2 of 3" in alone.stderr, alone.stderr
    statuses, outputs = _end_together(_start_together(_command(data_dir, changing, steps=4)))
    assert statuses == [0, 0], outputs
    assert all("going on from step 3 of 4" in output for output in outputs)
    assert "validation at step 4" in outputs[0] and "validation" not in outputs[1]
    whole = runs.call(_command(data_dir, one, steps=4, strategy="one_device"))
    assert whole.returncode == 0, whole.stderr
    state, expected = runs.read_state(changing, 4), runs.read_state(one, 4)
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        if "optimizer" not in name:
            # Adam's first steps are as large as the learning rate, 2e-4, whatever the gradient.
            np.testing.assert_allclose(state[name], value, atol=1e-4, err_msg=name)
    losses = [
        [line["training/l1_loss"] for line in runs.read_metrics(run) if line["step"] == 2][:1]
        for run in (changing, one)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_signal_to_one_worker_stops_both_at_one_step_and_other_workdirs_do_not_go_on(data_dir, tmp_path):
    workdir = tmp_path / "run"
    every = {"checkpoint_every_steps": 100000, "validate_every_steps": 100000}
    command = _command(data_dir, workdir, steps=100000, **every)
    processes = _start_together(command)
    runs.wait_until(lambda: len(runs.read_metrics(workdir)) > 0, processes[0])
    processes[1].send_signal(signal.SIGUSR1)
    statuses, outputs = _end_together(processes)
    (step,) = checkpoints.list_steps(workdir)
    assert statuses == [143, 143], outputs
    for told in _last_lines(outputs):
        assert re.match(
            r"stopped by SIGUSR1, which worker 1 \(127.0.0.1:\d+\) received, "
            rf"at step {step} of 100000; saved in {workdir}. Run the same command to go on$",
            told,
        ), told
    elsewhere = _command(data_dir, tmp_path / "elsewhere", steps=100000, **every)
    statuses, outputs = _end_together(_start_together(command, elsewhere))
    assert statuses == [1, 1], outputs
    for told in _last_lines(outputs):
        assert told.startswith("error: the workers do not agree: the step to go on from is ")
        assert re.search(rf" is {step} on worker 0 \(.*?\) but 0 on worker 1 \(", told), told
    assert checkpoints.list_steps(workdir) == [step] and not (tmp_path / "elsewhere").exists()


def test_workers_with_other_settings_do_not_train(data_dir, tmp_path):
    segmenter, files = tmp_path / "segmenter.keras", [tmp_path / "0.h5", tmp_path / "1.h5"]
    for file in (segmenter, *files):
        file.write_text(file.name)  # They are compared before anything opens them.
    others = {"segmenter": segmenter}, {"seed": 1, "learning_rate": 0.001}
    commands = [
        _command(data_dir, tmp_path / "run", steps=2, vgg19_weights=file, **settings)
        for file, settings in zip(files, others, strict=True)
    ]
    statuses, outputs = _end_together(_start_together(*commands))
    assert statuses == [1, 1], outputs
    for told in _last_lines(outputs):
        assert re.match(
            r"error: the workers do not agree: --learning_rate is 0.0002 on worker 0 \(127.0.0.1:\d+\) but "
            r"0.001 on worker 1 \(127.0.0.1:\d+\); --seed is 0 on worker 0 .* but 1 on worker 1 \(.*\); "
            r"--segmenter is given on worker 0 \(.*\) but not given on worker 1 \(.*\); "
            r"--vgg19_weights is a file \w{12} on worker 0 \(.*\) but a file \w{12} on worker 1 \(.*\)\. "
            r"Start all of them with the same command$",
            told,
        ), told
    assert not (tmp_path / "run").exists()


def test_workers_whose_palettes_differ_do_not_train(tmp_path):
    ids, commands = np.tile(np.arange(2, dtype=np.uint8), (32, 16))[..., None], []
    for name, blue in (("one", 255), ("other", 128)):
        for file in [f"{split}/{side}/0.png" for split in ("train", "val") for side in ("labels", "images")]:
            runs.write_image(tmp_path / name / file, ids)
        palette = {"road": [255, 0, 0], "sky": [0, 0, blue], "void": [[0, 0, 0]]}
        (tmp_path / name / "palette.json").write_text(json.dumps(palette))
        commands.append(_command(tmp_path / name, tmp_path / "run", steps=2))
    statuses, outputs = _end_together(_start_together(*commands))
    assert statuses == [1, 1], outputs
    for told in _last_lines(outputs):
        assert re.match(
            r"error: the workers do not agree: the digest of their classes, channels and type is .*; the "
            r"digest of the classes, channels and type of the validation examples is .*\. All of them must "
            r"see the same images and the same palette.json, ",
            told,
        ), told
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_worker_that_is_lost_between_the_meeting_and_the_join_does_not_hang_the_chief():
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
    code = "from tfpix2pix.run.distribution import make_strategy as join; join('multiworker', 4)"
    env = runs.environment(TF_CONFIG=json.dumps(task))
    pipes = {"stdout": runs.subprocess.PIPE, "stderr": runs.subprocess.PIPE, "text": True}
    process = runs.subprocess.Popen([sys.executable, "-c", code], env=env, **pipes)
    wait_for_all(Workers(addresses, 1), runs.TIMEOUT_SEC)  # and does not join
    (status,), outputs = _end_together([process])
    assert status == 1, outputs
    assert _last_lines(outputs)[0] == (
        "error: gave up joining the 2 workers after 4 s: all of them had come, and then one was lost. Start "
        "the same command on all workers, or wait longer with `join_timeout_sec`"
    )


def test_workers_of_a_finished_run_wait_for_nobody_and_the_chief_exports_it(data_dir, tmp_path):
    workdir, models = tmp_path / "run", tmp_path / "models"
    made = runs.call(_command(data_dir, workdir, steps=2, strategy="one_device"))
    assert made.returncode == 0, made.stderr
    exporting = {"export": True, "saved_model_dir": models, "join_timeout_sec": 1}
    for index, versions in ((1, []), (0, ["tiny"])):
        task = {"cluster": {"worker": ["127.0.0.1:1"] * 2}, "task": {"type": "worker", "index": index}}
        env = runs.environment(TF_CONFIG=json.dumps(task))
        process = runs.run(_command(data_dir, workdir, steps=2, **exporting), env=env)
        assert process.returncode == 0 and f"{workdir} is finished: 2 steps are done" in process.stderr
        assert [path.name for path in models.glob("*")] == versions


def test_workers_of_a_run_whose_last_checkpoint_is_damaged_do_not_go_on_alone(
    data_dir, tmp_path, monkeypatch
):
    every = {**SETTINGS, "checkpoint_every_steps": 1}
    config = runs.tiny_config(data_dir, steps=2, strategy="one_device", **every)
    workdir = train_and_evaluate(config, tmp_path / "run").workdir
    (checkpoints.checkpoint_folder(workdir, 2) / "checkpoint.json").write_text("{")
    config = dataclasses.replace(config, strategy="multiworker", join_timeout_sec=1)
    for index, left in ((1, [1, 2]), (0, [1])):
        task = {"cluster": {"worker": ["127.0.0.1:1"] * 2}, "task": {"type": "worker", "index": index}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(task))
        with pytest.raises(UserError, match=r"is damaged, so the run goes on from step 1 of 2, .* again$"):
            train_and_evaluate(config, workdir)
        assert checkpoints.list_steps(workdir) == left
    # The chief has set the damaged one aside, so that now the workers wait for each other.
    with pytest.raises(UserError, match="gave up"):
        train_and_evaluate(config, workdir)


@pytest.mark.parametrize("text", [None, "{}", "not json"])
def test_without_a_cluster_it_is_a_usage_error(data_dir, tmp_path, text):
    env = runs.environment(**({} if text is None else {"TF_CONFIG": text}))
    command = runs.train_command(data_dir, tmp_path / "run", strategy="multiworker", steps=2)
    process = runs.run(command, env=env)
    assert process.returncode == 2
    assert runs.last_line(process).startswith("error: --strategy=multiworker needs the TF_CONFIG variable")
    assert not (tmp_path / "run").exists()
