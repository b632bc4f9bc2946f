"""A training on Ray: workers that are placed together, and started again together when one is lost."""

import dataclasses
import os
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

from tfpix2pix.cluster.connection import connect
from tfpix2pix.pipelines.base.errors import Stopped, UsageError, UserError, shorten
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.run.interruption import noted_signals

_POLL_SEC = 0.2
# How long the start of all workers may take, which a cluster may have to order machines for.
_START_SEC = 600
# What is shown of the workers that are not the chief.
_OF_ALL = ("error:", "warning:")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gang:
    """The workers of a training, and what they need.

    Attributes:
      num_workers: number of workers.
      cpus_per_worker: number of processors that Ray sets aside for each.
      gpus_per_worker: number of GPUs of each.
      max_failures: how often all are started again after one has failed; -1 for without end.
      ray_address: host:port of the cluster's head, or `auto`; None for Ray on this machine.
    """

    num_workers: int = 1
    cpus_per_worker: int = 1
    gpus_per_worker: int = 0
    max_failures: int = 3
    ray_address: str | None = None


def train_on_ray(gang: Gang, arguments: Sequence[str]) -> None:
    """Runs the command `train` as workers on Ray, until the training is done; prints what the chief prints.

    Each start goes on from the last checkpoint in the run's folder, which all machines must see. A signal to
    this process stops all workers at one step, after the chief has saved.

    Args:
      gang: the workers.
      arguments: the flags of `train`. With several workers, `strategy=multiworker` is added.

    Raises:
      UsageError: when the flags of `train` cannot work.
      UserError: when the training has failed more than `max_failures` times, or Ray does not answer.
      Stopped: on a signal that asks for a stop, after a checkpoint was saved.
    """
    if gang.num_workers > 1:
        arguments = [*arguments, "--strategy=multiworker"]
    with connect(gang.ray_address, gang.num_workers * gang.cpus_per_worker):
        _Run(gang, arguments).wait()


class _Run:
    """One training, which Ray's controller follows in a thread, so that this one can wait for signals."""

    def __init__(self, gang: Gang, arguments: Sequence[str]):
        from tfpix2pix.cluster.desk import open_desk

        self._gang, self._desk = gang, open_desk()
        self._task = {"arguments": list(arguments), "folder": os.getcwd(), "desk": self._desk}
        self._failure: Exception | None = None

    def wait(self) -> None:
        thread = threading.Thread(target=self._fit, daemon=True)
        with noted_signals() as signals:
            thread.start()
            is_told = False
            while thread.is_alive():
                thread.join(_POLL_SEC)
                self._show_lines()
                if signals and not is_told:
                    self._desk.ring.remote(signals[0])
                    is_told = True
        self._show_lines()
        self._judge(signals)

    def _show_lines(self) -> None:
        """Prints the lines of the chief, and of the others what they alone may know."""
        for line in _await(self._desk.take_lines.remote()):
            if line.rank == 0 and line.is_result:
                print(line.text, flush=True)
            elif line.rank == 0:
                say(line.text)
            elif line.text.startswith(_OF_ALL):
                say(f"worker {line.rank}: {line.text}")

    def _fit(self) -> None:
        os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
        os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
        os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(_START_SEC))
        gang = self._gang
        resources = {"CPU": gang.cpus_per_worker, "GPU": gang.gpus_per_worker}
        try:
            from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
            from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

            from tfpix2pix.cluster.backend import TensorFlowWorkers
            from tfpix2pix.cluster.member import take_part

            with tempfile.TemporaryDirectory() as folder:  # for Ray's own records, which nobody reads
                DataParallelTrainer(
                    take_part,
                    backend_config=TensorFlowWorkers(),
                    train_loop_config=self._task,
                    scaling_config=ScalingConfig(
                        num_workers=gang.num_workers,
                        use_gpu=gang.gpus_per_worker > 0,
                        resources_per_worker=resources,
                    ),
                    run_config=RunConfig(
                        storage_path=folder,
                        failure_config=FailureConfig(max_failures=gang.max_failures),
                        logging_config=LoggingConfig(log_level="ERROR"),
                    ),
                ).fit()
        except Exception as error:  # is raised in the main thread, in words
            self._failure = error

    def _judge(self, signals: Sequence[str]) -> None:
        """Raises what has become of the training, if it is not done."""
        ends: dict[int, Any] = _await(self._desk.ends.remote())
        wrong = [end for end in ends.values() if end.status == 2]
        if wrong:
            raise UsageError(wrong[0].reason.removeprefix("error: "))
        if self._failure:
            reasons = [end.reason.removeprefix("error: ") for end in ends.values() if end.status]
            most = self._gang.max_failures
            times = "once" if most == 0 else f"{most + 1} times"
            raise UserError(
                f"the workers have failed {times}, which is more than `max_failures={most}` allows; the last "
                f"reason: {(reasons or [str(self._failure)])[0]}"
            ) from self._failure
        stopped = [end for end in ends.values() if end.status]
        if stopped:
            raise Stopped(stopped[0].reason, signals[0] if signals else "SIGTERM")


def _await(answer: Any) -> Any:
    """Returns what the desk answers; raises UserError if it, or Ray, is gone."""
    import ray

    try:
        return ray.get(answer)
    except ray.exceptions.RayError as error:
        raise UserError(
            f"lost the connection to Ray ({shorten(error)}); run the same command to go on from the last "
            "checkpoint"
        ) from error
