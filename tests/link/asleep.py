"""What is done to a thread once it waits: by when that is, and not by a guess of how long it takes to get there."""

from __future__ import annotations

import itertools
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 60.0  # seconds until a wait that should have begun, or ended, is called broken
STATE = re.compile(r"^State:\s+S.*^voluntary_ctxt_switches:\s+(\d+)", re.MULTILINE | re.DOTALL)


def slept(place: str) -> str:
    """Return how often a thread or process, by its folder of /proc, has slept so far if it sleeps; nothing if it runs or is over."""
    try:
        with open(f"{place}/status") as file:
            found = STATE.search(file.read())
    except OSError:
        return ""
    return found[1] if found else ""


def sleeps(place: str, over: Callable[[], bool] = lambda: False) -> None:
    """Wait until a thread or process sleeps: not for Python's lock, for which it looks each five milliseconds."""
    before, deadline = "", time.monotonic() + PATIENCE
    for tries in itertools.count():
        now = slept(place)
        if over() or (now and (now == before or tries > 20)):  # the latter where the wait itself looks again and again
            return
        assert time.monotonic() < deadline, "it does not begin to wait"
        before = now
        time.sleep(0.012)


def waiting(call: Callable[[], object], then: Callable[[], object]) -> BaseException | object:
    """Run `call` in a thread, do `then` once that waits, and return what the call raised or returned."""
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(call())
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    sleeps(f"/proc/self/task/{thread.native_id}", lambda: not thread.is_alive())
    then()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the wait did not end"
    return result[0]


@contextmanager
def signalled(handler: Any = None, number: int = signal.SIGUSR1) -> Iterator[None]:
    """Send this thread, the main one, a signal once it waits inside. There it is handled by `handler`, if one is given.

    Not the alarm, which ends a test that takes too long.
    """
    main, place, over = threading.get_ident(), f"/proc/self/task/{threading.get_native_id()}", threading.Event()
    before = None if handler is None else signal.signal(number, handler)

    def send() -> None:
        sleeps(place, over.is_set)
        if not over.is_set():
            signal.pthread_kill(main, number)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if handler is not None:
            signal.signal(number, before)
