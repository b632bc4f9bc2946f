"""Blanks that nobody can foretell from the seed."""

import pytest

from tfpix2pix.study.records import Session
from tfpix2pix.study.signing import Signer


def make_session(name: str, seed: int = 0) -> Session:
    texts = ("W1", None, None, "L1", seed, "1280x720", 1, "", "", None, None)
    return Session(name, 0, *texts)


def test_blanks_are_evenly_drawn_whole_milliseconds_and_stay():
    signer = Signer(b"k" * 32)
    gaps = [signer.draw_gap_ms(make_session("a"), i, side, 300, 600) for i in range(5000) for side in "ab"]
    assert min(gaps) == 300 and max(gaps) == 600 and all(isinstance(gap, int) for gap in gaps)
    # The standard deviation of the mean of 10,000 draws is 0.87 ms.
    assert sum(gaps) / len(gaps) == pytest.approx(450, abs=4)
    assert gaps[:2] == [signer.draw_gap_ms(make_session("a"), 0, side, 300, 600) for side in "ab"]


def test_blanks_depend_on_the_key_and_not_on_the_seed():
    def draw(key: bytes, name: str = "a", seed: int = 0) -> list[int]:
        return [Signer(key).draw_gap_ms(make_session(name, seed), i, "left", 0, 10_000) for i in range(5)]

    assert draw(b"k" * 32) == draw(b"k" * 32, seed=1)
    assert draw(b"k" * 32) != draw(b"l" * 32)
    assert draw(b"k" * 32) != draw(b"k" * 32, name="b")


def test_seeds_of_sessions_depend_on_the_key_and_the_session():
    signers = [Signer(b"k" * 32), Signer(b"l" * 32)]
    seeds = [signer.draw_session_seed(f"{name:032x}") for signer in signers for name in range(100)]
    assert len(set(seeds)) == 200 and seeds[1] == signers[0].draw_session_seed(f"{1:032x}")
    # SQLite and JSON keep such integers exactly.
    assert all(0 <= seed < 2**53 for seed in seeds)
