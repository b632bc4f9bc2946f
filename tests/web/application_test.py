"""What the pages' foundation refuses, and what every answer carries."""

import asyncio

import pytest
from fastapi import FastAPI, HTTPException, Request
from starlette.testclient import TestClient

from tfpix2pix.web import protection
from tfpix2pix.web.application import add_files, add_page, make_application
from tfpix2pix.web.demo.application import STATIC_FOLDER

BASE_URL = "http://127.0.0.1:8000"


def make_app() -> FastAPI:
    app = make_application(max_body_bytes=1000, allowed_hosts=("demo.example",))
    add_files(app, demo=STATIC_FOLDER)
    add_page(app, "/", STATIC_FOLDER / "index.html")

    @app.post("/count")
    async def count(request: Request) -> int:
        return len(await request.body())

    @app.get("/number")
    def number(value: int) -> int:
        return value

    @app.get("/secret")
    def secret() -> None:
        raise KeyError("the password")

    @app.get("/refused")
    def refused() -> None:
        raise HTTPException(409, "Not now.", {"X-Why": "because"})

    return app


@pytest.fixture
def client() -> TestClient:
    return TestClient(make_app(), base_url=BASE_URL)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/static/base.css", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/number", 405),
        ("GET", "/number?value=x", 422),
        ("GET", "/secret", 500),
        ("GET", "/refused", 409),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
    ],
)
def test_every_answer_confines_the_page(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    assert {"script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'"} <= set(policy)
    assert "frame-ancestors 'none'" in policy
    assert not {"unsafe", "*", "http", "data:"} & set(";".join(policy).replace("-", ";").split(";"))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "microphone=()" in answer.headers["permissions-policy"]
    if status >= 400:
        assert list(answer.json()) == ["error"]
        assert answer.json()["error"].endswith(".")


def test_a_failure_tells_the_log_and_not_the_client(client, caplog):
    answer = client.get("/secret")
    assert answer.json() == {"error": "The server failed; its log says why."}
    assert "the password" in caplog.text


def test_a_refusal_keeps_its_sentence_and_headers(client):
    answer = client.get("/refused")
    assert answer.json() == {"error": "Not now."}
    assert answer.headers["x-why"] == "because"


def test_a_malformed_request_is_told_where(client):
    assert "query.value" in client.get("/number?value=x").json()["error"]


def test_files_have_types_and_are_asked_for_again(client):
    style = client.get("/static/base.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert style.headers["cache-control"] == "no-cache"
    script = client.get("/static/demo/main.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    again = client.get("/static/base.css", headers={"If-None-Match": style.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/static/base.css", headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.head("/").headers["content-type"] == "text/html; charset=utf-8"


def test_only_what_was_named_is_served(client):
    assert client.get("/static/study/study.css").status_code == 404
    assert client.get("/static/demo").status_code == 404


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:9000", True),
        ("localhost:8000", True),
        ("LOCALHOST", True),
        ("[::1]:8000", True),
        ("192.168.1.7:8000", True),
        ("demo.example", True),
        ("demo.example:443", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("demo.example@evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_names_that_are_not_ours_are_refused(client, host, is_allowed):
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == (200 if is_allowed else 421)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1:8000", 200),
        ("https://127.0.0.1:8000", 200),
        ("https://demo.example", 200),
        ("http://127.0.0.1:9000", 403),
        ("http://localhost:8000", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_posts_of_other_pages_are_refused(client, origin, status):
    headers = {} if origin is None else {"Origin": origin}
    assert client.post("/count", content=b"12", headers=headers).status_code == status
    assert client.get("/", headers=headers).status_code == 200


def _in_parts(count: int):
    for _ in range(count):
        yield b"x" * 100


@pytest.mark.parametrize(("content", "status"), [(b"x" * 1000, 200), (b"x" * 1001, 413)])
def test_a_body_has_a_limit(client, content, status):
    assert client.post("/count", content=content).status_code == status


@pytest.mark.parametrize(("parts", "status"), [(10, 200), (11, 413)])
def test_a_body_without_a_length_has_the_same_limit(client, parts, status):
    answer = client.post("/count", content=_in_parts(parts))
    assert "content-length" not in answer.request.headers
    assert answer.status_code == status
    assert answer.json() == (1000 if status == 200 else {"error": protection_sentence()})


def protection_sentence() -> str:
    return "The request is larger than the 1,000 bytes allowed."


def test_a_false_length_does_not_deceive():
    """Servers reject such requests themselves; whatever counts bytes must not rely on that."""
    assert _ask([b"x" * 600, b"x" * 600], {"content-length": "5"})[0] == 413


def test_a_body_that_never_arrives_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(protection, "BODY_TIMEOUT_SEC", 0.05)
    assert _ask([b"x", None], {"content-length": "2"})[0] == 408


def test_a_body_that_trickles_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(protection, "BODY_TIMEOUT_SEC", 0.05)
    assert _ask([b"x"] * 50, {"content-length": "50"}, pause_sec=0.02)[0] == 408


def _ask(parts: list[bytes | None], headers: dict[str, str], pause_sec: float = 0.0) -> tuple[int, bytes]:
    """Sends a body in parts, None for silence, as a server would; returns status and body."""
    waiting, sent = list(parts), []

    async def receive():
        await asyncio.sleep(pause_sec)
        part = waiting.pop(0)
        if part is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    pairs = {"host": "localhost", **headers}.items()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/count",
        "raw_path": b"/count",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in pairs],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "root_path": "",
    }
    asyncio.run(make_app()(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
