"""Limits how much one client may ask for (429), and send at the same time (503), with Retry-After."""

import math
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from fastapi import HTTPException, Request

from tfpix2pix.web.clients import name_client

# The number of clients that are remembered. The one that asked longest ago is forgotten first.
MAX_CLIENTS = 10_000


class RateLimit:
    """Limits the requests of each client. Threads may share it.

    Args:
      per_sec: requests a second that a client may send in the long run.
      burst: requests that a client may send at once after a silence.
      clock: returns monotonic time in seconds.
    """

    def __init__(self, per_sec: float, burst: int, clock: Callable[[], float] = time.monotonic):
        self._per_sec = per_sec
        self._burst = burst
        self._clock = clock
        # Client -> how many requests it had left, and when.
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, request: Request, session: str = "") -> None:
        """Counts a request.

        Args:
          request: the request.
          session: tells apart several clients of one address, each of which has the limit to itself; the
            caller limits the address too.

        Raises:
          HTTPException: 429, when its client has asked too much.
        """
        left = self._take(f"{find_client(request)} {session}")
        if left < 1:
            wait_sec = math.ceil((1 - left) / self._per_sec)
            raise HTTPException(
                429, f"That was too much at once; again in {wait_sec} s.", {"Retry-After": str(wait_sec)}
            )

    def _take(self, client: str) -> float:
        """Returns how many requests a client has left, and takes one of them, if there are any."""
        with self._lock:
            now = self._clock()
            left, then = self._clients.pop(client, (float(self._burst), now))
            left = min(self._burst, left + (now - then) * self._per_sec)
            self._clients[client] = (left - (left >= 1), now)
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
        return left


class Receipts:
    """Limits the bytes of bodies that are being received. One thread may use it.

    Args:
      per_client: the largest number of bytes of the bodies of one client.
      total: the largest number of bytes of all bodies.
    """

    def __init__(self, per_client: int, total: int):
        self._per_client = per_client
        self._total = total
        self._received = Counter[str]()

    def add(self, client: str, num_bytes: int) -> None:
        """Counts bytes that have arrived.

        Raises:
          HTTPException: 503, when these are too many.
        """
        self._received[client] += num_bytes
        if self._received[client] > self._per_client or self._received.total() > self._total:
            raise HTTPException(503, "Too much is being sent at once; again in 5 s.", {"Retry-After": "5"})

    def remove(self, client: str, num_bytes: int) -> None:
        """Forgets bytes, whose body is complete or given up."""
        self._received[client] -= num_bytes
        if not self._received[client]:
            del self._received[client]


def find_client(request: Request) -> str:
    """Returns the name of the client that a request comes from."""
    return name_client(request.client.host if request.client else "")
