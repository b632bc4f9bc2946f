"""Statistics of studies: rates, two-level bootstrap, differences, Holm's correction.

A person enters as two numbers: their test trials, and those of them in which they judged the generated image
real; in a preference study, in which they preferred the first algorithm of a pair. Rates are in percent of
trials. The module needs only NumPy.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000
CONFIDENCE = 0.95
# The number of draws in memory at once. A study of any size then needs tens of MB.
_DRAWS_AT_ONCE = 1_000_000


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number and its uncertainty by the bootstrap, in percent or in percentage points.

    Attributes:
      value: the number that the answers give as they are.
      standard_error: standard deviation over the resamples.
      low: lower end of the percentile interval.
      high: upper end of the percentile interval.
    """

    value: float
    standard_error: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Difference:
    """The difference between the fooling rates of two algorithms.

    Attributes:
      estimate: first minus second, in percentage points.
      p_value: two-sided p-value in [0, 1]: twice the share of resamples on the rarer side of zero.
    """

    estimate: Estimate
    p_value: float


def fooling_rate(fooled: npt.ArrayLike, trials: npt.ArrayLike) -> float:
    """Computes the share of test trials in which the generated image was judged real.

    Args:
      fooled: number of each person's trials in which it was, integers [people].
      trials: number of all trials of each person, integers [people], at least 1.

    Returns:
      Percent of the trials of all people together.

    Raises:
      ValueError: when the numbers are impossible.

    Source: paper, Sec. 3.4.
    """
    fooled, trials = _check(fooled, trials)
    return float(100 * fooled.sum() / trials.sum())


def resample_rates(
    fooled: npt.ArrayLike, trials: npt.ArrayLike, rng: np.random.Generator, resamples: int = RESAMPLES
) -> np.ndarray:
    """Computes the fooling rates of bootstrap resamples, in which people are drawn, then trials of each.

    Args:
      fooled: number of each person's trials in which the generated image was judged real, integers [people].
      trials: number of all trials of each person, integers [people], at least 1.
      rng: makes the draws.
      resamples: number of resamples, at least 1.

    Returns:
      Percent of trials, float64 [resamples].

    Raises:
      ValueError: when the numbers are impossible.

    Source: paper, Sec. 3.4.
    """
    fooled, trials = _check(fooled, trials)
    people, shares = len(trials), fooled / trials
    rows = max(1, _DRAWS_AT_ONCE // people)
    rates = []
    for start in range(0, resamples, rows):
        drawn = rng.integers(people, size=(min(rows, resamples - start), people))
        # The number of yeses among n yes-or-no trials that are drawn with replacement is binomial.
        yeses = rng.binomial(trials[drawn], shares[drawn])
        rates.append(100 * yeses.sum(axis=1) / trials[drawn].sum(axis=1))
    return np.concatenate(rates)


def estimate(value: float, resampled: np.ndarray, confidence: float = CONFIDENCE) -> Estimate:
    """Summarizes resamples as a standard error and a percentile interval.

    Args:
      value: the number that the answers give as they are.
      resampled: the same number for each resample, [resamples].
      confidence: confidence level of the interval, in (0, 1).

    Returns:
      The estimate.
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(value, float(resampled.std()), float(low), float(high))


def compare(first: float, second: float, resampled: tuple[np.ndarray, np.ndarray]) -> Difference:
    """Compares two algorithms that were judged by different people.

    Args:
      first: fooling rate of one algorithm, in percent.
      second: fooling rate of the other.
      resampled: resamples of both, each [resamples], drawn independently of each other.

    Returns:
      The difference.
    """
    differences = resampled[0] - resampled[1]
    rarer = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    # One is added because the answers as they are count as a resample. So p is never 0.
    p_value = min(1.0, float(2 * (rarer + 1) / (len(differences) + 1)))
    return Difference(estimate(first - second, differences), p_value)


def correct_for_multiplicity(p_values: Sequence[float]) -> list[float]:
    """Corrects the p-values of a family of comparisons by Holm's method.

    Args:
      p_values: p-values of all comparisons, each in [0, 1].

    Returns:
      Corrected p-values in the same order. If those below a level are rejected, the probability of any
      false rejection is at most that level.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _check(fooled: npt.ArrayLike, trials: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    fooled, trials = np.asarray(fooled, np.int64), np.asarray(trials, np.int64)
    if trials.ndim != 1 or fooled.shape != trials.shape or not len(trials):
        raise ValueError(f"two lists of one count per person expected, got {fooled.shape} and {trials.shape}")
    if (trials < 1).any() or (fooled < 0).any() or (fooled > trials).any():
        raise ValueError("each person needs at least one trial, and at most as many fooled as there are")
    return fooled, trials
