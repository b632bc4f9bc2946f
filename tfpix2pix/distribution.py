"""Where training runs: the distribution strategy, and which process is the chief."""

import dataclasses

import tensorflow as tf

from pipelines.command_line import UsageError


@dataclasses.dataclass(frozen=True)
class Placement:
    """A strategy and this process's place in it.

    Attributes:
      strategy: what the step runs under.
      num_workers: processes that train together.
      worker_index: which of them this is; 0 is the chief, the only one that writes.
    """

    strategy: tf.distribute.Strategy
    num_workers: int = 1
    worker_index: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this process writes checkpoints, summaries and exports."""
        return self.worker_index == 0


def make_strategy(name: str = "auto") -> Placement:
    """Makes the strategy that `--strategy` names.

    Args:
      name: `auto`: `mirrored` where there is a GPU, else `one_device`.
        `mirrored`: all GPUs of this machine, or all its logical CPUs.
        `multiworker`: the processes that the TF_CONFIG variable lists.
        `one_device`: the first GPU, or the CPU.

    Returns:
      The strategy and this process's place in it.
    """
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")] if name != "multiworker" else []
    if name == "multiworker":
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        resolver = strategy.cluster_resolver
        num_workers = max(1, len(resolver.cluster_spec().as_dict().get("worker", ())))
        return Placement(strategy, num_workers, resolver.task_id or 0)
    if name == "mirrored" or (name == "auto" and gpus):
        cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
        return Placement(tf.distribute.MirroredStrategy(gpus or cpus))
    return Placement(tf.distribute.OneDeviceStrategy(gpus[0] if gpus else "/cpu:0"))


def replica_batch_size(placement: Placement, global_batch_size: int) -> int:
    """Returns how many examples each replica takes.

    Args:
      placement: where training runs.
      global_batch_size: examples per step, over all replicas.

    Raises:
      UsageError: when the replicas cannot share the batch equally.
    """
    replicas = placement.strategy.num_replicas_in_sync
    if global_batch_size % replicas:
        raise UsageError(
            f"--batch_size is shared by {replicas} replicas, so it must be a multiple of {replicas}. "
            f"Received: {global_batch_size}"
        )
    return global_batch_size // replicas
