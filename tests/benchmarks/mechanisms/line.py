"""What one line of the benchmark of mechanisms is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from operator import attrgetter
from typing import Any

from packetlab import Context, Header, dissect


@dataclass
class Line:
    """A message that packetlab reads and builds, and functions by hand that do the same.

    Attributes:
        mechanism, title: of a row in notebooks/mechanisms.md. header: the class, `Timed...`. make: makes one from its values.
        read: bytes to an object with the same attributes, `Plain...`; ValueError where they are too short. build: makes one, and packs it.
        first: the outermost header, if another. carrier: bytes before the message where it is read. payload: whether it has one. told: bytes that are read before, with what this one recalls.
        several: whether a packet holds several messages. fresh: whether there are several, whose state begins anew each time.
    """

    mechanism: str
    title: str
    header: type[Header]
    make: Callable[[], Any]
    read: Callable[[bytes], Any]
    build: Callable[[], bytes]
    first: type[Header] | None = None
    carrier: bytes = b""
    payload: bool = False
    told: Callable[[], Header] | None = None
    several: bool = False
    fresh: bool = False


_getters: dict[type, tuple[Callable[[Any], Any], Sequence[int]]] = {}


def look(one: Any) -> None:
    """Read every attribute of an object, and of those it holds: as many for packetlab's as for those made by hand."""
    get, inner = _getters[type(one)]
    values = get(one)
    for place in inner:
        held = values[place]
        for item in held if type(held) is tuple else () if held is None else (held,):
            look(item)


def prepare(ours: Any, by_hand: Any) -> None:
    """Find out which attributes there are to read; AssertionError where their values differ."""
    if isinstance(by_hand, Mapping):
        assert {number: str(value) for number, value in ours.items()} == {number: str(value) for number, value in by_hand.items()}
        _getters[type(ours)] = _getters[type(by_hand)] = lambda one: [*one.values()], ()
        return
    names = [f.name for f in fields(by_hand)]
    inner = []
    for place, name in enumerate(names):
        mine, theirs = getattr(ours, name), getattr(by_hand, name)
        first = theirs[0] if type(theirs) is tuple and theirs else theirs
        if is_dataclass(first) or isinstance(first, Mapping):
            inner.append(place)
            for one, other in zip(mine if type(theirs) is tuple else (mine,), theirs if type(theirs) is tuple else (theirs,), strict=True):
                prepare(one, other)
        else:
            same = mine == theirs or (type(theirs) is tuple and [*map(str, mine)] == [*map(str, theirs)])
            assert same, (type(ours).__name__, name, mine, theirs)
    get = attrgetter(*names) if len(names) > 1 else lambda one: (getattr(one, names[0]),)
    for one in (ours, by_hand):
        known = _getters.get(type(one), (get, ()))[1]
        _getters[type(one)] = get, sorted({*inner, *known})


def context_of(line: Line) -> Context | None:
    """Return a context that knows what was told, by the packet that tells it; None where a message goes by itself."""
    if line.told is None:
        return None
    context = Context()
    told = line.told()
    dissect(bytes(told), type(told), context=context)
    return context


def reader(line: Line, wire: bytes) -> Callable[[], Any]:
    """Return what reads the message with packetlab, in the way of a user."""
    first, cls, context = line.first or line.header, line.header, context_of(line)
    if line.several:
        return lambda: [one[cls] for one in dissect(wire, first).messages(cls)]
    if line.fresh:
        with Context():
            sizes = [len(bytes(one)) for one in line.make()]
        ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
        parts = [wire[end - size : end] for end, size in zip(ends, sizes, strict=True)]

        def anew() -> list[Any]:
            context = Context()
            return [dissect(part, first, context=context)[cls] for part in parts]

        return anew
    if line.payload:

        def both() -> Any:
            packet = dissect(wire, first)
            return packet[cls], packet.payload

        return both
    if context is not None:
        return lambda: dissect(wire, first, context=context)[cls]
    return lambda: dissect(wire, first)[cls]


def builder(line: Line) -> Callable[[], bytes]:
    """Return what makes the message with packetlab and packs it."""
    make, context = line.make, context_of(line)
    if line.several:
        return lambda: b"".join(map(bytes, make()))
    if line.fresh:

        def anew() -> bytes:
            with Context():
                return b"".join(map(bytes, make()))

        return anew
    if context is not None:

        def inside() -> bytes:
            with context:
                return bytes(make())

        return inside
    return lambda: bytes(make())
