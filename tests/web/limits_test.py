"""Rates per client, and the queue in front of the model."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI, HTTPException, Request
from starlette.requests import Request as StarletteRequest
from starlette.testclient import TestClient

from tfpix2pix.web import limits
from tfpix2pix.web.limits import RateLimit
from tfpix2pix.web.work import WorkQueue


def request_from(host: str, departs: asyncio.Event | None = None) -> StarletteRequest:
    async def receive():
        await (departs or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    return StarletteRequest({"type": "http", "client": (host, 1), "headers": []}, receive)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def is_allowed(rate: RateLimit, host: str) -> bool:
    try:
        rate.check(request_from(host))
    except HTTPException as error:
        assert error.status_code == 429
        return False
    return True


def test_a_burst_then_the_rate():
    clock = Clock()
    rate = RateLimit(per_sec=0.5, burst=3, clock=clock)
    assert [is_allowed(rate, "1.1.1.1") for _ in range(5)] == [True, True, True, False, False]
    clock.now += 2
    assert [is_allowed(rate, "1.1.1.1") for _ in range(2)] == [True, False]
    clock.now += 1000
    assert [is_allowed(rate, "1.1.1.1") for _ in range(4)] == [True, True, True, False]


def test_the_refusal_says_when_to_come_back():
    rate = RateLimit(per_sec=0.25, burst=1, clock=Clock())
    rate.check(request_from("1.1.1.1"))
    with pytest.raises(HTTPException) as refusal:
        rate.check(request_from("1.1.1.1"))
    assert refusal.value.headers == {"Retry-After": "4"}
    assert refusal.value.detail == "That was too much at once; again in 4 s."


def test_clients_do_not_disturb_each_other():
    rate = RateLimit(per_sec=1, burst=1, clock=Clock())
    assert is_allowed(rate, "1.1.1.1")
    assert is_allowed(rate, "1.1.1.2")
    assert not is_allowed(rate, "1.1.1.1")


def test_threads_do_not_give_a_client_more(monkeypatch):
    class SlowDict(limits.OrderedDict):
        def pop(self, *arguments):
            found = super().pop(*arguments)
            time.sleep(0.02)  # as if another thread had its turn here
            return found

    monkeypatch.setattr(limits, "OrderedDict", SlowDict)
    rate = RateLimit(per_sec=1, burst=3, clock=Clock())
    with ThreadPoolExecutor(8) as threads:
        allowed = list(threads.map(lambda _: is_allowed(rate, "1.1.1.1"), range(8)))
    assert sum(allowed) == 3


def test_an_ipv6_network_is_one_client():
    rate = RateLimit(per_sec=1, burst=1, clock=Clock())
    assert is_allowed(rate, "2001:db8:0:1::1")
    assert not is_allowed(rate, "2001:db8:0:1:ffff::2")
    assert is_allowed(rate, "2001:db8:0:2::1")


def test_addresses_of_ipv4_written_as_ipv6_are_themselves():
    rate = RateLimit(per_sec=0.5, burst=1, clock=Clock())
    assert is_allowed(rate, "::ffff:1.2.3.4")
    assert not is_allowed(rate, "1.2.3.4")
    assert is_allowed(rate, "::ffff:1.2.3.5")


def test_no_more_clients_are_remembered_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(limits, "MAX_CLIENTS", 2)
    rate = RateLimit(per_sec=1, burst=1, clock=Clock())
    assert [is_allowed(rate, host) for host in ("1.1.1.1", "1.1.1.2", "1.1.1.3")] == [True] * 3
    assert len(rate._clients) == 2
    assert not is_allowed(rate, "1.1.1.3")


def test_bytes_on_their_way_are_limited_for_each_client_and_for_all():
    receipts = limits.Receipts(per_client=10, total=15)
    receipts.add("1.1.1.1", 10)
    receipts.add("1.1.1.2", 5)
    for client in ("1.1.1.1", "1.1.1.3"):
        with pytest.raises(HTTPException) as refusal:
            receipts.add(client, 1)
        assert (refusal.value.status_code, refusal.value.headers) == (503, {"Retry-After": "5"})
        receipts.remove(client, 1)
    receipts.remove("1.1.1.1", 10)
    receipts.add("1.1.1.3", 10)
    receipts.remove("1.1.1.2", 5)
    receipts.remove("1.1.1.3", 10)
    assert not receipts._received


def test_each_gets_its_own_answer_and_the_queue_is_bounded():
    """Three requests meet a queue for one that runs and one that waits."""

    async def scenario():
        queue, gate = WorkQueue(max_waiting=1), threading.Event()

        def work(number: int) -> int:
            gate.wait(10)
            return number * 10

        asked = [asyncio.ensure_future(queue.run(request_from("1.1.1.1"), lambda: work(1)))]
        asked.append(asyncio.ensure_future(queue.run(request_from("1.1.1.2"), lambda: work(2))))
        await asyncio.sleep(0.05)
        with pytest.raises(HTTPException) as refusal:
            await queue.run(request_from("1.1.1.3"), lambda: work(3))
        assert refusal.value.status_code == 503
        assert refusal.value.headers == {"Retry-After": "1"}
        gate.set()
        assert await asyncio.gather(*asked) == [10, 20]
        assert await queue.run(request_from("1.1.1.3"), lambda: work(4)) == 40

    asyncio.run(scenario())


def test_who_left_is_not_worked_for_and_makes_room():
    async def scenario():
        queue, gate, done = WorkQueue(max_waiting=1), threading.Event(), []
        first = asyncio.ensure_future(queue.run(request_from("1.1.1.1"), lambda: gate.wait(10)))
        departs = asyncio.Event()
        second = asyncio.ensure_future(queue.run(request_from("1.1.1.2", departs), lambda: done.append(2)))
        await asyncio.sleep(0.05)
        departs.set()
        with pytest.raises(HTTPException) as gone:
            await second
        assert gone.value.status_code == 499
        third = asyncio.ensure_future(queue.run(request_from("1.1.1.3"), lambda: done.append(3)))
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.gather(first, third)
        assert done == [3]

    asyncio.run(scenario())


def test_a_session_that_asks_much_does_not_keep_others_waiting():
    """The one session of another address, and the other session of the same one, come next."""

    async def scenario():
        queue, gate, done = WorkQueue(max_waiting=9), threading.Event(), []

        def ask(host: str, session: str) -> asyncio.Future:
            work = queue.run(request_from(host), lambda: (gate.wait(10), done.append(session)), session)
            return asyncio.ensure_future(work)

        asked = [ask("1.1.1.1", "first")]
        await asyncio.sleep(0.05)
        order = [("1.1.1.1", "a")] * 4 + [("1.1.1.1", "b"), ("1.1.1.2", "c"), ("1.1.1.1", "b")]
        asked += [ask(*owner) for owner in order]
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.gather(*asked)
        assert done == ["first", "a", "b", "c", "a", "b", "a", "a"]

    asyncio.run(scenario())


def test_a_full_queue_refuses_the_address_that_waits_most():
    async def scenario():
        queue, gate = WorkQueue(max_waiting=3), threading.Event()

        def ask(host: str, number: int) -> asyncio.Future:
            work = queue.run(request_from(host), lambda: (gate.wait(10), number)[1], str(number))
            return asyncio.ensure_future(work)

        asked = [ask("1.1.1.1", 0)]
        await asyncio.sleep(0.05)
        asked += [ask("1.1.1.1", number) for number in (1, 2, 3)]
        await asyncio.sleep(0.05)
        asked.append(ask("1.1.1.2", 4))
        await asyncio.sleep(0.05)
        asked.append(ask("1.1.1.2", 5))
        await asyncio.sleep(0.05)
        gate.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [place for place, answer in enumerate(answers) if isinstance(answer, HTTPException)]
        assert refused == [3, 5]
        assert [answers[place] for place in (0, 1, 2, 4)] == [0, 1, 2, 4]

    asyncio.run(scenario())


def test_sessions_of_one_address_have_a_limit_each():
    rate = RateLimit(per_sec=1, burst=1, clock=Clock())
    rate.check(request_from("1.1.1.1"), "a")
    rate.check(request_from("1.1.1.1"), "b")
    with pytest.raises(HTTPException):
        rate.check(request_from("1.1.1.1"), "a")


def test_a_job_that_fails_fails_for_its_client_alone():
    async def scenario():
        queue = WorkQueue(max_waiting=1)
        with pytest.raises(ZeroDivisionError):
            await queue.run(request_from("1.1.1.1"), lambda: 1 / 0)
        assert await queue.run(request_from("1.1.1.1"), lambda: "well") == "well"

    asyncio.run(scenario())


def test_an_application_answers_busy_in_json():
    app, queue, gate = FastAPI(), WorkQueue(max_waiting=0), threading.Event()

    @app.get("/")
    async def work(request: Request) -> bool:
        return await queue.run(request, lambda: gate.wait(10))

    with TestClient(app) as client:
        first: list = []
        thread = threading.Thread(target=lambda: first.append(client.get("/")))
        thread.start()
        deadline = time.monotonic() + 10
        while queue._count() == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert client.get("/").status_code == 503
        gate.set()
        thread.join()
    assert first[0].json() is True
