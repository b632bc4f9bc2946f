"""Web servers on 127.0.0.1, in threads of the process that runs the tests."""

import functools
import http.server
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from urllib.parse import quote

# The links with which Apache sorts its listing.
_SORTED_BY = (
    ("?C=N;O=D", "Name"),
    ("?C=M;O=A", "Last modified"),
    ("?C=S;O=A", "Size"),
    ("?C=D;O=A", "Description"),
)


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
def web_server(folder: Path, lists: bool | str = True) -> Iterator[str]:
    """Serves a folder over HTTP; yields its URL.

    Args:
      folder: what is served.
      lists: whether it answers with the names in a folder; `apache` for a page as Apache writes it.
    """

    class Handler(QuietHandler, http.server.SimpleHTTPRequestHandler):
        def list_directory(self, path):
            if lists == "apache":
                return self._answer_as_apache(Path(path))
            if lists:
                return super().list_directory(path)
            self.send_error(403)
            return None

        def _answer_as_apache(self, place):
            here = self.path.partition("?")[0]
            names = [f"{each.name}/" if each.is_dir() else each.name for each in sorted(place.iterdir())]
            links = [*_SORTED_BY, ("/".join(here.split("/")[:-2]) + "/", "Parent Directory")]
            links += [(quote(name, safe="/&"), name) for name in names]
            rows = (f'<tr><td><a href="{escape(link)}">{escape(text)}</a></td></tr>' for link, text in links)
            page = (
                f"<html><body><h1>Index of {here}</h1><table>{''.join(rows)}</table></body></html>".encode()
            )
            self.send_response(200)
            self.send_header("Content-Type", "text/html;charset=UTF-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            return io.BytesIO(page)

    handler = functools.partial(Handler, directory=str(folder))
    with running(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"
