"""Serves a study, or shows it as a preview, until Ctrl-C."""

import secrets
from pathlib import Path

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.study.application import make_study_application
from tfpix2pix.study.folder import (
    ANSWERS_FILE,
    CONSENT_FILE,
    PLACEHOLDER,
    check_images,
    fingerprint,
    load_study,
    read_secret,
)
from tfpix2pix.study.page import render_debriefing, render_page
from tfpix2pix.study.sessions import StudySessions
from tfpix2pix.study.store import open_store
from tfpix2pix.study.texts import read_words
from tfpix2pix.web.address import Address, open_socket
from tfpix2pix.web.server import serve


def serve_study(
    study_dir: Path,
    address: Address,
    *,
    is_preview: bool = False,
    requires_worker_id: bool = False,
    abandoned_after_sec: float = 3600.0,
) -> None:
    """Serves a study until SIGTERM or Ctrl-C.

    Args:
      study_dir: folder of the study.
      address: where the study is served.
      is_preview: whether nothing is recorded, and a browser may take part again and again.
      requires_worker_id: whether links without the worker id of a crowd platform are refused.
      abandoned_after_sec: an unfinished session that is idle for longer no longer counts when algorithms
        are assigned.

    Raises:
      UsageError: when the folder holds no study.
      UserError: when the study cannot be served, or the port cannot be listened on.
    """
    study = load_study(study_dir)
    check_images(study_dir, study)
    secret = secrets.token_bytes() if is_preview else read_secret(study_dir)
    texts = read_words(study_dir)
    page = render_page(study_dir, study, texts, is_preview=is_preview)
    _check_consent(study_dir, is_preview)
    with (
        open_socket(address) as listening,
        open_store(None if is_preview else study_dir / ANSWERS_FILE) as store,
    ):
        store.bind(fingerprint(study))
        sessions = StudySessions(
            study_dir,
            study,
            store,
            secret,
            abandoned_after_sec=abandoned_after_sec,
            requires_worker_id=requires_worker_id,
            is_preview=is_preview,
            texts=texts,
        )
        debriefing = render_debriefing(study_dir)
        app = make_study_application(sessions, page, secret, address.allowed_hosts, debriefing)
        serve(app, address, listening, "preview" if is_preview else "study")


def _check_consent(study_dir: Path, is_preview: bool) -> None:
    file = study_dir / CONSENT_FILE
    if PLACEHOLDER not in file.read_text("utf-8"):
        return
    text = f"{file} still has its paragraph in brackets, which begins with {PLACEHOLDER!r}"
    if not is_preview:
        raise UserError(f"{text}. Nobody can consent to that: replace it by what people must know")
    warn(f"{text}; serve refuses it")
