"""Where offsets and multiples begin to count: at the header's own start, a field of it, a header around it, or the packet's start."""

from __future__ import annotations

from collections.abc import Iterator

from packetlab.declare.expressions import Elsewhere
from packetlab.declare.kinds import Declared
from packetlab.errors import DeclareError


class OwnPlace(Elsewhere):
    """How many bytes after the beginning of a header around it (or of the packet) a header begins; 0 where there is no such header."""

    def __init__(self, since: str) -> None:
        super().__init__("@", since)  # no path to a field

    def __str__(self) -> str:
        return f"offset_of(self, since={self.name})"


def checked_origin(since: object, where: str, inside: bool = False) -> str:
    """Return what says where to begin to count: a name, with `inside` of a field of a header too. DeclareError for other things."""
    if not isinstance(since, str) or not all(map(str.isidentifier, since.split(".", 1) if inside else [since])):
        hint = f'since="{since.__name__}"' if isinstance(since, type) else ""
        raise DeclareError(where, 'the name of a header as since=, "self" or "packet"', f"{since!r:.60}", hint)
    return since


def counted_outside(header: Declared, holders: tuple[Declared, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield (field, origin) for what a header, and what it holds, counts from beginnings outside of it: "packet" or the name of a class."""
    within = (*holders, header)
    known = {one.name for each in within for one in (each, *each.bases)} | {"", "self"}
    for f in header.fields:
        leaves = [leaf for rule in (f.rule, f.size, f.count, f.place, f.origin, f.condition) if rule is not None for leaf in rule.leaves()]
        origins = [f.kind.counted_from, *(leaf.name for leaf in leaves if isinstance(leaf, OwnPlace))]
        yield from ((f"{header.name}.{f.name}", origin) for origin in origins if origin not in known)
        if f.kind.wire == "items" and f.kind.item is not None and f.kind.item not in within:
            yield from counted_outside(f.kind.item, within)


def check_in_message(header: Declared, message: Declared, where: str) -> None:
    """Refuse what a message of a stream, or a header above it, counts from outside: it may begin anywhere in a packet."""
    for name, origin in counted_outside(header):
        if header is message or origin == "packet":
            hint = f'since="{message.name}" counts from its beginning, and "self" from that of the header which has the field'
            expected = f"places in {name} that are counted inside the message, which may begin anywhere in a packet"
            raise DeclareError(where, expected, f'since="{origin}"', hint)
