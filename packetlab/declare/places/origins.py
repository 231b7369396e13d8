"""Where offsets and multiples begin to count: at the header's own start, a field of it, a header around it, or the packet's start."""

from __future__ import annotations

from packetlab.declare.expressions import Elsewhere
from packetlab.errors import DeclareError


class OwnPlace(Elsewhere):
    """How many bytes after the beginning of a header around it (or of the packet) a header begins; 0 where there is no such header."""

    def __init__(self, since: str) -> None:
        super().__init__("@", since)  # no path to a field

    def __str__(self) -> str:
        return f"offset_of(self, since={self.name})"


def checked_origin(since: object, where: str) -> str:
    """Return what says where to begin to count. DeclareError for what is no name."""
    if not isinstance(since, str) or not since.isidentifier():
        hint = f'since="{since.__name__}"' if isinstance(since, type) else ""
        raise DeclareError(where, 'the name of a header as since=, "self" or "packet"', f"{since!r:.60}", hint)
    return since
