"""Starting and killing the two servers."""

import contextlib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer

import grpc

from tests.helpers.serving_stand_in.grpc_services import add_services
from tests.helpers.serving_stand_in.models import Models
from tests.helpers.serving_stand_in.rest_handler import RestHandler

# The tests have fewer clients than this.
THREADS = 32
Stop = Callable[[], None]


class _RestServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, models: Models):
        self.models = models
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), RestHandler)

    def process_request(self, request, client_address):
        self.connections.add(request)
        self.models.num_connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        pass  # Tests have clients that leave in the middle of a request.

    def kill(self) -> None:
        """Ends as a killed process does: connections drop in the middle of answers."""
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def start_rest_server(models: Models, port: int = 0) -> tuple[str, Stop]:
    """Returns the URL and a function that kills the server."""
    server = _RestServer(port, models)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}", server.kill


def start_grpc_server(models: Models, port: int = 0, max_receive_bytes: int = -1) -> tuple[str, Stop]:
    """Returns the URL and a function that kills the server; without a limit, as TensorFlow Serving."""
    options = [
        ("grpc.max_receive_message_length", max_receive_bytes),
        ("grpc.max_send_message_length", -1),
    ]
    server = grpc.server(ThreadPoolExecutor(THREADS), options=options)
    add_services(server, models)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return f"grpc://127.0.0.1:{port}", lambda: server.stop(None).wait()


STARTS = {"rest": start_rest_server, "grpc": start_grpc_server}
