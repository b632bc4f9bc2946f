"""Fooling rates and their bootstrap: distributions by hand, and a simulation whose truth is known."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from benchmarks.study_coverage import (
    Coverage,
    Crowd,
    main,
    measure_coverage,
    measure_significance,
    resample_people,
    resample_trials,
    simulate_answers,
)
from tfpix2pix.study.results.statistics import (
    compare,
    correct_for_multiplicity,
    estimate,
    fooling_rate,
    resample_rates,
)

DRAWS = 50_000
HETEROGENEOUS = Crowd(18.9, 12.0, people=50, trials=40)


def _distribution(bootstrap, fooled, trials) -> dict[Fraction, float]:
    """Returns how often each rate, as a fraction, comes out."""
    rates = bootstrap(np.array(fooled), np.array(trials), np.random.default_rng(0), DRAWS)
    values, counts = np.unique(rates, return_counts=True)
    return {
        Fraction(value / 100).limit_denominator(100): count / DRAWS
        for value, count in zip(values, counts, strict=True)
    }


def _is_honest(coverage: Coverage) -> bool:
    """A 95 % interval over 200 studies; the two-level one is known to hold the truth a little more often."""
    return 0.93 <= coverage.share <= 0.995 and coverage.standard_error > 0.95 * coverage.true_error


def test_the_fooling_rate_is_of_all_trials_together():
    assert fooling_rate([1, 3], [4, 4]) == 50
    assert fooling_rate([0, 4], [2, 8]) == 40


# One person: trials alone can vary. Two who answer alike each time: people alone can. Then both: drawn
# are a twice (1/4; always 0), a and b (1/2; 0, 1, 2 of 4 with 1/4, 1/2, 1/4) or b twice (1/4; binomial).
TWO_LEVEL = [
    ([2], [4], {Fraction(k, 4): p / 16 for k, p in enumerate([1, 4, 6, 4, 1])}),
    ([0, 4], [4, 4], {Fraction(0): 1 / 4, Fraction(1, 2): 1 / 2, Fraction(1): 1 / 4}),
    (
        [0, 1],
        [2, 2],
        {
            Fraction(0): 1 / 4 + 1 / 8 + 1 / 64,
            Fraction(1, 4): 1 / 4 + 4 / 64,
            Fraction(1, 2): 1 / 8 + 6 / 64,
            Fraction(3, 4): 4 / 64,
            Fraction(1): 1 / 64,
        },
    ),
]


@pytest.mark.parametrize(("fooled", "trials", "expected"), TWO_LEVEL)
def test_resamples_have_the_distribution_of_two_levels(fooled, trials, expected):
    assert _distribution(resample_rates, fooled, trials) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("wrong", "case"), [(resample_people, 0), (resample_trials, 1), (resample_trials, 2)]
)
def test_a_bootstrap_of_one_level_has_another_distribution(wrong, case):
    fooled, trials, expected = TWO_LEVEL[case]
    assert _distribution(wrong, fooled, trials) != pytest.approx(expected, abs=0.05)


def test_resamples_are_those_of_drawing_trial_by_trial():
    trials = np.array([5, 12, 40, 40, 3])
    fooled = np.array([1, 0, 12, 31, 3])
    rng = np.random.default_rng(1)
    answers = [np.arange(count) < yes for yes, count in zip(fooled, trials, strict=True)]
    expected = []
    for _ in range(4000):
        people = rng.integers(5, size=5)
        drawn = [rng.choice(answers[person], trials[person]) for person in people]
        expected.append(100 * np.concatenate(drawn).mean())
    found = resample_rates(fooled, trials, np.random.default_rng(0), 40_000)
    assert found.mean() == pytest.approx(np.mean(expected), abs=1)
    assert found.std() == pytest.approx(np.std(expected), rel=0.05)
    shares = [0.025, 0.25, 0.5, 0.75, 0.975]
    np.testing.assert_allclose(np.quantile(found, shares), np.quantile(expected, shares), atol=2)


def test_resamples_repeat_with_their_seed():
    first, second, other = (
        resample_rates([3, 9], [10, 12], np.random.default_rng(n), 100) for n in (5, 5, 6)
    )
    assert first.shape == (100,)
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_a_crowd_of_twenty_thousand_fits_into_memory():
    people = np.full(20_000, 40)
    tracemalloc.start()
    rates = resample_rates(people // 4, people, np.random.default_rng(0), 300)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rates.shape == (300,)
    # All 6 million draws at once would take 48 MB for each array of them.
    assert peak < 45e6


def test_a_study_where_nobody_was_fooled_varies_in_nothing():
    assert set(resample_rates([0, 0], [40, 40], np.random.default_rng(0), 100)) == {0.0}


@pytest.mark.parametrize(
    ("fooled", "trials"), [([], []), ([1], [0]), ([5], [4]), ([-1], [4]), ([1, 2], [4]), ([[1]], [[4]])]
)
def test_impossible_counts_are_refused(fooled, trials):
    with pytest.raises(ValueError, match="person"):
        fooling_rate(fooled, trials)
    with pytest.raises(ValueError, match="person"):
        resample_rates(fooled, trials, np.random.default_rng(0), 10)


def test_an_estimate_by_hand():
    found = estimate(40.0, np.arange(101.0))
    assert (found.value, found.low, found.high) == pytest.approx((40, 2.5, 97.5))
    assert found.standard_error == pytest.approx(29.154759)  # sqrt(850)


@pytest.mark.parametrize(
    ("below", "zero", "above", "p_value"),
    [
        (0, 0, 99, 0.02),
        (3, 0, 96, 0.08),
        (96, 0, 3, 0.08),
        (0, 99, 0, 1.0),
        (50, 0, 49, 1.0),
        (1, 1, 97, 0.06),
    ],
)
def test_p_values_by_hand(below, zero, above, p_value):
    differences = np.repeat([-1.0, 0.0, 1.0], [below, zero, above])
    found = compare(30.0, 20.0, (differences + 7, np.full(99, 7.0)))
    assert found.p_value == pytest.approx(p_value)
    assert found.estimate.value == 10


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.04, 0.001, 0.02, 0.5], [0.08, 0.004, 0.06, 0.5]),
        ([0.6, 0.5], [1.0, 1.0]),
    ],
)
def test_holm_by_hand(p_values, corrected):
    assert correct_for_multiplicity(p_values) == pytest.approx(corrected)


def test_simulated_people_differ_as_they_should():
    fooled, trials = simulate_answers(Crowd(20.0, 10.0, people=20_000, trials=40), np.random.default_rng(0))
    assert set(trials) == {40}
    assert (fooled / 40).mean() == pytest.approx(0.2, abs=0.005)
    # 0.1 squared between people, and (0.2 * 0.8 - 0.1 squared) / 40 within.
    assert (fooled / 40).var() == pytest.approx(0.01375, rel=0.05)


def test_intervals_hold_the_truth_as_often_as_they_claim():
    assert _is_honest(measure_coverage(HETEROGENEOUS, resample_rates, studies=200, resamples=500))


def test_a_bootstrap_of_trials_alone_would_be_caught():
    wrong = measure_coverage(HETEROGENEOUS, resample_trials, studies=200, resamples=500)
    assert not _is_honest(wrong)
    assert wrong.share < 0.75


def test_equal_algorithms_differ_significantly_no_more_often_than_claimed():
    plain, corrected = measure_significance([HETEROGENEOUS] * 4, studies=150, resamples=500)
    assert corrected < 0.08 < plain


def test_different_algorithms_are_told_apart():
    _, corrected = measure_significance([HETEROGENEOUS, Crowd(33.9, 12.0)], studies=40, resamples=500)
    assert corrected > 0.9


def test_the_measurement_prints_a_table(capsys):
    main(["study_coverage", "--table=differences", "--studies=2", "--resamples=100"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(rows) == 9 and {len(row) for row in rows} == {4}
    assert rows[0][2] == "significant at 5 %"
    # Two studies: in none, one or both.
    assert {row[2] for row in rows[1:]} <= {"0.0%", "50.0%", "100.0%"}
