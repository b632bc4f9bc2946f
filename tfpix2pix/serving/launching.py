"""The command line that starts TensorFlow Serving, whether it is installed or in Docker."""

import csv
import io
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.serving import model_config

SERVER = "tensorflow_model_server"
POLL_WAIT_SEC = 10
_INSTALL = (
    f"neither {SERVER} nor docker is installed. Install Docker (https://docs.docker.com/get-docker), which "
    "then fetches TensorFlow Serving itself; or, on Debian and Ubuntu, the package tensorflow-model-server "
    "(https://www.tensorflow.org/tfx/serving/setup)"
)


def check_docker(command: Sequence[str]) -> None:
    """Raises UserError if a command that needs Docker finds it installed, but not running."""
    if command[0] != "docker":
        return
    answer = subprocess.run(["docker", "version"], capture_output=True, text=True, errors="replace")
    if answer.returncode:
        reason = (answer.stderr.strip() or "it gave no reason").splitlines()[-1]
        raise UserError(
            f"Docker is installed, but does not answer: {reason} Start it (Docker Desktop, or "
            f"sudo systemctl start docker), or install {SERVER} "
            "(https://www.tensorflow.org/tfx/serving/setup)"
        )


def build_command(
    folder: Path, *, rest_port: int, grpc_port: int, enable_batching: bool, docker_image: str
) -> list[str]:
    """Returns the command that serves the models of a folder.

    Args:
      folder: folder of the models, an absolute path; it holds the files that `model_config` writes.
      rest_port: port for REST, on this machine.
      grpc_port: port for gRPC, on this machine.
      enable_batching: whether requests are merged into batches.
      docker_image: the image that is run where no server is installed.

    Raises:
      UserError: when neither a server nor Docker is installed.
    """
    options = [
        f"--model_config_file={folder / model_config.MODELS_FILE}",
        f"--model_config_file_poll_wait_seconds={POLL_WAIT_SEC}",
        f"--monitoring_config_file={folder / model_config.MONITORING_FILE}",
        # Otherwise a server does not start with a models.config that has labels.
        "--allow_version_labels_for_unavailable_models=true",
    ]
    if enable_batching:
        options += ["--enable_batching", f"--batching_parameters_file={folder / model_config.BATCHING_FILE}"]
    if shutil.which(SERVER):
        return [SERVER, f"--port={grpc_port}", f"--rest_api_port={rest_port}", *options]
    if not shutil.which("docker"):
        raise UserError(_INSTALL)
    return [
        "docker",
        "run",
        "--rm",
        # The first process of the image is a shell, which would keep signals from the server.
        "--init",
        *(["--gpus=all"] if docker_image.endswith("-gpu") else []),
        # The ports are for this machine alone, because the server asks nobody for a password.
        f"--publish=127.0.0.1:{rest_port}:8501",
        f"--publish=127.0.0.1:{grpc_port}:8500",
        # The folder has the same path inside as outside, so that one models.config is right for both.
        f"--mount={_join_mount('type=bind', f'source={folder}', f'target={folder}', 'readonly')}",
        docker_image,
        *options,
    ]


def _join_mount(*fields: str) -> str:
    """Returns the fields of a mount as Docker reads them: a row of CSV, where a comma is quoted."""
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(fields)
    return row.getvalue()
