"""Computes what the answers of a study say: fooling rates or preferences, and what was left out."""

import dataclasses
import itertools
import math
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
      p_value_holm: the p-value, corrected for all pairs of the study, also those that nobody has judged.
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
class PairResult:
    """What a preference study says of two algorithms. Where nobody counts, it says None.

    Attributes:
      first: name of one algorithm.
      second: name of the other.
      people: number of sessions that count.
      trials: number of test trials that count.
      win_rate: percent of these trials in which the first algorithm was preferred.
      p_value: two-sided p-value of a win rate other than 50 %, from the bootstrap.
      p_value_holm: the p-value, corrected for all pairs of the study, also those that nobody has judged.
      preferred: name of the algorithm that is preferred, where the corrected p-value is below 0.05; an empty
        text where it is not; None if fewer than `LEAST_PEOPLE` people compared the two.
      response_sec: lower quartile, median and upper quartile of the response times in these trials.
      first_image_chosen_percent: percent of these trials in which the first image was chosen. It is about 50
        if people favour neither place.
    """

    first: str
    second: str
    people: int
    trials: int
    win_rate: Estimate | None = None
    p_value: float | None = None
    p_value_holm: float | None = None
    preferred: str | None = None
    response_sec: tuple[float, float, float] | None = None
    first_image_chosen_percent: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """All that `results.json` holds, except for the protocol, the rules and the seed.

    Attributes:
      algorithms: what a real-vs-fake study says of each algorithm, in the study's order.
      comparisons: comparisons of all pairs of these that people have judged.
      pairs: what a preference study says of each pair of algorithms, in the study's order.
      sessions: how many sessions were `begun`, `counted`, and excluded for each reason.
      trials: how many test trials of sessions that count were `answered`, `counted`, and excluded for each
        reason.
      last_answer_at: when the newest answer was stored.
    """

    algorithms: tuple[AlgorithmResult, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    pairs: tuple[PairResult, ...] = ()
    sessions: Mapping[str, int]
    trials: Mapping[str, int]
    last_answer_at: str


@dataclasses.dataclass(frozen=True, eq=False)
class _Group:
    """The sessions of one condition that count, and what resampling them gives."""

    sessions: list[Session]
    trials: list[Answer]
    rate: float
    resampled: np.ndarray

    @property
    def response_sec(self) -> tuple[float, float, float]:
        quartiles = np.quantile([answer.response_ms / 1000 for answer in self.trials], [0.25, 0.5, 0.75])
        return float(quartiles[0]), float(quartiles[1]), float(quartiles[2])

    @property
    def first_chosen_percent(self) -> float:
        return 100 * sum(answer.chosen_side == "left" for answer in self.trials) / len(self.trials)


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
    groups = {}
    for condition in study.conditions:
        if own := [session for session in selection.sessions if session.algorithm == condition]:
            # Each has random numbers of its own, so that its results do not depend on the others.
            rng = np.random.default_rng([seed, *condition.encode()])
            groups[condition] = _resample(own, selection, rng, resamples)
    if study.protocol.has_preferences:
        found: dict[str, Any] = {"pairs": _summarize_pairs(study.conditions, groups)}
    else:
        algorithms = _summarize_algorithms(study.algorithms, groups, answers)
        found = {"algorithms": algorithms, "comparisons": _compare_pairs(study.algorithms, groups)}
    counted = sum(map(len, selection.trials.values()))
    return Results(
        **found,
        sessions={"begun": len(sessions), "counted": len(selection.sessions)}
        | _tally(SESSION_REASONS, selection.session_reasons),
        trials={"answered": counted + len(selection.trial_reasons), "counted": counted}
        | _tally(TRIAL_REASONS, selection.trial_reasons),
        last_answer_at=max(answer.answered_at for answer in answers),
    )


def _resample(
    sessions: list[Session], selection: Selection, rng: np.random.Generator, resamples: int
) -> _Group:
    trials = [selection.trials[session.session_id] for session in sessions]
    counts = [sum(answer.is_success for answer in own) for own in trials], [len(own) for own in trials]
    rate = study_statistics.fooling_rate(*counts)
    resampled = resample_rates(*counts, rng, resamples)
    return _Group(sessions, [answer for own in trials for answer in own], rate, resampled)


def _summarize_algorithms(
    algorithms: Sequence[str], groups: Mapping[str, _Group], answers: Sequence[Answer]
) -> tuple[AlgorithmResult, ...]:
    results = []
    for algorithm in algorithms:
        if not (group := groups.get(algorithm)):
            results.append(AlgorithmResult(algorithm, 0, 0))
            continue
        people = {session.session_id for session in group.sessions}
        practice = [
            bool(answer.correct) for answer in answers if answer.practice and answer.session_id in people
        ]
        results.append(
            AlgorithmResult(
                algorithm,
                len(group.sessions),
                len(group.trials),
                estimate(group.rate, group.resampled),
                group.response_sec,
                group.first_chosen_percent,
                100 * sum(practice) / len(practice) if practice else None,
            )
        )
    return tuple(results)


def _compare_pairs(algorithms: Sequence[str], groups: Mapping[str, _Group]) -> tuple[Comparison, ...]:
    pairs = list(itertools.combinations(groups.items(), 2))
    differences = [
        compare(one.rate, other.rate, (one.resampled, other.resampled)) for (_, one), (_, other) in pairs
    ]
    corrected = _correct([each.p_value for each in differences], math.comb(len(algorithms), 2))
    return tuple(
        Comparison(
            *(first, second, each.estimate, each.p_value, holm),
            significant=holm < SIGNIFICANCE_LEVEL if _are_enough(one, other) else None,
        )
        for ((first, one), (second, other)), each, holm in zip(pairs, differences, corrected, strict=True)
    )


def _summarize_pairs(conditions: Sequence[str], groups: Mapping[str, _Group]) -> tuple[PairResult, ...]:
    """Returns what is said of each pair; its win rate is compared with 50 %, which nobody's answers give."""
    tests = {
        condition: compare(group.rate, 50, (group.resampled, np.full_like(group.resampled, 50)))
        for condition, group in groups.items()
    }
    p_values = [each.p_value for each in tests.values()]
    corrected = dict(zip(tests, _correct(p_values, len(conditions)), strict=True))
    results = []
    for condition in conditions:
        first, second = condition.split("/")
        if not (group := groups.get(condition)):
            results.append(PairResult(first, second, 0, 0))
            continue
        preferred = first if group.rate > 50 else second
        is_significant = corrected[condition] < SIGNIFICANCE_LEVEL
        results.append(
            PairResult(
                *(first, second, len(group.sessions), len(group.trials)),
                estimate(group.rate, group.resampled),
                *(tests[condition].p_value, corrected[condition]),
                (preferred if is_significant else "") if _are_enough(group) else None,
                *(group.response_sec, group.first_chosen_percent),
            )
        )
    return tuple(results)


def _correct(p_values: Sequence[float], tests: int) -> list[float]:
    """Returns p-values that are corrected for all tests of a study, also those without answers."""
    return correct_for_multiplicity([*p_values, *[1.0] * (tests - len(p_values))])[: len(p_values)]


def _are_enough(*groups: _Group) -> bool:
    return all(len(group.sessions) >= LEAST_PEOPLE for group in groups)


def _tally(reasons: Sequence[str], found: Mapping[Any, str]) -> dict[str, int]:
    counts = Counter(found.values())
    return {reason: counts[reason] for reason in reasons}


def _join_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in counts.items())
