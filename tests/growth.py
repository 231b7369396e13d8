"""Work counted in steps and bytes, so that tests of growth do not depend on the clock."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage of earlier tests is collected inside: what that calls is no step of the work that is counted."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def steps(work: Callable[[], Any]) -> int:
    """Return how many lines and calls of functions `work` takes, those of C functions too."""
    count = 0

    def trace(frame: Any, event: str, value: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace(), sys.getprofile()
    with uncollected():
        sys.setprofile(trace)
        sys.settrace(trace)
        try:
            work()
        finally:
            sys.settrace(before[0])
            sys.setprofile(before[1])
    return count


def peak(work: Callable[[], Any]) -> int:
    """Return the bytes of memory that `work` had at most, in addition to what there was before."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def is_linear(
    work: Callable[[Any], Any],
    make: Callable[[int], Any],
    size: int,
    measure: Callable[[Callable[[], Any]], int] = steps,
) -> None:
    """Assert that work on what `make` makes of n, 2n and 4n takes steps (or bytes) in proportion.

    What each doubling adds is compared: twice as much where growth is linear, four times where it is quadratic.
    """
    given = [make(count) for count in (size, 2 * size, 4 * size)]
    work(make(size))  # what is done only once is done now
    one, two, four = (measure(lambda some=some: work(some)) for some in given)
    assert four - two <= 2.8 * max(two - one, one // 4), f"{measure.__name__}: {one}, {two}, {four} for n, 2n, 4n"
