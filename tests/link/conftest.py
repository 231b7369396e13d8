"""Labs for tests: where the kernel refuses them, tests are skipped with its reason; in CI that is a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from packetlab import Lab

REFUSAL = Lab.refusal()


@pytest.fixture
def lab() -> Iterator[Lab]:
    if REFUSAL is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(REFUSAL)
    with Lab() as made:
        yield made
