"""Whether our scores order two rows as the paper does, or whether they spread too far over seeds to say."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfpix2pix.reproduce.paper_tables import Row

HOLDS = "holds"
FAILS = "does not hold"
WITHIN_SPREAD = "within the spread"
ONE_SEED = "one seed: no verdict"
TIE = "a tie in the paper"

LEVEL = 0.05
RULE = (
    "The brackets hold the difference of the two means and its standard error. The paper's order holds, or "
    "does not hold, where Student's t-test over the seeds calls the difference significant at the 5 % level; "
    "else the difference is within the spread. Of rows that do not differ at all, one comparison in twenty "
    "still gets a verdict by chance."
)
RULE_OF_ONE_SEED = (
    "The brackets hold the difference of the two scores. One seed does not tell how far scores spread, so "
    "there is no verdict; three seeds give one."
)


@dataclasses.dataclass(frozen=True)
class Cell:
    """A row of a table that was trained and scored, with one run for each seed.

    Attributes:
      row: the row.
      runs: folders of its runs, the first seed first.
      scores: name in `SCORES` -> score, for each run.
      ground_truth: name in `SCORES` -> score of the real photos; empty where they are not scored.
    """

    row: Row
    runs: tuple[Path, ...]
    scores: tuple[Mapping[str, float], ...]
    ground_truth: Mapping[str, float]

    def mean(self, name: str) -> float:
        """Returns the mean of a score over the seeds."""
        return float(np.mean([scores[name] for scores in self.scores]))

    def spread(self, name: str) -> float | None:
        """Returns the standard deviation of a score over the seeds; None for a single seed."""
        if len(self.scores) == 1:
            return None
        return float(np.std([scores[name] for scores in self.scores], ddof=1))


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How a score orders two rows.

    Attributes:
      difference: mean of the row that should be better, less that of the other.
      standard_error: standard error of the difference; None for a single seed.
      verdict: one of the constants of this module.
    """

    difference: float
    standard_error: float | None
    verdict: str

    @property
    def holds(self) -> bool | None:
        """Whether the paper's order holds; None where that is not known."""
        return {HOLDS: True, FAILS: False}.get(self.verdict)

    def __str__(self) -> str:
        error = "" if self.standard_error is None else f" ± {self.standard_error:.3f}"
        return f"{self.verdict} ({self.difference:+.3f}{error})"


def compare(better: Cell, worse: Cell, name: str, place: int) -> Comparison:
    """Compares two rows, which have as many seeds, by one score.

    Args:
      better: the row whose published score is above that of the other, as the paper says, or which is
        expected to be better where nothing was published.
      worse: the other row.
      name: name of the score.
      place: place of the score in `Row.published`.
    """
    published = 1.0
    if better.row.published and worse.row.published:
        published = better.row.published[place] - worse.row.published[place]
    difference = better.mean(name) - worse.mean(name)
    spread, other_spread = better.spread(name), worse.spread(name)
    if spread is None or other_spread is None:
        return Comparison(difference, None, ONE_SEED if published else TIE)
    seeds = len(better.scores)
    error = math.hypot(spread, other_spread) / math.sqrt(seeds)
    if not published:
        return Comparison(difference, error, TIE)
    distance = abs(difference) / error if error else math.inf if difference else 0.0
    if not probability_within(distance, 2 * (seeds - 1)) > 1 - LEVEL:
        return Comparison(difference, error, WITHIN_SPREAD)
    return Comparison(difference, error, HOLDS if difference * published > 0 else FAILS)


def probability_within(distance: float, freedom: int) -> float:
    """Returns the probability that Student's t lies within `distance` of 0.

    Args:
      distance: 0 or more.
      freedom: degrees of freedom, an even number.

    Source: Abramowitz and Stegun, 26.7.4; for even degrees the sum is finite.

    Examples:
      >>> round(probability_within(2.776, 4), 4)
      0.95
    """
    if math.isinf(distance):
        return 1.0
    squared_cosine = freedom / (freedom + distance**2)
    term = total = 1.0
    for place in range(1, freedom // 2):
        term *= squared_cosine * (2 * place - 1) / (2 * place)
        total += term
    return distance / math.sqrt(freedom + distance**2) * total
