"""Measures the study's statistics on simulated answers whose fooling rates are known.

    python -m benchmarks.study_coverage

People differ: each of them is fooled at a rate of their own, which is drawn from a beta distribution. The
true rate is the mean of that distribution. The first table is about intervals of three bootstraps: of people
and their trials, which is that of the study and of the paper; of people alone; and of trials alone. The share
of simulated studies in which an interval holds the true rate is its coverage. The second table compares
algorithms that fool equally often, and others that do not: how often is a difference called significant?
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from absl import flags

from tfpix2pix.pipelines.base.command_line import new_flags, read_flags, run
from tfpix2pix.pipelines.base.progress import show_progress
from tfpix2pix.study.results.statistics import (
    compare,
    correct_for_multiplicity,
    estimate,
    fooling_rate,
    resample_rates,
)

Bootstrap = Callable[[np.ndarray, np.ndarray, np.random.Generator, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Crowd:
    """People who are shown one algorithm.

    Attributes:
      rate: mean of their rates, which is the true fooling rate, in percent.
      spread: standard deviation of their rates, in percentage points; with 0 all are alike.
      people: number of people.
      trials: number of trials of each person.
    """

    rate: float
    spread: float
    people: int = 50
    trials: int = 40


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How good the intervals of many simulated studies were.

    Attributes:
      share: share of the intervals that hold the true rate, in [0, 1].
      width: mean width of the intervals, in percentage points.
      standard_error: mean of the standard errors that the bootstrap gives, in percentage points.
      true_error: standard deviation of the estimates, in percentage points.
    """

    share: float
    width: float
    standard_error: float
    true_error: float


# The rates are near the published ones of map to photo, of photo to map and of L1 alone. The last crowds have
# fewer people.
CROWDS = (
    Crowd(50.0, 15.0),
    Crowd(18.9, 20.0),
    Crowd(18.9, 12.0),
    Crowd(18.9, 6.0),
    Crowd(18.9, 0.0),
    Crowd(6.1, 6.0),
    Crowd(0.8, 1.5),
    Crowd(18.9, 12.0, people=20),
    Crowd(18.9, 12.0, people=10),
    Crowd(18.9, 12.0, people=5),
)
# Each family of algorithms is compared pair by pair.
FAMILIES = (
    (Crowd(18.9, 0.0),) * 2,
    (Crowd(18.9, 12.0),) * 2,
    (Crowd(18.9, 20.0),) * 2,
    (Crowd(6.1, 6.0),) * 2,
    (Crowd(18.9, 12.0),) * 4,
    (Crowd(18.9, 20.0),) * 4,
    (Crowd(18.9, 12.0), Crowd(25.9, 12.0)),
    (Crowd(18.9, 12.0), Crowd(28.9, 12.0)),
)


def simulate_answers(crowd: Crowd, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns the trials in which each person was fooled, and the trials of each: two int [people]."""
    rates = np.full(crowd.people, crowd.rate / 100)
    if crowd.spread:
        mean, variance = crowd.rate / 100, (crowd.spread / 100) ** 2
        both = mean * (1 - mean) / variance - 1
        rates = rng.beta(mean * both, (1 - mean) * both, crowd.people)
    return rng.binomial(crowd.trials, rates), np.full(crowd.people, crowd.trials)


def resample_people(
    fooled: np.ndarray, trials: np.ndarray, rng: np.random.Generator, resamples: int
) -> np.ndarray:
    """Resamples people alone, each of whom keeps their trials."""
    drawn = rng.integers(len(trials), size=(resamples, len(trials)))
    return 100 * fooled[drawn].sum(axis=1) / trials[drawn].sum(axis=1)


def resample_trials(
    fooled: np.ndarray, trials: np.ndarray, rng: np.random.Generator, resamples: int
) -> np.ndarray:
    """Resamples trials alone, which is wrong: it takes the people of the study for all people there are."""
    return 100 * rng.binomial(trials, fooled / trials, (resamples, len(trials))).sum(axis=1) / trials.sum()


def measure_coverage(
    crowd: Crowd, bootstrap: Bootstrap, studies: int, resamples: int, seed: int = 0
) -> Coverage:
    """Simulates studies of one algorithm, and computes a 95 % interval for each.

    Args:
      crowd: the people of each study.
      bootstrap: draws the resamples, with the arguments of `statistics.resample_rates`.
      studies: number of simulated studies.
      resamples: number of resamples for each study.
      seed: seed of all draws.
    """
    rng = np.random.default_rng(seed)
    estimates = []
    for _ in range(studies):
        fooled, trials = simulate_answers(crowd, rng)
        rate = fooling_rate(fooled, trials)
        estimates.append(estimate(rate, bootstrap(fooled, trials, rng, resamples)))
    return Coverage(
        float(np.mean([each.low <= crowd.rate <= each.high for each in estimates])),
        float(np.mean([each.high - each.low for each in estimates])),
        float(np.mean([each.standard_error for each in estimates])),
        float(np.std([each.value for each in estimates])),
    )


def measure_significance(
    family: Sequence[Crowd], studies: int, resamples: int, seed: int = 0
) -> tuple[float, float]:
    """Simulates studies of several algorithms, and compares all pairs of algorithms in each study.

    Args:
      family: the people of each algorithm.
      studies: number of simulated studies.
      resamples: number of resamples for each algorithm.
      seed: seed of all draws.

    Returns:
      The share of studies in which the smallest p-value is below 5 %, and the same after Holm's correction.
    """
    rng = np.random.default_rng(seed)
    smallest = []
    for _ in range(studies):
        answers = [simulate_answers(crowd, rng) for crowd in family]
        rates = [fooling_rate(*each) for each in answers]
        resampled = [resample_rates(*each, rng, resamples) for each in answers]
        p_values = [
            compare(rates[i], rates[j], (resampled[i], resampled[j])).p_value
            for i, j in itertools.combinations(range(len(family)), 2)
        ]
        smallest.append((min(p_values), min(correct_for_multiplicity(p_values))))
    plain, corrected = (np.array(smallest) < 0.05).mean(axis=0)
    return float(plain), float(corrected)


def main(argv: Sequence[str]) -> None:
    """Simulates studies, and prints the tables that `--table` names."""
    flag_values = new_flags()
    text = "Print this table. This may be repeated."
    flags.DEFINE_multi_enum("table", list(TABLES), list(TABLES), text, flag_values=flag_values)
    flag_values["table"].help = text  # absl says in words of its own that it may be repeated.
    flags.DEFINE_integer(
        "studies", 1000, "Simulate this many studies for each row.", lower_bound=2, flag_values=flag_values
    )
    flags.DEFINE_integer(
        "resamples",
        2000,
        "Draw this many resamples for each algorithm.",
        lower_bound=100,
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "seed", 0, "Draw all random numbers from this seed.", lower_bound=0, flag_values=flag_values
    )
    values = read_flags(flag_values, __doc__, argv)
    studies, resamples, seed = values["studies"], values["resamples"], values["seed"]
    error = 100 * math.sqrt(0.95 * 0.05 / studies)
    print(
        f"{studies:,} simulated studies per row, {resamples:,} resamples each, seed {seed}; 40 trials each; "
        f"a share near 5 % or 95 % is known to {error:.1f} points (standard error)."
    )
    for name in values["table"]:
        head, rows, describe = TABLES[name]
        print(f"\n| {' | '.join(head)} |\n|{'---:|' * len(head)}")
        with show_progress(name, len(rows), "rows") as bar:
            for row in rows:
                print(f"| {' | '.join(describe(row, studies, resamples, seed))} |", flush=True)
                bar.update()


def _describe_coverage(crowd: Crowd, studies: int, resamples: int, seed: int) -> list[str]:
    cells = [f"{crowd.rate} %", f"{crowd.spread:g}", f"{crowd.people}"]
    for bootstrap in (resample_rates, resample_people, resample_trials):
        found = measure_coverage(crowd, bootstrap, studies, resamples, seed)
        if len(cells) == 3:
            cells.append(f"{found.true_error:.2f}")
        cells += [f"{found.share:.1%}", f"{found.standard_error:.2f}"]
    return cells


def _describe_significance(family: tuple[Crowd, ...], studies: int, resamples: int, seed: int) -> list[str]:
    plain, corrected = measure_significance(family, studies, resamples, seed)
    rates = ", ".join(f"{crowd.rate}" for crowd in family)
    return [f"{rates} %", f"{family[0].spread:g}", f"{plain:.1%}", f"{corrected:.1%}"]


# Name of a table -> its header, what its rows are about, and the function that makes the cells of a row.
TABLES: dict[str, tuple[Sequence[str], Sequence[Any], Callable[..., list[str]]]] = {
    "intervals": (
        (
            *("true rate", "spread of people", "people", "true standard error"),
            *("two levels: coverage", "standard error"),
            *("people alone: coverage", "standard error"),
            *("trials alone: coverage", "standard error"),
        ),
        CROWDS,
        _describe_coverage,
    ),
    "differences": (
        ("true rates", "spread of people", "significant at 5 %", "with Holm's correction"),
        FAMILIES,
        _describe_significance,
    ),
}

if __name__ == "__main__":
    run(main)
