"""How the workers that Ray Train has started learn of each other.

Ray's own TensorflowTrainer does the same, but it imports TensorFlow in the command, in Ray's controller and
in each worker of Ray, none of which compute anything here: `member` trains in a process of its own.
"""

import dataclasses
import json
import os
import socket
from collections.abc import Sequence

import ray
from ray.train.backend import Backend, BackendConfig


@dataclasses.dataclass
class TensorFlowWorkers(BackendConfig):
    """Sets TF_CONFIG in each worker before the training starts."""

    @property
    def backend_cls(self):
        """What Ray calls at each start of the workers."""
        return _Introduction


class _Introduction(Backend):
    def on_start(self, worker_group, backend_config):
        addresses = worker_group.execute(_choose_address)
        ray.get(
            [
                worker_group.execute_single_async(index, _set_tf_config, addresses, index)
                for index in range(len(addresses))
            ]
        )


def _choose_address() -> str:
    """Returns this machine's address, and a port that is free on it."""
    host = ray.util.get_node_ip_address()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _set_tf_config(addresses: Sequence[str], index: int) -> None:
    task = {"type": "worker", "index": index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
