"""Measures the study's statistics on simulated answers whose fooling rates are known.

    python -m benchmarks.study_coverage

People differ: each has a rate of their own, from a beta distribution, and answers
by it. The true rate is the mean of that distribution. Three bootstraps are asked
for intervals: of people and their trials (the study's, and the paper's), of people
alone, and of trials alone; how often each interval holds the true rate is its
coverage. Then pairs and families of algorithms that fool equally often, or not, are
compared: how often is a difference called significant? Tables in Markdown.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from absl import flags

from tfpix2pix.pipelines.base.command_line import new_flags, parse_flags, refuse_arguments, run
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
      rate: mean of their rates: the true fooling rate, in percent.
      spread: standard deviation of their rates, in percentage points; 0: all alike.
      people: how many.
      trials: of each.
    """

    rate: float
    spread: float
    people: int = 50
    trials: int = 40


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How intervals of many simulated studies did.

    Attributes:
      share: of intervals that hold the true rate, in [0, 1].
      width: mean width, in percentage points.
      standard_error: mean of what the bootstrap says it is.
      true_error: standard deviation of the estimates.
    """

    share: float
    width: float
    standard_error: float
    true_error: float


# Around the published rates: map to photo, photo to map, L1 alone; then fewer people, people alike.
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
    """A bootstrap of people alone: each keeps their trials."""
    drawn = rng.integers(len(trials), size=(resamples, len(trials)))
    return 100 * fooled[drawn].sum(axis=1) / trials[drawn].sum(axis=1)


def resample_trials(
    fooled: np.ndarray, trials: np.ndarray, rng: np.random.Generator, resamples: int
) -> np.ndarray:
    """A wrong bootstrap: of trials alone, as if the people of the study were all there are."""
    return 100 * rng.binomial(trials, fooled / trials, (resamples, len(trials))).sum(axis=1) / trials.sum()


def measure_coverage(
    crowd: Crowd, bootstrap: Bootstrap, studies: int, resamples: int, seed: int = 0
) -> Coverage:
    """Simulates studies of one algorithm; asks for a 95 % interval of each.

    Args:
      crowd: the people of each study.
      bootstrap: what draws the resamples, as `study_statistics.resample_rates`.
      studies: how many are simulated.
      resamples: of each.
      seed: of all draws.
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
    """Simulates studies of several algorithms; compares all pairs of each.

    Args:
      family: the people of each algorithm.
      studies: how many are simulated.
      resamples: of each algorithm.
      seed: of all draws.

    Returns:
      Shares of studies in which the smallest p-value is below 5 %: as it is, and corrected.
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
    """Simulates, and prints the tables that were asked for."""
    flag_values = new_flags()
    flags.DEFINE_multi_enum(
        "table", list(TABLES), list(TABLES), "to make; both unless given", flag_values=flag_values
    )
    flags.DEFINE_integer("studies", 1000, "simulated for each row", lower_bound=2, flag_values=flag_values)
    flags.DEFINE_integer(
        "resamples", 2000, "bootstrap resamples of each algorithm", lower_bound=100, flag_values=flag_values
    )
    flags.DEFINE_integer("seed", 0, "of all draws", lower_bound=0, flag_values=flag_values)
    refuse_arguments(parse_flags(flag_values, __doc__, argv))
    values = flag_values.flag_values_dict()
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


# Name -> head, rows, and what makes the cells of a row.
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
