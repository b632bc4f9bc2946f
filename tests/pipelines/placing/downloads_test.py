"""Downloads from real servers on 127.0.0.1 that cut, refuse, change and lie."""

import http.server
import json
import re

import pytest

from tests.helpers.http_servers import QuietHandler, running
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.placing.downloads import download, forget_download, local_file

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
HALF = 512_000
ETAG, CHANGED = '"first"', '"second"'
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at any path, with Range; deviates once per entry of `script`.

    An entry is a status to refuse with, or a number of bytes to cut the answer after.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.script, self.requests = CONTENT, [], []
        self.validators = {"ETag": ETAG, "Last-Modified": DATE}
        self.knows_range = self.knows_if_range = True
        self.claimed_bytes = None
        self.chunked = False
        self.url = f"http://127.0.0.1:{self.server_port}/set.tar.gz"

    def handle_error(self, *_):
        pass


class Handler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.requests.append(dict(self.headers))
        deviation = server.script.pop(0) if server.script else None
        self.close_connection = True
        if deviation in (404, 416, 503):
            self.send_response(deviation)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        start = self.first_byte()
        total = server.claimed_bytes or len(server.content)
        if start is not None and start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{total}")
            return self.end_headers()
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        for name, value in server.validators.items():
            self.send_header(name, value)
        body = server.content[start or 0 :]
        if server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body, end = b"%x\r\n%s\r\n" % (len(body), body), b"0\r\n\r\n"
        else:
            self.send_header("Content-Length", str(total - (start or 0)))
            end = b""
        self.end_headers()
        self.wfile.write(body[:deviation])
        if deviation is None:
            self.wfile.write(end)

    def first_byte(self):
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        holds = condition in (None, *self.server.validators.values()) or not self.server.knows_if_range
        return int(asked[1]) if asked and holds and self.server.knows_range else None


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with running(Server()) as server:
        yield server


@pytest.fixture
def partial(tmp_path):
    return tmp_path / "set.tar.gz.partial"


def fetch(server, partial):
    download(server.url, partial, first_wait_sec=0.01)


def cut_in_half(server, partial):
    """Leaves what a run leaves whose connection ended after half of the file."""
    server.script = [HALF, 404]
    with pytest.raises(UserError):
        fetch(server, partial)
    assert partial.read_bytes() == CONTENT[:HALF]
    server.requests.clear()


def test_a_whole_file(server, partial):
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert "Range" not in server.requests[0]


def test_a_finished_download_is_not_asked_for_again(server, partial):
    fetch(server, partial)
    fetch(server, partial)
    assert len(server.requests) == 1


def test_a_forgotten_download_starts_again(server, partial):
    fetch(server, partial)
    forget_download(partial)
    assert list(partial.parent.iterdir()) == []
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT


def test_a_cut_connection_goes_on_where_it_ended(server, partial):
    server.script = [HALF]
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT
    assert [request.get("Range") for request in server.requests] == [None, "bytes=512000-"]
    assert server.requests[1]["If-Range"] == ETAG


def test_a_later_run_goes_on_where_the_first_ended(server, partial):
    cut_in_half(server, partial)
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT
    assert [request.get("Range") for request in server.requests] == ["bytes=512000-"]


def test_the_error_says_what_is_kept(server, partial):
    server.script = [HALF, 404]
    with pytest.raises(UserError, match=f"404 Not Found; 512000 bytes are kept in {partial}"):
        fetch(server, partial)


def test_a_server_without_range_starts_again(server, partial):
    cut_in_half(server, partial)
    server.knows_range = False
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("knows_if_range", [True, False])
def test_parts_of_two_versions_are_never_joined(server, partial, knows_if_range):
    cut_in_half(server, partial)
    server.content, server.validators = CONTENT[::-1], {"ETag": CHANGED, "Last-Modified": DATE}
    server.knows_if_range = knows_if_range
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT[::-1]


def test_a_new_size_is_a_new_version(server, partial):
    server.validators = {}
    cut_in_half(server, partial)
    server.content = CONTENT[::-1] + b"more"
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT[::-1] + b"more"


def test_a_shorter_new_version(server, partial):
    cut_in_half(server, partial)
    server.content, server.knows_if_range, server.validators = b"short", False, {"ETag": CHANGED}
    fetch(server, partial)
    assert partial.read_bytes() == b"short"
    assert [request.get("Range") for request in server.requests] == ["bytes=512000-", None]


@pytest.mark.parametrize(
    ("validators", "if_range"),
    [({}, None), ({"Last-Modified": DATE}, DATE), ({"ETag": 'W/"weak"', "Last-Modified": DATE}, DATE)],
)
def test_resuming_with_fewer_validators(server, partial, validators, if_range):
    server.validators = validators
    cut_in_half(server, partial)
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT
    assert [request.get("Range") for request in server.requests] == ["bytes=512000-"]
    assert server.requests[0].get("If-Range") == if_range


@pytest.mark.parametrize("known", ["", "[1, 2]", "{}", '{"url": "http://elsewhere"}', None])
def test_bytes_of_unknown_origin_are_not_used(server, partial, known):
    partial.write_bytes(b"whatever this is")
    if known is not None:
        partial.with_name(f"{partial.name}.json").write_text(known)
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT


def test_another_url_starts_again(server, partial):
    cut_in_half(server, partial)
    server.url += "?mirror=2"
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT
    assert "Range" not in server.requests[0]


def test_404_is_final(server, partial):
    server.script = [404]
    with pytest.raises(UserError, match=f"cannot download {server.url}: the server answers 404 Not Found"):
        fetch(server, partial)
    assert len(server.requests) == 1
    assert list(partial.parent.iterdir()) == []


def test_503_passes(server, partial, capfd):
    server.script = [503, 503]
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT
    assert len(server.requests) == 3
    errors = capfd.readouterr().err
    assert "503 Service Unavailable; trying again in 0.01 s" in errors
    assert "trying again in 0.02 s" in errors


def test_503_for_ever_ends_after_four_attempts(server, partial):
    server.script = [503] * 9
    with pytest.raises(UserError, match="503 Service Unavailable"):
        fetch(server, partial)
    assert len(server.requests) == 4


def test_progress_earns_new_attempts(server, partial):
    server.script = [100_000, 503, 503, 100_000, 503, 503, 100_000]
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT
    assert len(server.requests) == 8


@pytest.mark.parametrize("knows_range", [True, False])
def test_a_server_that_promises_more_than_it_has(server, partial, knows_range):
    server.claimed_bytes, server.knows_range = len(CONTENT) + 100, knows_range
    with pytest.raises(UserError, match="the connection ended after 1024000 of 1024100 bytes"):
        fetch(server, partial)


def test_a_part_that_nobody_asked_for(server, partial, monkeypatch):
    monkeypatch.setattr(Handler, "first_byte", lambda self: 100)
    with pytest.raises(UserError, match="the server sent a part of the file"):
        fetch(server, partial)
    assert len(server.requests) == 1


def test_an_unknown_size(server, partial):
    server.chunked = True
    fetch(server, partial)
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_an_unknown_size_cut_in_half(server, partial):
    server.chunked, server.script = True, [HALF]
    fetch(server, partial)
    assert partial.read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_disk_that_is_too_small(server, partial):
    server.claimed_bytes = 10**18
    with pytest.raises(UserError, match=r"takes 2000000000.0 GB more, and .* has [0-9.]+ GB free"):
        fetch(server, partial)
    assert list(partial.parent.iterdir()) == []


def test_nobody_listens(server, partial):
    server.server_close()
    with pytest.raises(UserError, match=r"cannot download http://127\S+: .*[Rr]efused"):
        fetch(server, partial)


def test_an_unknown_host_is_not_waited_for(partial, monkeypatch, capfd):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(UserError, match="cannot download http://no-such-host.invalid/set.zip: "):
        download("http://no-such-host.invalid/set.zip", partial, first_wait_sec=0.01)
    assert "trying again" not in capfd.readouterr().err


def test_the_version_file_is_readable(server, partial):
    cut_in_half(server, partial)
    known = json.loads(partial.with_name("set.tar.gz.partial.json").read_text())
    assert known == {"url": server.url, "size": 1_024_000, "etag": ETAG, "last_modified": DATE}


def test_local_files():
    assert str(local_file("file:///home/me/my%20set.zip")) == "/home/me/my set.zip"
    assert local_file("http://example.org/set.zip") is None
