"""Taking part by requests: what is refused, what is stored, and what an address tells."""

import contextlib
import dataclasses
import io
import json
import re
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.helpers import studies
from tests.helpers.studies import Person
from tfpix2pix.study.folder import load_study
from tfpix2pix.study.page import render_page, render_text
from tfpix2pix.study.protocol import LONGEST_ANSWER, MOST_QUESTIONS, Question
from tfpix2pix.study.results.write import write_results
from tfpix2pix.study.texts import TEXTS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "study.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies") / "study"
    studies.make_study(folder)
    return folder


@pytest.fixture
def store():
    with studies.open_store(None) as store:
        yield store


@pytest.fixture
def app(folder, store):
    return studies.make_app(folder, load_study(folder), store)


def begin(app, worker_id: str | None = None) -> Person:
    person = Person(app, worker_id)
    assert person.start().status_code == 201
    return person.open()


def test_a_session_from_consent_to_code(app, store):
    person = Person(app, "W1")
    assert person.open().visit == {"visit": None}
    assert person.start(assignment_id="A1", hit_id="H1").status_code == 201
    person.open()
    assert person.visit["trial_index"] == 0 and person.visit["trials"] == 3
    replies = [person.do_trial(index, side).json() for index, side in enumerate(["left", "right", "left"])]
    answers = store.read_answers()
    assert [(answer.trial_index, answer.practice) for answer in answers] == [
        (0, True),
        (1, False),
        (2, False),
    ]
    assert [answer.chosen_side for answer in answers] == ["left", "right", "left"]
    assert all(answer.correct == (answer.chosen_side != answer.real_side) for answer in answers)
    for answer in answers:
        shown = {"left": 50.0, "right": 66.5}
        assert answer.shown_real_ms == shown.pop(answer.real_side)
        assert [answer.shown_generated_ms] == list(shown.values())
        assert answer.exposures == 1 and answer.response_ms == 400.0
    assert replies[0]["feedback"]["correct"] == answers[0].correct
    assert replies[0]["feedback"]["fake_side"] != answers[0].real_side
    assert replies[1]["feedback"] is None and replies[2]["feedback"] is None
    (session,) = store.read_sessions()
    assert (session.worker_id, session.assignment_id, session.hit_id) == ("W1", "A1", "H1")
    assert session.finished_at and session.completion_code == replies[2]["completion_code"]
    assert person.open().visit["completion_code"] == session.completion_code
    assert len(session.completion_code) == 10 and replies[1]["completion_code"] is None


def test_before_the_answer_nothing_tells_which_is_which(app, store):
    person = begin(app)
    trial = person.read_trial(0)
    assert set(trial.json()) == {"practice", "images", "gaps_ms"}
    first, second = (person.client.get(f"/images/{address}") for address in trial.json()["images"])
    assert first.status_code == second.status_code == 200
    assert first.headers == second.headers  # the length too, though the files differ in theirs
    sizes = {Image.open(io.BytesIO(reply.content)).size for reply in (first, second)}
    assert sizes == {(32, 32)}
    assert first.headers["cache-control"] == "no-store"
    assert not {"etag", "last-modified"} & set(first.headers)
    assert set(person.show(0).json()) == {"shown"}


def test_addresses_of_images_are_of_one_session_one_visit_and_one_trial(app):
    one, two = begin(app), begin(app)
    seen = [one.read_trial(0), one.read_trial(1), two.read_trial(0), one.open().read_trial(0)]
    addresses = [address for each in seen for address in each.json()["images"]]
    assert len(set(addresses)) == 8
    assert two.client.get(f"/images/{addresses[0]}").status_code == 404  # another person's
    assert one.client.get(f"/images/{addresses[0]}").status_code == 404  # of an earlier visit
    assert one.client.get(f"/images/{addresses[6]}").status_code == 200


def test_images_can_be_had_before_their_trial_is_shown_and_not_after(app):
    person = begin(app)
    address = person.read_trial(0).json()["images"][0]
    assert person.client.get(f"/images/{address}").status_code == 200
    person.show(0)
    assert person.client.get(f"/images/{address}").status_code == 410
    assert person.read_trial(1).status_code == 200
    assert person.read_trial(2).status_code == 409


def test_a_preference_session_has_an_input_and_no_right_answers(tmp_path, store):
    folder = tmp_path / "study"
    preference = {"design": "preference", "show_input": True, "exposure_sec": 0, "vigilance_trials": 1}
    study = studies.make_study(folder, dataclasses.replace(studies.BRIEF, **preference))
    person = begin(studies.make_app(folder, study, store))
    for index in range(4):
        addresses = person.read_trial(index).json()["images"]
        shown = [person.client.get(f"/images/{address}") for address in addresses]
        assert len({len(reply.content) for reply in shown}) == 1
        pixels = [Image.open(io.BytesIO(reply.content)).getpixel((0, 0)) for reply in shown]
        assert [red > 0 for red, *_ in pixels] == [False, False, True]  # only the input is red
        assert person.do_trial(index).json()["feedback"] is None
    answers = store.read_answers()
    (vigilance,) = (answer for answer in answers if answer.vigilance)
    assert vigilance.correct == (vigilance.real_side == "right")
    assert {answer.correct for answer in answers if not answer.vigilance} == {None}
    assert {session.algorithm for session in store.read_sessions()} == {"L1/cGAN"}


QUESTIONS = (Question("Are you an artist?", ("yes", "no")), Question("What was odd?"))


@pytest.mark.parametrize("is_preview", [False, True])
def test_the_code_and_the_debriefing_come_after_the_exit_questions(tmp_path, store, is_preview):
    folder = tmp_path / "study"
    study = studies.make_study(folder, exit_questions=QUESTIONS)
    (folder / "debriefing.md").write_text("*All* were fake.\n")
    person = begin(studies.make_app(folder, study, store, is_preview=is_preview))
    assert person.answer_questions("yes", "").status_code == 409
    replies = [person.do_trial(index).json() for index in range(3)]
    assert [len(reply["exit_questions"]) for reply in replies] == [0, 0, 2]
    assert replies[2]["completion_code"] is None
    visit = person.open().visit
    assert (visit["completion_code"], visit["exit_questions"][0]["choices"]) == (None, ["yes", "no"])
    assert person.client.get("/debriefing").status_code == 403
    for wrong in (["yes"], ["maybe", ""], ["yes", "x" * 2001], ["yes", 1]):
        assert person.answer_questions(*wrong).status_code == 422
    told = person.answer_questions("", "nothing")
    assert told.json()["completion_code"] == store.read_sessions()[0].completion_code
    assert json.loads(store.read_sessions()[0].exit_answers) == ["", "nothing"]
    assert person.client.get("/debriefing").text == "<!doctype html><p><em>All</em> were fake.</p>\n"
    if not is_preview:
        assert person.answer_questions("", "nothing").json() == told.json()
        assert person.answer_questions("yes", "nothing").status_code == 409


def test_long_answers_to_all_questions_are_stored(tmp_path, store):
    folder = tmp_path / "study"
    questions = tuple(Question(f"{number}?") for number in range(MOST_QUESTIONS))
    person = begin(studies.make_app(folder, studies.make_study(folder, exit_questions=questions), store))
    for index in range(3):
        person.do_trial(index)
    answers = ["\N{SNOWMAN}" * LONGEST_ANSWER] * MOST_QUESTIONS
    assert person.answer_questions(*answers).json()["completion_code"]
    assert len(json.loads(store.read_sessions()[0].exit_answers)) == MOST_QUESTIONS


def test_a_window_that_is_too_narrow_is_refused(tmp_path, store):
    study = studies.make_study(tmp_path / "s", dataclasses.replace(studies.BRIEF, least_window_px=600))
    app = studies.make_app(tmp_path / "s", study, store)
    refused = Person(app).start(viewport="599x900")
    assert refused.status_code == 403 and "too narrow" in refused.json()["error"]
    assert store.read_sessions() == []
    assert Person(app).start(viewport="600x300").status_code == 201


def test_how_images_were_drawn_is_stored_with_each_answer(app, store):
    person = begin(app)
    person.do_trial(0)
    person.show(1)
    time.sleep(0.2)
    screen = {"pixel_ratio": 2.625, "drawn_px": "256x256", "layout": "one_place"}
    assert person.answer(1, **screen | {"layout": "elsewhere"}).status_code == 422
    assert person.answer(1, **screen | {"drawn_px": "256"}).status_code == 422
    assert person.answer(1, **screen).status_code == 200
    first, second = store.read_answers()
    assert (first.pixel_ratio, first.drawn_px, first.layout) == (None, None, None)
    assert (second.pixel_ratio, second.drawn_px, second.layout) == (2.625, "256x256", "one_place")


def test_a_step_of_the_clock_excludes_no_answer(folder, tmp_path):
    """The clock goes back by a century between the exposure and the answer."""
    path = tmp_path / "answers.sqlite"
    with studies.open_store(path) as store:
        person = begin(studies.make_app(folder, load_study(folder), store))
        person.show(0)
        with contextlib.closing(sqlite3.connect(path)) as answers:
            answers.execute("UPDATE exposures SET shown_at = '2126-01-01T00:00:00.000+00:00'")
            answers.commit()
        time.sleep(0.2)
        assert person.answer(0).status_code == 200


def test_an_answer_comes_after_its_exposures_or_after_a_restart(tmp_path):
    """Who answers at once is refused; a server that was started again cannot know."""
    folder = tmp_path / "study"
    study = studies.make_study(folder, dataclasses.replace(studies.BRIEF, exposure_sec=5.0))
    with studies.open_answers(folder) as store:
        person = begin(studies.make_app(folder, study, store))
        person.show(0)
        assert person.answer(0).status_code == 409
        restarted = studies.make_app(folder, study, store)
        cookies = person.client.cookies
        person.client = TestClient(restarted, base_url="http://127.0.0.1:8000", cookies=cookies)
        assert person.answer(0).status_code == 200


def test_a_repeated_answer_is_no_error_and_another_one_is_refused(app, store):
    person = begin(app)
    first = person.do_trial(0, "left")
    assert person.answer(0, "left").json() == first.json()
    refused = person.answer(0, "right")
    assert refused.status_code == 409 and "cannot be changed" in refused.json()["error"]
    (answer,) = store.read_answers()
    assert answer.chosen_side == "left"


def test_answers_come_in_order_after_both_exposures(app, store):
    person = begin(app)
    assert person.answer(0).status_code == 409  # not shown
    assert person.show(1).status_code == 409
    assert person.show(3).status_code == person.show(-1).status_code == 404
    person.do_trial(0)
    assert person.answer(2).status_code == 409
    assert len(store.read_answers()) == 1


def test_an_answer_cannot_come_before_the_images_were_shown(tmp_path, store):
    protocol = studies.Protocol(practice_trials=0, test_trials=1, exposure_sec=60.0)
    app = studies.make_app(tmp_path / "s", studies.make_study(tmp_path / "s", protocol), store)
    person = begin(app)
    person.show(0)
    early = person.answer(0)
    assert early.status_code == 409 and "before both images" in early.json()["error"]
    assert store.read_answers() == []


def test_an_answer_may_take_days(app, store):
    person = begin(app)
    person.show(0)
    time.sleep(2 * person.visit["exposure_ms"] / 1000)
    days = 3 * 24 * 3.6e6
    assert person.answer(0, left_ms=days, right_ms=days, response_ms=days).status_code == 200
    assert len(store.read_answers()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"chosen_side": "both"},
        {"chosen_side": None},
        {"left_ms": -1.0},
        {"left_ms": "50"},
        {"left_ms": None},
        {"right_ms": 1e300},
        {"left_ms": 8 * 24 * 3.6e6},
        {"response_ms": True},
        {"visit": 1},
        {"visit": "a" * 31},
        {"real_side": "left"},
    ],
)
def test_malformed_answers_are_refused(app, store, changes):
    person = begin(app)
    person.show(0)
    refused = person.answer(0, **changes)
    assert refused.status_code == 422 and "malformed" in refused.json()["error"]
    assert store.read_answers() == []


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"[1]", b'{"left_ms": NaN}', b"\xff", b"[" * 3000])
def test_bodies_that_are_no_answer_are_refused(app, body):
    person = begin(app)
    headers = {"Content-Type": "application/json"}
    assert person.client.post("/api/trials/0/answer", content=body, headers=headers).status_code in (400, 422)
    assert person.client.post("/api/start", content=b"x" * 70_000).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/images/../secret.key",
        "/images/..%2fsecret.key",
        "/images/%2e%2e%2fstudy.json",
        "/images/%00",
        "/images/" + "a" * 32,
        "/images/é",
        "/static/../store.py",
        "/static/study/..%2f..%2f..%2fstore.py",
        "/static//etc/passwd",
        "/study.json",
        "/answers.sqlite",
        f"/api/trials/0%2f..%2f1?visit={'a' * 32}",
        f"/api/trials/1e9?visit={'a' * 32}",
        "/api/trials/0?visit=x",
    ],
)
def test_no_id_leads_to_a_file_of_the_server(app, path):
    assert begin(app).client.get(path).status_code in (404, 422)


def test_nobody_goes_on_without_a_session_of_their_own(app):
    stranger = Person(app)
    stranger.visit = {"visit": "a" * 32}
    for answer in (stranger.read_trial(0), stranger.show(0), stranger.answer(0)):
        assert answer.status_code == 401
    (name,) = begin(app).client.cookies.keys()
    for token in (b"", b"x", "é".encode(), b"a" * 5000):
        cookie = name.encode() + b"=" + token
        answer = stranger.client.post("/api/trials/0/shown", json=stranger.visit, headers={"Cookie": cookie})
        assert answer.status_code == 401


def test_the_cookie_is_not_for_scripts(app):
    header = Person(app).start().headers["set-cookie"]
    assert "HttpOnly" in header and "SameSite=lax" in header


def test_a_person_takes_part_once(app, store):
    person = begin(app, "W1")
    assert person.start().status_code == 201  # goes on
    other_browser = Person(app, "W1")
    refused = other_browser.start()
    assert refused.status_code == 409 and "take part once" in refused.json()["error"]
    assert other_browser.open().visit == {"visit": None}
    person.worker_id = None  # the same browser, a link without a name
    assert person.start().status_code == 201
    assert person.open().visit["visit"]
    assert len(store.read_sessions()) == 1


def test_another_worker_in_the_same_browser_has_a_session_of_their_own(app, store):
    first = begin(app, "W1")
    codes = [first.do_trial(index).json()["completion_code"] for index in range(3)]
    second = Person(app, "W2")
    second.client = first.client
    assert second.open().visit == {"visit": None}
    assert first.open().visit["completion_code"] == codes[-1]  # until the other begins
    assert second.start().status_code == 201
    assert second.open().visit["completion_code"] is None
    assert second.start().status_code == 201
    assert [session.worker_id for session in store.read_sessions()] == ["W1", "W2"]
    assert first.open().visit == {"visit": None}
    assert second.start(worker_id="W3").status_code == 409  # the token is the second's


def test_a_link_with_a_name_goes_on_with_a_session_without(app, store):
    person = begin(app)
    person.worker_id = "W1"
    assert person.open().visit["visit"]
    assert person.start().status_code == 201
    assert [session.worker_id for session in store.read_sessions()] == ["W1"]


def test_a_session_without_a_name_becomes_one_workers_and_nobody_elses(app, store):
    first = begin(app)
    first.worker_id = "W1"
    assert first.open().visit["visit"]
    second = Person(app, "W2")
    second.client = first.client
    assert second.open().visit == {"visit": None}
    assert second.start().status_code == 201
    assert [session.worker_id for session in store.read_sessions()] == ["W1", "W2"]


def test_no_worker_is_given_the_code_of_a_session_without_a_name(app, store):
    nobody = begin(app)
    code = [nobody.do_trial(index).json()["completion_code"] for index in range(3)][-1]
    worker = Person(app, "W1")
    worker.client = nobody.client
    assert worker.open().visit == {"visit": None}
    assert nobody.open().visit["completion_code"] == code
    assert worker.start().status_code == 201
    assert worker.open().visit["completion_code"] is None
    assert [session.worker_id for session in store.read_sessions()] == [None, "W1"]


def test_a_worker_with_a_session_elsewhere_does_not_take_another_one_over(app, store):
    begin(app, "W1")
    other_browser = begin(app)
    other_browser.worker_id = "W1"
    assert other_browser.open().visit == {"visit": None}
    assert other_browser.start(token="a" * 64).status_code == 409
    assert [session.worker_id for session in store.read_sessions()] == ["W1", None]


def test_a_task_that_was_not_accepted_is_refused(app, store):
    refused = Person(app, "W1").start(assignment_id="ASSIGNMENT_ID_NOT_AVAILABLE")
    assert refused.status_code == 403 and "accept the task" in refused.json()["error"]
    assert store.read_sessions() == []


@pytest.mark.parametrize("worker_id", [None, "W1"])
def test_a_start_whose_reply_was_lost_is_the_same_start_again(app, store, worker_id):
    person = Person(app, worker_id)
    assert person.start().status_code == 201
    person.client.cookies.clear()
    assert person.start().status_code == 201
    assert person.open().visit["trial_index"] == 0
    assert len(store.read_sessions()) == 1


def test_another_token_leads_to_no_session_of_others(app, store):
    begin(app, "W1")
    (session,) = store.read_sessions()
    stranger = Person(app, "W1")
    assert stranger.start().status_code == 409
    assert stranger.start(token=session.session_id * 2).status_code == 409
    assert not stranger.client.cookies


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"consent": False}, 422),
        ({"token": None}, 422),
        ({"token": ""}, 422),
        ({"token": "a" * 63}, 422),
        ({"token": "a" * 64 + "\n"}, 422),
        ({"token": "é" * 64}, 422),
        ({"consent": 1}, 422),
        ({"consent": "true"}, 422),
        ({"worker_id": "{{%PROLIFIC_PID%}}"}, 422),
        ({"worker_id": "${workerId}"}, 422),
        ({"worker_id": ""}, 422),
        ({"worker_id": " a"}, 422),
        ({"worker_id": "a\n"}, 422),
        ({"worker_id": "é"}, 422),
        ({"worker_id": "x" * 129}, 422),
        ({"assignment_id": "<script>"}, 422),
        ({"viewport": "wide"}, 422),
        ({"viewport": "800x600\n"}, 422),
        ({"viewport": "٨٠٠x٦٠٠"}, 422),
        ({"algorithm": "cGAN"}, 422),
    ],
)
def test_malformed_starts_are_refused(app, store, changes, status):
    assert Person(app).start(**changes).status_code == status
    assert store.read_sessions() == []


@pytest.mark.parametrize("worker_id", ["a b", "a/b", "QUJD+/==", "5f1a", "x" * 128, "me@example.org", "../x"])
def test_ids_are_taken_as_platforms_send_them(app, store, worker_id):
    assert begin(app, worker_id).visit["visit"]
    assert [session.worker_id for session in store.read_sessions()] == [worker_id]


def test_a_damaged_link_tells_the_person_whom_to_ask(app):
    person = Person(app, "{{%PROLIFIC_PID%}}")
    error = person.open().visit["error"]
    assert error == person.start().json()["error"]
    assert error.endswith("ask the people who invited you for a new link.")


def test_a_worker_id_can_be_required(folder, store):
    study = load_study(folder)
    app = studies.make_app(folder, study, store, requires_worker_id=True)
    assert Person(app).start().status_code == 403
    assert Person(app, "W1").start().status_code == 201


def test_a_session_from_before_worker_ids_were_required_goes_on_with_one(folder, store):
    study = load_study(folder)
    person = begin(studies.make_app(folder, study, store))
    strict = Person(studies.make_app(folder, study, store, requires_worker_id=True))
    strict.client.cookies = person.client.cookies
    assert strict.open().visit == {"visit": None} and strict.start().status_code == 403
    strict.worker_id = "W1"
    assert strict.open().visit["trial_index"] == 0
    assert [session.worker_id for session in store.read_sessions()] == ["W1"]


def test_a_second_tab_takes_over(app, store):
    person = begin(app)
    person.show(0)
    first_tab = dict(person.visit)
    person.open()
    person.visit, second_tab = first_tab, dict(person.visit)
    for answer in (person.read_trial(0), person.show(0), person.answer(0)):
        assert answer.status_code == 409 and "another tab" in answer.json()["error"]
    person.visit = second_tab
    person.do_trial(0)
    (answer,) = store.read_answers()
    assert answer.exposures == 2  # shown in both


def test_the_page_of_one_worker_does_not_go_on_in_the_session_of_another(app, store):
    first = begin(app, "W1")
    second = Person(app, "W2")
    second.client = first.client
    assert second.start().status_code == 201
    second.open()
    for answer in (first.read_trial(0), first.show(0), first.answer(0)):
        assert answer.status_code == 409 and "another tab" in answer.json()["error"]
    second.do_trial(0)
    assert [answer.exposures for answer in store.read_answers()] == [1]


def test_a_repeated_notice_is_one_exposure(app, store):
    person = begin(app)
    person.show(0)
    person.show(0)
    person.do_trial(0)
    assert [answer.exposures for answer in store.read_answers()] == [1]


def test_a_preview_may_be_seen_again_and_by_anybody(folder, store):
    study = load_study(folder)
    app = studies.make_app(folder, study, store, is_preview=True)
    person = begin(app, "W1")
    for index in range(3):
        person.do_trial(index)
    assert person.open().visit == {"visit": None}
    assert begin(app, "W1").visit["trial_index"] == 0


def test_many_people_at_once_are_balanced_and_lose_nothing(tmp_path):
    study = studies.make_study(tmp_path / "study")
    failures = []

    def take_part(app, number: int) -> None:
        person = begin(app, f"W{number}")
        for index in range(3):
            if person.do_trial(index).status_code != 200:
                failures.append((number, index))

    with studies.open_answers(tmp_path / "study") as store:
        app = studies.make_app(tmp_path / "study", study, store)
        threads = [threading.Thread(target=take_part, args=(app, number)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    with studies.open_answers(tmp_path / "study") as store:
        assert len(store.read_answers()) == 36
        sessions = store.read_sessions()
    assert sorted(session.ordinal for session in sessions) == list(range(12))
    assert [session.algorithm for session in sessions].count("L1") == 6
    assert len({session.seed for session in sessions}) == len({s.completion_code for s in sessions}) == 12


def test_the_documented_commands_remove_a_person_from_a_study_that_goes_on(tmp_path):
    documented = re.search(r"```sql\n(.*?)```", DOCS.read_text(), re.DOTALL)[1]
    study = studies.make_study(tmp_path / "study")
    with studies.open_answers(tmp_path / "study") as store:
        app = studies.make_app(tmp_path / "study", study, store)
        for person in (begin(app, "W1"), begin(app, "W2")):
            for index in range(3):
                person.do_trial(index)
        gone, stays = store.read_sessions()
        # The tool's own defaults, as of foreign keys, are Python's.
        with contextlib.closing(sqlite3.connect(tmp_path / "study" / "answers.sqlite")) as connection:
            connection.executescript(documented)
        for file in (tmp_path / "study").glob("answers.sqlite*"):
            assert gone.session_id.encode() not in file.read_bytes()
        assert store.read_sessions() == [stays]
        assert {answer.session_id for answer in store.read_answers()} == {stays.session_id}
        assert begin(app, "W3").do_trial(0).status_code == 200
        assert begin(app, "W1").visit["trial_index"] == 0
        write_results(tmp_path / "study", resamples=100)
    results = json.loads((tmp_path / "study" / "results" / "results.json").read_text())
    assert (results["sessions"]["begun"], results["sessions"]["counted"]) == (3, 1)


def test_texts_of_the_study_stay_text(folder):
    page = render_page(folder, load_study(folder), TEXTS)
    assert '<h1 id="consent-title">Real or &lt;fake&gt;?</h1>' in page
    assert 'data-mode="study"' in page
    text = (
        "# Why\nOne\ntwo\n\n<b>three</b>\n\n    four\n\n- a\n- b\n  *more*\n\n1. c & d\n##no heading\n\n"
        "## Who\n[us](https://example.org) [it](javascript:alert(1)) ![us](https://example.org/us.png)"
    )
    assert render_text(text).splitlines() == [
        "<h2>Why</h2>",
        "<p>One",
        "two</p>",
        "<p>&lt;b&gt;three&lt;/b&gt;</p>",
        "<p>four</p>",
        "<ul>",
        "<li>a</li>",
        "<li>b",
        "<em>more</em></li>",
        "</ul>",
        "<ol>",
        "<li>c &amp; d",
        "##no heading</li>",
        "</ol>",
        "<h3>Who</h3>",
        '<p><a href="https://example.org" target="_blank" rel="noopener noreferrer">us</a> '
        "[it](javascript:alert(1)) "
        '!<a href="https://example.org/us.png" target="_blank" rel="noopener noreferrer">us</a></p>',
    ]
