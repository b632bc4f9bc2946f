"""`python -m tests.helpers.serving_stand_in`: takes the flags of tensorflow_model_server that we set."""

import argparse
import signal
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.helpers.serving_stand_in import Models, start_grpc_server, start_rest_server


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("port", "rest_api_port", "model_config_file_poll_wait_seconds"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("model_config_file", "batching_parameters_file", "monitoring_config_file"):
        parser.add_argument(f"--{name}", type=argparse.FileType())
    for name in ("enable_batching", "allow_version_labels_for_unavailable_models"):
        parser.add_argument(f"--{name}", nargs="?")
    flags = parser.parse_args()
    config = text_format.Parse(flags.model_config_file.read(), model_server_config_pb2.ModelServerConfig())
    models = Models()
    for model in config.model_config_list.config:
        models.load(model.name, Path(model.base_path), model.model_version_policy.specific.versions)
        models.labels[model.name] = dict(model.version_labels)
    servers = [start_grpc_server(models, flags.port), start_rest_server(models, flags.rest_api_port)]
    for url, _ in servers:
        print(f"serving at {url}", flush=True)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])


if __name__ == "__main__":
    main()
