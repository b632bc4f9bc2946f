"""What the answers of a study say: fooling rates, their differences, what was left out."""

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


@dataclasses.dataclass(frozen=True)
class AlgorithmResult:
    """What a study says of one algorithm; None where nobody counts.

    Attributes:
      algorithm: its name.
      people: sessions that count.
      trials: test trials that count.
      fooling_rate: percent of them in which the generated image was judged real.
      response_sec: lower quartile, median and upper quartile of their response times.
      first_called_fake_percent: of them; 50 where people favour neither place.
      practice_correct_percent: of the practice trials of the same people.
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
    """Two algorithms' fooling rates.

    Attributes:
      first: name.
      second: name.
      difference: first minus second, in percentage points.
      p_value: two-sided, from the bootstrap.
      p_value_holm: corrected for all pairs of the study.
      significant: whether the corrected one is below 0.05.
    """

    first: str
    second: str
    difference: Estimate
    p_value: float
    p_value_holm: float
    significant: bool


@dataclasses.dataclass(frozen=True)
class Results:
    """All that `results.json` holds but the study's protocol, the rules and the seed.

    Attributes:
      algorithms: in the study's order.
      comparisons: of all pairs.
      sessions: how many were `begun`, `counted`, and excluded, by reason.
      trials: test trials `answered` in sessions that count, `counted`, and excluded, by reason.
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
      study: that was run.
      sessions: all of it.
      answers: all of these sessions.
      selection: which of them count.
      resamples: of the bootstrap.
      seed: of the bootstrap.

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
        # Each has a stream of its own: what is said of an algorithm does not depend on the others.
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
    """Returns trials in which each person was fooled, and trials of each."""
    trials = [selection.trials[session.session_id] for session in sessions]
    return [sum(not answer.correct for answer in own) for own in trials], [len(own) for own in trials]


def _compare_pairs(
    algorithms: Sequence[AlgorithmResult], resampled: Mapping[str, np.ndarray]
) -> tuple[Comparison, ...]:
    points = {each.algorithm: each.fooling_rate.value for each in algorithms if each.fooling_rate}
    pairs = list(itertools.combinations(points, 2))
    differences = [compare(points[a], points[b], (resampled[a], resampled[b])) for a, b in pairs]
    corrected = correct_for_multiplicity([each.p_value for each in differences])
    return tuple(
        Comparison(a, b, each.estimate, each.p_value, holm, holm < SIGNIFICANCE_LEVEL)
        for (a, b), each, holm in zip(pairs, differences, corrected, strict=True)
    )


def _tally(reasons: Sequence[str], found: Mapping[Any, str]) -> dict[str, int]:
    counts = Counter(found.values())
    return {reason: counts[reason] for reason in reasons}


def _join_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in counts.items())
