"""Who sees what in a study: a pure function of its seed, so that a session goes on as it began.

Every draw is a hash of its address, which no version of a library changes.
"""

import dataclasses
import hashlib
from collections.abc import Mapping

from tfpix2pix.study.folder import Study
from tfpix2pix.study.records import SIDES


@dataclasses.dataclass(frozen=True)
class Trial:
    """Two images, and which is which.

    Attributes:
      index: 0, 1, 2, ... within the session.
      practice: see `study_records.Answer`, as for the next four.
      vigilance: see there.
      example_id: see there.
      real_example_id: see there.
      real_side: see there.
      images: tokens by side; `left` is shown first.
      gaps_sec: blank before the first image, and between the two.
    """

    index: int
    practice: bool
    vigilance: bool
    example_id: str
    real_example_id: str
    real_side: str
    images: Mapping[str, str]
    gaps_sec: tuple[float, float]


def assign_session(study: Study, ordinal: int, counts: Mapping[str, int]) -> tuple[str, int]:
    """Returns a session's algorithm, one of those with the fewest sessions, and its seed.

    Args:
      study: which.
      ordinal: of the session, from 0.
      counts: sessions by algorithm; none for those that are missing.
    """
    fewest = min(counts.get(name, 0) for name in study.algorithms)
    candidates = [name for name in study.algorithms if counts.get(name, 0) == fewest]
    algorithm = min(candidates, key=lambda name: _draw(study.seed, "algorithm", ordinal, name))
    return algorithm, int(_draw(study.seed, "session", ordinal) * 2**53)


def plan_session(study: Study, algorithm: str, seed: int) -> tuple[Trial, ...]:
    """Returns the trials of a session: no example twice, sides and order by chance.

    Args:
      study: which.
      algorithm: whose images.
      seed: of the session.
    """
    protocol = study.protocol
    order = sorted(study.examples, key=lambda example: _draw(seed, "order", example.example_id))
    counted = sorted(range(protocol.practice_trials, protocol.trials), key=lambda i: _draw(seed, "kind", i))
    vigilant = set(counted[: protocol.vigilance_trials])
    # With twice as many examples as trials, nobody sees the real image of a generated one.
    shift = len(order) // 2 if protocol.pairing == "different" else 0
    trials = []
    for index in range(protocol.trials):
        example, real_example = order[index], order[(index + shift) % len(order)]
        real_side = SIDES[_draw(seed, "side", index) < 0.5]
        other = example.vigilance if index in vigilant else example.generated[algorithm]
        spread = protocol.most_gap_sec - protocol.least_gap_sec
        first, second = (protocol.least_gap_sec + spread * _draw(seed, "gap", index, side) for side in SIDES)
        trials.append(
            Trial(
                index=index,
                practice=index < protocol.practice_trials,
                vigilance=index in vigilant,
                example_id=example.example_id,
                real_example_id=real_example.example_id,
                real_side=real_side,
                images={side: real_example.real if side == real_side else other for side in SIDES},
                gaps_sec=(first, second),
            )
        )
    return tuple(trials)


def _draw(*address: int | str) -> float:
    """Returns a number from [0, 1), uniform over addresses."""
    # A name with a slash in it must not be mistaken for two parts.
    text = "/".join(f"{len(str(part))}:{part}" for part in address)
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53
