"""Decides which sessions and trials of a study count, by rules that its results state."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from tfpix2pix.study.protocol import Protocol, Rules
from tfpix2pix.study.records import Answer, Session

UNFINISHED = "unfinished"
FAILED_VIGILANCE = "failed_vigilance"
TOO_FEW_TRIALS = "too_few_trials"
NOT_SHOWN_ONCE = "not_shown_once"
EXPOSURE_OFF = "exposure_off"
# In the order in which they are checked: what fails two rules is counted under the first.
SESSION_REASONS = (UNFINISHED, FAILED_VIGILANCE, TOO_FEW_TRIALS)
TRIAL_REASONS = (NOT_SHOWN_ONCE, EXPOSURE_OFF)
MEANINGS = {
    UNFINISHED: "the session is unfinished",
    FAILED_VIGILANCE: "too few vigilance trials were answered correctly",
    TOO_FEW_TRIALS: "too few test trials of the session count",
    NOT_SHOWN_ONCE: "the trial was shown again after a reload, or not seen to be shown",
    EXPOSURE_OFF: "a measured exposure is off",
}


@dataclasses.dataclass(frozen=True)
class Selection:
    """What counts, and why the rest does not.

    Attributes:
      sessions: the sessions that count, in the order of arrival.
      trials: session_id of a session that counts -> its test trials that count.
      session_reasons: session_id -> why the session does not count.
      trial_reasons: (session_id, trial_index) -> why this test trial of a session that counts does not.
    """

    sessions: tuple[Session, ...]
    trials: Mapping[str, tuple[Answer, ...]]
    session_reasons: Mapping[str, str]
    trial_reasons: Mapping[tuple[str, int], str]

    def find_reason(self, answer: Answer) -> str:
        """Returns why the session or the trial of an answer does not count; an empty text if it counts."""
        key = (answer.session_id, answer.trial_index)
        return self.session_reasons.get(answer.session_id) or self.trial_reasons.get(key, "")


def select_answers(
    sessions: Sequence[Session], answers: Sequence[Answer], protocol: Protocol, rules: Rules
) -> Selection:
    """Selects the sessions and test trials that count.

    Args:
      sessions: sessions of the study.
      answers: answers of these sessions; other answers are ignored.
      protocol: protocol of the study.
      rules: what is left out.

    Returns:
      What counts, and why the rest does not.
    """
    given = collections.defaultdict(list)
    for answer in answers:
        given[answer.session_id].append(answer)
    counted: list[Session] = []
    trials: dict[str, tuple[Answer, ...]] = {}
    session_reasons: dict[str, str] = {}
    trial_reasons: dict[tuple[str, int], str] = {}
    for session in sessions:
        own = given[session.session_id]
        judged = [(each, _judge_trial(each, protocol, rules)) for each in own if each.is_test]
        kept = tuple(answer for answer, reason in judged if not reason)
        if reason := _judge_session(session, own, len(kept), protocol, rules):
            session_reasons[session.session_id] = reason
            continue
        counted.append(session)
        trials[session.session_id] = kept
        trial_reasons |= {(each.session_id, each.trial_index): reason for each, reason in judged if reason}
    return Selection(tuple(counted), trials, session_reasons, trial_reasons)


def _judge_session(
    session: Session, answers: Sequence[Answer], kept: int, protocol: Protocol, rules: Rules
) -> str:
    if session.finished_at is None:
        return UNFINISHED
    vigilance = [bool(answer.correct) for answer in answers if answer.vigilance and not answer.practice]
    if 100 * sum(vigilance) < rules.least_vigilance_percent * len(vigilance):
        return FAILED_VIGILANCE
    if not kept or 100 * kept < rules.least_trials_percent * protocol.test_trials:
        return TOO_FEW_TRIALS
    return ""


def _judge_trial(answer: Answer, protocol: Protocol, rules: Rules) -> str:
    if answer.exposures != 1:
        return NOT_SHOWN_ONCE
    if not protocol.exposure_sec:
        return ""  # Both images stay until the answer.
    for shown_ms in (answer.shown_real_ms, answer.shown_generated_ms):
        # NaN fails this comparison too.
        if not abs(shown_ms - 1000 * protocol.exposure_sec) <= rules.tolerance_ms(protocol):
            return EXPOSURE_OFF
    return ""
