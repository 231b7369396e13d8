"""What the tests of fleets have workers do: fresh processes import this and not the tests, which would take most of their time."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packetlab import Capture


def leave(code: int) -> None:
    assert multiprocessing.parent_process() is not None, "a job that ends its worker is done here"
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


class Unread(Exception):
    """An error that can be written and not read."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one)


def unread() -> None:
    raise Unread(1, 2)


class Noteless(Exception):
    add_note = None  # type: ignore[assignment]


def noteless() -> None:
    raise Noteless(1)


def count_and_process(capture: Capture) -> dict[str, int]:
    return {"frames": capture.count(), "process": os.getpid()}


def divide(capture: Capture) -> float:
    return 1 / 0


def decrypted(capture: Capture) -> list[object]:
    from packetlab import Header, Rest, aead, bindings, dissect, secret, through

    with bindings():

        class Sealed(Header):
            text: Rest = through(aead("AES-GCM", key=secret("lab"), nonce=bytes(12)), b"")

        return [dissect(frame.data, Sealed)[Sealed].text for frame in capture]
