"""Makes FastAPI applications that are safe to put in front of strangers, and serves their files.

    app = make_application()
    add_files(app, demo=FOLDER)          # served at /static/demo/..., beside /static/base.css
    add_page(app, "/", FOLDER / "index.html")

Every error is answered with JSON, {"error": "A sentence."}. To answer so, raise
fastapi.HTTPException(status, "A sentence.").
"""

import hashlib
import mimetypes
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, Response

from tfpix2pix.web.protection import Protection

STATIC_FOLDER = Path(__file__).parent / "static"
MAX_BODY_BYTES = 2**16
_SENTENCES = {404: "There is no such page.", 405: "That is not a way to ask for this page."}
_TEXT_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def make_application(*, max_body_bytes: int = MAX_BODY_BYTES, allowed_hosts: tuple[str, ...] = ()) -> FastAPI:
    """Returns an application without pages. `protection.py` says what it refuses.

    Args:
      max_body_bytes: the largest number of bytes of a request's body, whatever its headers say.
      allowed_hosts: names that browsers may know the server by, besides localhost and IP addresses.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Protection, max_body_bytes=max_body_bytes, allowed_hosts=allowed_hosts)
    app.add_exception_handler(StarletteHTTPException, _answer_refusal)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    return app


def _answer_refusal(_request: Request, error: Any) -> Response:
    raised_by_us = isinstance(error, HTTPException)
    text = error.detail if raised_by_us else _SENTENCES.get(error.status_code, error.detail)
    return JSONResponse({"error": text}, error.status_code, headers=error.headers)


def _answer_invalid(_request: Request, error: Any) -> Response:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return JSONResponse({"error": f"The request is malformed: {place}: {first['msg']}."}, 422)


def add_files(app: FastAPI, **folders: Path) -> None:
    """Serves the files that all pages share, and the files of folders, out of a fixed table.

    Args:
      app: the application.
      **folders: name -> folder, whose files are served at `/static/<name>/`.
    """
    places = [("", STATIC_FOLDER), *((f"{name}/", folder) for name, folder in folders.items())]
    table = {
        f"{prefix}{file.name}": _Page(file)
        for prefix, folder in places
        for file in folder.iterdir()
        if file.is_file()
    }

    def read_file(path: str, request: Request) -> Response:
        if path not in table:
            raise HTTPException(404, _SENTENCES[404])
        return table[path].answer(request)

    app.add_api_route("/static/{path:path}", read_file, methods=["GET", "HEAD"])


def add_page(app: FastAPI, path: str, file: Path) -> None:
    """Serves one file at a path."""
    page = _Page(file)

    def read_page(request: Request) -> Response:
        return page.answer(request)

    app.add_api_route(path, read_page, methods=["GET", "HEAD"])


class _Page:
    """A file that is read once."""

    def __init__(self, file: Path):
        self._contents = file.read_bytes()
        text_type = _TEXT_TYPES.get(file.suffix)
        guessed = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self._type = f"{text_type}; charset=utf-8" if text_type else guessed
        self._tag = f'"{hashlib.sha256(self._contents).hexdigest()[:32]}"'

    def answer(self, request: Request) -> Response:
        # Browsers ask again each time, so that a new version of the package never meets an old script.
        headers = {"ETag": self._tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == self._tag:
            return Response(status_code=304, headers=headers)
        return Response(self._contents, headers=headers, media_type=self._type)
