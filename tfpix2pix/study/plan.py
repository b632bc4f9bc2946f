"""Decides who sees what in a study, by the seed of a session alone, so that it goes on as it has begun.

Every draw is a hash of its address, and so it does not depend on the version of any library.
"""

import dataclasses
import hashlib
from collections.abc import Mapping

from tfpix2pix.study.folder import Study
from tfpix2pix.study.records import SIDES


@dataclasses.dataclass(frozen=True)
class Trial:
    """Two images, of which one is real; in a preference study, of two algorithms.

    Attributes:
      index: place in the session, from 0.
      practice: whether the trial is for practice: it does not count.
      vigilance: whether the generated image, or the first algorithm's, is unmistakably broken.
      example_id: example of the generated image.
      real_example_id: example of the real image.
      real_side: side of the real image, `left` or `right`; in a preference study, of the first algorithm's.
      right_side: the side that a person is right to choose; None where people only prefer.
      images: side -> token of the image; `left` is shown first.
      input: token of the input that is shown with them; empty if none is.
    """

    index: int
    practice: bool
    vigilance: bool
    example_id: str
    real_example_id: str
    real_side: str
    right_side: str | None
    images: Mapping[str, str]
    input: str = ""


def assign_condition(study: Study, ordinal: int, counts: Mapping[str, int]) -> str:
    """Returns the condition of a session, which is one of those with the fewest sessions.

    Args:
      study: the study.
      ordinal: number of the session, from 0.
      counts: condition -> number of its sessions; 0 for conditions that are missing.
    """
    fewest = min(counts.get(name, 0) for name in study.conditions)
    candidates = [name for name in study.conditions if counts.get(name, 0) == fewest]
    return min(candidates, key=lambda name: _draw(study.seed, "algorithm", ordinal, name))


def plan_session(study: Study, condition: str, seed: int) -> tuple[Trial, ...]:
    """Returns the trials of a session: each example occurs once, and sides and order are random.

    Args:
      study: the study.
      condition: the algorithm whose images are shown, or the pair of algorithms that are compared.
      seed: seed of the session.
    """
    protocol = study.protocol
    order = sorted(study.examples, key=lambda example: _draw(seed, "order", example.example_id))
    counted = sorted(range(protocol.practice_trials, protocol.trials), key=lambda i: _draw(seed, "kind", i))
    vigilant = set(counted[: protocol.vigilance_trials])
    # With twice as many examples as trials, nobody sees both images of an example.
    shift = len(order) // 2 if protocol.pairing == "different" else 0
    trials = []
    for index in range(protocol.trials):
        example, real_example = order[index], order[(index + shift) % len(order)]
        sides = SIDES if _draw(seed, "side", index) >= 0.5 else SIDES[::-1]
        is_vigilant = index in vigilant
        right_side: str | None = sides[1]
        if protocol.has_preferences:
            first, second = (example.generated[name] for name in condition.split("/"))
            first = example.vigilance if is_vigilant else first
            right_side = sides[1] if is_vigilant else None
        else:
            first = real_example.real
            second = example.vigilance if is_vigilant else example.generated[condition]
        trials.append(
            Trial(
                index=index,
                practice=index < protocol.practice_trials,
                vigilance=is_vigilant,
                example_id=example.example_id,
                real_example_id=real_example.example_id,
                real_side=sides[0],
                right_side=right_side,
                images=dict(zip(sides, (first, second), strict=True)),
                input=example.input,
            )
        )
    return tuple(trials)


def _draw(*address: int | str) -> float:
    """Returns a number in [0, 1), uniformly distributed over addresses."""
    # A name with a slash in it must not be mistaken for two parts.
    text = "/".join(f"{len(str(part))}:{part}" for part in address)
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53
