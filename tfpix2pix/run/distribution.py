"""Where training runs: the distribution strategy, and the processes that train together."""

import dataclasses

import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.pipelines.base.errors import UsageError, UserError, shorten
from tfpix2pix.run.addresses import read_addresses
from tfpix2pix.run.joining import limited, wait_for_all
from tfpix2pix.run.workers import Workers


@dataclasses.dataclass(frozen=True)
class Placement:
    """A strategy and the processes that train under it.

    Attributes:
      strategy: the strategy that the training step runs under.
      workers: this process and the others; by default there are no others.
    """

    strategy: tf.distribute.Strategy
    workers: Workers = dataclasses.field(default_factory=Workers)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes checkpoints, summaries and exports."""
        return self.workers.is_chief

    def __str__(self) -> str:
        devices = sorted(name.split("device:")[-1] for name in self.strategy.extended.worker_devices)
        return f"{', '.join(devices)} ({type(self.strategy).__name__})"


def make_strategy(name: str = "auto", join_timeout_sec: int = 600) -> Placement:
    """Makes the strategy that the setting `strategy` names.

    Args:
      name: `mirrored` takes all GPUs of this machine, or all its logical CPUs; `multiworker` the
        processes that the TF_CONFIG variable lists, or that srun of SLURM has started; `one_device` the
        first GPU, or the CPU. `auto` is `mirrored` where there is a GPU, and `one_device` elsewhere.
      join_timeout_sec: how long `multiworker` waits for the other processes.

    Returns:
      The strategy and the processes that train under it.

    Raises:
      UsageError: for `multiworker` where nothing says which processes there are.
      UserError: when another process does not come.
    """
    if name == "multiworker":
        return _join(Workers(*read_addresses()), join_timeout_sec)
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if name == "mirrored" or (name == "auto" and gpus):
        cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
        return Placement(tf.distribute.MirroredStrategy(gpus or cpus))
    return Placement(tf.distribute.OneDeviceStrategy(gpus[0] if gpus else "/cpu:0"))


def _join(workers: Workers, timeout_sec: int) -> Placement:
    """Joins the other workers. Nothing may touch a device before that."""
    wait_for_all(workers, timeout_sec)
    try:
        with limited(workers, timeout_sec):
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise UserError(f"could not join the other workers: {shorten(error)}") from error
    return Placement(strategy, Workers(workers.addresses, workers.index, strategy))


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
