"""Patterns: what users write to say which frames they mean, as tests of packets and as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from packetlab.errors import BuildError
from packetlab.packet.coerce import as_packet
from packetlab.packet.foreign import is_foreign

if TYPE_CHECKING:
    from packetlab.capture.frame import Frame
    from packetlab.packet.packet import Header


def matcher(pattern: object) -> Callable[[Any], bool]:
    """Return a test of packets from what users write as a pattern. TypeError for anything else.

    BuildError for a filter that asks about frames: there are none here.
    """
    test = _tester(pattern)
    from packetlab.pattern.conditions import About, Test

    for match in test.matches() if isinstance(test, Test) else ():
        if isinstance(match, About) and match.name != "faults":
            raise BuildError(
                "filter", "names of what a packet has", repr(match.name), "only frames of a capture have that"
            )
    return test


def frame_matcher(pattern: object) -> Callable[[Frame], bool]:
    """Return a test of frames from what users write as a pattern; a function is called with the frame's packet."""
    test = _tester(pattern)
    if pattern is None:
        return lambda frame: True
    from packetlab.pattern.conditions import Test

    if isinstance(test, Test):
        return lambda frame: test(frame.packet(), frame)
    return lambda frame: test(frame.packet())


def _tester(pattern: object) -> Callable[[Any], bool]:
    if pattern is None:
        return lambda packet: True
    if isinstance(pattern, str):
        return _in_words(pattern)
    if isinstance(pattern, type):
        header = header_class(pattern)
        return lambda packet: header in packet
    if is_foreign(pattern):
        pattern = as_packet(pattern)
    from packetlab.pattern.conditions import Test

    if isinstance(pattern, Test):
        return pattern
    from packetlab.packet.packet import Header

    if isinstance(pattern, Header):
        header_class(type(pattern))
        return lambda packet: bool(Header.matches(pattern, packet))
    if hasattr(pattern, "matches") and not callable(pattern):
        return lambda packet: bool(pattern.matches(packet))
    if callable(pattern):
        return lambda packet: bool(pattern(packet))
    raise _no_pattern(pattern)


def _no_pattern(pattern: object) -> TypeError:
    return TypeError(
        f"a pattern is a header, a header class, a filter in words or a function of a packet, not {pattern!r}"
    )


def _in_words(pattern: str) -> Callable[[Any], bool]:
    """Return a filter in words as a test of packets. BuildError for one that begins with what is never a layer."""
    from packetlab.pattern.conditions import Match
    from packetlab.pattern.filter import compile_filter

    test = compile_filter(pattern)
    for match in test.matches():
        if isinstance(match, Match):
            header_class(match.header)
    return test


def header_class(pattern: type, where: str = "pattern") -> type[Header]:
    """Return a class that packets may have headers of. TypeError for other classes, BuildError for one that items are of."""
    from packetlab.declare.registry import bindings_of, declared
    from packetlab.packet.packet import Header
    from packetlab.protocols.linktypes import FIRST

    if not issubclass(pattern, Header):
        raise _no_pattern(pattern)
    said = pattern._declaration
    if bindings_of(said):
        return pattern
    among = [(one, f) for one in declared() for f in one.fields if f.kind.wire == "items" and said.stands_for(f.kind.item)]
    if not among:
        return pattern
    bases = [one for one in declared() if said.stands_for(one)] or [said]  # itself, and what it refines
    if any(bindings_of(one) for base in bases for one in (base, *declared()) if one.is_a(base)):
        return pattern
    if any(first._declaration in bases for first in FIRST.values()):
        return pattern
    header, f = among[0]
    steps = [header.name.lower(), f.name, *([pattern.__name__.lower()] if said.refines is not None else [])]
    own = [*pattern._fields, *said.inside] if said.refines is None else [*said.inside, *pattern._fields]
    names = ".".join([*steps, *([own[0].name] if own else [])])
    listed = "" if f.kind.one else f", or {header.name}({f.name}=contains({pattern.__name__}))"
    raise BuildError(
        f"{where} {pattern.__name__}", "a header of a packet", f"an item of {header.name}.{f.name}",
        f'ask for its fields in words: "{names}"{listed}',
    )  # fmt: skip


def as_test(pattern: object) -> Any:
    """Return a pattern as the data that `pattern.filter` is about, None where it cannot be said so."""
    from packetlab.packet.header import HeaderType
    from packetlab.packet.packet import Header
    from packetlab.pattern.conditions import Match, Test, prototype_test

    if isinstance(pattern, str):
        return _in_words(pattern)
    if isinstance(pattern, HeaderType):
        return Match(header_class(pattern))
    if isinstance(pattern, Header):
        header_class(type(pattern))
        test, whole = prototype_test(pattern)
        return test if whole else None
    return pattern if isinstance(pattern, Test) else None


def needed(pattern: object) -> Any:
    """Return what a buffer tells of all packets that match, as data: None for nothing. What passes has still to be tested."""
    from packetlab.bulk.queries import prefilter
    from packetlab.packet.packet import Header, Packet
    from packetlab.pattern.conditions import Every, prototype_test

    if isinstance(pattern, Header):
        return prefilter(prototype_test(pattern)[0])
    if isinstance(pattern, Packet):  # its headers, in whatever order here
        return prefilter(Every([prototype_test(header)[0] for header in pattern._headers]))
    test = as_test(pattern)
    return None if test is None else prefilter(test)
