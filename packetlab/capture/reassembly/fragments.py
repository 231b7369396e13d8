"""Fragments: IPv4 and IPv6 fragments become the datagrams that they were cut from.

Follows RFC 791 section 3.2, RFC 8200 section 4.5 and RFC 5722 (IPv6 datagrams with overlapping fragments are given up).
Of IPv4 fragments that overlap, the bytes that came first stay. Fragments that do not make a datagram come out as they
are, with events that say why. A datagram in a tunnel is put together like any other, and so is the tunnel's own.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any, Protocol

from packetlab.capture.frame import Frame
from packetlab.capture.reassembly.events import EventKind, ReassemblyEvent
from packetlab.capture.reassembly.ordering import Piece, fit, merged
from packetlab.codec.around.outer import has_context
from packetlab.codec.context.context import Context, Moment, read_in
from packetlab.engine.contract import nanoseconds
from packetlab.errors import BuildError
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.dissect import dissect
from packetlab.protocols.ip import Fragment, IPv4, IPv6
from packetlab.protocols.linktypes import FIRST
from packetlab.renamed import renamed, renamed_arguments

SECOND = 1_000_000_000
LARGEST = 65535  # bytes of a datagram's data, at most
COST = 1000  # bytes of memory that a fragment or an event takes in addition to its data, about
REMEMBERED = 65_536  # fragments of whole datagrams that may still be doubled
LEVELS = 32  # datagrams that are fragments themselves, one in the other

_Marks = set[tuple[int, bool, bytes]]  # of fragments: offset, whether more follow, digest of the data


class FrameOrder(Protocol):
    """What was remembered from the frames before each (see `capture.order`)."""

    context: Context

    def packet(self, frame: Frame) -> Packet:
        """Return the packet of a frame."""

    def before(self, number: int) -> Context:
        """Return what was remembered from the packets before one."""

    def _read(self, frame: Frame) -> Packet: ...


class DatagramOrder:
    """What was remembered from datagrams, as they are put together. `frames`: what is known of the frames that they are from."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.frames: FrameOrder | None = None

    def packet(self, frame: Frame, *, keep: bool = False, is_look: bool = False) -> Packet:
        """Return the packet of a datagram; `keep` has those after it know what is remembered from it, `is_look` is for what may be a part."""
        moment = Moment(self.context, frame.number, frame.time_ns, is_placed=True, is_look=is_look)
        packet: Packet = read_in(moment, lambda: self._read(frame))
        if keep:
            moment.keep()
        return packet

    def before(self, number: int) -> Context:
        """Return what was remembered from the datagrams before one."""
        return self.context.before(number)

    def _read(self, frame: Frame) -> Packet:
        return Frame.packet(frame) if self.frames is None else self.frames._read(frame)

    def __reduce__(self) -> tuple[object, ...]:
        """It does not go along where datagrams go elsewhere."""
        return type(None), ()


class Datagram(Frame):
    """A frame with a whole datagram: as it was captured, or put together from fragments.

    Attributes:
        parts: numbers of the frames that it was made of; its own time and number are those of the one that came last.
        events: what happened; fragments that were given up together have the same. whole: False for a fragment that is
            handed on as it is.
    """

    __slots__ = ("events", "order", "parts", "whole")

    order: FrameOrder | None  # what was remembered from those before it
    parts: tuple[int, ...]
    events: tuple[ReassemblyEvent, ...]
    whole: bool
    notes = renamed("notes", "events")

    @classmethod
    @renamed_arguments(notes="events")
    def of(cls, frame: Frame, events: Sequence[ReassemblyEvent] = (), whole: bool = True) -> Datagram:
        """Return a captured frame as it is, with what is to be said of it."""
        made = cls(
            frame.data,
            frame.time_ns,
            wire_length=frame.wire_length,
            interface=frame.interface,
            number=frame.number,
            extras=frame.extras,
        )
        made.parts, made.events, made.whole = _parts(frame), tuple(events), whole
        made.order = getattr(frame, "order", None)
        if isinstance(frame, Datagram):
            made.events = (*frame.events, *made.events)
        return made


    def packet(self) -> Packet:
        """Return the datagram dissected, with what those before it had remembered."""
        order: FrameOrder | None = getattr(self, "order", None)
        return super().packet() if order is None else order.packet(self)

    def context(self) -> Context:
        """Return what was remembered from the datagrams before it (see `Frame.context`)."""
        order: FrameOrder | None = getattr(self, "order", None)
        return super().context() if order is None else order.before(self.number)


def _parts(frame: Frame) -> tuple[int, ...]:
    return frame.parts if isinstance(frame, Datagram) else (frame.number,)


def packet_of(frame: Frame) -> Packet:
    """Return a frame dissected, with less ado than `Frame.packet` for link types that are known."""
    first = FIRST.get(frame.interface.linktype) if type(frame) is Frame else None
    return dissect(frame.data, first, frame.wire_length) if first is not None else frame.packet()


def is_fragment(packet: Packet) -> int | None:
    """Return which layer says that the packet is a fragment, the outermost of several; None where none does."""
    layers: Any = packet.layers
    for i, layer in enumerate(layers):
        if isinstance(layer, IPv4):
            if layer._fragment_offset or (layer._flags or 0) & 1:  # type: ignore[attr-defined]
                return i
        elif isinstance(layer, Fragment):
            if layer.offset or layer.more:
                return i
        elif type(layer)._declaration.quotes is not None:
            return None  # what an ICMP error quotes is no traffic
    return None


class _Set:
    """The fragments of one datagram, so far."""

    def __init__(self, time_ns: int) -> None:
        self.begun = time_ns
        self.frames: list[Frame] = []
        self.parts: list[Piece] = []  # sorted, none overlapping
        self.events: list[ReassemblyEvent] = []
        self.size = 0  # bytes of memory, about
        self.there = 0  # bytes of data before the end, as far as that is known
        self.first: Packet | None = None  # of the fragment at offset 0
        self.total: int | None = None  # bytes of the datagram's data
        self.known: _Marks = set()
        self.refused = False

    def covered(self) -> bool:
        return self.total is not None and self.first is not None and self.there >= self.total

    def count(self, parts: Sequence[Piece]) -> None:
        """Count the bytes of parts that lie before the end; none overlap."""
        self.there += sum(part.end if self.total is None else min(part.end, self.total) for part in parts)
        self.there -= sum(part.offset if self.total is None else min(part.offset, self.total) for part in parts)

    def holes(self) -> list[ReassemblyEvent]:
        events, at = [], 0
        for part in self.parts:
            if part.offset > at:
                events.append(ReassemblyEvent(EventKind.HOLE, 0, "", at, part.offset - at))
            at = part.end
        if self.total is None:
            events.append(ReassemblyEvent(EventKind.HOLE, 0, "", at, 0, "the last fragment is missing"))
        elif at < self.total:
            events.append(ReassemblyEvent(EventKind.HOLE, 0, "", at, self.total - at))
        return events


class Fragments:
    """Puts IP datagrams together, frame by frame.

    Args:
        timeout: seconds, by the capture's own times, that fragments wait for the others (RFC 8200: 60).
        memory: bytes that all that wait may take together, events on them too, about; beyond it the oldest are given up.
        context: what was agreed before, where headers are declared that recall that: datagrams are read in order, and fragments
            by themselves tell nothing. Without one they go by what the frames do.
    """

    def __init__(self, *, timeout: float = 60.0, memory: int = 1 << 25, context: Context | None = None) -> None:
        self._order = DatagramOrder(context) if context is not None and has_context() else None
        self._timeout, self._memory = nanoseconds(timeout, f"{type(self).__name__}: timeout"), memory
        self._sets: OrderedDict[object, _Set] = OrderedDict()  # the oldest first
        self._done: OrderedDict[object, tuple[int, int, _Marks]] = OrderedDict()  # time, frame, its fragments
        self._size = self._remembered = 0
        self.now = 0

    def receive(self, frame: Frame) -> list[Datagram]:
        """Take a frame; return what is whole now, or given up: usually one datagram, or none for a fragment."""
        return self._given(self.take(frame))

    def take(self, frame: Frame) -> list[Frame]:
        """Do what `receive` does, but return frames that are no fragments as they are."""
        given: list[Frame] = []
        if frame.time_ns is not None and frame.time_ns > self.now:
            self.now = frame.time_ns
        while self._sets:
            key, oldest = next(iter(self._sets.items()))
            if self.now - oldest.begun <= self._timeout:
                break
            given += self._give_up(key, EventKind.TIMEOUT, f"{self._timeout / SECOND:g} seconds")
        packet, place = self._read(frame)
        if place is None:
            given.append(frame)
            return given
        given += self._fragment(frame, packet, place)
        while self._size > self._memory:
            given += self._give_up(next(iter(self._sets)), EventKind.LIMIT, f"{self._memory} bytes of memory")
        return given

    def end(self) -> list[Datagram]:
        """The capture is at its end: return the fragments that are left."""
        given: list[Frame] = []
        for key in list(self._sets):
            given += self._give_up(key, EventKind.HOLE, "the end of the capture")
        return self._given(given)

    def _given(self, frames: list[Frame]) -> list[Datagram]:
        found = [made if isinstance(made, Datagram) else Datagram.of(made) for made in frames]
        for made in found if self._order is not None else ():
            made.order = self._order
        return found

    def _read(self, frame: Frame) -> tuple[Packet, int | None]:
        """Return a frame dissected, and which layer says that it is a fragment; else those after it know what is remembered from it."""
        if self._order is None:
            packet = packet_of(frame)
            return packet, is_fragment(packet)
        if not isinstance(frame, Datagram):
            self._order.frames = getattr(frame, "order", None)
        packet = self._order.packet(frame, is_look=True)
        place = is_fragment(packet)
        return (self._order.packet(frame, keep=True), None) if place is None else (packet, place)

    def _fragment(self, frame: Frame, packet: Packet, place: int, level: int = 0) -> list[Frame]:  # noqa: C901  faults
        layers: Any = packet.layers
        layer = layers[place]
        bodies = packet._build()[0]
        data = bodies[place]
        if isinstance(layer, IPv4):
            ip, at = layer, place
            offset, more = layer.fragment_offset * 8, bool(int(layer.flags) & 1)
            key: tuple[object, ...] = (4, layers[at]._src, layers[at]._dst, layers[at]._protocol, layer.id)
            size = ip.length - ip.ihl * 4
        else:
            at = max((i for i in range(place) if isinstance(layers[i], IPv6)), default=-1)
            if at < 0:
                return [Datagram.of(frame, whole=False)]
            offset, more = layer.offset * 8, bool(layer.more)
            key = (6, layers[at]._src, layers[at]._dst, layer.id)
            size = layers[at].length
        if None in key:
            return [Datagram.of(frame, whole=False)]
        missing = max(0, size - len(bodies[at])) if size > 0 else 0
        six = key[0] == 6
        mark = (offset, more, blake2b(data, digest_size=16).digest())
        if key in self._done:
            time, by, known = self._done[key]
            if self.now - time <= self._timeout and mark in known:
                detail = f"the datagram was whole with frame {by}"
                return [Datagram.of(frame, [_event(EventKind.RETRANSMISSION, frame, offset, len(data), detail)], False)]
        own = self._sets.get(key)
        if own is None:
            own = self._begin(key)
        if own.refused:
            return [Datagram.of(frame, [_event(EventKind.OVERLAP, frame, offset, len(data), "given up before")], False)]
        own.frames.append(frame)
        if mark in own.known:
            self._event(own, EventKind.RETRANSMISSION, frame, offset, len(data))
            self._grow(own, COST + len(frame.data))
            return []
        own.known.add(mark)
        self._grow(own, COST + len(frame.data) + len(data))
        if offset == 0 and own.first is None:
            own.first = packet
        if missing:
            self._event(own, EventKind.CUT, frame, offset + len(data), missing)
        end = offset + len(data) + missing
        if not data or (more and end % 8):
            self._event(own, EventKind.BAD_SIZE, frame, offset, len(data))
        if end > LARGEST:
            self._event(own, EventKind.TOO_LONG, frame, offset, len(data))
            return self._give_up(key, EventKind.TOO_LONG, f"{end} bytes")
        clash = own.total is not None and end > own.total
        if not more:
            clash = clash or (own.total is not None and own.total != end)
            clash = clash or bool(own.parts and own.parts[-1].end > end)
            if own.total is None:
                own.total, own.there = end, 0
                own.count(own.parts)
        if clash:
            self._event(own, EventKind.BAD_SIZE, frame, offset, len(data), f"the end is at {own.total}")
        overlaps = self._insert(own, frame, offset, data)
        if six and (overlaps or clash):
            given = self._give_up(key, EventKind.OVERLAP, "RFC 5722")
            self._begin(key).refused = True
            return given
        return self._whole(key, own, frame, level) if own.covered() else []

    def _insert(self, own: _Set, frame: Frame, offset: int, data: bytes) -> bool:
        """Put the bytes of a fragment where nothing is yet; say whether there was something."""
        fresh, seen, clashes = fit(own.parts, Piece(offset, data, frame.number, frame.time_ns))
        for at, size, detail in merged(clashes):
            self._event(own, EventKind.CONFLICT, frame, at, size, detail)
        if seen:
            self._event(own, EventKind.OVERLAP if fresh else EventKind.RETRANSMISSION, frame, offset, len(data))
        elif own.parts and offset < own.parts[-1].offset:
            self._event(own, EventKind.OUT_OF_ORDER, frame, offset, len(data))
        for part in fresh:
            insort(own.parts, part)
        own.count(fresh)
        return seen > 0

    def _whole(self, key: tuple[object, ...], own: _Set, frame: Frame, level: int) -> list[Frame]:
        """Make the datagram of a set that lacks nothing; go on where it is itself a fragment of another, inside."""
        assert own.first is not None
        assert own.total is not None
        place = is_fragment(own.first) or 0
        layers: Any = own.first.layers
        data = b"".join(part.data for part in own.parts)[: own.total]
        body = own.first._build()[0]
        try:
            if key[0] == 4:
                base = Packet(layers[: place + 1], body[place])
                flags = int(layers[place].flags) & ~1
                made = base.replace(_nth(layers, place), flags=flags, fragment_offset=0, payload=data)
            else:
                # The fragment header goes, and the header before it names the one after it (RFC 8200 section 4.5).
                base = Packet(layers[:place], body[place - 1])
                following = layers[place].next_header
                made = base.replace(_nth(layers, place - 1), next_header=following, payload=data)
            raw = bytes(made)
        except BuildError as error:
            return self._give_up(key, EventKind.TOO_LONG, str(error))
        self._size -= own.size
        del self._sets[key]
        self._remember(key, frame, own)
        first = own.frames[0]
        whole = Datagram(raw, frame.time_ns, interface=first.interface, number=frame.number, extras=first.extras)
        whole.parts = tuple(number for one in own.frames for number in _parts(one))
        whole.events = (*_inner(own), *own.events)
        whole.whole, whole.order = True, getattr(first, "order", None)
        packet, inner = self._read(whole)
        if inner is None:
            return [whole]
        if level == LEVELS:
            return [
                Datagram.of(
                    whole, [ReassemblyEvent(EventKind.LIMIT, 0, detail=f"{LEVELS} datagrams in one another")], False
                )
            ]
        return self._fragment(whole, packet, inner, level + 1)

    def _begin(self, key: object) -> _Set:
        own = self._sets[key] = _Set(self.now)
        self._grow(own, COST)
        return own

    def _event(self, own: _Set, kind: EventKind, frame: Frame, offset: int, size: int, detail: str = "") -> None:
        own.events.append(_event(kind, frame, offset, size, detail))
        self._grow(own, COST)

    def _grow(self, own: _Set, size: int) -> None:
        own.size += size
        self._size += size

    def _remember(self, key: object, frame: Frame, own: _Set) -> None:
        """Keep in mind which fragments made a datagram, for copies of them that come later."""
        _, _, before = self._done.pop(key, (0, 0, ()))
        self._done[key] = (self.now, frame.number, own.known)
        self._remembered += len(own.known) - len(before)
        while self._remembered > REMEMBERED:
            _, _, oldest = self._done.pop(next(iter(self._done)))
            self._remembered -= len(oldest)

    def _give_up(self, key: object, why: EventKind, detail: str) -> list[Frame]:
        """Hand on the fragments of a set as they are."""
        own = self._sets.pop(key)
        self._size -= own.size
        events = (*_inner(own), *own.events, *own.holes(), ReassemblyEvent(why, 0, detail=detail))
        given: list[Frame] = []
        for frame in own.frames:
            made = Datagram.of(frame, whole=False)
            made.events = events  # one for all: each of its own would be n times n
            given.append(made)
        return given


def _inner(own: _Set) -> Iterator[ReassemblyEvent]:
    """Yield what was to be said of fragments that were put together themselves, in a tunnel."""
    inner = {id(frame.events): frame.events for frame in own.frames if isinstance(frame, Datagram)}
    return chain.from_iterable(inner.values())


def _event(kind: EventKind, frame: Frame, offset: int, size: int, detail: str = "") -> ReassemblyEvent:
    return ReassemblyEvent(kind, frame.number, "", offset, size, detail, frame.time_ns)


def _nth(layers: Sequence[Header], place: int) -> tuple[type[Header], int]:
    """Return how `Packet.replace` names a layer."""
    cls = type(layers[place])
    return cls, sum(isinstance(layer, cls) for layer in layers[:place])
