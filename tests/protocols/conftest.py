"""What a file of this folder declares is bound while its tests run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _declared(request: pytest.FixtureRequest) -> Iterator[None]:
    scope = getattr(request.module, "scope", None)
    if scope is None:
        yield
        return
    with scope:
        yield
