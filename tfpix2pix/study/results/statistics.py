"""Statistics of the real-vs-fake study: fooling rates, two-level bootstrap, differences, Holm's correction.

NumPy alone. A person enters as two counts: the test trials, and those of them in
which the generated image was judged real. Rates are in percent of trials.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000
CONFIDENCE = 0.95
# Draws held in memory at once; a study of any size then needs tens of MB.
_DRAWS_AT_ONCE = 1_000_000


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number, and what the bootstrap says of its uncertainty; all in percent, or percentage points.

    Attributes:
      value: of the answers as they are.
      standard_error: standard deviation over the resamples.
      low: end of the percentile interval.
      high: the other end.
    """

    value: float
    standard_error: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Difference:
    """The difference between two algorithms' fooling rates.

    Attributes:
      estimate: first minus second, in percentage points.
      p_value: two-sided, in [0, 1]: twice the share of resamples on the rarer side of zero.
    """

    estimate: Estimate
    p_value: float


def fooling_rate(fooled: npt.ArrayLike, trials: npt.ArrayLike) -> float:
    """Computes the share of test trials in which the generated image was judged real.

    Args:
      fooled: trials of each person in which it was, integers [people].
      trials: all trials of each person, integers >= 1 [people].

    Returns:
      Percent, over the trials of all people together.

    Raises:
      ValueError: for counts that cannot be.

    Source: paper, Sec. 3.4.
    """
    fooled, trials = _check(fooled, trials)
    return float(100 * fooled.sum() / trials.sum())


def resample_rates(
    fooled: npt.ArrayLike, trials: npt.ArrayLike, rng: np.random.Generator, resamples: int = RESAMPLES
) -> np.ndarray:
    """Computes the fooling rates of bootstrap resamples: people first, then each person's trials.

    Args:
      fooled: as for `fooling_rate`.
      trials: as for `fooling_rate`.
      rng: where the draws come from.
      resamples: how many, >= 1.

    Returns:
      Percent, float64 [resamples].

    Raises:
      ValueError: for counts that cannot be.

    Source: paper, Sec. 3.4.
    """
    fooled, trials = _check(fooled, trials)
    people, shares = len(trials), fooled / trials
    rows = max(1, _DRAWS_AT_ONCE // people)
    rates = []
    for start in range(0, resamples, rows):
        drawn = rng.integers(people, size=(min(rows, resamples - start), people))
        # To draw n yes-or-no trials with replacement and count the yeses is to draw from a binomial.
        yeses = rng.binomial(trials[drawn], shares[drawn])
        rates.append(100 * yeses.sum(axis=1) / trials[drawn].sum(axis=1))
    return np.concatenate(rates)


def estimate(value: float, resampled: np.ndarray, confidence: float = CONFIDENCE) -> Estimate:
    """Summarizes resamples as a standard error and a percentile interval.

    Args:
      value: what was resampled, of the answers as they are.
      resampled: its resamples, [resamples].
      confidence: of the interval, in (0, 1).

    Returns:
      The estimate.
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(value, float(resampled.std()), float(low), float(high))


def compare(first: float, second: float, resampled: tuple[np.ndarray, np.ndarray]) -> Difference:
    """Compares two algorithms that different people judged.

    Args:
      first: fooling rate of one algorithm, in percent.
      second: that of the other.
      resampled: resamples of both, each [resamples], drawn independently.

    Returns:
      The difference.
    """
    differences = resampled[0] - resampled[1]
    rarer = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    # One is added because the answers as they are count as a resample: p is never 0.
    p_value = min(1.0, float(2 * (rarer + 1) / (len(differences) + 1)))
    return Difference(estimate(first - second, differences), p_value)


def correct_for_multiplicity(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values of a family of comparisons by Holm's method.

    Args:
      p_values: of all comparisons, each in [0, 1].

    Returns:
      Corrected p-values, in the order given: rejecting those below a level makes
      one false rejection or more at most that often.

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
