"""What ends a wait for the next frame on behalf of who takes frames: a replay whose source waits looks at its own `stop`.

A source may be many generators deep, so it is not told: what waits for frames looks at what its thread takes them for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class _Here(threading.local):
    looks: tuple[Callable[[], bool], ...] = ()


_here = _Here()


def taken(things: Iterator[T], ended: Callable[[], bool]) -> Iterator[T]:
    """Yield things; while this thread waits for the next, frames end where `ended` says so.

    An error that it raises comes out here: within the source it would be taken for trouble of the file. So does one of a
    source that waited and then ended by itself: what ended since the source looked is looked at once more.
    """
    errors: list[Exception] = []
    waited = False

    def look() -> bool:
        nonlocal waited
        waited = True
        try:
            return ended()
        except Exception as error:
            errors.append(error)
            return True

    while True:
        before, waited = _here.looks, False
        _here.looks = (*before, look)
        try:
            thing = next(things)
        except Exception as error:
            if waited and not errors:
                look()
            if errors:
                raise errors[0] from None
            if isinstance(error, StopIteration):
                return
            raise
        finally:
            _here.looks = before
        yield thing


def is_ended() -> bool:
    """Whether what this thread takes frames for has ended."""
    looks = _here.looks
    return bool(looks) and any(look() for look in looks)
