"""What is fixed before the first person takes part: what happens in a session, and which answers count."""

import dataclasses
import math
from typing import Any

from tfpix2pix.pipelines.base.errors import UsageError

REAL_VS_FAKE, PREFERENCE = DESIGNS = ("real_vs_fake", "preference")
PAIRINGS = ("same", "different")
# What people say of the image that they prefer.
CRITERIA = {
    "realism": "looks more realistic",
    "match": "matches the input better",
    "variety": "holds samples that differ more from each other",
}
# The values that a setting may have.
CHOICES = {"design": DESIGNS, "pairing": PAIRINGS, "criterion": tuple(CRITERIA)}
FRAME_MS = 1000 / 60
# How many exit questions a study may ask, and how many letters an answer has at most.
MOST_QUESTIONS, LONGEST_ANSWER = 100, 2000


def later(default: Any) -> Any:
    """Returns a field that earlier versions did not have: with its default, a study is as it was then."""
    return dataclasses.field(default=default, metadata={"later": True})


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What happens in a session. The defaults are those of the paper.

    Attributes:
      practice_trials: number of trials for practice, which do not count. In a real-vs-fake study they have
        feedback.
      test_trials: number of trials without feedback, which count.
      vigilance_trials: number of trials among the test trials with an unmistakably broken image.
      exposure_sec: how long each image is shown. 0, in a preference study: both images are shown side by
        side until the answer.
      least_gap_sec: the shortest blank before an image. Each blank is drawn at random.
      most_gap_sec: the longest blank before an image.
      feedback_sec: how long the right answer to a practice trial is shown.
      pairing: `same`, if both images of a trial are of one example; `different`, if they are of two, as in
        the paper's study of maps.
      design: `real_vs_fake`, if a person says which of a real and a generated image is the fake;
        `preference`, if a person says which of two algorithms' images is better.
      criterion: what better means in a preference study: `realism`, if it looks more realistic; `match`, if
        it matches the input better; `variety`, if its four samples differ more from each other.
      show_input: whether the input is shown beside the images of a preference study.
      least_window_px: the least width of the browser's window in CSS px; people with a narrower one cannot
        take part.

    Source: Sec. 3.4 of the paper; the feedback is that of its published study code.
    """

    practice_trials: int = 10
    test_trials: int = 40
    vigilance_trials: int = 0
    exposure_sec: float = 1.0
    least_gap_sec: float = 0.3
    most_gap_sec: float = 0.6
    feedback_sec: float = 2.4
    pairing: str = "same"
    design: str = later(REAL_VS_FAKE)
    criterion: str = later("realism")
    show_input: bool = later(False)
    least_window_px: int = later(0)

    @property
    def trials(self) -> int:
        """Returns the number of trials of a session."""
        return self.practice_trials + self.test_trials + self.vigilance_trials

    @property
    def has_preferences(self) -> bool:
        """Returns whether people compare two algorithms, rather than find the fake."""
        return self.design == PREFERENCE


@dataclasses.dataclass(frozen=True)
class Question:
    """A question that is asked after the last trial. Everybody may leave it out.

    Attributes:
      text: the question.
      choices: the answers to choose from; none, if people answer in words of their own.
    """

    text: str
    choices: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Rules:
    """Rules for what is left out of the results of a study.

    Attributes:
      exposure_tolerance_percent: a test trial counts if the exposures of both images differ from the
        protocol's by at most this share of it, or by at most one frame at 60 Hz, which no screen can avoid.
        The default is three frames of an exposure of 1 s.
      exposure_tolerance_ms: the largest difference in ms; None takes what follows from the percentage.
      least_vigilance_percent: a session counts if at least this share of its vigilance trials, if it has
        any, was answered correctly.
      least_trials_percent: a session counts if at least this share of its test trials counts.
    """

    exposure_tolerance_percent: float = 5.0
    exposure_tolerance_ms: float | None = None
    least_vigilance_percent: float = 80.0
    least_trials_percent: float = 50.0

    def check(self) -> None:
        """Raises UsageError, which names the field, for rules that cannot be followed."""
        for name in ("exposure_tolerance_percent", "exposure_tolerance_ms"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"`{name}` must be above 0. Received: {value}")
        for name in ("least_vigilance_percent", "least_trials_percent"):
            if not 0 <= getattr(self, name) <= 100:
                raise UsageError(f"`{name}` must be from 0 to 100. Received: {getattr(self, name)}")

    def tolerance_ms(self, protocol: Protocol) -> float:
        """Returns by how many ms an exposure may differ from the protocol's."""
        if self.exposure_tolerance_ms is not None:
            return self.exposure_tolerance_ms
        return max(FRAME_MS, 10 * self.exposure_tolerance_percent * protocol.exposure_sec)


def check_protocol(protocol: Protocol) -> None:
    """Raises UsageError, which names the field, for a protocol that cannot be followed."""
    for name, least in {"practice": 0, "test": 1, "vigilance": 0}.items():
        if (count := getattr(protocol, f"{name}_trials")) < least:
            raise UsageError(f"`{name}_trials` must be {least} or more. Received: {count}")
    if not 0 <= protocol.least_window_px <= 10_000:
        raise UsageError(f"`least_window_px` must be from 0 to 10000. Received: {protocol.least_window_px}")
    if not 0 <= protocol.least_gap_sec <= protocol.most_gap_sec <= 60:
        gaps = f"{protocol.least_gap_sec} and {protocol.most_gap_sec}"
        raise UsageError(
            f"`least_gap_sec` and `most_gap_sec` must be from 0 to 60, and the first must not be larger. "
            f"Received: {gaps}"
        )
    if not 0 <= protocol.feedback_sec <= 60:
        raise UsageError(f"`feedback_sec` must be from 0 to 60. Received: {protocol.feedback_sec}")
    for name, choices in CHOICES.items():
        if getattr(protocol, name) not in choices:
            raise UsageError(f"`{name}` must be {' or '.join(choices)}. Received: {getattr(protocol, name)}")
    _check_design(protocol)


def _check_design(protocol: Protocol) -> None:
    is_unlimited = protocol.exposure_sec == 0 and protocol.has_preferences
    if not (is_unlimited or 0.05 <= protocol.exposure_sec <= 60):
        raise UsageError(
            f"`exposure_sec` must be from 0.05 to 60, or 0 with `design=preference`, which shows both images "
            f"until the answer. Received: {protocol.exposure_sec}"
        )
    if not protocol.has_preferences:
        if protocol.show_input or protocol.criterion != "realism":
            raise UsageError("`show_input` and `criterion` go with `design=preference`")
    elif protocol.pairing != "same":
        raise UsageError("`design=preference` compares images of one input: `pairing` must be same")
    elif protocol.criterion == "match" and not protocol.show_input:
        raise UsageError("`criterion=match` needs `show_input`: people must see what the images should match")


def check_questions(questions: tuple[Question, ...]) -> None:
    """Raises UsageError for exit questions that cannot be asked."""
    for question in questions:
        texts = (question.text, *question.choices)
        if not all(isinstance(text, str) and text.strip() for text in texts):
            raise UsageError(f"an exit question has an empty text or answer: {' | '.join(map(str, texts))}")
        if len(question.choices) == 1 or len(set(question.choices)) < len(question.choices):
            raise UsageError(
                f"the exit question {question.text!r} needs two different answers or more, or none"
            )


def check_limits(questions: tuple[Question, ...]) -> None:
    """Raises UsageError for more or longer exit questions than a new study may have; older ones may."""
    if len(questions) > MOST_QUESTIONS:
        raise UsageError(f"a study asks at most {MOST_QUESTIONS} exit questions. Received: {len(questions)}")
    for question in questions:
        if longest := next((each for each in question.choices if len(each) > LONGEST_ANSWER), ""):
            raise UsageError(
                f"an answer to the exit question {question.text!r:.60} has {len(longest):,} letters, and at "
                f"most {LONGEST_ANSWER:,} are stored"
            )


def check_count(examples: int, protocol: Protocol) -> None:
    """Raises UsageError if there are fewer examples than a session has trials."""
    if examples < protocol.trials:
        raise UsageError(
            f"a session of {protocol.practice_trials} practice, {protocol.test_trials} test and "
            f"{protocol.vigilance_trials} vigilance trials needs {protocol.trials} different examples, and "
            f"there are {examples}. Add images, or ask for fewer `practice_trials` and `test_trials`"
        )
