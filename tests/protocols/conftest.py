"""What a file of this folder declares is bound while its tests run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def _declared(request: pytest.FixtureRequest) -> Iterator[None]:
    scope = getattr(request.module, "scope", None)
    if scope is None:
        yield
        return
    with scope:
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of the captures, or other cases, that a test asks tshark about the first is quick: each is a start of a program."""
    asked = set[tuple[Path, str]]()
    for item in items:
        if isinstance(item, pytest.Function) and item.path.parent == HERE and "tshark" in item.fixturenames and hasattr(item, "callspec"):
            test = (item.path, item.originalname)
            if test in asked:
                item.add_marker(pytest.mark.slow)
            asked.add(test)
