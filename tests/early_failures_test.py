"""What cannot run fails at once: before TensorFlow is imported, which takes seconds, and before training."""

import sys

import pytest

from tests.helpers import runs

COMMAND = """
import importlib, sys
from tfpix2pix.pipelines.base import command_line
module = importlib.import_module(sys.argv[1])
del sys.argv[1]
try:
    command_line.run(module.main)
finally:
    assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""


@pytest.mark.parametrize(
    ("command", "flags", "reason"),
    [
        ("export", ["--workdir=nope"], "nope holds no run: there is no config.json"),
        ("export", ["--workdir=run", "--output=a_file/models"], "--output=a_file/models takes a folder"),
        ("translate", ["--model=nope", "--input=a_file", "--output=out"], "there is no nope; --model takes"),
        ("evaluate", ["--model=nope"], "there is no nope; --model takes"),
        ("evaluate", ["--model=run", "--segmenter=nope"], "Received: nope, which does not exist"),
        ("train", ["--dataset=facades", "--segmenter=nope"], "Received: nope, which does not exist"),
        ("train", ["--dataset=facades", "--workdir=a_file"], "--workdir=a_file takes a folder"),
        (
            "train",
            ["--dataset=facades", "--saved_model_dir=a_file/b"],
            "a_file/b takes a folder",
        ),
        (
            "train",
            ["--dataset=synthetic", "--input_channels=4"],
            "--input_channels must be 1 or 3 for",
        ),
        ("train", ["--dataset=facades", "--saved_model_dir=run"], "run/facades is a file"),
        # The run was begun, and has no checkpoint yet.
        ("train", ["--workdir=run", "--init_from=nope"], "Received: nope, which does not exist"),
        ("export", ["--workdir=run", "--output=run", "--name=facades"], "run/facades is a file"),
        ("train", ["--dataset=facades", "--workdir=gone/x"], "gone is a link to what is not there"),
        ("train", ["--dataset=facades", "--workdir=hdfs://b/run"], "--workdir=hdfs://b/run is a URL"),
        ("train", ["--config=own.json"], "--saved_model_dir=hdfs://b/models is a URL"),
        ("translate", ["--model=run", "--input=ftp://x.org/a.png"], "--input=ftp://x.org/a.png is a URL"),
        ("evaluate", ["--model=hdfs://b/run"], "--model=hdfs://b/run is a URL"),
    ],
)
def test_it_fails_without_tensorflow(tmp_path, command, flags, reason):
    (tmp_path / "a_file").touch()
    (tmp_path / "run").mkdir()
    text = f'{{"config": {runs.tiny_config(tmp_path).to_json()}, "training_set": null}}'
    (tmp_path / "run" / "config.json").write_text(text)
    (tmp_path / "run" / "facades").touch()
    (tmp_path / "gone").symlink_to("nothing")
    (tmp_path / "own.json").write_text('{"dataset": "facades", "saved_model_dir": "hdfs://b/models"}')
    before = sorted(tmp_path.rglob("*"))
    arguments = [f"tfpix2pix.{command}.__main__", *flags]
    process = runs.run([sys.executable, "-c", COMMAND, *arguments], cwd=tmp_path)
    assert process.returncode == 2, process.stderr
    assert runs.last_line(process).startswith("error: ") and reason in runs.last_line(process)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--data_dir=nope"], "nope; --data_dir takes the folder of the pairs"),
        (["--data_dir=/dev/null"], "error: /dev/null is a file; --data_dir takes the folder of the pairs"),
        (["--dataset=facade"], "did you mean facades?"),
        (["--pairs=list.csv"], "--pairs=list.csv cannot be read: No such file or directory"),
    ],
)
def test_a_training_without_data_fails_without_tensorflow(tmp_path, flags, reason):
    process = runs.run([sys.executable, "-c", COMMAND, "tfpix2pix.train.__main__", *flags], cwd=tmp_path)
    assert process.returncode == 1, process.stderr
    assert runs.last_line(process).startswith("error: ") and reason in runs.last_line(process)
    assert not list(tmp_path.iterdir()) and "config.json" not in process.stdout
