"""Interrupts that are noted, and looked at where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


class Interrupts:
    """Notes the first KeyboardInterrupt that a handler of a signal raises in its `with`: SIGINT's, or that of any other.

    Python calls handlers in the main thread, between any two steps of what runs there. So elsewhere there is nothing to note.

    Attributes:
        noted: whether there was one, or whatever else began what is waited for: one that comes then is raised, at once.
    """

    def __init__(self) -> None:
        self.noted = self._over = False
        self._handlers: dict[int, tuple[Handler, Handler]] = {}  # of each signal, that before and ours

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            try:
                for number in signal.valid_signals():
                    if callable(before := signal.getsignal(number)):
                        ours = partial(self._called, before)
                        self._handlers[number] = before, ours
                        signal.signal(number, ours)
            except BaseException:  # a handler that is not ours yet raises something
                self.__exit__()
                raise
        return self

    def _called(self, handler: Handler, number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        except KeyboardInterrupt:
            if self.noted or self._over:
                raise
            self.noted = True

    def __exit__(self, *_: object) -> None:
        self._over = True  # also where this is interrupted, and handlers of ours stay
        for number, (before, ours) in self._handlers.items():
            if signal.getsignal(number) is ours:  # else a handler has set another meanwhile
                signal.signal(number, before)
