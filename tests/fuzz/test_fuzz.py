"""A little of the mutation fuzzing in every run of the suite: one sequence that is always the same, one that is new."""

from __future__ import annotations

import secrets

import pytest

from packetlab.capture.reassembly import Streams
from tests.fuzz import fuzz

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [13, None], ids=["the same", "new"])
def test_frames_and_files_changed_at_random(seed: int | None) -> None:
    outcome = fuzz(120, 20, secrets.randbelow(1 << 24) if seed is None else seed)
    assert outcome.runs > 0
    assert not outcome.failures, str(outcome)  # with the seeds that repeat them


def test_what_goes_wrong_is_found_and_can_be_repeated_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: Streams, frame: object) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr(Streams, "take", wrong)
    (found,) = fuzz(1, 60, 5).failures
    assert (found.what, found.said.split(" (")[0]) == ("streams", "KeyError: 'a mistake'")
    (again,) = fuzz(1, 60, 6, only=found.seed).failures
    assert again == found
