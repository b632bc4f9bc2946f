"""The demo as a web application: its page, a description of the model, examples, translations.

GET  /                      the page
GET  /api/model             what the model takes, as JSON
GET  /api/examples/{place}  a PNG file
POST /api/translate?page=...&noise_seed=0&samples=4   takes an image file, returns PNG files in base64;
     &latent=0.1,-0.7,...   with this latent vector, where the model has one;
     &instances_at=N        the image file has N bytes, and a PNG file of the ids of instances follows it
"""

import base64
import dataclasses
import functools
import pathlib
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, HTTPException, Path, Query, Request
from starlette.responses import Response

from tfpix2pix.web.application import add_files, add_page, make_application
from tfpix2pix.web.demo.about import Fact
from tfpix2pix.web.demo.input import Example, Sheet
from tfpix2pix.web.demo.models import BadPictureError, Painter, UnavailableError
from tfpix2pix.web.demo.styles import draw_latents, read_latent
from tfpix2pix.web.limits import RateLimit
from tfpix2pix.web.work import WorkQueue

STATIC_FOLDER = pathlib.Path(__file__).parent / "static"
# After a silence, a client may send the requests of this many seconds at once.
BURST_SEC = 5
# So many pages may be open behind one address, as in a classroom, before they share a limit.
PAGES_PER_ADDRESS = 10
_HOUR_SEC = 3600


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one request, one client, and all clients together may ask for.

    Attributes:
      max_bytes: the largest number of bytes of an uploaded file.
      max_pixels: the largest number of pixels of an input.
      max_waiting: the largest number of requests that wait for the model.
      requests_per_sec: requests a second that each page may send in the long run; an address may send
        `PAGES_PER_ADDRESS` times as many.
    """

    max_bytes: int = 10_000_000
    max_pixels: int = 2**20
    max_waiting: int = 8
    requests_per_sec: float = 4.0


def make_demo(
    painter: Painter,
    sheet: Sheet,
    examples: Sequence[Example] = (),
    limits: Limits | None = None,
    allowed_hosts: tuple[str, ...] = (),
    card: Sequence[Fact] = (),
) -> FastAPI:
    """Returns the application.

    Args:
      painter: the model, which says whether it has noise once it is warm.
      sheet: what people make for the model.
      examples: what people may begin with.
      limits: limits of requests.
      allowed_hosts: names that browsers may know the server by, besides localhost and IP addresses.
      card: what the page says of the model.
    """
    limits = limits or Limits()
    app = make_application(max_body_bytes=limits.max_bytes, allowed_hosts=allowed_hosts)
    add_page(app, "/", STATIC_FOLDER / "index.html")
    add_files(app, demo=STATIC_FOLDER)
    facts = [dataclasses.asdict(fact) for fact in card]
    description = {**_describe(sheet, examples, limits), **_describe_model(painter, sheet), "card": facts}
    queue = WorkQueue(limits.max_waiting)
    of_page, of_address = (_make_rate(limits.requests_per_sec * pages) for pages in (1, PAGES_PER_ADDRESS))

    @app.get("/api/model")
    def read_model() -> dict[str, Any]:
        return description

    @app.get("/api/examples/{place}")
    def read_example(place: Annotated[int, Path(ge=0)]) -> Response:
        if place >= len(examples):
            raise HTTPException(404, "There is no such example.")
        headers = {"Cache-Control": f"private, max-age={_HOUR_SEC}"}
        return Response(examples[place].contents, headers=headers, media_type="image/png")

    @app.post("/api/translate")
    async def translate(
        request: Request,
        noise_seed: Annotated[int, Query(ge=-(2**31), lt=2**32)] = 0,
        samples: Literal["1", "4"] = "1",
        page: Annotated[str, Query(pattern="^[0-9a-f]{0,32}$")] = "",
        latent: Annotated[str, Query(max_length=10_000)] = "",
        instances_at: Annotated[int | None, Query(ge=0)] = None,
    ) -> dict[str, Any]:
        of_address.check(request)
        of_page.check(request, page)
        vector, body = _read_latent(painter, latent), await request.body()
        files = body[:instances_at], None if instances_at is None else body[instances_at:]
        work = functools.partial(_translate, painter, files, noise_seed, int(samples), vector)
        return await queue.run(request, work, page)

    return app


def _make_rate(per_sec: float) -> RateLimit:
    return RateLimit(per_sec, max(1, round(per_sec * BURST_SEC)))


def _read_latent(painter: Painter, text: str) -> np.ndarray | None:
    if not text:
        return None
    vector = read_latent(text, painter.style.size) if painter.style else None
    if vector is None:
        wanted = f"{painter.style.size} numbers with commas between them" if painter.style else "none"
        raise HTTPException(400, f"The latent vector of this model is {wanted}.")
    return vector


def _translate(
    painter: Painter,
    files: tuple[bytes, bytes | None],
    noise_seed: int,
    samples: int,
    latent: np.ndarray | None,
) -> dict[str, Any]:
    start = time.monotonic()
    try:
        pictures = painter.translate(files[0], noise_seed, samples, latent, files[1])
    except BadPictureError as error:
        raise HTTPException(400, str(error)) from error
    except UnavailableError as error:
        raise HTTPException(503, str(error), {"Retry-After": "5"}) from error
    answer = {
        "pictures": [base64.b64encode(picture).decode() for picture in pictures],
        "model_sec": round(time.monotonic() - start, 4),
    }
    if painter.style is None:
        return answer
    drawn = draw_latents(noise_seed, samples, painter.style.size) if latent is None else [latent] * samples
    return {**answer, "latents": [[round(float(value), 3) for value in vector] for vector in drawn]}


def _describe_model(painter: Painter, sheet: Sheet) -> dict[str, Any]:
    style = dataclasses.asdict(painter.style) if painter.style else None
    has_instances = painter.has_instances and sheet.kind == "labels"
    return {"has_noise": painter.has_noise, "style": style, "has_instances": has_instances}


def _describe(sheet: Sheet, examples: Sequence[Example], limits: Limits) -> dict[str, Any]:
    height, width = sheet.size
    return {
        "title": sheet.title,
        "kind": sheet.kind,
        "height": height,
        "width": width,
        "colours": [dataclasses.asdict(colour) for colour in sheet.colours],
        "center_hole": sheet.center_hole,
        "examples": [example.name for example in examples],
        "max_bytes": limits.max_bytes,
        "max_pixels": limits.max_pixels,
        "requests_per_sec": limits.requests_per_sec,
    }
