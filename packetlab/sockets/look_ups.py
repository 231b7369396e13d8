"""Looking names up: the wait for a name server, which nothing ends, is a thread's of its own, so that a socket's can be ended."""

from __future__ import annotations

import os
import socket
import threading

from packetlab.link.event_loop import EventLoop
from packetlab.link.waits import start

Answer = str | Exception


class LookUps:
    """IPv4 addresses of names, as the system's resolver says them.

    What has no answer yet goes on, and is for the next call that wants the same name.
    """

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._under_way: dict[tuple[int, str], list[Answer]] = {}  # by process too: a forked child has none of these threads

    def answer(self, name: str) -> str | None:
        """Return the address of a name; None where asking goes on.

        Raises:
            socket.gaierror, UnicodeError: it has none. OSError: there is no room for one more thread.
        """
        key = os.getpid(), name
        answers = self._under_way.get(key)
        if answers is None:
            answers = []
            start(threading.Thread(target=self._ask, args=(name, answers), name="packetlab look-up", daemon=True))
            self._under_way[key] = answers
        if not answers:
            return None
        self._under_way.pop(key, None)
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    def _ask(self, name: str, answers: list[Answer]) -> None:
        try:
            answers.append(address_of(name))
        except Exception as error:
            answers.append(error)
        self._loop.poke()


def address_of(name: str, flags: int = 0) -> str:
    """Return the IPv4 address of a name, by `flags` of getaddrinfo(3) that of a text alone. socket.gaierror, UnicodeError: none."""
    return str(socket.getaddrinfo(name, None, socket.AF_INET, flags=flags)[0][4][0])
