"""Computes what the answers of a study say: fooling rates, their differences, what was left out."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.study.folder import Study
from tfpix2pix.study.records import Answer, Session
from tfpix2pix.study.results import statistics as study_statistics
from tfpix2pix.study.results.exclusions import SESSION_REASONS, TRIAL_REASONS, Selection
from tfpix2pix.study.results.statistics import (
    RESAMPLES,
    Estimate,
    compare,
    correct_for_multiplicity,
    estimate,
    resample_rates,
)

SIGNIFICANCE_LEVEL = 0.05
# In simulations, intervals of 10 people hold the truth about as often as they claim; of 5, less often.
LEAST_PEOPLE = 10


@dataclasses.dataclass(frozen=True)
class AlgorithmResult:
    """What a study says of one algorithm. Where nobody counts, it says None.

    Attributes:
      algorithm: name of the algorithm.
      people: number of sessions that count.
      trials: number of test trials that count.
      fooling_rate: percent of these trials in which the generated image was judged real.
      response_sec: lower quartile, median and upper quartile of the response times in these trials.
      first_called_fake_percent: percent of these trials in which the first image was called fake. It is
        about 50 if people favour neither place.
      practice_correct_percent: percent of correct answers in the practice trials of the same people.
    """

    algorithm: str
    people: int
    trials: int
    fooling_rate: Estimate | None = None
    response_sec: tuple[float, float, float] | None = None
    first_called_fake_percent: float | None = None
    practice_correct_percent: float | None = None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The fooling rates of two algorithms, compared.

    Attributes:
      first: name of one algorithm.
      second: name of the other.
      difference: first minus second, in percentage points.
      p_value: two-sided p-value, from the bootstrap.
      p_value_holm: the p-value, corrected for all pairs of the study.
      significant: whether the corrected p-value is below 0.05; None if fewer than `LEAST_PEOPLE` people
        judged one of the two, of whom nothing can be said.
    """

    first: str
    second: str
    difference: Estimate
    p_value: float
    p_value_holm: float
    significant: bool | None


@dataclasses.dataclass(frozen=True)
class Results:
    """All that `results.json` holds, except for the protocol, the rules and the seed.

    Attributes:
      algorithms: what the study says of each algorithm, in the study's order.
      comparisons: comparisons of all pairs.
      sessions: how many sessions were `begun`, `counted`, and excluded for each reason.
      trials: how many test trials of sessions that count were `answered`, `counted`, and excluded for each
        reason.
      last_answer_at: when the newest answer was stored.
    """

    algorithms: tuple[AlgorithmResult, ...]
    comparisons: tuple[Comparison, ...]
    sessions: Mapping[str, int]
    trials: Mapping[str, int]
    last_answer_at: str


def compute_results(
    study: Study,
    sessions: Sequence[Session],
    answers: Sequence[Answer],
    selection: Selection,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Results:
    """Computes what a study says.

    Args:
      study: the study.
      sessions: all its sessions.
      answers: all answers of these sessions.
      selection: which of them count.
      resamples: number of resamples of the bootstrap.
      seed: seed of the bootstrap.

    Returns:
      The results.

    Raises:
      UserError: when no session counts.
    """
    if not selection.sessions:
        excluded = _join_counts(Counter(selection.session_reasons.values()))
        raise UserError(f"no session counts yet: of {len(sessions)} begun, {excluded or 'none'}")
    groups = {
        algorithm: [session for session in selection.sessions if session.algorithm == algorithm]
        for algorithm in study.algorithms
    }
    resampled = {
        # Each has random numbers of its own, so that its results do not depend on the other algorithms.
        algorithm: resample_rates(
            *_count(own, selection), np.random.default_rng([seed, *algorithm.encode()]), resamples
        )
        for algorithm, own in groups.items()
        if own
    }
    algorithms = tuple(
        _summarize(algorithm, own, answers, selection, resampled[algorithm])
        if own
        else AlgorithmResult(algorithm, 0, 0)
        for algorithm, own in groups.items()
    )
    counted = sum(map(len, selection.trials.values()))
    return Results(
        algorithms,
        _compare_pairs(algorithms, resampled),
        {"begun": len(sessions), "counted": len(selection.sessions)}
        | _tally(SESSION_REASONS, selection.session_reasons),
        {"answered": counted + len(selection.trial_reasons), "counted": counted}
        | _tally(TRIAL_REASONS, selection.trial_reasons),
        max(answer.answered_at for answer in answers),
    )


def _summarize(
    algorithm: str,
    sessions: Sequence[Session],
    answers: Sequence[Answer],
    selection: Selection,
    resampled: np.ndarray,
) -> AlgorithmResult:
    people = {session.session_id for session in sessions}
    trials = [answer for session in sessions for answer in selection.trials[session.session_id]]
    practice = [answer.correct for answer in answers if answer.practice and answer.session_id in people]
    quartiles = np.quantile([answer.response_ms / 1000 for answer in trials], [0.25, 0.5, 0.75])
    first = sum(answer.chosen_side == "left" for answer in trials)
    point = study_statistics.fooling_rate(*_count(sessions, selection))
    return AlgorithmResult(
        algorithm,
        len(sessions),
        len(trials),
        estimate(point, resampled),
        (float(quartiles[0]), float(quartiles[1]), float(quartiles[2])),
        100 * first / len(trials),
        100 * sum(practice) / len(practice) if practice else None,
    )


def _count(sessions: Sequence[Session], selection: Selection) -> tuple[list[int], list[int]]:
    """Returns for each person the number of trials in which they were fooled, and of all their trials."""
    trials = [selection.trials[session.session_id] for session in sessions]
    return [sum(not answer.correct for answer in own) for own in trials], [len(own) for own in trials]


def _compare_pairs(
    algorithms: Sequence[AlgorithmResult], resampled: Mapping[str, np.ndarray]
) -> tuple[Comparison, ...]:
    points = {each.algorithm: each.fooling_rate.value for each in algorithms if each.fooling_rate}
    people = {each.algorithm: each.people for each in algorithms}
    pairs = list(itertools.combinations(points, 2))
    differences = [compare(points[a], points[b], (resampled[a], resampled[b])) for a, b in pairs]
    corrected = correct_for_multiplicity([each.p_value for each in differences])
    return tuple(
        Comparison(
            *(a, b, each.estimate, each.p_value, holm),
            significant=holm < SIGNIFICANCE_LEVEL if min(people[a], people[b]) >= LEAST_PEOPLE else None,
        )
        for (a, b), each, holm in zip(pairs, differences, corrected, strict=True)
    )


def _tally(reasons: Sequence[str], found: Mapping[Any, str]) -> dict[str, int]:
    counts = Counter(found.values())
    return {reason: counts[reason] for reason in reasons}


def _join_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in counts.items())
