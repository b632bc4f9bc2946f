"""Answers are stored once, for ever, whoever writes at the same time."""

import contextlib
import dataclasses
import datetime
import multiprocessing
import sqlite3

import pytest

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.study.folder import Study
from tfpix2pix.study.reading import read_store
from tfpix2pix.study.records import Answer, OtherAnswerStoredError, TakesPartAlreadyError
from tfpix2pix.study.store import Store, open_store

ANSWER = Answer(
    session_id="s0",
    trial_index=0,
    practice=True,
    vigilance=False,
    example_id="e",
    real_example_id="f",
    real_side="left",
    chosen_side="right",
    correct=True,
    shown_real_ms=1000.0,
    shown_generated_ms=1016.7,
    exposures=0,
    response_ms=500.0,
    answered_at="",
)


def add_session(store: Store, name: str, worker_id: str | None = None, **settings) -> None:
    settings = {"assign": lambda ordinal, counts: ("L1", ordinal), "abandoned_after_sec": 3600.0, **settings}
    store.add_session(
        session_id=f"s{name}",
        token_hash=f"t{name}",
        worker_id=worker_id,
        assignment_id=None,
        hit_id=None,
        viewport="800x600",
        **settings,
    )


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "answers.sqlite") as store:
        add_session(store, "0", "W0")
        yield store


def test_an_answer_comes_back_as_it_was_stored(store, tmp_path):
    store.record_exposure("s0", 0, visit=1)
    store.record_exposure("s0", 0, visit=2)
    assert store.record_answer(ANSWER) is True
    with open_store(tmp_path / "answers.sqlite") as other:
        (answer,) = other.read_answers()
    assert dataclasses.replace(answer, answered_at="") == dataclasses.replace(ANSWER, exposures=2)
    assert datetime.datetime.fromisoformat(answer.answered_at).utcoffset() == datetime.timedelta(0)
    assert (answer.practice, answer.vigilance, answer.correct) == (True, False, True)


def test_answers_of_an_earlier_version_stay_readable_and_go_on(store, tmp_path):
    path = tmp_path / "answers.sqlite"
    store.record_answer(ANSWER)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for name in ("pixel_ratio", "drawn_px", "layout"):
            connection.execute(f"ALTER TABLE answers DROP COLUMN {name}")
        connection.execute("ALTER TABLE sessions DROP COLUMN exit_answers")
    before = path.read_bytes()
    with read_store(path) as copy:
        (answer,) = copy.read_answers()
        assert (answer.example_id, answer.pixel_ratio) == ("e", None)
        copy.record_answer(dataclasses.replace(ANSWER, trial_index=1))
    assert path.read_bytes() == before
    with open_store(path) as later:
        later.record_answer(dataclasses.replace(ANSWER, trial_index=1, pixel_ratio=1.5))
        assert [answer.pixel_ratio for answer in later.read_answers()] == [None, 1.5]
        assert [session.exit_answers for session in later.read_sessions()] == [None]


def test_only_its_owner_reads_who_took_part(store, tmp_path):
    store.record_answer(ANSWER)
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["answers.sqlite", "answers.sqlite-wal", "answers.sqlite-shm"], 0o600)


def test_the_same_answer_again_changes_nothing_and_another_is_refused(store):
    store.record_answer(ANSWER)
    before = store.read_answers()
    assert store.record_answer(dataclasses.replace(ANSWER, response_ms=9.0)) is False
    with pytest.raises(OtherAnswerStoredError):
        store.record_answer(dataclasses.replace(ANSWER, chosen_side="left", correct=False))
    assert store.read_answers() == before


def test_the_last_answer_finishes_the_session_at_once(store):
    store.record_answer(dataclasses.replace(ANSWER, trial_index=1))
    assert store.read_sessions()[0].finished_at is None
    store.record_answer(ANSWER, completion_code="CODE")
    (session,) = store.read_sessions()
    assert session.finished_at and session.completion_code == "CODE"


def test_an_answer_that_contradicts_itself_is_not_stored(store):
    with pytest.raises(sqlite3.IntegrityError):
        store.record_answer(dataclasses.replace(ANSWER, correct=False))
    with pytest.raises(sqlite3.IntegrityError):
        store.record_answer(dataclasses.replace(ANSWER, session_id="nobody"))
    assert store.read_answers() == []


def test_exit_answers_are_stored_once_after_the_last_trial(store):
    with pytest.raises(OtherAnswerStoredError):
        store.record_exit_answers("s0", '["a"]')
    store.record_answer(ANSWER, completion_code="CODE")
    store.record_exit_answers("s0", '["a"]')
    store.record_exit_answers("s0", '["a"]')
    with pytest.raises(OtherAnswerStoredError):
        store.record_exit_answers("s0", '["b"]')
    assert store.read_sessions()[0].exit_answers == '["a"]'


def test_no_statement_needs_a_new_sqlite(store):
    statements = []
    store._connection.set_trace_callback(statements.append)
    assert [store.begin_visit("s0"), store.begin_visit("s0")] == [1, 2]
    store.record_answer(ANSWER, completion_code="CODE")
    store.record_exit_answers("s0", '["a"]')
    assert any("exit_answers" in text for text in statements)
    assert not [text for text in statements if "RETURNING" in text]  # which SQLite has from 3.35 on


def test_a_worker_and_a_token_have_one_session(store):
    with pytest.raises(TakesPartAlreadyError):
        add_session(store, "1", "W0")
    with pytest.raises(TakesPartAlreadyError):
        add_session(store, "0", "W1")
    add_session(store, "2")
    add_session(store, "3")  # any number without a worker id
    assert [session.ordinal for session in store.read_sessions()] == [0, 1, 2]


@pytest.mark.parametrize("removed", [0, 1])
def test_the_number_of_a_removed_session_is_not_given_again(store, tmp_path, removed):
    add_session(store, "1")
    with contextlib.closing(sqlite3.connect(tmp_path / "answers.sqlite")) as connection, connection:
        connection.execute("DELETE FROM sessions WHERE ordinal = ?", (removed,))
    with open_store(tmp_path / "answers.sqlite") as other:
        add_session(other, "2")
    add_session(store, "3")
    assert [session.ordinal for session in store.read_sessions()] == [1 - removed, 2, 3]


def test_sessions_of_an_earlier_version_are_counted_on(store, tmp_path):
    path = tmp_path / "answers.sqlite"
    add_session(store, "1")
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TRIGGER count_arrivals")
        connection.execute("DROP TABLE arrivals")
        connection.execute("DELETE FROM sessions WHERE ordinal = 0")
    for name in "23":
        with open_store(path) as later:
            add_session(later, name)
    with read_store(path) as copy:
        assert [session.ordinal for session in copy.read_sessions()] == [1, 2, 3]


def test_abandoned_sessions_do_not_count_and_finished_ones_do(store):
    counted = []

    def assign(ordinal, counts):
        counted.append(dict(counts))
        return "cGAN", 0

    add_session(store, "1", assign=assign)
    add_session(store, "2", assign=assign, abandoned_after_sec=-1.0)
    store.record_answer(ANSWER, completion_code="CODE")
    add_session(store, "3", assign=assign, abandoned_after_sec=-1.0)
    assert counted == [{"L1": 1}, {}, {"L1": 1}]


def test_a_failed_assignment_leaves_no_session(store):
    def fail(ordinal, counts):
        raise ValueError("no algorithm")

    with pytest.raises(ValueError, match="no algorithm"):
        add_session(store, "1", assign=fail)
    assert len(store.read_sessions()) == 1
    add_session(store, "1")


def test_answers_belong_to_one_study(tmp_path):
    with open_store(tmp_path / "answers.sqlite") as store:
        store.bind("a")
        store.bind("b")  # nobody has begun
        add_session(store, "0")
        store.bind("b")
        with pytest.raises(UserError, match="study.json has changed since the first session") as refused:
            store.bind("a")
    free = {"title", "completion_url", "decline_url", "screen_out_url", "version"}
    fixed = {field.name for field in dataclasses.fields(Study)} - free
    assert {name for name in fixed if name not in str(refused.value)} == set()


def _write_answers(path, name: str) -> None:
    with open_store(path) as store:
        add_session(store, name, assign=lambda ordinal, counts: ("L1", ordinal))
        for index in range(20):
            store.record_answer(dataclasses.replace(ANSWER, session_id=f"s{name}", trial_index=index))


def test_processes_write_at_the_same_time(tmp_path):
    path = tmp_path / "answers.sqlite"
    open_store(path).close()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_answers, args=(path, str(number))) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    with open_store(path) as store:
        assert len(store.read_answers()) == 80
        assert sorted(session.ordinal for session in store.read_sessions()) == [0, 1, 2, 3]


def test_a_file_that_holds_something_else_is_named(tmp_path):
    path = tmp_path / "answers.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(UserError, match="answers.sqlite cannot be used"):
        open_store(path)
    with pytest.raises(UserError, match="cannot be used"):
        open_store(tmp_path / "missing" / "answers.sqlite")
