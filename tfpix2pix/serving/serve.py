"""Starts TensorFlow Serving on a folder of SavedModels.

    python -m tfpix2pix.serving.serve --saved_models=saved_models

Runs tensorflow_model_server if it is installed, otherwise the Docker image
tensorflow/serving; the command is printed, and takes the place of this one, so
that signals and the exit status are the server's. Writes models.config (every
model in the folder, the newest version of each), batching_parameters.txt and
monitoring.config there first. A version exported later is served without a
restart; another model needs one.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.serving import model_config

SERVER = "tensorflow_model_server"
POLL_WAIT_SEC = 10
_INSTALL = (
    f"neither {SERVER} nor docker is installed. Install Docker (https://docs.docker.com/get-docker), which "
    "then fetches TensorFlow Serving itself; or, on Debian and Ubuntu, the package tensorflow-model-server "
    "(https://www.tensorflow.org/tfx/serving/setup)"
)


def main(argv: Sequence[str]) -> None:
    """Parses flags, writes the configuration, becomes the server."""
    flag_values = _define_flags()
    command_line.refuse_arguments(command_line.parse_flags(flag_values, __doc__ or "", argv))
    values = flag_values.flag_values_dict()
    if values["rest_port"] == values["grpc_port"]:
        raise UsageError(f"--rest_port and --grpc_port are both {values['rest_port']}; each needs its own")
    folder = Path(values["saved_models"])
    names = model_config.find_models(folder)
    texts = model_config.render_configs(folder, names)
    command = _build_command(folder.resolve(), values)
    if values["dry_run"]:
        for name, text in texts.items():
            print(f"{folder / name}:\n{text}")
        print(shlex.join(command))
        return
    for file in model_config.write_configs(folder, texts):
        warn(f"{file} is not ours any more and is used as it is")
    print(shlex.join(command))
    for name in names:
        print(f"{name}: http://127.0.0.1:{values['rest_port']}/v1/models/{name}")
    sys.stdout.flush()
    os.execvp(command[0], command)


def _define_flags() -> flags.FlagValues:
    flag_values = command_line.new_flags()
    flags.DEFINE_string("saved_models", "saved_models", "folder of the models", flag_values=flag_values)
    flags.DEFINE_integer("rest_port", 8501, "for REST", 1, 65535, flag_values=flag_values)
    flags.DEFINE_integer("grpc_port", 8500, "for gRPC", 1, 65535, flag_values=flag_values)
    flags.DEFINE_bool(
        "enable_batching", False, "merge requests as batching_parameters.txt says", flag_values=flag_values
    )
    flags.DEFINE_string(
        "docker_image",
        "tensorflow/serving",
        "without an installed server; a name that ends in -gpu gets the GPUs",
        flag_values=flag_values,
    )
    flags.DEFINE_bool("dry_run", False, "print files and command, and stop", flag_values=flag_values)
    return flag_values


def _build_command(folder: Path, values: dict) -> list[str]:
    options = [
        f"--model_config_file={folder / model_config.MODELS_FILE}",
        f"--model_config_file_poll_wait_seconds={POLL_WAIT_SEC}",
        f"--monitoring_config_file={folder / model_config.MONITORING_FILE}",
        # Or else a models.config with labels of one's own keeps the server from starting.
        "--allow_version_labels_for_unavailable_models=true",
    ]
    if values["enable_batching"]:
        options += ["--enable_batching", f"--batching_parameters_file={folder / model_config.BATCHING_FILE}"]
    if shutil.which(SERVER):
        ports = [f"--port={values['grpc_port']}", f"--rest_api_port={values['rest_port']}"]
        return [SERVER, *ports, *options]
    if not shutil.which("docker"):
        raise UserError(_INSTALL)
    image = values["docker_image"]
    return [
        "docker",
        "run",
        "--rm",
        # The image's first process is a shell, which would keep signals from the server.
        "--init",
        *(["--gpus=all"] if image.endswith("-gpu") else []),
        # The server asks nobody who they are.
        f"--publish=127.0.0.1:{values['rest_port']}:8501",
        f"--publish=127.0.0.1:{values['grpc_port']}:8500",
        # At the same place as outside, so that one models.config is right for both.
        f"--mount=type=bind,source={folder},target={folder},readonly",
        image,
        *options,
    ]


if __name__ == "__main__":
    command_line.run(main)
