"""The catalogue of malformed packets: one thing wrong in each, with a name that stays, and what a dissector must say.

Made from the declarations alone, so a header of one's own has its catalogue too. What is to be said comes from
`expected_faults`; nothing here asks the dissector, which is what the catalogue is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

from packetlab.codec.bodies import measured
from packetlab.codec.compiler import replaced
from packetlab.codec.context.context import Context, Moment
from packetlab.codec.context.lending import goes_by_others, lent
from packetlab.codec.encode import encode_items
from packetlab.codec.faults import Fault
from packetlab.codec.objects import on_link
from packetlab.codec.refinement.class_bodies import plain
from packetlab.declare import registry
from packetlab.declare.checksums.bitwise import is_sum
from packetlab.declare.expressions import Next
from packetlab.declare.fields import Field
from packetlab.declare.kinds import Kind
from packetlab.declare.places.left import goes_by_left
from packetlab.declare.plan import Open, needs
from packetlab.declare.values.views import given
from packetlab.errors import BuildError
from packetlab.export.expected_faults import NOTHING, ExpectedFaults, Ground, inside, states_a_size
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Verdict
from packetlab.protocols.dissect import dissect

TRAILING = bytes(4)


@dataclass(frozen=True)
class Malformed:
    """One malformed packet.

    Attributes:
        id: its name, "udp.length.plus-one"; `str` gives it, so ``ids=str`` names the tests of ``pytest.mark.parametrize``.
        what: what is wrong, in words. data: the bytes. first: the header they begin with.
        faults: what a dissector must report, in order. exact: whether it must report nothing else.
        verdicts: what it must say of checksums, by "UDP.checksum". context: what it is read with, where headers recall something.
    """

    id: str
    what: str
    data: bytes
    first: type[Header] | None
    faults: tuple[Fault, ...] = ()
    exact: bool = True
    verdicts: tuple[tuple[str, Verdict], ...] = ()
    context: Context | None = field(default=None, repr=False, compare=False)

    def packet(self) -> Packet:
        """Return the bytes dissected."""
        return dissect(self.data, self.first, context=_next(self.context))

    def disagreements(self, packet: Packet | None = None) -> list[str]:
        """Return in which points a dissected packet (ours, unless given) is not as it must be; none where it is."""
        packet = self.packet() if packet is None else packet
        found = [] if bytes(packet) == self.data else ["the bytes were not kept"]
        found += [f"not reported: {fault}" for fault in self.faults if fault not in packet.faults]
        if self.exact:
            found += [f"reported without reason: {fault}" for fault in packet.faults if fault not in self.faults]
        said = packet.verdicts() if self.verdicts else {}
        for name, verdict in self.verdicts:
            if said.get(name) is not verdict:
                found.append(f"{name}: expected {verdict.name}, got {getattr(said.get(name), 'name', 'no verdict')}")
        return found

    def __str__(self) -> str:
        return self.id


def malformed(packet: Packet | Header) -> list[Malformed]:
    """Return the catalogue of malformed packets made from a sound one, in the order of its bytes.

    Each is read with what that one recalled of earlier packets, and what is known in a ``with context:`` around.

    Raises:
        BuildError: the packet is not sound itself: it is dissected with faults.
    """
    stack = Packet((packet,)) if isinstance(packet, Header) else packet
    first = type(stack._headers[0]) if stack._headers else None
    # Read back, so that all that follows from rules is known to, and follows each change.
    context = lent([stack._headers]) if any(map(goes_by_others, stack._headers)) else None  # before it is built, since states go on then
    sound = dissect(bytes(stack), first, context=_next(context))
    if sound.faults:
        raise BuildError("malformed", "a packet without faults to begin with", str(sound.faults[0]))
    with nullcontext() if context is None else context.copy():
        return list(_Catalogue(sound, first, context).cases())


def _next(context: Context | None) -> Moment | None:
    """Return the packet after those that a context knows, of which nothing is kept."""
    return None if context is None else Moment(context.copy(), context.number + 1)


class _Catalogue:
    def __init__(self, sound: Packet, first: type[Header] | None, context: Context | None) -> None:
        self.sound, self.first, self.ground, self.context = sound, first, Ground(sound), context
        declared = [header._declaration for header in sound.layers]
        self.by_all = any(one.exact or any(goes_by_left(f.must) for f in one.late) for one in declared)  # faults that go by how many bytes there are
        self.names: list[str] = []
        self.targets: list[tuple[type[Header], int]] = []
        seen: dict[str, int] = {}
        for header in sound.layers:
            name = type(header).__name__
            number = seen[name] = seen.get(name, 0) + 1
            self.names.append(name if number == 1 else f"{name}#{number}")
            alike = [h for h in sound.layers[: len(self.targets)] if isinstance(h, type(header))]
            self.targets.append((type(header), len(alike)))

    def cases(self) -> Iterator[Malformed]:
        for i, header in enumerate(self.sound.layers):
            for f in header._fields:
                if getattr(header, f.slot) is not None:
                    yield from self.of_field(i, header, f)
        if self.sound.layers:
            data = inside(self.sound) + TRAILING
            what = f"{len(TRAILING)} bytes more after the packet"
            yield self.case("trailing-bytes", what, data, self.ground.grown(0))

    def case(self, id: str, what: str, data: bytes, expected_faults: ExpectedFaults) -> Malformed:
        # A message of a stream that does not fit is taken for the middle of one, and one that is cut goes on elsewhere.
        streams = {type(header).__name__ for header in self.sound.layers[1:] if header._declaration.stream}
        faults = tuple(fault for fault in expected_faults.faults if fault.layer not in streams)
        expected_faults = expected_faults._replace(exact=expected_faults.exact and not self.by_all)
        data = on_link(self.sound._headers[:1], data)  # as its link carries it
        return Malformed(id, what, data, self.first, *expected_faults._replace(faults=faults), context=self.context)

    def changed(
        self, i: int, f: Field, word: str, value: object, what: str, expected_faults: ExpectedFaults
    ) -> Iterator[Malformed]:
        """One field given, all others following from their rules."""
        expected_faults = self.obeying(i, f, value, expected_faults)
        try:
            gaps = [g for g in self.ground.layers[i]._fields if g.place is not None and f.name in needs(g.place)]
            kept = {g.name: getattr(self.ground.layers[i], g.slot) for g in gaps}  # else what lies at the offset moves there
            data = inside(self.sound.replace(self.targets[i], **kept, **{f.name: given(f.kind, value)}))
        except BuildError:
            return  # what follows from it does not fit
        yield self.case(f"{self.names[i]}.{f.name}.{word}".lower(), what, data, expected_faults)

    def obeying(self, i: int, f: Field, value: object, expected: ExpectedFaults) -> ExpectedFaults:
        """Add what the header says of values that obey no more where one field has another."""
        fields = self.ground.layers[i]._fields
        if goes_by_left(f.must) or any(g.must is not None and g is not f and f.name in needs(g.must) for g in fields):
            return expected._replace(exact=False)
        if f.must is None or type(value) is not int or not (rule := f.broken(self.ground.scope(i, {f.name: value}))):
            return expected
        fault = self.ground.fault(i, f.name, self.ground.spans[i, f.name].byte_range[0], rule, f.got(value))
        return expected._replace(faults=(fault, *expected.faults))

    def of_field(self, i: int, header: Header, f: Field) -> Iterator[Malformed]:
        span = self.ground.spans.get((i, f.name))
        if span is None:
            return
        name, raw = f"{self.names[i]}.{f.name}", getattr(header, f.slot)
        if span.bit % 8 == 0:
            at, what = span.byte_range[0], f"the bytes end before {name}"
            yield self.case(f"{name}.cut".lower(), what, inside(self.sound)[:at], self.ground.squeezed(0, at))
        if f.kind.wire == "number":
            yield from self.of_number(i, f, f.kind, name, raw)
        elif f.fixed and f.kind.verbatim:
            wrong = raw[:-1] + bytes([raw[-1] ^ 1])
            what = f"{name} is not what it always is"
            yield from self.changed(i, f, "wrong-constant", wrong, what, self.constant(i, f, wrong))
        elif f.kind.wire == "items":
            yield from self.of_items(i, header, f)

    def of_number(self, i: int, f: Field, kind: Kind, name: str, raw: int) -> Iterator[Malformed]:
        raw = int(raw)
        if f.fixed:
            what = f"{name} is {raw ^ 1}, which is always {raw}"
            yield from self.changed(i, f, "wrong-constant", raw ^ 1, what, self.constant(i, f, raw ^ 1))
            return
        if f.must is not None:
            others = (kind.high, 0, raw + 1, raw - 1, raw ^ 1, *range(kind.low, kind.low + 256))
            wrong = next((n for n in others if kind.low <= n <= kind.high and f.broken(self.ground.scope(i, {f.name: n}))), None)
            if wrong is not None and not (is_sum(f) or states_a_size(f)):
                what = f"{name} is {wrong}, which {f.must} does not allow"
                yield from self.changed(i, f, "against-rule", wrong, what, self.quiet(i, f))
        if is_sum(f):
            yield from self.of_checksum(i, f, getattr(f.rule, "none", None), name, raw)
        elif states_a_size(f):
            for word, value in (("plus-one", raw + 1), ("minus-one", raw - 1), ("zero", 0), ("max", kind.high)):
                if value != raw and kind.low <= value <= kind.high:
                    what = f"{name} says {value}, where {raw} is right"
                    yield from self.changed(i, f, word, value, what, self.ground.length(i, f, value))
        elif f.name.startswith(("reserved", "unused")) and f.rule is None and raw != kind.high:
            what = f"{name} has all bits set, which are to be 0"
            yield from self.changed(i, f, "reserved-bits", kind.high, what, self.quiet(i, f))
        if kind.names is not None and issubclass(kind.names, IntFlag):
            unnamed = kind.high & ~sum({int(m) for m in kind.names})
            if unnamed:
                what = f"{name} has bits set that mean nothing"
                yield from self.changed(i, f, "reserved-bits", raw | unnamed, what, self.quiet(i, f))
        elif kind.names is not None:
            unknown = self.unknown(f, kind)
            if unknown is not None:
                what = f"{name} is {unknown}, which has no name"
                yield from self.changed(i, f, "unknown-value", unknown, what, self.quiet(i, f))

    def quiet(self, i: int, f: Field) -> ExpectedFaults:
        """The wire permits it: nothing is to be said, unless the layout hangs on the field."""
        return ExpectedFaults(exact=not self.ground.steers(i, f) and not self.ground.looked_ahead(i))

    def constant(self, i: int, f: Field, value: object) -> ExpectedFaults:
        at = self.ground.spans[i, f.name].byte_range[0]
        fault = self.ground.fault(i, f.name, at, f.kind.text(f.default), f.kind.text(value))
        if self.ground.looked_ahead(i):
            return ExpectedFaults(exact=False)  # another header is found there, or none
        return ExpectedFaults((fault,), not self.ground.steers(i, f))

    def unknown(self, f: Field, kind: Kind) -> int | None:
        taken: Any = {int(member) for member in kind.names or ()}
        if isinstance(f.rule, Next):
            taken |= set(registry.space(f.rule.space).headers)
        return next((n for n in range(kind.high, kind.low - 1, -1) if n not in taken), None)

    def of_checksum(self, i: int, f: Field, none: int | None, name: str, raw: int) -> Iterator[Malformed]:
        if self.sound.verdicts().get(name) is not Verdict.GOOD:
            return  # nobody could tell
        wrong = next(raw ^ bit for bit in (1, 2) if raw ^ bit != none)
        expected_faults = ExpectedFaults(verdicts=((name, Verdict.BAD),))
        yield from self.changed(i, f, "wrong", wrong, f"{name} is {wrong:#x}, where {raw:#x} is right", expected_faults)

    # Items that state their own lengths (type, length, value) -----------------------------------------------------

    def of_items(self, i: int, header: Header, f: Field) -> Iterator[Malformed]:
        items = header._items_of(f)
        numbered = [(n, g) for n, item in enumerate(items) if isinstance(item, Header) for g in self.length_of(item)]
        if not numbered:
            return
        (first, _), (last, length) = numbered[0], numbered[-1]
        assert length.kind.wire == "number"
        place, name = f"{self.names[i]}.{f.name}", f"{type(items[last]).__name__}.{length.name}"
        raw = getattr(items[first]._resolved_alone(), length.slot)
        for word, number, value, what in (
            ("overlong", last, length.kind.high, "reaches beyond its surroundings"),
            ("zero-length", last, 0, "says that it takes nothing"),
            ("overlapping", first, raw - 1, "reaches into its own bytes only in part, the next begins there"),
        ):
            if value < 0 or (number == last and value == getattr(items[last]._resolved_alone(), length.slot)):
                continue
            changed = (*items[:number], replaced(items[number], {length.name: value}), *items[number + 1 :])
            expected_faults = (
                NOTHING._replace(exact=False) if word == "overlapping" else self.item(i, f, items, last, length, value)
            )
            yield from self.changed(i, f, word, changed, f"in {place}, {name} {value} {what}", expected_faults)

    @staticmethod
    def length_of(item: Header) -> list[Field]:
        return [
            g for g in item._fields
            if g.kind.wire == "number" and states_a_size(g) and getattr(item._resolved_alone(), g.slot) is not None
        ][:1]  # fmt: skip

    def item(self, i: int, f: Field, items: Any, number: int, length: Field, value: int) -> ExpectedFaults:
        """What is to be said of an item whose length is another: one fault, where reading it comes to an end."""
        item = items[number]
        cls = plain(item)  # reading goes by what it refines
        plan = cls._declaration.plan
        before = len(encode_items(items[:number], 0))
        span = self.ground.spans[i, f.name]
        room, at = span.bits // 8 - before, span.byte_range[0] + before
        outer = self.ground.plans[i]
        last = type(self.sound.layers[i])._declaration.before[-1] is f
        lazy = last and (outer.own is not None or any(isinstance(s, Open) and s.field is f for s in outer.steps))
        if not lazy and f.name not in outer.sizes:  # counted items reach as far as there are bytes
            room = self.ground.limits[i] - at
        scope = Ground(Packet((item,))).scope(0, {length.name: value})
        resolved = item._resolved_alone()
        read = measured(resolved, cls._fields[: cls._fields.index(length) + 1])

        def expect(field: str, offset: int, expected: str, got: object) -> ExpectedFaults:
            name = f"{expected} for {cls.__name__}.{field}"
            return ExpectedFaults((self.ground.fault(i, f.name, offset, name, got),), lazy)

        if plan.own is not None and plan.own[1] is length:
            size = plan.own[0].evaluate(scope)
            least = max(read, plan.least)
            if size < least:
                return expect(length.name, at, f"a size of {least} bytes or more", f"{value} ({size} bytes)")
            if size > room:
                return expect(length.name, at, f"{size} bytes", room)
        for name, rule in plan.sizes.items():
            before_it = cls._fields[: cls._fields.index(cls._by_name[name])]
            size, place = rule.evaluate(scope), measured(resolved, before_it)
            if length.name in needs(rule) and size > room - place:
                return expect(name, at + place, f"{size} bytes", room - place)
        return ExpectedFaults(exact=False)
