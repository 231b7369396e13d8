"""What a process has open, so that tests see whether something stays open."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PATIENCE = 30.0  # seconds: threads close what is theirs when they get the processor


def descriptors() -> set[str]:
    """Return the descriptors of this process, each with what it leads to: a socket, say, by its own number."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing itself, or closed since
            found.add(f"{name}: {os.readlink(f'/proc/self/fd/{name}')}")
    return found


@contextmanager
def none_stays_open() -> Iterator[None]:
    """Assert that nothing which is opened inside stays open.

    Descriptors are told apart, not counted: those of earlier tests may be closed meanwhile, and threads open some for a moment.
    """
    before = descriptors()
    yield
    end = time.monotonic() + PATIENCE
    while left := descriptors() - before:
        assert time.monotonic() < end, f"still open: {sorted(left)}"
        time.sleep(0.01)
