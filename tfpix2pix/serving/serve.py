"""Starts TensorFlow Serving on a folder of SavedModels.

    python -m tfpix2pix.serving.serve --saved_models=saved_models

This runs tensorflow_model_server if it is installed, and the Docker image
tensorflow/serving if not. The command that starts the server is printed, and takes the
place of this one, so that signals and the exit status are those of the server. Before
that, models.config (which lists every model in the folder, the newest version of each),
batching_parameters.txt and monitoring.config are written to the folder. A version that
is exported later is served without a restart; another model needs one.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.serving import model_config
from tfpix2pix.serving.launching import build_command, check_docker


def main(argv: Sequence[str]) -> None:
    """Parses flags, writes the configuration, becomes the server."""
    values = _parse(argv)
    folder = Path(values["saved_models"])
    names = model_config.find_models(folder)
    texts = model_config.render_configs(folder, names)
    command = build_command(
        folder.resolve(),
        rest_port=values["rest_port"],
        grpc_port=values["grpc_port"],
        enable_batching=values["enable_batching"],
        docker_image=values["docker_image"],
    )
    own = model_config.read_own(folder, texts)
    if not values["dry_run"]:
        check_docker(command)
        model_config.write_configs(folder, texts)
    for name in own:
        warn(f"{folder / name} is somebody's own, so it is used as it is")
    if values["dry_run"]:
        for name, text in {**texts, **own}.items():
            print(f"{folder / name}:\n{text}")
        print(shlex.join(command))
        return
    print(shlex.join(command))
    for name in names:
        print(f"{name}: http://127.0.0.1:{values['rest_port']}/v1/models/{name}")
    sys.stdout.flush()
    os.execvp(command[0], command)


def _parse(argv: Sequence[str]) -> dict[str, Any]:
    flag_values = command_line.new_flags()
    for name, default, text in (
        ("saved_models", "saved_models", "Serve the models in this folder."),
        (
            "docker_image",
            "tensorflow/serving",
            "Run this Docker image if no server is installed. One whose name ends in -gpu gets the GPUs.",
        ),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    for name, port, text in (
        ("rest_port", 8501, "Answer REST requests on this port."),
        ("grpc_port", 8500, "Answer gRPC requests on this port."),
    ):
        flags.DEFINE_integer(name, port, text, 1, 65535, flag_values=flag_values)
    for name, text in (
        ("enable_batching", "Merge requests into batches, as batching_parameters.txt says."),
        ("dry_run", "Print the files and the command, and stop."),
    ):
        flags.DEFINE_bool(name, False, text, flag_values=flag_values)
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    if values["rest_port"] == values["grpc_port"]:
        raise UsageError(f"--rest_port and --grpc_port are both {values['rest_port']}; each needs its own")
    return values


if __name__ == "__main__":
    command_line.run(main)
