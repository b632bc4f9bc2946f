"""What the processes that train one run together tell each other, and how they notice that one is lost.

They speak through TensorFlow's collectives, as the training step does, so that they need no further port.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UserError

# What a collective raises in the workers that are left. Anything else is a fault of this worker's own.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
_CONNECT_SEC = 1
_PROBES = 3


class Workers:
    """The processes that train one run together, and this one's place among them.

    Args:
      addresses: host:port of each worker, the chief's first. A training in one process needs none.
      index: place of this process among them.
      strategy: the strategy that they have joined; None for one process.
    """

    def __init__(
        self,
        addresses: Sequence[str] = ("this process",),
        index: int = 0,
        strategy: tf.distribute.Strategy | None = None,
    ):
        self.addresses, self.index, self._strategy = tuple(addresses), index, strategy
        self._gather: Callable[[tf.Tensor], tf.Tensor] | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this process writes checkpoints, summaries and exports."""
        return self.index == 0

    @property
    def are_several(self) -> bool:
        """Whether there are other processes."""
        return len(self.addresses) > 1

    def name(self, index: int) -> str:
        """Returns what messages call a worker."""
        return f"worker {index} ({self.addresses[index]})"

    def exchange(self, message: Any) -> list[Any]:
        """Tells all workers something, and returns when all of them have called this.

        Args:
          message: anything that JSON can hold.

        Returns:
          The messages of all workers, in their order.
        """
        if not self.are_several:
            return [message]
        if self._gather is None:
            self._gather = self._build_gather()
        line = json.dumps([self.index, message]) + "\n"
        codes = self._gather(tf.constant(list(line.encode()), tf.int64))
        lines = bytes(codes.numpy().astype("uint8")).decode().splitlines()
        told = dict(map(json.loads, lines))  # Each replica of a worker has sent its message.
        return [told[index] for index in range(len(self.addresses))]

    def _build_gather(self) -> Callable[[tf.Tensor], tf.Tensor]:
        strategy = self._strategy or tf.distribute.get_strategy()

        def gather_on_replica(codes: tf.Tensor) -> tf.Tensor:
            # Without `identity` the tensor is on no device of the replica, and cannot be gathered.
            return tf.distribute.get_replica_context().all_gather(tf.identity(codes), axis=0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)], autograph=False)
        def gather(codes: tf.Tensor) -> tf.Tensor:
            per_replica = strategy.run(gather_on_replica, args=(codes,))
            return strategy.experimental_local_results(per_replica)[0]

        return gather

    def check_equal(self, facts: Mapping[str, Any], remedy: str) -> None:
        """Compares facts with those of the other workers.

        Args:
          facts: values by name, in types of JSON.
          remedy: a sentence that says what to do if they differ.

        Raises:
          UserError: in all workers, if they differ; the text names workers and values.
        """
        told = self.exchange(dict(facts))
        names = {name: None for each in told for name in each}
        differences = [
            f"{name} is {self._describe([each.get(name) for each in told])}"
            for name in names
            if any(each.get(name) != told[0].get(name) for each in told)
        ]
        if differences:
            raise UserError(f"the workers do not agree: {'; '.join(differences)}. {remedy}")

    def _describe(self, values: Sequence[Any]) -> str:
        """Returns each value with the workers that have it."""
        holders: dict[str, list[str]] = {}
        for index, value in enumerate(values):
            holders.setdefault(str(value), []).append(self.name(index))
        return " but ".join(f"{value} on {', '.join(names)}" for value, names in holders.items())

    def find_missing(self) -> list[int]:
        """Returns the other workers whose address takes no connection."""
        others = [index for index in range(len(self.addresses)) if index != self.index]
        return [index for index in others if not _is_listening(self.addresses[index])]

    @contextmanager
    def telling_losses(self, tell_latest: Callable[[], str]) -> Iterator[None]:
        """Raises UserError in place of what TensorFlow raises when another worker is lost.

        Args:
          tell_latest: returns a clause that says which checkpoint is left.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if not (self.are_several and isinstance(error, _LOST)):
                raise
            missing = self._find_missing_soon()
            lost = " and ".join(map(self.name, missing)) or "another worker, which does not answer,"
            raise UserError(
                f"the connection to {lost} is lost; {tell_latest()}. "
                "Run the same command on all workers to go on"
            ) from error

    def _find_missing_soon(self) -> list[int]:
        """Returns `find_missing`, and gives a process that is about to end the time to do so."""
        for _ in range(_PROBES):
            if missing := self.find_missing():
                return missing
            time.sleep(1)
        return []


def split_address(address: str) -> tuple[str, int]:
    """Returns host and port of host:port; an IPv6 host stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _is_listening(address: str) -> bool:
    try:
        with socket.create_connection(split_address(address), _CONNECT_SEC):
            return True
    except OSError:
        return False
