"""What workers do without asking each other; train/multiworker_test has two that do."""

import concurrent.futures
import functools
import os
import signal
import socket
import time

import pytest
import tensorflow as tf

from benchmarks.kills import free_ports
from tfpix2pix.pipelines.base.errors import Stopped, UserError
from tfpix2pix.run.interruption import StopQuestion, noted_signals
from tfpix2pix.run.joining import wait_for_all
from tfpix2pix.run.workers import Workers, split_address


@pytest.fixture
def workers():
    """Worker 0 of three, of which worker 1 listens, and nobody is at the address of worker 2."""
    with socket.socket() as listening, socket.socket() as silent:
        for each in (listening, silent):
            each.bind(("127.0.0.1", 0))
        listening.listen()
        ports = [each.getsockname()[1] for each in (listening, silent)]
        yield Workers(["127.0.0.1:1", *(f"127.0.0.1:{port}" for port in ports)], 0)


def test_one_process_is_the_chief_and_has_nobody_to_ask():
    alone = Workers()
    assert alone.is_chief and not alone.are_several
    assert alone.exchange({"step": 3}) == [{"step": 3}]
    alone.check_equal({"step": 3}, "Nobody is told this")


def test_the_worker_that_takes_no_connection_is_named(workers):
    with pytest.raises(UserError) as caught:
        with workers.telling_losses(lambda: "the checkpoint of step 4 is intact"):
            raise tf.errors.UnavailableError(None, None, "Connection reset by peer")
    assert str(caught.value) == (
        f"the connection to worker 2 ({workers.addresses[2]}) is lost; the checkpoint of step 4 is intact. "
        "Run the same command on all workers to go on"
    )


def test_other_errors_pass_as_they_are(workers):
    here = Workers(workers.addresses[:2], 0)  # without the one that is missing
    for several in (here, Workers()):
        with pytest.raises(tf.errors.InvalidArgumentError), several.telling_losses(lambda: ""):
            raise tf.errors.InvalidArgumentError(None, None, "a fault of this worker")
    with pytest.raises(tf.errors.UnavailableError), Workers().telling_losses(lambda: ""):
        raise tf.errors.UnavailableError(None, None, "no other worker")


@pytest.mark.parametrize(
    "name, status", [("SIGHUP", 143), ("SIGUSR1", 143), ("SIGTERM", 143), ("SIGINT", 130)]
)
def test_signals_that_ask_for_a_stop_are_noted(name, status, request):
    number = signal.Signals[name]
    request.addfinalizer(functools.partial(signal.signal, number, signal.getsignal(number)))
    if signal.getsignal(number) is signal.SIG_IGN:  # as under nohup, which the next test is about
        signal.signal(number, signal.SIG_DFL)
    before = signal.getsignal(number)
    with noted_signals() as signals:
        question = StopQuestion(Workers(), signals, 0)
        assert question.ask(1) is None
        os.kill(os.getpid(), number)
        assert question.ask(2) == (name, "")
        # What only warns of the end may come again; a second one of the others ends the process.
        assert (signal.getsignal(number) is before) == (name in ("SIGTERM", "SIGINT"))
    assert signal.getsignal(number) is before
    assert Stopped("saved", name).exit_status == status


def test_a_hang_up_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with noted_signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
        assert signals == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_workers_wait_until_all_are_there():
    addresses = [f"127.0.0.1:{free_ports(1)[0]}", "127.0.0.1:1", "127.0.0.1:2"]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(wait_for_all, Workers(addresses, 0), 60)]
        with socket.socket() as stranger:  # which is not counted
            _connect(stranger, addresses[0])
            stranger.sendall(b"GET / HTTP/1.1")
            with socket.socket() as leaving:  # worker 1 of an earlier start, which ends too soon
                _connect(leaving, addresses[0])
                leaving.sendall(b"1")
                leaving.shutdown(socket.SHUT_WR)
                assert leaving.recv(1) == b""  # The chief has noticed it.
            waits.append(pool.submit(wait_for_all, Workers(addresses, 2), 60))
            assert concurrent.futures.wait(waits, timeout=1).not_done == set(waits)
            wait_for_all(Workers(addresses, 1), 60)
            assert [wait.result(60) for wait in waits] == [None, None]
    with socket.create_server(split_address(addresses[0])):  # The port is free again.
        pass


def _connect(connection, address):
    deadline = time.monotonic() + 30
    while connection.connect_ex(split_address(address)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("index, missing", [(0, "worker 1 (127.0.0.1:1)"), (1, "worker 0 ({})")])
def test_workers_that_do_not_come_are_named(index, missing):
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(UserError) as caught:
        wait_for_all(Workers([address, "127.0.0.1:1"], index), 0.5)
    assert str(caught.value).startswith(f"gave up waiting for {missing.format(address)} after ")
    assert "or wait longer with `join_timeout_sec`" in str(caught.value)


def test_a_taken_port_of_the_chief_is_named():
    with socket.create_server(("", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(
            UserError, match=f"TF_CONFIG names {address} for this worker, and that port is taken"
        ):
            wait_for_all(Workers([address, "127.0.0.1:1"], 0), 1)
