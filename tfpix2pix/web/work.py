"""The queue in front of a model: one job at a time, in fair turns, and a limit of those that wait (503)."""

import asyncio
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from fastapi import HTTPException, Request

from tfpix2pix.web.limits import find_client

GONE = 499

Result = TypeVar("Result")
# The client's address, and which of the sessions there.
Owner = tuple[str, str]
_Job = tuple[Callable[[], Any], Future]


class WorkQueue:
    """Runs jobs one after the other in a thread of their own. Sessions take turns.

    If too many jobs wait, the address that has the most of them is refused, whoever came last. The thread
    does not keep the process from ending.

    Args:
      max_waiting: the largest number of jobs that wait, besides the one that runs.
    """

    def __init__(self, max_waiting: int):
        self._max_jobs = max_waiting + 1
        self._running: Future | None = None
        # Whose turn is next comes first.
        self._waiting: OrderedDict[Owner, deque[_Job]] = OrderedDict()
        self._change = threading.Condition()
        threading.Thread(target=self._work, name="work", daemon=True).start()

    async def run(self, request: Request, job: Callable[[], Result], session: str = "") -> Result:
        """Runs a job when its turn comes, unless its client leaves before that.

        Args:
          request: the request that asked for the job, whose body has been read.
          job: a function that blocks until it is done.
          session: tells apart several clients of one address.

        Returns:
          What the job returns.

        Raises:
          HTTPException: 503, when the queue is full; 499, when the client has left.
          Exception: whatever the job raises.
        """
        submitted: Future = Future()
        self._add((find_client(request), session), (job, submitted))
        work = asyncio.wrap_future(submitted)
        departure = asyncio.ensure_future(_wait_for_departure(request))
        try:
            await asyncio.wait((work, departure), return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and submitted.cancel():
                self._drop_cancelled()
                raise HTTPException(GONE, "The client left.")
            return await work
        finally:
            departure.cancel()

    def _count(self) -> int:
        """Returns how many jobs run or wait."""
        return (self._running is not None) + sum(map(len, self._waiting.values()))

    def _add(self, owner: Owner, job: _Job) -> None:
        with self._change:
            if self._count() >= self._max_jobs:
                self._make_room(owner)
            self._waiting.setdefault(owner, deque()).append(job)
            self._change.notify()

    def _make_room(self, newcomer: Owner) -> None:
        """Refuses the newest job of the address that has the most, or the newcomer, if that is its own."""
        busy = HTTPException(503, "The model is busy with other people's pictures.", {"Retry-After": "1"})
        by_address: Counter[str] = Counter()
        for (address, _), jobs in self._waiting.items():
            by_address[address] += len(jobs)
        most = max(by_address.values(), default=0)
        if by_address[newcomer[0]] + 1 >= most:
            raise busy
        owner = next(owner for owner in reversed(self._waiting) if by_address[owner[0]] == most)
        _, refused = self._waiting[owner].pop()
        if not self._waiting[owner]:
            del self._waiting[owner]
        refused.set_exception(busy)

    def _drop_cancelled(self) -> None:
        with self._change:
            for owner, jobs in list(self._waiting.items()):
                self._waiting[owner] = deque(job for job in jobs if not job[1].cancelled())
                if not self._waiting[owner]:
                    del self._waiting[owner]

    def _take(self) -> _Job:
        """Waits for a job, and takes it."""
        with self._change:
            self._running = None
            while not self._waiting:
                self._change.wait()
            owner, jobs = self._waiting.popitem(last=False)
            job = jobs.popleft()
            if jobs:
                self._waiting[owner] = jobs  # behind all others
            self._running = job[1]
            return job

    def _work(self) -> None:
        while True:
            job, future = self._take()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 - it is raised where the job is awaited
                future.set_exception(error)


async def _wait_for_departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
