"""Where training runs: the distribution strategy, and which process is the chief."""

import dataclasses
import json
import os

import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.pipelines.base.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Placement:
    """A strategy and this process's place in it.

    Attributes:
      strategy: the strategy that the training step runs under.
      is_chief: whether this process writes checkpoints, summaries and exports.
    """

    strategy: tf.distribute.Strategy
    is_chief: bool = True

    def __str__(self) -> str:
        devices = sorted(name.split("device:")[-1] for name in self.strategy.extended.worker_devices)
        return f"{', '.join(devices)} ({type(self.strategy).__name__})"


def make_strategy(name: str = "auto") -> Placement:
    """Makes the strategy that the setting `strategy` names.

    Args:
      name: `mirrored` takes all GPUs of this machine, or all its logical CPUs; `multiworker` the
        processes that the TF_CONFIG variable lists; `one_device` the first GPU, or the CPU. `auto` is
        `mirrored` where there is a GPU, and `one_device` elsewhere.

    Returns:
      The strategy and this process's place in it.

    Raises:
      UsageError: for `multiworker` without a usable TF_CONFIG.
    """
    if name == "multiworker":
        return _join_workers()
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if name == "mirrored" or (name == "auto" and gpus):
        cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
        return Placement(tf.distribute.MirroredStrategy(gpus or cpus))
    return Placement(tf.distribute.OneDeviceStrategy(gpus[0] if gpus else "/cpu:0"))


def _join_workers() -> Placement:
    """Joins the workers of TF_CONFIG. Nothing may touch a device before that."""
    try:
        settings = json.loads(os.environ.get("TF_CONFIG", ""))
        cluster, task = settings["cluster"], (settings["task"]["type"], int(settings["task"]["index"]))
        tasks = [(kind, place) for kind in ("chief", "worker") for place in range(len(cluster.get(kind, ())))]
        is_chief = tasks.index(task) == 0
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            "`strategy=multiworker` needs the TF_CONFIG variable in each process, such as "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}. '
            f"Received: {os.environ.get('TF_CONFIG', 'nothing')}"
        ) from error
    return Placement(tf.distribute.MultiWorkerMirroredStrategy(), is_chief)


def check_placement(placement: Placement, config: Config) -> None:
    """Raises UsageError when the replicas cannot share the batch equally, or several would be compiled."""
    replicas = placement.strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise UsageError(
            f"`batch_size` is shared by {replicas} replicas, so it must be a multiple of {replicas}. "
            f"Received: {config.batch_size}"
        )
    if config.jit_compile and replicas > 1:
        raise UsageError(f"`jit_compile` works on one replica, and there are {replicas}; leave it out")
