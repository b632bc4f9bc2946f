"""The train command as people call it: processes, exit status, messages."""

import json
import re
import shlex
import sys

import pytest

from tests.helpers import runs

FLAGS = """dataset data_dir workdir direction epochs steps batch_size image_size load_size jitter mirror
generator receptive_field objective lambda_l1 base_filters normalization learning_rate lr_schedule precision
strategy seed steps_per_call checkpoint_every_steps keep_checkpoints validate_every_steps summary_every_steps
sample_every_steps on_bad_image config export saved_model_dir dry_run best_metric
profile_steps jit_compile""".split()
TRAIN = [sys.executable, "-m", "tfpix2pix.train"]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("train") / "tiny")


def test_help_lists_the_contract_and_does_not_wait_for_tensorflow():
    text = (
        "import sys\nfrom tfpix2pix.train import __main__ as train\ntry:\n  train.main(['train', '--help'])\n"
        "except SystemExit as stop:\n  assert stop.code == 0\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    process = runs.run([sys.executable, "-c", text])
    assert process.returncode == 0, process.stderr
    listed = {
        re.split("[=,]", line)[0].strip() for line in process.stdout.splitlines() if line.startswith("  --")
    }
    assert {f"--{name}" for name in FLAGS} <= listed
    assert "unet|encoder_decoder" in process.stdout and "facades " in process.stdout
    headings = [line for line in process.stdout.splitlines() if re.fullmatch(r"[A-Z]\w+:", line)]
    groups = ["Data:", "Networks:", "Objective:", "Schedule:", "Output:", "Machine:"]
    assert headings == ["Datasets:", "Flags:", *groups]


def test_a_dry_run_shows_the_settings_and_writes_nothing(tmp_path):
    command = [
        *TRAIN,
        "--dry_run",
        "--dataset=edges2shoes",
        "--epochs=3",
        "--image_size=64x128",
        "--nomirror",
    ]
    environment = runs.environment()
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # with it, TensorFlow says more
    process = runs.run(command, cwd=tmp_path, env=environment)
    assert (process.returncode, process.stderr) == (0, "")
    lines = process.stdout.splitlines()
    # The data is not there, and is not downloaded.
    told = dict(line.split(":", 1) for line in lines[-9:])
    assert (
        told["data"].strip().startswith("would be downloaded from http://") and "train 49,825" in told["data"]
    )
    assert told["steps"].strip() == "37,369"  # 3 epochs of 49,825 examples in batches of 4
    assert told["run"].strip() == "runs/edges2shoes is new: it would start at step 0"
    assert "parameters" in told["generator"] and "70 px" in told["discriminator"]
    assert lines[0] == "Settings (* marks those that are not the default):"
    assert lines[1].split() == ["workdir", "runs/edges2shoes"]
    # Its recipe mirrors nothing, so --nomirror changes nothing.
    command = ["--workdir=runs/edges2shoes", "--dataset=edges2shoes", "--image_size=64x128", "--epochs=3"]
    assert shlex.split(told["command"])[1:] == ["-m", "tfpix2pix.train", *command]
    marked = {line.split()[1]: line.split()[2] for line in lines if line.startswith("*")}
    assert marked == {"dataset": "edges2shoes", "epochs": "3", "image_size": "64x128", "load_size": "72x143"}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["--stepps=3"], "there is no flag --stepps; did you mean --steps?"),
        (["--steps=many"], "flag --steps=many: expected a whole number (--help lists the flags)"),
        (
            ["--generator=unett"],
            "--generator=unett: value should be one of <unet|encoder_decoder|resnet_6blocks|"
            "resnet_9blocks|global|enhancer>; did you mean unet?",
        ),
        (["--image_size=big"], "--image_size takes N or HxW, such as 256 or 256x512. Received: big"),
        (
            ["--receptive_field=71"],
            "--receptive_field must be one of 1, 16, 34, 70, 142, 286, 574. Received: 71",
        ),
        (["--nojitter", "--load_size=300"], "--load_size has no effect without --jitter"),
        (["facades"], "unexpected argument: facades"),
    ],
)
def test_usage_errors(tmp_path, arguments, reason):
    process = runs.call([*TRAIN, "--dataset=facades", *arguments], cwd=tmp_path)
    assert process.returncode == 2
    assert runs.last_line(process).startswith("error: ") and reason in runs.last_line(process)
    assert not list(tmp_path.iterdir())


def test_the_workdir_belongs_to_one_process_until_it_dies(data_dir, tmp_path):
    never = {"checkpoint_every_steps": 10**6, "validate_every_steps": 10**6}
    command = runs.train_command(data_dir, tmp_path / "run", steps=10**6, summary_every_steps=5, **never)
    first = runs.start(command)
    try:
        runs.wait_until(lambda: len(runs.read_metrics(tmp_path / "run")) > 0, first)
        second = runs.call(command)
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 1
    assert runs.last_line(second).startswith(f"error: {tmp_path / 'run'} is in use by process {first.pid};")
    (tmp_path / "run").rename(tmp_path / "a run")
    command = runs.train_command(data_dir, tmp_path / "a run", steps=2, summary_every_steps=1)
    third = runs.call(command)
    assert third.returncode == 0, third.stderr
    assert f"done: 2 steps in {tmp_path / 'a run'}" in third.stdout
    # What is printed to be copied survives a shell.
    commands = [shlex.split(line) for line in third.stdout.splitlines()[-3:]]
    assert commands[0][-1] == f"--logdir={tmp_path / 'a run' / 'tensorboard'}"
    assert commands[1][4:] == [f"--model={tmp_path / 'a run'}"]
    translated = tmp_path / "a run" / "translated"
    assert commands[2][4:] == [
        f"--model={tmp_path / 'a run'}",
        f"--input={data_dir / 'val'}",
        "--crop=left",
        f"--output={translated}",
    ]
    assert runs.call(commands[2][1:]).returncode == 0
    assert {file.stem for file in translated.glob("*.png")} == {"val-0", "val-1"}
    assert f"{tmp_path / 'a run' / 'config.json'}, which --config takes" in third.stdout


def test_a_full_disk_is_a_clear_error_and_leaves_the_last_checkpoint(data_dir, tmp_path):
    settings = {"checkpoint_every_steps": 2, "summary_every_steps": 2}
    first = runs.call(runs.train_command(data_dir, tmp_path, steps=2, **settings))
    assert first.returncode == 0, first.stderr
    before = runs.read_state(tmp_path, 2)
    command = runs.train_command(data_dir, tmp_path, steps=4, **settings)
    with runs.full_disk(30_000):
        full = runs.call(command)
    assert full.returncode == 1
    reason = runs.last_line(full)
    assert reason.startswith("error: could not write") and "step 2 is intact" in reason, full.stderr
    assert "Make room and run the same command to go on" in reason
    runs.assert_same_state(runs.read_state(tmp_path, 2), before)
    again = runs.call(command)
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "checkpoints/step-00000004/checkpoint.json").read_text())["step"] == 4


# One process for all of these commands.
MIRRORED = """
import json
import sys
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.train import __main__ as train
for arguments in json.loads(sys.argv.pop()):
    sys.argv[1:] = arguments
    try:
        command_line.run(train.main)
    except SystemExit as end:
        print("status", end.code, flush=True)
"""


@pytest.mark.slow
def test_two_replicas_train_and_resume_to_the_same_weights_with_a_batch_they_can_share(data_dir, tmp_path):
    settings = {"strategy": "mirrored", "checkpoint_every_steps": 2, "normalization": "instance"}
    commands = [
        runs.train_command(data_dir, tmp_path / workdir, steps=steps, batch_size=batch_size, **settings)[3:]
        for workdir, steps, batch_size in (("parts", 3, 2), ("parts", 6, 2), ("whole", 6, 2), ("odd", 2, 3))
    ]
    process = runs.run([sys.executable, "-c", MIRRORED, json.dumps(commands)])
    statuses = [line for line in process.stdout.splitlines() if line.startswith("status ")]
    assert statuses == ["status 0"] * 3 + ["status 2"], process.stderr
    runs.assert_same_state(runs.read_state(tmp_path / "parts", 6), runs.read_state(tmp_path / "whole", 6))
    assert "--batch_size is shared by 2 replicas" in runs.last_line(process)
    assert not (tmp_path / "odd").exists()
