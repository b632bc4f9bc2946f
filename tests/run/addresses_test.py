"""Where workers find each other: what TF_CONFIG says on Vertex AI and Kubernetes, and srun on SLURM."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from tests.helpers import runs
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run import checkpoints
from tfpix2pix.run.addresses import is_chief, read_addresses

EXAMPLES = runs.ROOT / "docs" / "cluster"
# A stand-in for the two commands of SLURM that the script calls. It starts two tasks on one node with the
# variables that srun sets, and notes what it was asked to queue again.
SRUN = f"""#!{sys.executable}
import os, signal, subprocess, sys
signal.signal(signal.SIGUSR1, lambda *_: None)
program = sys.argv[[argument.startswith("-") for argument in sys.argv[1:]].index(False) + 1:]
step = {{"SLURM_STEP_NODELIST": "localhost", "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_STEP_NUM_TASKS": "2"}}
tasks = [
    subprocess.Popen(
        [sys.executable, *program[1:]],
        env={{**os.environ, **step, "SLURMD_NODENAME": "localhost", "SLURM_PROCID": n, "SLURM_LOCALID": n}},
    )
    for n in "01"
]
sys.exit(max(task.wait() for task in tasks))
"""
SCONTROL = '#!/bin/sh\necho "$@" >> "$SCONTROL_LOG"\n'


def _write_command(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(stat.S_IRWXU)


@pytest.mark.slow
def test_the_script_for_slurm_trains_and_queues_again_what_a_signal_has_stopped(tmp_path):
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        _write_command(tmp_path, name, text)
    data_dir, workdir = runs.write_dataset(tmp_path / "tiny"), tmp_path / "run"
    slow = {"checkpoint_every_steps": 100000, "validate_every_steps": 100000, "sample_every_steps": 100000}
    settings = {"steps": 100000, "batch_size": 2, "summary_every_steps": 2, **slow}
    arguments = runs.train_command(data_dir, workdir, **settings)[3:]
    job = {"SLURM_JOB_ID": str(7000000 + os.getpid()), "SCONTROL_LOG": str(tmp_path / "scontrol.txt")}
    env = runs.environment(**job, PATH=f"{tmp_path}:{os.environ['PATH']}")
    command = ["bash", str(EXAMPLES / "train.sbatch"), *arguments]
    pipes = {"stdout": runs.subprocess.PIPE, "stderr": runs.subprocess.PIPE, "text": True}
    process = runs.subprocess.Popen(command, env=env, start_new_session=True, **pipes)
    try:
        runs.wait_until(lambda: len(runs.read_metrics(workdir)) > 0, process)
        # As --signal does it: every process of the step gets SIGUSR1, and the shell does not.
        runs.subprocess.run(["pkill", "-USR1", "-g", str(process.pid), "-f", "tfpix2pix.train"], check=True)
        _, errors = process.communicate(timeout=runs.TIMEOUT_SEC)
    finally:
        process.kill()
    (step,) = checkpoints.list_steps(workdir)
    assert process.returncode == 143, errors
    assert errors.count(f"received, at step {step} of 100000; saved in {workdir}") == 2
    assert (tmp_path / "scontrol.txt").read_text() == f"requeue {job['SLURM_JOB_ID']}\n"


SLURM = {
    "SLURM_JOB_ID": "1000007",
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_STEP_NODELIST": "gpu[09-10],big3",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURM_PROCID": "4",
    "SLURMD_NODENAME": "big3",
    "SLURM_LOCALID": "0",
}


@pytest.fixture
def given(monkeypatch):
    """Sets variables in place of those that say where workers are."""
    for name in [name for name in os.environ if name.startswith("SLURM")]:
        monkeypatch.delenv(name)

    def give(**variables):
        monkeypatch.setenv("TF_CONFIG", "")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return give


@pytest.mark.parametrize(
    ("node", "local", "address"),
    [("big3", "0", "big3:29192"), ("gpu09", "1", "gpu09:29193"), ("gpu10", "0", "gpu10:29192")],
)
def test_processes_of_srun_find_themselves_among_the_nodes(given, node, local, address):
    given(**{**SLURM, "SLURMD_NODENAME": node, "SLURM_LOCALID": local})
    leads = is_chief()
    assert not os.environ["TF_CONFIG"]
    addresses, index = read_addresses()
    # With --distribution=arbitrary, the first process need not be the one of the number 0.
    assert leads == is_chief() == (index == 0)
    assert addresses == ["big3:29192", "gpu09:29192", "gpu09:29193", "gpu10:29192", "gpu10:29193"]
    assert addresses[index] == address
    told = json.loads(os.environ["TF_CONFIG"])
    assert told == {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}


def test_steps_of_jobs_of_slurm_that_follow_each_other_have_ports_of_their_own(given):
    crowd = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NODELIST": "big3", "SLURM_STEP_TASKS_PER_NODE": "8"}
    taken = []
    for job in (1000, 1001, 1002, 1116):
        for step in range(8):
            given(**{**SLURM, **crowd, "SLURM_JOB_ID": str(job), "SLURM_STEP_ID": str(step)})
            taken += read_addresses()[0]
    assert len(set(taken)) == len(taken) == 4 * 8 * 8
    assert all(15000 <= int(address.partition(":")[2]) < 30000 for address in taken)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"SLURM_STEP_NODELIST": "gpu[09"}, "Invalid hostlist format"),
        ({"SLURMD_NODENAME": "elsewhere"}, "'elsewhere:29192' is not in list"),
        ({"SLURM_STEP_NUM_TASKS": "1"}, "needs the TF_CONFIG variable in each process"),
    ],
)
def test_variables_of_slurm_that_do_not_fit_are_told(given, changed, words):
    given(**{**SLURM, **changed})
    assert is_chief() == (changed == {"SLURM_STEP_NUM_TASKS": "1"})
    with pytest.raises(UsageError, match=".*".join(words.split("["))):
        read_addresses()


@pytest.mark.parametrize(("text", "leads"), [("", True), ("{}", True), ("nonsense", False), ("3", False)])
def test_who_is_alone_is_the_chief(given, text, leads):
    given(TF_CONFIG=text)
    assert is_chief() == leads


# Vertex AI's form for the pools 0, 1, and 3, which is the evaluator's.
VERTEX = {
    "cluster": {
        "chief": ["cmle-0:2222"],
        "worker": ["cmle-1:2222", "cmle-2:2222"],
        "evaluator": ["cmle-3:2222"],
    },
    "environment": "cloud",
    "job": {"python_module": "tfpix2pix.train"},
}


@pytest.mark.parametrize(("kind", "place", "index"), [("chief", 0, 0), ("worker", 1, 2)])
def test_the_chief_of_vertex_is_the_first_worker(given, kind, place, index):
    given(TF_CONFIG=json.dumps({**VERTEX, "task": {"type": kind, "index": place, "trial": ""}}))
    assert read_addresses() == (["cmle-0:2222", "cmle-1:2222", "cmle-2:2222"], index)
    assert is_chief() == (index == 0)


def test_an_evaluator_is_told_that_there_is_none(given):
    given(TF_CONFIG=json.dumps({**VERTEX, "task": {"type": "evaluator", "index": 0}}))
    assert not is_chief()
    with pytest.raises(UsageError, match="the role of evaluator, which a training does not have"):
        read_addresses()


def test_the_manifest_for_kubernetes_is_valid_and_names_its_pods(given):
    validation, yaml = pytest.importorskip("kubernetes_validate"), pytest.importorskip("yaml")
    service, job = yaml.safe_load_all((EXAMPLES / "train_job.yaml").read_text())
    for each in (service, job):
        validation.validate(each, "1.31", strict=True)
    name, spec = job["metadata"]["name"], job["spec"]
    pod = spec["template"]["spec"]
    assert service["metadata"]["name"] == pod["subdomain"] == service["spec"]["selector"]["job-name"] == name
    assert spec["completions"] == spec["parallelism"] == 4
    variables = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    for index in range(4):
        given(TF_CONFIG=variables["TF_CONFIG"].replace("$(WORKER)", str(index)))
        assert read_addresses() == ([f"{name}-{pod}.{name}:2222" for pod in range(4)], index)
