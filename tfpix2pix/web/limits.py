"""Limits how much one client may ask for (429) and how much work may wait (503), each with Retry-After."""

import asyncio
import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastapi import HTTPException, Request

# The number of clients that are remembered. The one that asked longest ago is forgotten first.
MAX_CLIENTS = 10_000
GONE = 499

Result = TypeVar("Result")


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

    def check(self, request: Request) -> None:
        """Counts a request.

        Raises:
          HTTPException: 429, when its client has asked too much.
        """
        left = self._take(_client_name(request))
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


def _client_name(request: Request) -> str:
    """Returns the address of the client; of IPv6 its network, because one customer has many addresses."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


class WorkQueue:
    """Runs jobs one after the other in a thread of their own, and refuses those that would wait too long.

    Args:
      max_waiting: the largest number of jobs that wait, besides the one that runs.
    """

    def __init__(self, max_waiting: int):
        self._max_jobs = max_waiting + 1
        self._jobs = 0
        self._thread = ThreadPoolExecutor(1, "work")

    async def run(self, request: Request, job: Callable[[], Result]) -> Result:
        """Runs a job when its turn comes, unless its client leaves before that.

        Args:
          request: the request that asked for the job, whose body has been read.
          job: a function that blocks until it is done.

        Returns:
          What the job returns.

        Raises:
          HTTPException: 503, when the queue is full; 499, when the client has left.
          Exception: whatever the job raises.
        """
        if self._jobs >= self._max_jobs:
            raise HTTPException(503, "The model is busy with other people's pictures.", {"Retry-After": "1"})
        loop = asyncio.get_running_loop()
        self._jobs += 1
        submitted = self._thread.submit(job)
        submitted.add_done_callback(lambda _: loop.call_soon_threadsafe(self._finish))
        work = asyncio.wrap_future(submitted)
        departure = asyncio.ensure_future(_wait_for_departure(request))
        try:
            await asyncio.wait((work, departure), return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and submitted.cancel():
                raise HTTPException(GONE, "The client left.")
            return await work
        finally:
            departure.cancel()

    def _finish(self) -> None:
        self._jobs -= 1

    def close(self) -> None:
        """Lets the running job end, and drops the jobs that wait."""
        self._thread.shutdown(wait=False, cancel_futures=True)


async def _wait_for_departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
