"""Results of a preference study by hand; its sessions, the data dictionary, and rules fixed before data."""

import csv
import dataclasses
import json
import re

import pytest

from tests.helpers.study_answers import make_answers, make_session, store_answers
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.study.__main__ import main
from tfpix2pix.study.folder import ANSWERS_FILE, Example, Study, save_study
from tfpix2pix.study.protocol import CRITERIA, Protocol, Question, Rules
from tfpix2pix.study.results.analysis import compute_results
from tfpix2pix.study.results.exclusions import select_answers
from tfpix2pix.study.results.report import render_markdown
from tfpix2pix.study.results.write import write_results
from tfpix2pix.study.store import open_store

PROTOCOL = Protocol(practice_trials=1, test_trials=4, design="preference", exposure_sec=0)
NAMES = ("L1", "cGAN", "GAN")
EXAMPLES = tuple(
    Example(f"{i}.png", "", {name: f"{i + 100 * place:032x}" for place, name in enumerate(NAMES)})
    for i in range(5)
)
QUESTIONS = (Question("Are you an artist?", ("yes", "no")), Question("What was odd?"))
STUDY = Study("Facades", 0, NAMES, EXAMPLES, PROTOCOL, exit_questions=QUESTIONS)


def _prefer(session, marks):
    """Returns one answer per letter; `x`: the first algorithm was preferred."""
    answers = make_answers(session, marks, correct=None, shown_real_ms=7000.0)
    return answers[:1] + [dataclasses.replace(each, practice=False) for each in answers[1:]]


@pytest.fixture
def answered_dir(tmp_path):
    """Three people compared L1 and cGAN, one L1 and GAN; nobody compared cGAN and GAN."""
    save_study(tmp_path, STUDY)
    sessions = [make_session(name, "L1/cGAN") for name in "abc"] + [make_session("d", "L1/GAN")]
    marks = ("oxxxo", "ooxxx", "xxooo", "ooooo")
    store_answers(
        tmp_path, sessions, [each for pair in zip(sessions, marks, strict=True) for each in _prefer(*pair)]
    )
    with open_store(tmp_path / ANSWERS_FILE) as store:
        store.record_exit_answers("secret-a", json.dumps(["yes", "=A1, nothing"]))
    return tmp_path


def read_csv(file):
    with open(file, newline="") as stream:
        return list(csv.DictReader(stream))


def test_preferences_by_hand(answered_dir):
    text = write_results(answered_dir)
    results = json.loads((answered_dir / "results/results.json").read_text())
    assert "algorithms" not in results and "comparisons" not in results
    first, second, third = results["pairs"]
    # a: xxxo, b: oxxx, c: xooo. Exposures of any length count.
    assert (first["first"], first["second"], first["people"], first["trials"]) == ("L1", "cGAN", 3, 12)
    assert first["win_rate"]["value"] == pytest.approx(700 / 12)
    assert first["win_rate"]["low"] < 50 < first["win_rate"]["high"]
    assert first["p_value"] > 0.3 and first["preferred"] is None
    assert (second["win_rate"]["value"], third["win_rate"]) == (0, None)
    # Chosen: the first algorithm is left in trials 1 and 3. a: lrlr -> l r l l, b: r r l r, c: l l r l.
    assert first["first_image_chosen_percent"] == pytest.approx(100 * 7 / 12)
    assert "| L1 over cGAN | **58.3 %** |" in text and "| too few people |" in text
    assert "| cGAN over GAN | – |" in text and "fooling" not in text
    assert (answered_dir / "results/win_rates.svg").is_file()
    images = (answered_dir / "results/images.csv").read_text().splitlines()
    assert images[0] == "first_algorithm,second_algorithm,example_id,trials,first_preferred"
    assert images[5:] == ["L1,cGAN,1.png,3,2", "L1,cGAN,2.png,3,2", "L1,cGAN,3.png,3,2", "L1,cGAN,4.png,3,1"]


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_page_says_by_what_people_chose(tmp_path, criterion):
    match = criterion == "match"
    protocol = dataclasses.replace(PROTOCOL, criterion=criterion, show_input=match)
    inputs = [f"{number:032x}" if match else "" for number in range(900, 905)]
    examples = [dataclasses.replace(each, input=own) for each, own in zip(EXAMPLES, inputs, strict=True)]
    save_study(tmp_path, dataclasses.replace(STUDY, protocol=protocol, examples=tuple(examples)))
    session = make_session("a", "L1/cGAN")
    store_answers(tmp_path, [session], _prefer(session, "oxxxo"))
    assert f"and said which one {CRITERIA[criterion]}." in write_results(tmp_path, resamples=100)


@pytest.mark.parametrize(
    ("people", "marks", "preferred"),
    [(10, "oxxxx", "L1"), (10, "ooooo", "cGAN"), (10, "oxxoo", ""), (9, "oxxxx", None)],
)
def test_a_verdict_on_a_pair_needs_ten_people(people, marks, preferred):
    sessions = [make_session(f"a{number}", "L1/cGAN") for number in range(people)]
    answers = [each for session in sessions for each in _prefer(session, marks)]
    selection = select_answers(sessions, answers, PROTOCOL, Rules())
    pair = compute_results(STUDY, sessions, answers, selection, resamples=200).pairs[0]
    assert pair.preferred == preferred
    assert pair.first_image_chosen_percent == 50


def test_pairs_that_nobody_compared_count_in_the_correction():
    sessions = [make_session(f"a{number}", "L1/cGAN") for number in range(12)]
    sessions += [make_session(f"b{number}", "L1/GAN") for number in range(12)]
    marks = {"L1/cGAN": "oxxxo", "L1/GAN": "oxoxo"}
    answers = [each for session in sessions for each in _prefer(session, marks[session.algorithm])]
    selection = select_answers(sessions, answers, PROTOCOL, Rules())
    results = compute_results(STUDY, sessions, answers, selection, resamples=2000)
    first, second, third = results.pairs
    assert first.p_value < second.p_value == 1 and third.p_value is None
    assert first.p_value_holm == pytest.approx(3 * first.p_value)
    assert "Holm's correction for 3 pairs" in render_markdown(STUDY, results, Rules(), 2000, 0)


def test_each_session_is_exported_with_what_it_told_and_without_secrets(answered_dir):
    write_results(answered_dir)
    rows = read_csv(answered_dir / "results/sessions.csv")
    assert [(row["first_algorithm"], row["second_algorithm"]) for row in rows] == [("L1", "cGAN")] * 3 + [
        ("L1", "GAN")
    ]
    assert [(row["exit_1"], row["exit_2"]) for row in rows] == [("yes", "'=A1, nothing")] + [("", "")] * 3
    assert {row["viewport"] for row in rows} == {"1280x720"}
    assert {(row["trials_answered"], row["test_trials_counted"], row["excluded"]) for row in rows} == {
        ("5", "4", "")
    }
    assert {(row["practice_correct"], row["vigilance_correct"]) for row in rows} == {("", "0")}
    assert {row["median_response_ms"] for row in rows} == {"2500.0"}
    assert all(0 <= float(row["duration_sec"]) < 60 for row in rows)
    for file in (answered_dir / "results").iterdir():
        assert not re.search("worker-|secret-|CODE", file.read_text()), file


def test_the_data_dictionary_has_each_column_of_each_table(answered_dir):
    write_results(answered_dir)
    folder = answered_dir / "results"
    chapters = (folder / "data_dictionary.md").read_text().split("\n## ")[1:]
    assert sorted(chapter.split("\n")[0] for chapter in chapters) == sorted(
        path.name for path in folder.glob("*.csv")
    )
    for chapter in chapters:
        name, *lines = chapter.split("\n")
        described = [line.split("`")[1] for line in lines if line.startswith("| `")]
        assert described == (folder / name).read_text().split("\n")[0].split(",")
    assert "answer to: Are you an artist?" in chapters[1]


def test_rules_are_those_of_the_study_unless_flags_change_them(tmp_path, capsys):
    study = dataclasses.replace(STUDY, rules=Rules(least_trials_percent=100), exit_questions=())
    save_study(tmp_path, study)
    a, b = make_session("a", "L1/cGAN"), make_session("b", "L1/cGAN")
    answers = _prefer(a, "oxxxx") + _prefer(b, "oxxxx")
    answers[9] = dataclasses.replace(answers[9], exposures=2)
    store_answers(tmp_path, [a, b], answers)
    command = ["study", "results", f"--study_dir={tmp_path}", "--resamples=100"]
    main(command)
    assert "The rules are those of `study.json`." in capsys.readouterr().out
    rows = read_csv(tmp_path / "results/sessions.csv")
    assert [row["excluded"] for row in rows] == ["", "too_few_trials"]
    main([*command, "--least_trials_percent=50"])
    changed = "**The rules are not those of `study.json`**: `least_trials_percent` is 50.0, not 100.0."
    assert changed in capsys.readouterr().out
    results = json.loads((tmp_path / "results/results.json").read_text())
    assert (results["sessions"]["counted"], results["rules_are_those_of_the_study"]) == (2, False)


def test_the_last_tolerance_that_was_given_counts(tmp_path, capsys):
    protocol = dataclasses.replace(PROTOCOL, exposure_sec=1.0)
    study = dataclasses.replace(STUDY, protocol=protocol, rules=Rules(exposure_tolerance_ms=20))
    save_study(tmp_path, study)
    session = make_session("a", "L1/cGAN")
    answers = [dataclasses.replace(each, shown_real_ms=1150.0) for each in _prefer(session, "oxxxx")]
    answers = [dataclasses.replace(each, shown_generated_ms=1000.0) for each in answers]
    store_answers(tmp_path, [session], answers)
    command = ["study", "results", f"--study_dir={tmp_path}", "--resamples=100"]
    with pytest.raises(UserError, match="no session counts yet"):
        main(command)
    main([*command, "--exposure_tolerance_percent=20"])
    assert "off by more than 200 ms from 1000 ms | 0 |" in capsys.readouterr().out
    for name in ("results", "create"):
        both = ["--exposure_tolerance_percent=20", "--exposure_tolerance_ms=20"]
        with pytest.raises(UsageError, match="`exposure_tolerance_ms` are two ways to say the same"):
            main(["study", name, f"--study_dir={tmp_path}", *both])
