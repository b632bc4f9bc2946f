"""The command `python -m tfpix2pix.serving.serve`: what it writes, and what it runs.

The programs it finds on the PATH are scripts made here; the last test wants the real one.
"""

import csv
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.helpers import runs
from tests.helpers.serving_stand_in.exports import as_picture
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.serving import RemoteModel, serve

pytest_plugins = ["tests.helpers.serving_stand_in.fixtures"]
SERVE = [sys.executable, "-m", "tfpix2pix.serving.serve"]
RECORD = """#!{python}
import json, signal, sys, time
def stop(*_):
    print("stopped", flush=True)
    sys.exit(5)
signal.signal(signal.SIGTERM, stop)
if sys.argv[1:] == ["version"]:
    sys.exit({fault!r})
with open({record!r}, "w") as file:
    json.dump(sys.argv, file)
print("started", flush=True)
time.sleep({seconds})
sys.exit(3)
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of SavedModels, as far as the command looks at them."""
    folder = tmp_path / "saved models"
    for version in ("facades/1", "facades/12", 'ma"ps/3', ".facades.incomplete/1", "notes/old"):
        (folder / version).mkdir(parents=True)
        (folder / version / "saved_model.pb").touch()
    (folder / "empty").mkdir()
    (folder / "README.md").touch()
    return folder


@pytest.fixture
def program(tmp_path):
    """Puts a script on a PATH of its own; returns the PATH and the file for its arguments."""

    def write(name: str, seconds: float = 0, fault: str | None = None) -> tuple[str, Path]:
        programs, record = tmp_path / "programs", tmp_path / "arguments.json"
        programs.mkdir(exist_ok=True)
        script = RECORD.format(python=sys.executable, record=str(record), seconds=seconds, fault=fault)
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
        return str(programs), record

    return write


def run(folder: Path, path: str, *options: str) -> subprocess.CompletedProcess:
    return runs.run([*SERVE, f"--saved_models={folder}", *options], env=runs.environment(PATH=path))


def test_the_installed_server_gets_ports_and_files(folder, program):
    path, record = program("tensorflow_model_server")
    program("docker")
    process = run(folder, path, "--rest_port=9001", "--grpc_port=9000", "--enable_batching")
    assert process.returncode == 3, process.stderr
    assert json.loads(record.read_text())[1:] == [
        "--port=9000",
        "--rest_api_port=9001",
        f"--model_config_file={folder}/models.config",
        "--model_config_file_poll_wait_seconds=10",
        f"--monitoring_config_file={folder}/monitoring.config",
        "--allow_version_labels_for_unavailable_models=true",
        "--enable_batching",
        f"--batching_parameters_file={folder}/batching_parameters.txt",
    ]
    lines = process.stdout.splitlines()
    assert (
        lines[0].startswith("tensorflow_model_server --port=9000 ")
        and f"'{'--model_config_file='}" in lines[0]
    )
    assert lines[1:] == [
        "facades: http://127.0.0.1:9001/v1/models/facades",
        'ma"ps: http://127.0.0.1:9001/v1/models/ma"ps',
        "started",
    ]


def test_docker_gets_ports_mount_and_files(folder, program):
    path, record = program("docker")
    process = run(folder, path, "--rest_port=9001", "--docker_image=tensorflow/serving:2.19.1-gpu")
    assert process.returncode == 3, process.stderr
    assert json.loads(record.read_text())[1:] == [
        "run",
        "--rm",
        "--init",
        "--gpus=all",
        "--publish=127.0.0.1:9001:8501",
        "--publish=127.0.0.1:8500:8500",
        f"--mount=type=bind,source={folder},target={folder},readonly",
        "tensorflow/serving:2.19.1-gpu",
        f"--model_config_file={folder}/models.config",
        "--model_config_file_poll_wait_seconds=10",
        f"--monitoring_config_file={folder}/monitoring.config",
        "--allow_version_labels_for_unavailable_models=true",
    ]
    assert "--gpus=all" not in run(folder, path, "--dry_run").stdout


def test_a_mount_of_docker_is_a_row_of_csv(folder, program):
    path, _ = program("docker")
    for name in ("a,b", 'a "b"'):
        folder = folder.rename(folder.with_name(name))
        command = run(folder, path, "--dry_run").stdout.splitlines()[-1]
        (mount,) = (word for word in shlex.split(command) if word.startswith("--mount="))
        (fields,) = csv.reader([mount.partition("=")[2]], strict=True)
        assert fields == ["type=bind", f"source={folder}", f"target={folder}", "readonly"]


def test_docker_that_is_not_running_is_told(folder, program):
    path, record = program("docker", fault="Cannot connect to the Docker daemon at unix:///x.sock.")
    process = run(folder, path)
    assert process.returncode == 1
    error = process.stderr.splitlines()[-1]
    assert error.startswith("error: Docker is installed, but does not answer: Cannot connect to the Docker")
    assert "systemctl start docker" in error
    assert not record.exists() and not (folder / "models.config").exists()


def test_without_either_it_says_how_to_install(folder, tmp_path):
    process = run(folder, str(tmp_path))
    assert process.returncode == 1
    error = process.stderr.splitlines()[-1]
    assert error.startswith("error: neither tensorflow_model_server nor docker is installed. Install Docker")
    assert "tensorflow-model-server" in error
    assert not (folder / "models.config").exists()


def test_a_dry_run_prints_and_writes_nothing(folder, program):
    path, record = program("tensorflow_model_server")
    before = sorted(folder.rglob("*"))
    process = run(folder, path, "--dry_run")
    assert process.returncode == 0 and not record.exists() and sorted(folder.rglob("*")) == before
    assert process.stdout.splitlines()[-1].startswith("tensorflow_model_server --port=8500")
    assert f"{folder}/models.config:\n" in process.stdout and 'name: "facades"' in process.stdout


def test_signals_reach_the_server(folder, program):
    path, _ = program("tensorflow_model_server", seconds=60)
    command = [*SERVE, f"--saved_models={folder}"]
    process = subprocess.Popen(command, env=runs.environment(PATH=path), stdout=subprocess.PIPE, text=True)
    while process.stdout.readline() != "started\n":
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "stopped\n" and process.returncode == 5


def test_models_config_is_what_the_official_parser_reads(folder, program):
    path, _ = program("tensorflow_model_server")
    run(folder, path)
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((folder / "models.config").read_text(), config)
    models = [
        (model.name, model.base_path, model.model_platform) for model in config.model_config_list.config
    ]
    assert models == [
        ("facades", f"{folder}/facades", "tensorflow"),
        ('ma"ps', f'{folder}/ma"ps', "tensorflow"),
    ]
    batching = (folder / "batching_parameters.txt").read_text()
    assert "max_batch_size { value: 8 }\nbatch_timeout_micros { value: 5000 }\n" in batching
    assert f"num_batch_threads {{ value: {os.cpu_count()} }}" in batching
    monitoring = (folder / "monitoring.config").read_text()
    assert 'enable: true\n  path: "/monitoring/prometheus/metrics"' in monitoring


def test_a_file_that_somebody_changed_is_kept(folder, program):
    path, _ = program("tensorflow_model_server")
    run(folder, path)
    own = folder / "models.config"
    own.write_text(own.read_text().partition("\n")[2])
    kept = own.read_text()
    (folder / "monitoring.config").write_text("# Written by tfpix2pix.serving.serve at each start. Gone\n")
    shutil.rmtree(folder / 'ma"ps')
    process = run(folder, path)
    assert process.stderr.splitlines()[0] == f"warning: {own} is somebody's own, so it is used as it is"
    assert own.read_text() == kept and "monitoring.config is somebody's own" in process.stderr
    dry = run(folder, path, "--dry_run")
    assert dry.stderr == process.stderr
    assert f"{own}:\n{kept}\n" in dry.stdout and dry.stdout.count("# Written by") == 2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nowhere", [], "there is no folder .*nowhere; `saved_models` takes the one that holds the models"),
        ("saved models/empty", [], "no .*/empty/NAME/VERSION/saved_model.pb; python -m tfpix2pix.export"),
        ("saved models/facades", [], "this is the folder of one model: give `saved_models=.*/saved models`"),
        ("models [x]", [], r"cannot load models from .*/models \[x\]: it takes \*, \?, \[, \] and"),
        ("saved models", ["--grpc_port=8501"], "--rest_port and --grpc_port are both 8501"),
        ("saved models", ["--rest_port=0"], "rest_port"),
        ("saved models", ["facades"], "unexpected argument: facades"),
    ],
)
def test_usage_errors(folder, name, options, message):
    shutil.copytree(folder, folder.with_name("models [x]"))
    with pytest.raises(UsageError, match=message):
        serve.main(["serve", f"--saved_models={folder.parent / name}", *options])


def find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def translate_through_a_server(saved_models: Path, path: str) -> None:
    """Starts the command as users do, and asks the server that it starts, over REST and gRPC."""
    rest_port, grpc_port = find_port(), find_port()
    command = [
        *SERVE,
        f"--saved_models={saved_models}",
        f"--rest_port={rest_port}",
        f"--grpc_port={grpc_port}",
    ]
    process = subprocess.Popen(command, env=runs.environment(PATH=path), stdout=subprocess.DEVNULL)
    try:
        for url in (f"http://127.0.0.1:{rest_port}", f"grpc://127.0.0.1:{grpc_port}"):
            with RemoteModel(url, "probe", retries=12) as model:
                assert model.translate([b"a"]) == [as_picture(b"av8")] and model.read_status() == {
                    8: "AVAILABLE"
                }
                with pytest.raises(Exception, match="is no JPEG, PNG or BMP image"):
                    RemoteModel(url, "tiny").translate([b"no image"])
    finally:
        process.terminate()
        process.wait(30)


def test_a_server_that_reads_the_files_serves_the_newest_versions(saved_models, tmp_path):
    script = tmp_path / "tensorflow_model_server"
    root = Path(__file__).parents[2]
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -m tests.helpers.serving_stand_in "$@"\n'
    )
    script.chmod(0o755)
    translate_through_a_server(saved_models, f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(
    shutil.which("tensorflow_model_server") is None, reason="tensorflow_model_server is not on the PATH"
)
def test_the_real_server(saved_models):
    translate_through_a_server(saved_models, os.environ["PATH"])
