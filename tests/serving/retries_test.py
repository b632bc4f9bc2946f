"""Servers that are away, slow, starting or busy, and many clients at once."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.helpers.serving_stand_in.exports import as_picture
from tests.helpers.serving_stand_in.models import RequestError, fail_with
from tests.helpers.serving_stand_in.servers import STARTS, start_rest_server
from tfpix2pix.serving import RemoteModel, ServingError, remote_model, rest_connections

pytest_plugins = ["tests.helpers.serving_stand_in.fixtures"]
BOTH = pytest.mark.parametrize("protocol", ["rest", "grpc"])


@BOTH
def test_an_unavailable_server_is_asked_again(connect, models, protocol):
    models.before_answer, calls = fail_with(RequestError("UNAVAILABLE", "queue full"), times=3)
    notices: list[str] = []
    model = connect(protocol, "probe", retries=3, notify=notices.append)
    assert model.translate([b"a"]) == [as_picture(b"av8")]
    gaps = np.diff(calls)
    # 50, 100, 200 ms, each shortened by up to a half.
    assert len(calls) == 4 and (gaps > [0.024, 0.049, 0.099]).all()
    assert len(notices) == 1 and "does not answer (queue full); trying again" in notices[0]


def test_a_call_that_a_server_cancels_as_it_stops_is_made_again(connect, models):
    models.before_answer, calls = fail_with(RequestError("CANCELLED", "shutting down"), times=1)
    assert connect("grpc", "probe").translate([b"a"]) == [as_picture(b"av8")] and len(calls) == 2


def test_only_connecting_has_to_be_quick(connect, models, monkeypatch):
    monkeypatch.setattr(rest_connections, "CONNECT_TIMEOUT_SEC", 0.2)
    models.before_answer = lambda: time.sleep(0.5)
    assert connect("rest", "probe").translate([b"a"]) == [as_picture(b"av8")]


@BOTH
def test_an_unavailable_server_is_not_asked_for_ever(connect, models, protocol):
    models.before_answer, calls = fail_with(RequestError("UNAVAILABLE", "queue full"))
    with pytest.raises(ServingError, match="does not answer after 3 attempts: queue full. Is the server"):
        connect(protocol, "probe", retries=2).translate([b"a"])
    assert len(calls) == 3


def test_delays_double_up_to_a_limit_and_differ():
    for attempt, longest in ((0, 0.25), (1, 0.5), (3, 2.0), (5, 8.0), (40, 8.0)):
        delays = {remote_model.draw_delay_sec(attempt) for _ in range(50)}
        assert len(delays) == 50 and longest / 2 <= min(delays) and max(delays) <= longest


@BOTH
def test_a_model_that_is_loading_is_waited_for(connect, models, protocol):
    models.states["probe"][8] = "LOADING"
    timer = threading.Timer(0.3, lambda: models.states["probe"].update({8: "AVAILABLE"}))
    timer.start()
    model = connect(protocol, "probe", 8)
    start = time.monotonic()
    assert model.translate([b"a"]) == [as_picture(b"av8")]
    assert time.monotonic() - start > 0.25
    models.states["probe"][8] = "LOADING"
    with pytest.raises(ServingError, match="does not answer: the model is loading"):
        connect(protocol, "probe", 8, retries=0).translate([b"a"])


@BOTH
def test_sixteen_clients_at_once_get_each_its_own_answer(connect, protocol):
    model = connect(protocol, "probe")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: model.translate([b"%d." % number]), range(200)))
    assert answers == [[as_picture(b"%d.v8" % number)] for number in range(200)]


@BOTH
def test_a_server_that_is_killed_and_started_again_costs_no_answer(models, protocol):
    start = STARTS[protocol]
    url, kill = start(models)
    port = int(url.rpartition(":")[2])
    reached = threading.Event()
    counter = itertools.count()

    def before_answer():
        time.sleep(0.01)
        if next(counter) == 40:
            reached.set()

    models.before_answer = before_answer
    with RemoteModel(url, "probe") as model, ThreadPoolExecutor(16) as pool:
        tasks = [pool.submit(model.translate, [b"%d." % number]) for number in range(150)]
        assert reached.wait(30)
        kill()
        assert not all(task.done() for task in tasks)
        time.sleep(0.3)
        _, stop = start(models, port)
        try:
            assert [task.result() for task in tasks] == [
                [as_picture(b"%d.v8" % number)] for number in range(150)
            ]
        finally:
            stop()


def test_a_connection_that_ended_between_two_requests_is_no_failure(models):
    url, kill = start_rest_server(models)
    with RemoteModel(url, "probe", retries=0) as model:
        assert model.translate([b"a"]) == [as_picture(b"av8")]
        kill()
        _, stop = start_rest_server(models, int(url.rpartition(":")[2]))
        assert model.translate([b"b"]) == [as_picture(b"bv8")]
        stop()


@BOTH
def test_a_slow_server_is_not_waited_for(connect, models, protocol):
    calls: list[int] = []

    def before_answer():
        calls.append(1)
        time.sleep(1.5)

    model = connect(protocol, "probe", timeout_sec=0.5)
    model.read_signatures()
    models.before_answer = before_answer
    start = time.monotonic()
    with pytest.raises(ServingError, match="took too long: .*Allow more time") as raised:
        model.translate([b"a"])
    assert raised.value.code == "DEADLINE_EXCEEDED"
    assert 0.4 < time.monotonic() - start < 1.4 and len(calls) == 1


@BOTH
def test_closing_ends_what_waits(connect, models, protocol):
    asked = threading.Event()

    def before_answer():
        asked.set()
        time.sleep(3)

    model = connect(protocol, "probe")
    model.read_signatures()
    models.before_answer = before_answer
    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(model.translate, [b"a"])
        assert asked.wait(10)
        start = time.monotonic()
        model.close()
        with pytest.raises(ServingError):
            task.result()
        assert time.monotonic() - start < 1


@BOTH
def test_no_server(protocol, models):
    url, stop = STARTS[protocol](models)
    stop()
    with pytest.raises(
        ServingError, match=r"at \w+://127.0.0.1:\d+ does not answer after 2 attempts: .*refused"
    ):
        RemoteModel(url, "probe", retries=1).read_signatures()
