"""A little of the mutation fuzzing in every run of the suite: one sequence that is always the same, one that is new."""

from __future__ import annotations

import secrets

import pytest

from tests.fuzz import fuzz


@pytest.mark.parametrize("seed", [13, None], ids=["the same", "new"])
def test_frames_and_files_changed_at_random(seed: int | None) -> None:
    outcome = fuzz(120, 20, secrets.randbelow(1 << 24) if seed is None else seed)
    assert outcome.runs > 0
    assert not outcome.failures, str(outcome)  # with the seeds that repeat them
