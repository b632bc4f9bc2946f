"""What the process that a person started and the workers on the cluster tell each other while they work."""

import dataclasses
from typing import Any, NamedTuple

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@dataclasses.dataclass(frozen=True)
class End:
    """How the training of a worker ended.

    Attributes:
      status: exit status of the command `train`.
      reason: the last line that it printed on standard error.
    """

    status: int
    reason: str = ""


class Line(NamedTuple):
    """A line that a worker has printed.

    Attributes:
      rank: the worker.
      is_result: whether it was printed on standard output, and not on standard error.
      text: the line.
    """

    rank: int
    is_result: bool
    text: str


@ray.remote(num_cpus=0)
class Desk:
    """One actor, which all of them ask."""

    def __init__(self) -> None:
        self._signal, self._ends, self._lines = "", dict[int, End](), list[Line]()

    def ring(self, signal_name: str) -> None:
        """Asks all workers to stop, as if each had received this signal."""
        self._signal = self._signal or signal_name

    def heard(self) -> str:
        """Returns the name of the signal that workers shall stop at; empty if they shall go on."""
        return self._signal

    def tell(self, rank: int, end: End) -> None:
        """Notes how a worker has ended."""
        self._ends[rank] = end

    def ends(self) -> dict[int, End]:
        """Returns how each worker has ended, by its rank; of one that was started again, the last end."""
        return self._ends

    def report(self, lines: list[Line]) -> None:
        """Notes what a worker has printed."""
        self._lines += lines

    def take_lines(self) -> list[Line]:
        """Returns what all workers have printed since the last call."""
        lines, self._lines = self._lines, []
        return lines


def open_desk() -> Any:
    """Returns a desk on the node of the calling process, so that it is not lost with any other node."""
    desk: Any = Desk  # which `ray.remote` has made more than a class
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return desk.options(scheduling_strategy=here).remote()
