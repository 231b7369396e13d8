"""The classes of a format, which are declared while the tests of a file run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from packetlab import Header, bindings, import_ksy
from tests.ksy.again import FORMATS


@pytest.fixture(scope="module")
def format() -> Iterator[Callable[[str], type[Header]]]:
    """Return a function of the name of a format that gives its class."""
    with bindings():
        yield cache(lambda name: import_ksy(FORMATS / f"{name}.ksy").declare()[0])
