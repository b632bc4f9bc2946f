"""Web servers on 127.0.0.1, in threads of the process that runs the tests."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class QuietHandler(http.server.BaseHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *_):
        pass


@contextmanager
def running(server: http.server.HTTPServer) -> Iterator[http.server.HTTPServer]:
    """Lets a server answer, which is yielded; it ends with the block."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def web_server(folder: Path, lists: bool = True) -> Iterator[str]:
    """Serves a folder over HTTP; yields its URL.

    Args:
      folder: what is served.
      lists: whether it answers with the names in a folder.
    """

    class Handler(QuietHandler, http.server.SimpleHTTPRequestHandler):
        def list_directory(self, path):
            if lists:
                return super().list_directory(path)
            self.send_error(403)
            return None

    handler = functools.partial(Handler, directory=str(folder))
    with running(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"
