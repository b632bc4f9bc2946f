"""The page and the requests of a study. What a request may do is decided in `sessions.py`."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from tfpix2pix.study.protocol import LONGEST_ANSWER, MOST_QUESTIONS
from tfpix2pix.study.records import SCREEN_COLUMNS, Session
from tfpix2pix.study.sessions import StudySessions
from tfpix2pix.study.texts import Texts
from tfpix2pix.web.application import add_files, make_application
from tfpix2pix.web.limits import RateLimit

_STATIC_FOLDER = Path(__file__).parent / "static"
COOKIE_AGE_SEC = 400 * 24 * 3600  # Browsers keep no cookie for longer.
# A classroom behind one address may begin at once, but a script may not fill the disk.
STARTS_PER_SEC, STARTS_AT_ONCE = 2.0, 200
_WEEK_MS = 7 * 24 * 3_600_000.0
# All that a request may hold, and beyond that what a letter of an exit answer takes in JSON, as two escapes.
_MAX_BODY_BYTES, _BYTES_OF_LETTER = 65_536, 12

# What platforms send: plain characters, also spaces, / and =. Braces are of a placeholder such as
# {{%PROLIFIC_PID%}} that the platform has not filled in.
_PLATFORM_ID = re.compile(r"[!-;=?-z|~]([ -;=?-z|~]{0,126}[!-;=?-z|~])?")

Visit = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Opened(_Body):
    """The page was opened."""

    worker_id: str | None = None


class Start(Opened):
    """A person consents; the ids come from the link, the rest from the browser."""

    consent: bool
    token: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    assignment_id: str | None = None
    hit_id: str | None = None
    viewport: Annotated[str, Field(pattern=r"^[0-9]{1,5}x[0-9]{1,5}$")]


class Shown(_Body):
    """A trial is about to be shown."""

    visit: Visit


class Chosen(Shown):
    """A person has answered; the times were measured by the page."""

    chosen_side: Literal["left", "right"]
    left_ms: Annotated[float, Field(ge=0, le=_WEEK_MS)]
    right_ms: Annotated[float, Field(ge=0, le=_WEEK_MS)]
    response_ms: Annotated[float, Field(ge=0, le=_WEEK_MS)]
    # A page that was opened before the server was updated does not tell these.
    pixel_ratio: Annotated[float, Field(gt=0, le=100)] | None = None
    drawn_px: Annotated[str, Field(pattern=r"^[0-9]{1,5}x[0-9]{1,5}$")] | None = None
    layout: Literal["side_by_side", "one_place"] | None = None


class Told(_Body):
    """A person has answered the exit questions."""

    answers: Annotated[
        list[Annotated[str, Field(max_length=LONGEST_ANSWER)]], Field(max_length=MOST_QUESTIONS)
    ]


def _check_ids(texts: Texts, *ids: str | None) -> None:
    if not all(_PLATFORM_ID.fullmatch(each) for each in ids if each is not None):
        raise HTTPException(422, texts["refused_damaged_link"])


def make_study_application(
    sessions: StudySessions,
    page: str,
    cookie_key: bytes,
    allowed_hosts: tuple[str, ...] = (),
    debriefing: str = "",
) -> FastAPI:
    """Returns the application of a study.

    Args:
      sessions: sessions of the study.
      page: HTML of the page.
      cookie_key: distinguishes this study's cookie from the cookies of other studies on the same host.
      allowed_hosts: names that browsers may know the server by, besides localhost and IP addresses.
      debriefing: HTML that people read at the end, and not earlier.
    """
    of_answers = len(sessions.study.exit_questions) * LONGEST_ANSWER * _BYTES_OF_LETTER
    app = make_application(max_body_bytes=_MAX_BODY_BYTES + of_answers, allowed_hosts=allowed_hosts)
    add_files(app, study=_STATIC_FOLDER)
    cookie = f"study_{hashlib.sha256(cookie_key).hexdigest()[:12]}"
    starts = RateLimit(STARTS_PER_SEC, STARTS_AT_ONCE)

    @app.post("/api/start", status_code=201)
    def start(body: Start, request: Request, response: Response) -> dict[str, bool]:
        starts.check(request)
        if not body.consent:
            raise HTTPException(422, "Nobody takes part without consent.")
        _check_ids(sessions.texts, body.worker_id, body.assignment_id, body.hit_id)
        token = sessions.start(
            request.cookies.get(cookie),
            new_token=body.token,
            worker_id=body.worker_id,
            assignment_id=body.assignment_id,
            hit_id=body.hit_id,
            viewport=body.viewport,
        )
        age = None if sessions.is_preview else COOKIE_AGE_SEC
        is_secure = request.url.scheme == "https"
        response.set_cookie(cookie, token, max_age=age, httponly=True, samesite="lax", secure=is_secure)
        return {"started": True}

    @app.post("/api/visit")
    def open_visit(body: Opened, request: Request) -> dict[str, Any]:
        _check_ids(sessions.texts, body.worker_id)
        session = sessions.find(request.cookies.get(cookie), body.worker_id)
        return sessions.open_visit(session) if session else {"visit": None}

    def find_session(request: Request) -> Session:
        session = sessions.find(request.cookies.get(cookie))
        if session is None:
            raise HTTPException(401, sessions.texts["refused_no_session"])
        return session

    _add_pages(app, sessions, page, debriefing, cookie)
    _add_answers(app, sessions, find_session)
    return app


def _add_pages(app: FastAPI, sessions: StudySessions, page: str, debriefing: str, cookie: str) -> None:
    @app.api_route("/", methods=["GET", "HEAD"])
    def read_page() -> Response:
        return HTMLResponse(page)

    @app.get("/debriefing")
    def read_debriefing(request: Request) -> Response:
        sessions.check_over(request.cookies.get(cookie))
        return HTMLResponse(f"<!doctype html>{debriefing}")


def _add_answers(app: FastAPI, sessions: StudySessions, find_session: Callable[[Request], Session]) -> None:
    @app.get("/api/trials/{index}")
    def read_trial(
        index: int, visit: Visit, session: Annotated[Session, Depends(find_session)]
    ) -> dict[str, Any]:
        return sessions.trials.describe(session, visit, index)

    @app.get("/images/{address}")
    def read_image(address: str, session: Annotated[Session, Depends(find_session)]) -> Response:
        # Not as a file, whose date in the headers would tell the image in every session.
        return Response(sessions.trials.read_image(session, address), media_type="image/png")

    @app.post("/api/trials/{index}/shown")
    def show(index: int, body: Shown, session: Annotated[Session, Depends(find_session)]) -> dict[str, Any]:
        sessions.trials.show(session, body.visit, index)
        return {"shown": True}

    @app.post("/api/trials/{index}/answer")
    def answer(
        index: int, body: Chosen, session: Annotated[Session, Depends(find_session)]
    ) -> dict[str, Any]:
        feedback, session = sessions.trials.answer(
            session,
            body.visit,
            index,
            chosen_side=body.chosen_side,
            shown_ms={"left": body.left_ms, "right": body.right_ms},
            response_ms=body.response_ms,
            screen={name: getattr(body, name) for name in SCREEN_COLUMNS},
        )
        return {"feedback": feedback, **sessions.describe_end(session)}

    @app.post("/api/exit")
    def answer_questions(body: Told, session: Annotated[Session, Depends(find_session)]) -> dict[str, Any]:
        return sessions.answer_questions(session, body.answers)
