"""Results of a study: what counts, numbers by hand, the files that are written."""

import csv
import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from benchmarks.study_coverage import Crowd, simulate_answers
from tests.helpers.study_answers import make_answer, make_answers, make_session, store_answers
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.study.__main__ import main
from tfpix2pix.study.folder import ANSWERS_FILE, Example, Study, fingerprint, save_study
from tfpix2pix.study.protocol import Protocol, Rules
from tfpix2pix.study.results.analysis import compute_results
from tfpix2pix.study.results.exclusions import select_answers
from tfpix2pix.study.results.plot import render_rates
from tfpix2pix.study.results.report import render_markdown
from tfpix2pix.study.results.statistics import Estimate
from tfpix2pix.study.results.write import write_results
from tfpix2pix.study.store import open_store

PROTOCOL = Protocol(practice_trials=1, test_trials=4)
EXAMPLES = tuple(
    Example(f"{i}.png", f"{i:032x}", {"cGAN": f"{i + 100:032x}", "L1": f"{i + 200:032x}"}) for i in range(5)
)
STUDY = Study("Facades", 0, ("cGAN", "L1"), EXAMPLES, PROTOCOL)
FILES = [
    *("answers.csv", "data_dictionary.md", "fooling_rates.svg", "images.csv"),
    *("results.json", "results.md", "sessions.csv"),
]


def _select(session, answers, rules=Rules(), protocol=PROTOCOL):  # noqa: B008
    return select_answers([session], answers, protocol, rules)


@pytest.fixture
def study_dir(tmp_path) -> Path:
    save_study(tmp_path, STUDY)
    return tmp_path


@pytest.fixture
def answered_dir(study_dir) -> Path:
    """Two people for cGAN, one for L1, one who left; one trial of the first was shown again."""
    a, b, c, d = (
        make_session("a"),
        make_session("b"),
        make_session("c", "L1"),
        make_session("d", "L1", finished=False),
    )
    answers = (
        make_answers(a, "oxxoo")
        + make_answers(b, "oxooo")
        + make_answers(c, "xoooo")
        + make_answers(d, "oxx")
    )
    answers[4] = dataclasses.replace(answers[4], exposures=2)
    store_answers(study_dir, [a, b, c, d], answers)
    return study_dir


@pytest.mark.parametrize(
    ("shown", "counts"),
    [
        ({"shown_real_ms": 1050.0, "shown_generated_ms": 950.0}, True),
        ({"shown_real_ms": 1050.1}, False),
        ({"shown_generated_ms": 949.9}, False),
        ({"shown_generated_ms": float("nan")}, False),
        ({"shown_real_ms": float("inf")}, False),
    ],
)
def test_a_trial_with_a_wrong_exposure_is_left_out_alone(shown, counts):
    session = make_session("a")
    answers = make_answers(session, "ooooo")
    answers[2] = dataclasses.replace(answers[2], **shown)
    selection = _select(session, answers)
    assert len(selection.trials["secret-a"]) == (4 if counts else 3)
    assert selection.find_reason(answers[2]) == ("" if counts else "exposure_off")
    assert selection.find_reason(answers[1]) == ""


def test_the_tolerance_is_a_setting():
    session = make_session("a")
    answers = make_answers(session, "ooooo", shown_real_ms=1016.7)
    assert len(_select(session, answers).trials["secret-a"]) == 4
    assert not _select(session, answers, Rules(exposure_tolerance_ms=16)).sessions


@pytest.mark.parametrize(
    ("exposure_sec", "shown_ms", "counts"),
    # 5 % of 4 s are 200 ms; of 0.2 s, they are less than a frame of 16.7 ms.
    [(4.0, 4199.0, True), (4.0, 4201.0, False), (0.2, 216.0, True), (0.2, 217.0, False)],
)
def test_the_tolerance_is_relative_to_the_exposure(exposure_sec, shown_ms, counts):
    protocol = dataclasses.replace(PROTOCOL, exposure_sec=exposure_sec)
    session, shown = make_session("a"), {"shown_real_ms": shown_ms, "shown_generated_ms": 1000 * exposure_sec}
    selection = _select(session, make_answers(session, "ooooo", **shown), protocol=protocol)
    assert bool(selection.sessions) == counts


@pytest.mark.parametrize(("people", "verdict"), [(9, None), (10, True)])
def test_a_verdict_needs_ten_people_for_each_algorithm(people, verdict):
    letters = "abcdefghij"
    sessions = [make_session(f"{name}1") for name in letters]
    sessions += [make_session(f"{name}2", "L1") for name in letters[:people]]
    answers = [
        answer
        for session in sessions
        for answer in make_answers(session, "oxxxx" if session.algorithm == "cGAN" else "ooooo")
    ]
    selection = select_answers(sessions, answers, PROTOCOL, Rules())
    results = compute_results(STUDY, sessions, answers, selection, resamples=200)
    assert results.comparisons[0].p_value_holm < 0.05
    assert results.comparisons[0].significant is verdict
    text = render_markdown(STUDY, results, Rules(), 200, 0)
    assert ("too few people" in text, "**yes**" in text) == (verdict is None, verdict is True)


def test_comparisons_with_an_algorithm_that_nobody_judged_count_in_the_correction():
    study = dataclasses.replace(STUDY, algorithms=("cGAN", "L1", "GAN"))
    sessions = [make_session(f"a{number}") for number in range(10)]
    sessions += [make_session(f"b{number}", "L1") for number in range(10)]
    marks = {"cGAN": "oxxox", "L1": "oxxoo"}
    answers = [each for session in sessions for each in make_answers(session, marks[session.algorithm])]
    selection = select_answers(sessions, answers, PROTOCOL, Rules())
    results = compute_results(study, sessions, answers, selection, resamples=2000)
    (comparison,) = results.comparisons
    assert comparison.p_value_holm == pytest.approx(3 * comparison.p_value) and comparison.p_value < 0.1
    assert "Holm's correction for 3 comparisons" in render_markdown(study, results, Rules(), 2000, 0)


def test_results_leave_the_answers_as_they_are_and_go_elsewhere_on_request(answered_dir, tmp_path_factory):
    before = {path.name: path.read_bytes() for path in answered_dir.iterdir()}
    output = tmp_path_factory.mktemp("elsewhere") / "results"
    main(["study", "results", f"--study_dir={answered_dir}", "--resamples=100", f"--output={output}"])
    assert sorted(path.name for path in output.iterdir()) == FILES
    assert {path.name: path.read_bytes() for path in answered_dir.iterdir()} == before


@pytest.mark.parametrize("exposures", [0, 2])
def test_a_trial_that_was_not_shown_once_is_left_out(exposures):
    session = make_session("a")
    answers = make_answers(session, "ooooo")
    # It fails both rules, and is counted under the first.
    answers[2] = dataclasses.replace(answers[2], exposures=exposures, shown_real_ms=5.0)
    selection = _select(session, answers)
    assert selection.trial_reasons == {("secret-a", 2): "not_shown_once"}


def test_an_unfinished_session_is_left_out():
    session = make_session("a", finished=False)
    selection = _select(session, make_answers(session, "ooooo"))
    assert (selection.sessions, selection.session_reasons) == ((), {"secret-a": "unfinished"})


@pytest.mark.parametrize(("spoiled", "counts"), [(2, True), (3, False), (4, False)])
def test_a_session_with_too_few_trials_left_is_left_out(spoiled, counts):
    session = make_session("a")
    answers = make_answers(session, "ooooo")
    answers[1 : 1 + spoiled] = [dataclasses.replace(each, exposures=2) for each in answers[1 : 1 + spoiled]]
    selection = _select(session, answers)
    assert selection.session_reasons == ({} if counts else {"secret-a": "too_few_trials"})
    # Its trials are counted as lost with the session, not once more by themselves.
    assert len(selection.trial_reasons) == (2 if counts else 0)
    nothing_left = make_answers(session, "ooooo", exposures=2)
    assert not _select(session, nothing_left, Rules(least_trials_percent=0)).sessions


@pytest.mark.parametrize(("missed", "counts"), [(0, True), (1, True), (2, False), (5, False)])
def test_a_session_that_fails_vigilance_trials_is_left_out(missed, counts):
    session = make_session("a")
    vigilance = [make_answer(session, 5 + place, place < missed, vigilance=True) for place in range(5)]
    selection = _select(session, make_answers(session, "oxxoo") + vigilance)
    assert selection.session_reasons == ({} if counts else {"secret-a": "failed_vigilance"})
    if counts:
        # Nor do these trials enter the rate.
        assert [each.correct for each in selection.trials["secret-a"]] == [False, False, True, True]
    assert _select(
        session, vigilance + make_answers(session, "ooooo"), Rules(least_vigilance_percent=0)
    ).sessions


@pytest.mark.parametrize(
    "rules",
    [
        Rules(exposure_tolerance_ms=0),
        Rules(exposure_tolerance_ms=float("nan")),
        Rules(least_vigilance_percent=101),
        Rules(least_trials_percent=-1),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(answered_dir, rules):
    with pytest.raises(UsageError, match="exposure_tolerance_ms|least_"):
        write_results(answered_dir, rules)
    assert not (answered_dir / "results").exists()


def test_results_by_hand(answered_dir):
    write_results(answered_dir)
    results = json.loads((answered_dir / "results/results.json").read_text())
    cgan, l1 = results["algorithms"]
    # a: xxo (the fourth was shown again), b: xooo. Times: 1, 2, 3 s and 1, 2, 3, 4 s.
    assert (cgan["people"], cgan["trials"]) == (2, 7)
    assert cgan["fooling_rate"]["value"] == pytest.approx(300 / 7)
    assert cgan["response_sec"] == [1.5, 2, 3]
    # Real was left in trials 1 and 3. Called fake: a: left, right, right; b: left, left, right, left.
    assert cgan["first_called_fake_percent"] == pytest.approx(400 / 7)
    assert (cgan["practice_correct_percent"], l1["practice_correct_percent"]) == (100, 0)
    assert l1["fooling_rate"] == {"value": 0, "standard_error": 0, "low": 0, "high": 0}
    assert results["sessions"] == {
        "begun": 4,
        "counted": 3,
        "unfinished": 1,
        "failed_vigilance": 0,
        "too_few_trials": 0,
    }
    assert results["trials"] == {"answered": 12, "counted": 11, "not_shown_once": 1, "exposure_off": 0}
    (comparison,) = results["comparisons"]
    assert (comparison["first"], comparison["second"]) == ("cGAN", "L1")
    assert comparison["difference"]["value"] == pytest.approx(300 / 7)
    assert results["bootstrap"] == {
        "levels": ["people", "trials"],
        "resamples": 10_000,
        "seed": 0,
        "confidence": 0.95,
    }
    assert results["rules"]["exposure_tolerance_percent"] == 5
    assert results["protocol"]["exposure_sec"] == 1


def test_all_answers_are_in_the_csv_and_nobody_is_named(answered_dir):
    write_results(answered_dir)
    with open(answered_dir / "results/answers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18
    assert [row["excluded"] for row in rows if row["session"] == "3"] == ["unfinished"] * 3
    assert [row["excluded"] for row in rows if row["session"] == "0"] == ["", "", "", "", "not_shown_once"]
    assert [row["generated_judged_real"] for row in rows[:5]] == ["0", "1", "1", "0", "0"]
    assert [row["kind"] for row in rows[:2]] == ["practice", "test"]
    assert (rows[1]["chosen_side"], rows[1]["real_side"], rows[1]["response_ms"]) == (
        "left",
        "left",
        "1000.0",
    )
    for path in (answered_dir / "results").iterdir():
        assert not re.search("worker|secret|CODE", path.read_text("utf-8")), path


def test_each_image_has_its_own_count(answered_dir):
    """a: xxo and a trial that does not count, b: xooo for cGAN; c: oooo for L1."""
    write_results(answered_dir)
    assert (answered_dir / "results/images.csv").read_text() == (
        "algorithm,example_id,trials,generated_judged_real\n"
        "L1,1.png,1,0\nL1,2.png,1,0\nL1,3.png,1,0\nL1,4.png,1,0\n"
        "cGAN,1.png,2,2\ncGAN,2.png,2,1\ncGAN,3.png,2,0\ncGAN,4.png,1,0\n"
    )


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_names_that_look_like_formulas_are_text_in_the_csv(study_dir, name):
    session = make_session("a")
    store_answers(study_dir, [session], make_answers(session, "ooooo", example_id=name))
    write_results(study_dir)
    with open(study_dir / "results/answers.csv", newline="") as file:
        assert {row["example_id"] for row in csv.DictReader(file)} == {f"'{name}"}


def test_the_command_prints_the_page_as_it_is(answered_dir, capsys):
    main(["study", "results", f"--study_dir={answered_dir}", "--resamples=100"])
    assert capsys.readouterr().out == (answered_dir / "results" / "results.md").read_text("utf-8")


def test_results_are_the_same_when_written_again_and_change_with_the_seed(answered_dir):
    folder = answered_dir / "results"
    text = write_results(answered_dir)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert first["results.md"].decode() == text
    write_results(answered_dir)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    write_results(answered_dir, seed=1)
    assert (folder / "results.json").read_bytes() != first["results.json"]
    assert (folder / "answers.csv").read_bytes() == first["answers.csv"]


def test_the_page_says_what_was_found_and_what_was_left_out(answered_dir):
    text = write_results(answered_dir, Rules(exposure_tolerance_ms=40), resamples=2000, seed=7)
    assert "| cGAN | **42.9 %** |" in text
    assert "| − unfinished | 1 |" in text
    assert "off by more than 40 ms from 1000 ms | 0 |" in text
    assert "2,000 resamples, seed 7" in text
    assert "- L1: all answers are the same" in text
    assert "- cGAN: of so few people (2)" in text
    assert "(fooling_rates.svg)" in text
    assert "| map → photo, L1+cGAN | 18.9 ± 2.5 % |" in text


def test_a_title_cannot_break_the_page_or_the_plot(tmp_path):
    save_study(tmp_path, dataclasses.replace(STUDY, title="a | <script>b</script>\n# c & \x07*d*"))
    session = make_session("a")
    store_answers(tmp_path, [session], make_answers(session, "oxxoo"))
    first_line = write_results(tmp_path).splitlines()[0]
    assert first_line == r"# Real or fake: a \| &lt;script&gt;b&lt;/script&gt; \# c &amp; \*d\*"
    title = ET.parse(tmp_path / "results/fooling_rates.svg").getroot().find("{*}title")
    assert title is not None and title.text == "Fooling rates: a | <script>b</script> # c & *d*"


def test_an_algorithm_that_nobody_saw_is_said_to_be_so(study_dir):
    session = make_session("a")
    store_answers(study_dir, [session], make_answers(session, "oxxoo"))
    text = write_results(study_dir)
    assert "| L1 | – | – | – | 0 | 0 |" in text
    assert "- L1: nobody counts yet." in text
    assert "## Differences" not in text
    assert (
        json.loads((study_dir / "results/results.json").read_text())["algorithms"][1]["fooling_rate"] is None
    )


def test_without_answers_that_count_nothing_is_written(study_dir):
    with pytest.raises(UserError, match="nobody has taken part"):
        write_results(study_dir)
    assert not (study_dir / ANSWERS_FILE).exists()
    store_answers(study_dir, [], [])
    with pytest.raises(UserError, match="no session counts yet: of 0 begun"):
        write_results(study_dir)
    session = make_session("a", finished=False)
    store_answers(study_dir, [session], make_answers(session, "oo"))
    with pytest.raises(UserError, match="no session counts yet: of 1 begun, 1 unfinished"):
        write_results(study_dir)
    assert not (study_dir / "results").exists()


def test_folders_and_files_that_are_no_study_are_refused(study_dir, tmp_path_factory):
    with pytest.raises(UsageError, match=r"study\.json"):
        write_results(tmp_path_factory.mktemp("empty"))
    (study_dir / ANSWERS_FILE).write_bytes(b"not a database, " * 100)
    with pytest.raises(UserError, match=r"answers\.sqlite"):
        write_results(study_dir)


def test_a_study_that_was_changed_after_its_answers_is_refused(answered_dir):
    with open_store(answered_dir / ANSWERS_FILE) as store:
        store.bind(fingerprint(STUDY))
    write_results(answered_dir)
    protocol = dataclasses.replace(PROTOCOL, exposure_sec=2.0)
    save_study(answered_dir, dataclasses.replace(STUDY, protocol=protocol))
    with pytest.raises(UserError, match=r"study\.json"):
        write_results(answered_dir)


def test_damaged_tables_are_refused(answered_dir):
    path = answered_dir / ANSWERS_FILE
    contents = bytearray(path.read_bytes())
    contents[4096:] = b"\xff" * (len(contents) - 4096)
    path.write_bytes(contents)
    with pytest.raises(UserError, match=r"answers\.sqlite"):
        write_results(answered_dir)


@pytest.mark.parametrize(
    ("resamples", "seed", "named"), [(99, 0, "resamples"), (1_000_001, 0, "resamples"), (100, -1, "seed")]
)
def test_a_bootstrap_that_cannot_be_is_refused(answered_dir, resamples, seed, named):
    with pytest.raises(UsageError, match=named):
        write_results(answered_dir, resamples=resamples, seed=seed)


def test_what_is_said_of_an_algorithm_does_not_depend_on_the_others():
    a, b = make_session("a"), make_session("b", "L1")
    answers = make_answers(a, "oxxoo") + make_answers(b, "oxoxo")
    both = compute_results(STUDY, [a, b], answers, select_answers([a, b], answers, PROTOCOL, Rules()))
    alone = compute_results(STUDY, [a], answers[:5], select_answers([a], answers[:5], PROTOCOL, Rules()))
    assert both.algorithms[0] == alone.algorithms[0]


def test_algorithms_are_resampled_independently():
    a, b = make_session("a"), make_session("b", "L1")
    answers = make_answers(a, "oxxoo") + make_answers(b, "oxxoo")
    results = compute_results(STUDY, [a, b], answers, select_answers([a, b], answers, PROTOCOL, Rules()))
    # 2 of 4: sqrt(0.5 * 0.5 / 4) is 25 points for each, sqrt(2) times that for their difference.
    assert results.algorithms[0].fooling_rate.standard_error == pytest.approx(25, abs=1)
    assert results.comparisons[0].difference.standard_error == pytest.approx(35.4, abs=1)
    assert results.comparisons[0].p_value > 0.9


def test_simulated_people_are_found_to_be_fooled_as_often_as_they_are():
    protocol = Protocol()
    rates = {"chance": 50.0, "L1+cGAN": 18.9, "L1": 6.1, "other": 18.9}
    study = dataclasses.replace(STUDY, algorithms=tuple(rates), protocol=protocol)
    rng = np.random.default_rng(0)
    sessions, answers = [], []
    for algorithm, rate in rates.items():
        fooled, trials = simulate_answers(Crowd(rate, min(12.0, rate)), rng)
        for person in range(50):
            session = dataclasses.replace(make_session("a", algorithm), session_id=f"{algorithm} {person}")
            sessions.append(session)
            marks = "x" * fooled[person] + "o" * (trials[person] - fooled[person])
            answers += make_answers(session, "o" + marks)
    results = compute_results(study, sessions, answers, select_answers(sessions, answers, protocol, Rules()))
    for each in results.algorithms:
        assert each.people == 50 and each.trials == 2000
        assert each.fooling_rate.low <= rates[each.algorithm] <= each.fooling_rate.high
        assert 0 < each.fooling_rate.high - each.fooling_rate.low < 12
    different = {(each.first, each.second) for each in results.comparisons if not each.significant}
    assert different == {("L1+cGAN", "other")}


def test_the_plot_shows_rates_intervals_and_chance():
    rates = {"cGAN": Estimate(30.0, 2.0, 24.0, 36.0), "a & b" * 13: Estimate(10.0, 1.0, 8.0, 12.0)}
    svg = ET.fromstring(render_rates("T & t", "share", rates, [50, 51]))
    assert svg.attrib["role"] == "img"
    assert svg.find("{*}title").text == "T & t"
    assert "cGAN: 30.0 %, 95 % interval 24.0 to 36.0 %, 50 people." in svg.find("{*}desc").text
    texts = {text.text: float(text.attrib["x"]) for text in svg.iter("{http://www.w3.org/2000/svg}text")}
    (chance,) = [
        line for line in svg.iter("{http://www.w3.org/2000/svg}line") if line.get("class") == "chance"
    ]
    assert float(chance.attrib["x1"]) == texts["50 %"] == texts["chance"]
    first, second = (float(dot.attrib["cx"]) for dot in svg.iter("{http://www.w3.org/2000/svg}circle"))
    assert first == pytest.approx(texts["30 %"], abs=0.11)
    assert second == pytest.approx(texts["10 %"], abs=0.11)
    ends = [
        (float(line.attrib["x1"]), float(line.attrib["x2"]))
        for line in svg.iter("{http://www.w3.org/2000/svg}line")
        if line.get("class") == "interval" and line.attrib["x1"] != line.attrib["x2"]
    ]
    assert ends[0][0] < first < ends[0][1] and ends[1][0] < second < ends[1][1]
    assert sum(ends[0]) / 2 == pytest.approx(first, abs=0.11)
    assert "prefers-color-scheme: dark" in svg.find("{*}style").text


def test_the_axis_reaches_what_is_shown():
    high = ET.fromstring(render_rates("t", "share", {"a": Estimate(80.0, 1.0, 78.0, 95.0)}, [9]))
    low = ET.fromstring(render_rates("t", "share", {"a": Estimate(5.0, 1.0, 4.0, 6.0)}, [9]))
    texts = [[text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")] for svg in (high, low)]
    assert "100 %" in texts[0]
    assert "60 %" in texts[1] and "70 %" not in texts[1]
