"""Connections that are silent, slow or many, on a real server; and how fast a server ends."""

import asyncio
import contextlib
import select
import socket
import threading
import time

import pytest
import uvicorn
from fastapi import Request

from tfpix2pix.web import connections, protection
from tfpix2pix.web import server as web_server
from tfpix2pix.web.address import Address, open_socket
from tfpix2pix.web.application import make_application
from tfpix2pix.web.server import configure

HEAD = b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n"


@pytest.fixture(scope="module")
def port():
    app = make_application()

    @app.post("/count")
    async def count(request: Request) -> int:
        return len(await request.body())

    address = Address()
    with open_socket(address) as listening:
        server = uvicorn.Server(configure(app, address))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def _count(connection: socket.socket, body: bytes) -> None:
    """Sends the rest of a request; fails unless the server counts its ten bytes."""
    connection.sendall(body)
    received = b""
    while not received.endswith(b"\r\n\r\n10"):
        part = connection.recv(4096)
        assert part, received
        received += part


def _read_to_end(connection: socket.socket) -> bytes:
    """Returns what comes before the server closes the connection; it fails if the server does not."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(4096):
            received += part
    return received


def _trickle(connection: socket.socket, start: bytes, part: bytes) -> bytes:
    """Sends a part every 50 ms until the server closes the connection; returns what it said."""
    connection.sendall(start)
    with contextlib.suppress(OSError):
        for _ in range(200):
            connection.sendall(part)
            time.sleep(0.05)
        raise AssertionError("the server listened to all of it")
    return _read_to_end(connection)


@pytest.mark.parametrize("start", [b"", HEAD[:20], HEAD])
def test_silence_before_the_end_of_the_headers_ends_a_connection(port, monkeypatch, start):
    monkeypatch.setattr(connections, "HEADER_TIMEOUT_SEC", 0.2)
    with _connect(port) as connection:
        connection.sendall(start)
        assert _read_to_end(connection) == b""


def test_headers_that_trickle_end_a_connection_also_after_a_request(port, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_TIMEOUT_SEC", 0.3)
    with _connect(port) as connection:
        _count(connection, HEAD + b"\r\n" + b"x" * 10)
        assert _trickle(connection, HEAD, b"a: b\r\n") == b""


def test_a_request_that_is_on_its_way_keeps_its_connection(port, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_TIMEOUT_SEC", 0.2)
    with _connect(port) as connection:
        connection.sendall(HEAD + b"\r\n" + b"x" * 5)
        time.sleep(0.4)
        _count(connection, b"x" * 5)


@pytest.mark.parametrize(("path", "status"), [(b"/count", b"408"), (b"/nothing", b"404")])
def test_a_body_that_trickles_is_answered_and_closed(port, monkeypatch, path, status):
    monkeypatch.setattr(protection, "BODY_TIMEOUT_SEC", 0.2)
    head = HEAD.replace(b"/count", path).replace(b": 10", b": 1000")
    with _connect(port) as connection:
        connection.sendall(head + b"\r\nx")
        assert _read_to_end(connection).startswith(b"HTTP/1.1 " + status)


def test_the_oldest_silent_connections_of_an_address_make_room(port, monkeypatch):
    monkeypatch.setattr(connections, "MAX_IDLE_PER_CLIENT", 2)
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(_connect(port)) for _ in range(4)]
        assert [_read_to_end(each) for each in opened[:2]] == [b"", b""]
        for each in opened[2:]:
            _count(each, HEAD + b"\r\n" + b"x" * 10)


def test_a_connection_counts_for_its_address_until_its_body_is_there(port, monkeypatch, caplog):
    monkeypatch.setattr(connections, "MAX_IDLE_PER_CLIENT", 2)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(_connect(port)) for _ in range(2)]
        for each in slow:
            each.sendall(HEAD + b"\r\n" + b"x" * 5)
        time.sleep(0.2)
        with _connect(port) as other:
            _count(other, HEAD + b"\r\n" + b"x" * 10)
        assert _read_to_end(slow[0]) == b""
        _count(slow[1], b"x" * 5)
    assert "failed" not in caplog.text  # A client that is gone is no failure of the server.


def test_bodies_that_are_on_their_way_have_a_limit_of_bytes(port):
    """The largest body has 65,536 bytes, five of which one address may send at the same time."""
    head = HEAD.replace(b": 10", b": 65000") + b"\r\n"
    with contextlib.ExitStack() as stack:
        sending = [stack.enter_context(_connect(port)) for _ in range(6)]
        for each in sending:
            each.sendall(head + b"x" * 64_000)
        (refused, *_), _, _ = select.select(sending, [], [], 20)
        answer = _read_to_end(refused)
        assert answer.startswith(b"HTTP/1.1 503") and b"retry-after: 5" in answer.lower()
        accepted = next(each for each in sending if each is not refused)
        accepted.sendall(b"x" * 1000)
        assert accepted.recv(4096).startswith(b"HTTP/1.1 200")
        with _connect(port) as other:  # The complete body has made room.
            _count(other, HEAD + b"\r\n" + b"x" * 10)
            other.sendall(head + b"x" * 65_000)
            assert other.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_server_that_is_stopped_waits_neither_for_work_nor_for_a_body(monkeypatch):
    monkeypatch.setattr(web_server, "SHUTDOWN_SEC", 0.3)
    app, begun = make_application(), threading.Event()

    @app.post("/work")
    async def work() -> None:
        begun.set()
        await asyncio.sleep(600)

    address = Address()
    with open_socket(address) as listening, contextlib.ExitStack() as stack:
        server = uvicorn.Server(configure(app, address))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        working, sending, _silent = (stack.enter_context(_connect(port)) for _ in range(3))
        working.sendall(b"POST /work HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sending.sendall(HEAD.replace(b": 10", b": 1000") + b"\r\nx")
        assert begun.wait(20)
        server.should_exit = True
        thread.join(20)  # it is 1 s where nothing else runs
        assert not thread.is_alive()


def test_a_trusted_proxy_has_as_many_connections_as_it_likes():
    idle = connections.IdleConnections("127.0.0.1")
    for _ in range(connections.MAX_IDLE_PER_CLIENT + 1):
        idle.add(object(), "127.0.0.1")  # type: ignore[arg-type]
