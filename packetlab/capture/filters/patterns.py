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
        from packetlab.pattern.filter import compile_filter

        return compile_filter(pattern)
    if isinstance(pattern, type):
        header = _header_class(pattern)
        return lambda packet: header in packet
    if is_foreign(pattern):
        pattern = as_packet(pattern)
    from packetlab.pattern.conditions import Test

    if isinstance(pattern, Test):
        return pattern
    from packetlab.packet.packet import Header

    if isinstance(pattern, Header):
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


def _header_class(pattern: type) -> type[Header]:
    """Return a class that packets may have headers of. TypeError for other classes, BuildError for one that items are of."""
    from packetlab.declare.registry import bindings_of, declared
    from packetlab.packet.packet import Header

    if not issubclass(pattern, Header):
        raise _no_pattern(pattern)
    said = pattern._declaration
    among = [(one, f) for one in declared() for f in one.fields if f.kind.wire == "items" and f.kind.item is said]
    if among and not any(bindings_of(one) for one in (said, *declared()) if one.is_a(said)):
        header, f = among[0]
        names = f'"{header.name.lower()}.{f.name}.{pattern._fields[0].name}"' if pattern._fields else ""
        raise BuildError(
            f"pattern {pattern.__name__}", "a header of a packet", f"an item of {header.name}.{f.name}",
            f"ask for its fields in words: {names}" if names else "",
        )  # fmt: skip
    return pattern


def as_test(pattern: object) -> Any:
    """Return a pattern as the data that `pattern.filter` is about, None where it cannot be said so."""
    from packetlab.packet.header import HeaderType
    from packetlab.packet.packet import Header
    from packetlab.pattern.conditions import Match, Test, prototype_test
    from packetlab.pattern.filter import compile_filter

    if isinstance(pattern, str):
        return compile_filter(pattern)
    if isinstance(pattern, HeaderType):
        return Match(_header_class(pattern))
    if isinstance(pattern, Header):
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
