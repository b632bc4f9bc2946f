"""Whole sessions in headless Chromium, on the real server: timing, reloads, tabs, phones, crashes, chance."""

import json
import random
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import browser, runs, studies
from tests.helpers.browser import wait_for
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.study.protocol import Protocol, Question
from tfpix2pix.study.records import Answer
from tfpix2pix.study.serving import serve_study
from tfpix2pix.study.texts import TEXTS
from tfpix2pix.web.address import Address

# Exposures are longer in studies; what is tested is that they are as long as the protocol says.
QUICK = {"least_gap_sec": 0.02, "most_gap_sec": 0.05, "feedback_sec": 0.05}
WHOLE = Protocol(exposure_sec=0.1, **QUICK)
SHORT = Protocol(practice_trials=1, test_trials=3, exposure_sec=0.2, **QUICK)
FRAME_MS = 1000 / 60
LAPTOP = {"viewport": {"width": 1366, "height": 768}}
PHONE = {"viewport": {"width": 375, "height": 667}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.open_browser() as chromium:
        yield chromium


def open_page(chromium: Any, **options: Any) -> Any:
    page = chromium.new_context(**options).new_page()
    page.set_default_timeout(1000 * browser.PATIENCE_SEC)
    return page


@pytest.fixture
def page(chromium) -> Iterator[Any]:
    page = open_page(chromium)
    problems = browser.watch(page)
    yield page
    page.context.close()
    assert problems == []


def read_answers(folder: Path) -> list[Answer]:
    with studies.open_answers(folder) as store:
        return store.read_answers()


def begin(page: Any, url: str) -> None:
    page.goto(url)
    page.check("#agree")
    page.click("#start")
    page.click("#begin")


def choose(page: Any, side: str) -> None:
    """Waits for the question and answers it with a button."""
    page.locator(f"#choose-{side}:enabled").click()


def pass_pause(page: Any) -> None:
    page.locator("#go-on:visible").click()


def is_blank(page: Any, side: str) -> bool:
    """Tells whether nothing is drawn in a place."""
    script = f"""() => document.getElementById("{side}").getContext("2d")
        .getImageData(0, 0, 32, 32).data.every((value) => value === 0)"""
    return bool(page.evaluate(script))


@pytest.mark.slow
def test_a_whole_session_with_exposures_as_long_as_they_should_be(page, tmp_path):
    folder = tmp_path / "study"
    studies.make_study(
        folder,
        WHOLE,
        completion_url="https://example.org/done?cc=1",
        exit_questions=(Question("Are you an artist?", ("yes", "no")), Question("What was odd?")),
    )
    draw = random.Random(1)
    with browser.serve(studies.serve_command(folder)) as server:
        begin(page, f"{server.url}?workerId=W1&assignmentId=A1&hitId=H1")
        for index in range(50):
            if index == 10:
                pass_pause(page)
            page.wait_for_selector("#choose-left:enabled")
            assert len(read_answers(folder)) == index  # each is stored before the next trial is shown
            assert is_blank(page, "left") and is_blank(page, "right")
            if index % 2:
                page.keyboard.press(draw.choice(["1", "2", "ArrowLeft", "ArrowRight"]))
            else:
                choose(page, draw.choice(["left", "right"]))
        page.wait_for_selector("#exit:not([hidden])")
        page.reload()
        page.check("input[value=no]")
        page.fill("textarea", 'the "sky"')
        page.click("#send")
        page.wait_for_selector("#debriefing:not([hidden])")
        assert "for real ones" in page.inner_text("#debriefing")
        code = page.inner_text("#code")
        assert page.get_attribute("#return", "href") == "https://example.org/done?cc=1"
        page.reload()
        page.wait_for_selector("#debriefing:not([hidden])")
        assert page.inner_text("#code") == code
    answers = read_answers(folder)
    assert [answer.trial_index for answer in answers] == list(range(50))
    assert [answer.exposures for answer in answers] == [1] * 50
    with studies.open_answers(folder) as store:
        (session,) = store.read_sessions()
    assert (session.worker_id, session.assignment_id, session.hit_id) == ("W1", "A1", "H1")
    assert session.completion_code == code
    assert json.loads(session.exit_answers or "") == ["no", 'the "sky"']
    assert {answer.layout for answer in answers} == {"side_by_side"}
    assert {(answer.pixel_ratio, answer.drawn_px) for answer in answers} == {(1, "32x32")}
    shown = [ms for answer in answers for ms in (answer.shown_real_ms, answer.shown_generated_ms)]
    # A machine that is busy with other tests drops frames, so that some images stay longer; most are in time.
    assert sum(abs(ms - 100) <= 3 * FRAME_MS for ms in shown) >= 50
    # However slow the frames are: at most half of one too early, and of a very long one 25 ms.
    assert min(shown) >= 100 - 25.1


@pytest.mark.slow
def test_a_reload_goes_on_at_the_same_trial(page, tmp_path):
    folder = tmp_path / "study"
    studies.make_study(folder, SHORT)
    with browser.serve(studies.serve_command(folder)) as server:
        begin(page, server.url)
        choose(page, "left")
        pass_pause(page)
        page.wait_for_selector("#choose-left:enabled")
        page.reload()  # shown, not answered
        page.wait_for_selector("#pause:not([hidden])")
        pass_pause(page)
        assert page.inner_text("#progress-text") == "Trial 1 of 3"
        choose(page, "right")
        wait_for(lambda: len(read_answers(folder)) == 2)
        page.goto("about:blank")
        page.goto(server.url)
        pass_pause(page)
        assert page.inner_text("#progress-text") == "Trial 2 of 3"
        page.goto("about:blank")
    assert [answer.exposures for answer in read_answers(folder)] == [1, 2]


def test_two_tabs_the_newer_goes_on(chromium, tmp_path):
    folder = tmp_path / "study"
    studies.make_study(folder, SHORT)
    page = open_page(chromium)
    with browser.serve(studies.serve_command(folder)) as server:
        begin(page, server.url)
        page.wait_for_selector("#choose-left:enabled")
        second = page.context.new_page()
        second.goto(server.url)
        second.click("#begin")
        second.wait_for_selector("#choose-left:enabled")
        choose(page, "left")
        page.wait_for_selector("#stopped:not([hidden])")
        assert "another tab" in page.inner_text("#stopped-text")
        assert read_answers(folder) == []
        choose(second, "right")
        wait_for(lambda: len(read_answers(folder)) == 1)
        page.click("#reload")
        pass_pause(page)
        assert page.inner_text("#progress-text") == "Trial 1 of 3"
    page.context.close()


def test_the_same_worker_cannot_begin_in_another_browser(chromium, tmp_path):
    folder = tmp_path / "study"
    links = {"decline_url": "https://example.org/no", "screen_out_url": "https://example.org/out"}
    studies.make_study(folder, SHORT, **links)
    with browser.serve(studies.serve_command(folder)) as server:
        for number in range(2):
            page = open_page(chromium)
            page.goto(f"{server.url}?PROLIFIC_PID=p1&STUDY_ID=s&SESSION_ID=x")
            page.check("#agree")
            page.click("#start")
            page.wait_for_selector("#instructions:not([hidden])" if number == 0 else "#stopped:not([hidden])")
            if number:
                assert page.inner_text("#stopped-title") == "You cannot take part"
                assert page.is_hidden("#reload")
                assert page.get_attribute("#return-refused", "href") == "https://example.org/out"
                page.goto(f"{server.url}?PROLIFIC_PID=p2")
                page.click("#decline")
                page.wait_for_selector("#declined:not([hidden])")
                assert page.get_attribute("#return-declined", "href") == "https://example.org/no"
            page.context.close()
    with studies.open_answers(folder) as store:
        assert [session.worker_id for session in store.read_sessions()] == ["p1"]


def test_another_worker_in_the_same_browser_begins_anew(page, tmp_path):
    folder = tmp_path / "study"
    studies.make_study(folder, Protocol(practice_trials=0, test_trials=1, exposure_sec=0.05, **QUICK))
    with browser.serve(studies.serve_command(folder)) as server:
        codes = []
        for worker in ("A", "B"):
            begin(page, f"{server.url}?PROLIFIC_PID={worker}")
            choose(page, "left")
            page.wait_for_selector("#thanks:not([hidden])")
            codes.append(page.inner_text("#code"))
        page.goto(server.url)  # without an id: the session that the browser has
        page.wait_for_selector("#thanks:not([hidden])")
        assert page.inner_text("#code") == codes[1] != codes[0]
        with studies.open_answers(folder) as store:
            sessions = store.read_sessions()
    assert [(session.worker_id, session.completion_code) for session in sessions] == [
        ("A", codes[0]),
        ("B", codes[1]),
    ]


def pass_on(asked: Any) -> Any:
    """Lets the server do what a page asks; returns the reply, without setting its cookie."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(asked.url, asked.post_data_buffer, headers)
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def lose_reply(route: Any) -> None:
    """Lets the server do what is asked, but keeps its reply from the page."""
    pass_on(route.request)
    route.abort()


@pytest.mark.slow
@pytest.mark.parametrize("link", ["", "?PROLIFIC_PID=p1"])
def test_a_start_whose_reply_was_lost_goes_on(chromium, tmp_path, link):
    folder = tmp_path / "study"
    studies.make_study(folder, SHORT)
    page = open_page(chromium)
    with browser.serve(studies.serve_command(folder)) as server:
        page.route("**/api/start", lose_reply)
        page.goto(server.url + link)
        page.check("#agree")
        page.click("#start")
        page.wait_for_selector("#connection:not([hidden])")
        page.reload()
        page.unroute("**/api/start")
        page.route("**/api/start", lose_reply, times=1)
        page.check("#agree")
        page.click("#start")
        page.wait_for_selector("#connection:not([hidden])")
        page.click("#begin")
        choose(page, "left")
        assert page.evaluate("() => localStorage.length") == 0
        wait_for(lambda: len(read_answers(folder)) == 1)
        with studies.open_answers(folder) as store:
            assert len(store.read_sessions()) == 1
    page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("link", ["", "?PROLIFIC_PID=p1"])
def test_a_browser_that_keeps_no_cookies_is_told_so_and_goes_on_when_it_does(chromium, tmp_path, link):
    folder = tmp_path / "study"
    studies.make_study(folder, SHORT)
    page = open_page(chromium)
    with browser.serve(studies.serve_command(folder)) as server:
        # As an extension or a proxy does that takes cookies away.
        page.route("**/api/start", lambda route: route.fulfill(status=201, json=pass_on(route.request)))
        page.goto(server.url + link)
        for _ in range(2):
            page.check("#agree")
            page.click("#start")
            page.wait_for_selector("#stopped:not([hidden])")
            assert "allow them for this site, and reload" in page.inner_text("#stopped-text")
            page.click("#reload")
        page.unroute("**/api/start")
        page.check("#agree")
        page.click("#start")
        page.click("#begin")
        page.wait_for_selector("#choose-left:enabled")
        with studies.open_answers(folder) as store:
            assert len(store.read_sessions()) == 1
    page.context.close()


def test_chromium_with_cookies_blocked_is_told_so_and_nothing_is_begun(chromium, tmp_path):
    folder = tmp_path / "study"
    studies.make_study(folder, SHORT)
    settings = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "profile" / "Default").mkdir(parents=True)
    (tmp_path / "profile" / "Default" / "Preferences").write_text(json.dumps(settings))
    context = chromium.browser_type.launch_persistent_context(
        tmp_path / "profile", executable_path=browser.CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
    )
    with browser.serve(studies.serve_command(folder)) as server:
        page = context.new_page()
        page.goto(f"{server.url}?PROLIFIC_PID=p1")
        page.check("#agree")
        page.click("#start")
        page.wait_for_selector("#stopped:not([hidden])")
        assert page.inner_text("#stopped-text").startswith("This browser keeps no cookies.")
        assert page.is_visible("#reload")
    context.close()
    with studies.open_answers(folder) as store:
        assert store.read_sessions() == []


def test_a_task_that_was_not_accepted_cannot_be_begun(page, tmp_path):
    studies.make_study(tmp_path / "study", SHORT)
    with browser.serve(studies.serve_command(tmp_path / "study")) as server:
        page.goto(f"{server.url}?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=H")
        page.wait_for_selector("#not-accepted:not([hidden])")
        assert page.is_disabled("#agree") and page.is_disabled("#start")


def test_a_link_that_the_platform_did_not_fill_in_says_whom_to_ask(chromium, tmp_path):
    studies.make_study(tmp_path / "study", SHORT)
    page = open_page(chromium)
    with browser.serve(studies.serve_command(tmp_path / "study")) as server:
        page.goto(f"{server.url}?PROLIFIC_PID={{{{%25PROLIFIC_PID%25}}}}")
        page.wait_for_selector("#stopped:not([hidden])")
        assert "ask the people who invited you" in page.inner_text("#stopped")
        assert page.is_hidden("#reload")
    page.context.close()


@pytest.mark.slow
def test_on_a_phone_both_images_have_one_place_and_nothing_must_be_scrolled(chromium, tmp_path):
    studies.make_study(tmp_path / "study", SHORT, image_size=(256, 256))
    context = chromium.new_context(**PHONE)
    page = context.new_page()
    with browser.serve(studies.serve_command(tmp_path / "study", "preview")) as server:
        page.goto(server.url)
        page.tap("#agree")
        page.tap("#start")
        page.tap("#begin")
        for index in range(4):
            if index == 1:
                page.tap("#go-on")
            page.wait_for_selector("#choose-left:enabled")
            left, right = page.locator("#left").bounding_box(), page.locator("#right").bounding_box()
            assert left == right and left["width"] == left["height"] == 256
            button = page.locator("#choose-right").bounding_box()
            assert button["y"] + button["height"] <= 667 and button["height"] >= 44
            page.tap("#choose-right")
        page.wait_for_selector("#thanks:not([hidden])")
        assert page.is_visible("#preview")
        width = page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= 375
    context.close()
    assert not (tmp_path / "study" / "answers.sqlite").exists()


def find_box(page: Any, selector: str) -> tuple[float, float, float, float]:
    """Returns left, top, right and bottom of an element in px."""
    box = page.locator(selector).bounding_box()
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


@pytest.mark.slow
@pytest.mark.parametrize("exposure_sec", [0, 0.1])
def test_preferences_are_asked_beside_the_input_on_laptops_and_phones(chromium, tmp_path, exposure_sec):
    settings = {"design": "preference", "show_input": True, "criterion": "match", "practice_trials": 0}
    protocol = Protocol(**settings, test_trials=1, exposure_sec=exposure_sec, **QUICK)
    folder = tmp_path / "study"
    studies.make_study(folder, protocol, image_size=(256, 256))
    with browser.serve(studies.serve_command(folder)) as server:
        for options in (LAPTOP, PHONE):
            page = open_page(chromium, **options)
            problems = browser.watch(page)
            begin(page, server.url)
            page.wait_for_selector("#choose-left:enabled")
            assert page.inner_text("#question") == "Which image matches the input better?"
            assert not is_blank(page, "input")
            assert is_blank(page, "left") == is_blank(page, "right") == (exposure_sec > 0)
            given, left, right = (find_box(page, f"#{place}") for place in ("input", "left", "right"))
            if options is LAPTOP:  # from left to right, at their full size
                assert given[2] <= left[0] and left[2] <= right[0] and left[2] - left[0] == 256
            else:  # below the input, in one place or side by side
                assert given[3] <= left[1] == right[1]
                assert left == right if exposure_sec else left[2] <= right[0]
            assert find_box(page, "#choose-right")[3] <= options["viewport"]["height"]
            assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
            choose(page, "right")
            page.wait_for_selector("#debriefing:not([hidden])")
            page.context.close()
            assert problems == []
    answers = read_answers(folder)
    assert [answer.correct for answer in answers] == [None, None]
    assert answers[0].drawn_px == "256x256" and answers[0].layout == "side_by_side"


@pytest.mark.slow
def test_a_server_that_dies_loses_no_answer_and_the_page_goes_on(chromium, tmp_path):
    folder = tmp_path / "study"
    studies.make_study(folder, SHORT)
    page = open_page(chromium)
    server = browser.Server(studies.serve_command(folder))
    begin(page, server.url)
    choose(page, "left")
    pass_pause(page)
    choose(page, "left")
    page.wait_for_selector("#choose-left:enabled")
    server.kill()
    stored = read_answers(folder)
    assert len(stored) == 2
    choose(page, "right")
    page.wait_for_selector("#connection:not([hidden])")
    again = browser.Server(studies.serve_command(folder), port=server.port)
    try:
        wait_for(lambda: len(read_answers(folder)) == 3)
        page.wait_for_selector("#connection", state="hidden")  # the reply follows what it tells of
        choose(page, "left")
        page.wait_for_selector("#thanks:not([hidden])")
    finally:
        again.stop()
    page.context.close()
    answers = read_answers(folder)
    assert answers[:2] == stored
    assert [answer.chosen_side for answer in answers] == ["left", "left", "right", "left"]
    assert [answer.exposures for answer in answers] == [1, 1, 1, 1]


def test_answers_by_chance_are_right_half_the_time(chromium, tmp_path):
    folder = tmp_path / "study"
    protocol = Protocol(practice_trials=0, test_trials=20, exposure_sec=0.05, **QUICK)
    studies.make_study(folder, protocol)
    draw = random.Random(2)
    with browser.serve(studies.serve_command(folder)) as server:
        pages = [open_page(chromium) for _ in range(4)]
        for page in pages:
            begin(page, server.url)
        for _ in range(20):
            for page in pages:
                choose(page, draw.choice(["left", "right"]))
        for page in pages:
            page.wait_for_selector("#thanks:not([hidden])")
            page.context.close()
    answers = read_answers(folder)
    assert len(answers) == 80
    # Fair: 40, standard deviation 4.5; outside these bounds once in 2,700 times, and the draws are fixed.
    assert 24 <= sum(answer.correct for answer in answers) <= 56
    with studies.open_answers(folder) as store:
        assert sorted(session.algorithm for session in store.read_sessions()) == ["L1", "L1", "cGAN", "cGAN"]


def test_commands_say_what_is_wrong(tmp_path):
    for command in ("serve", "preview"):
        result = runs.call([sys.executable, "-m", "tfpix2pix.study", command, f"--study_dir={tmp_path}"])
        assert result.returncode == 2
        assert "holds no study" in result.stderr.splitlines()[-1]


def test_nobody_consents_to_a_text_that_nobody_has_written(tmp_path):
    studies.make_study(tmp_path / "study")
    (tmp_path / "study" / "consent.md").write_text(TEXTS["consent"])
    with pytest.raises(UserError, match=r"consent.md still has its paragraph in brackets.*replace it"):
        serve_study(tmp_path / "study", Address())


def test_a_server_stops_at_sigterm_with_its_answers_in_one_file(tmp_path):
    studies.make_study(tmp_path / "study")
    with browser.serve(studies.serve_command(tmp_path / "study")) as server:
        assert server.announcement.startswith("study: http://127.0.0.1:")
        time.sleep(0.2)
        ended = server.stop()
    assert ended.returncode == 0, ended.stderr
    assert not list((tmp_path / "study").glob("answers.sqlite-*"))
