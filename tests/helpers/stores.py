"""Servers of remote files on 127.0.0.1: moto for S3, an emulator for Google Cloud Storage."""

import itertools
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from gcp_storage_emulator.server import Server as GcsServer
from moto.server import ThreadedMotoServer

from tfpix2pix.pipelines.remote.store import Store

_numbers = itertools.count()


class S3:
    """A server that speaks S3. It keeps its buckets in the memory of this process while it is stopped."""

    def __init__(self) -> None:
        self.port = 0
        self.start()

    def start(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        self._server.stop()

    def check_credentials_after(self, requests: str) -> None:
        """Lets the server refuse credentials, of which it knows none, after this number of requests."""
        url, header = f"http://127.0.0.1:{self.port}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(url, requests.encode(), header))

    def environment(self) -> dict[str, str]:
        """Returns what tells clients of the server."""
        return {
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }

    def make_bucket(self) -> str:
        """Returns the URL of a new bucket."""
        url = f"s3://bucket-{next(_numbers)}"
        Store(url)._files.mkdir(url)
        return url


class Gcs:
    """A server that speaks Google Cloud Storage, in the memory of this process."""

    def __init__(self) -> None:
        self._server = GcsServer("127.0.0.1", 0, in_memory=True)
        self._server.start()
        self.port = self._server._api._httpd.server_port

    def stop(self) -> None:
        self._server.stop()

    def make_bucket(self) -> str:
        """Returns the URL of a new bucket."""
        url = f"gs://bucket-{next(_numbers)}"
        Store(url)._files.mkdir(url)
        return url


def send(folder: Path, url: str) -> str:
    """Uploads the files of a folder; returns `url`."""
    store = Store(url)
    for file in folder.rglob("*"):
        if file.is_file():
            store.send(file, file.relative_to(folder).as_posix())
    return url


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits until something is true that another thread brings about."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def read_all(url: str) -> dict[str, bytes]:
    """Returns the contents of all files below a URL, by name."""
    store = Store(url)
    return {name: store.read(name) or b"" for name in store.list_files()}
