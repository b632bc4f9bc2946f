"""Decides who sees what in a study, by its seed alone, so that a session goes on as it has begun.

Every draw is a hash of its address, and so it does not depend on the version of any library.
"""

import dataclasses
import hashlib
from collections.abc import Mapping

from tfpix2pix.study.folder import Study
from tfpix2pix.study.records import SIDES


@dataclasses.dataclass(frozen=True)
class Trial:
    """Two images, of which one is real.

    Attributes:
      index: place in the session, from 0.
      practice: whether the trial is for practice: it has feedback and does not count.
      vigilance: whether the generated image is unmistakably broken.
      example_id: example of the generated image.
      real_example_id: example of the real image.
      real_side: side of the real image, `left` or `right`.
      images: side -> token of the image; `left` is shown first.
    """

    index: int
    practice: bool
    vigilance: bool
    example_id: str
    real_example_id: str
    real_side: str
    images: Mapping[str, str]


def assign_session(study: Study, ordinal: int, counts: Mapping[str, int]) -> tuple[str, int]:
    """Returns the algorithm of a session, which is one of those with the fewest sessions, and its seed.

    Args:
      study: the study.
      ordinal: number of the session, from 0.
      counts: algorithm -> number of its sessions; 0 for algorithms that are missing.
    """
    fewest = min(counts.get(name, 0) for name in study.algorithms)
    candidates = [name for name in study.algorithms if counts.get(name, 0) == fewest]
    algorithm = min(candidates, key=lambda name: _draw(study.seed, "algorithm", ordinal, name))
    return algorithm, int(_draw(study.seed, "session", ordinal) * 2**53)


def plan_session(study: Study, algorithm: str, seed: int) -> tuple[Trial, ...]:
    """Returns the trials of a session: each example occurs once, and sides and order are random.

    Args:
      study: the study.
      algorithm: the algorithm whose images are shown.
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
        real_side = SIDES[_draw(seed, "side", index) < 0.5]
        other = example.vigilance if index in vigilant else example.generated[algorithm]
        trials.append(
            Trial(
                index=index,
                practice=index < protocol.practice_trials,
                vigilance=index in vigilant,
                example_id=example.example_id,
                real_example_id=real_example.example_id,
                real_side=real_side,
                images={side: real_example.real if side == real_side else other for side in SIDES},
            )
        )
    return tuple(trials)


def _draw(*address: int | str) -> float:
    """Returns a number in [0, 1), uniformly distributed over addresses."""
    # A name with a slash in it must not be mistaken for two parts.
    text = "/".join(f"{len(str(part))}:{part}" for part in address)
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53
