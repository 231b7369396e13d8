"""How the values of a packet come about: derivation.

Evaluates the rules of the declaration on one packet, in the open, where `codec` has them compiled. The tests hold
both to the same results.
"""

from __future__ import annotations

from collections.abc import Collection

from packetlab.codec.around.outer import look
from packetlab.codec.bodies import Bodies, measured
from packetlab.codec.compiler import replaced
from packetlab.codec.context.recalling import recalled_number
from packetlab.codec.encode import field_bytes
from packetlab.codec.objects import restored
from packetlab.codec.places.gaps import filling
from packetlab.codec.places.held_writing import filler
from packetlab.codec.places.inner import HeldScope
from packetlab.codec.places.scattered import free_what_moved
from packetlab.codec.pseudo import pseudo_sum
from packetlab.declare import registry
from packetlab.declare.bits.shares import sharing
from packetlab.declare.checksums.algorithms import internet
from packetlab.declare.checksums.ranges import number_bytes
from packetlab.declare.expressions import Checksum, Elsewhere, Next
from packetlab.declare.fields import Field, slot_of
from packetlab.declare.intervals import words
from packetlab.declare.kinds import Raw
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.plan import needs
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.values.varints import Spelled
from packetlab.errors import BuildError
from packetlab.packet.packet import Packet


class Derivation(HeldScope):
    """The values that the rules of layer `i` of `packet` refer to (see `expressions.Scope`)."""

    is_inside = False  # whether the header is held by one of the layers (see `packet.verdicts.inside`)

    def __init__(self, packet: Packet, i: int, bodies: Bodies | None = None) -> None:
        self.packet, self.i = packet, i
        self.layers = packet.layers
        self.header, self.cls = self.layers[i], type(self.layers[i])
        self.bodies = bodies or packet._build()[0]

    def raw(self, name: str) -> Raw:
        return getattr(self.header, slot_of(name))

    def field_bytes(self, f: Field) -> bytes:
        raw = self.raw(f.name)
        return b"" if raw is None else field_bytes(f, raw)

    def value(self, name: str) -> int:
        raw = self.raw(name)
        return raw if isinstance(raw, int) else 0

    def size(self, part: str) -> int:
        if part == "payload":
            return self.bodies.size(self.i)
        if part == "self":
            return measured(self.header, self.cls._declaration.before)
        *some, f = sharing(self.cls._declaration.plan, self.cls._by_name[part])
        return self._none(part) or measured(self.header, [*some, f]) - measured(self.header, some)

    def sizes(self, names: Collection[str]) -> int:
        fields = [self.cls._by_name[name] for name in names if name != "payload"]
        return measured(self.header, fields) + (self.bodies.size(self.i) if "payload" in names else 0)

    def count(self, name: str) -> int:
        kind = self.cls._by_name[name].kind
        if kind.wide is not None:
            return kind.count(self.raw(name) or 0)
        return self._none(name) or len(getattr(self.header, name) or ())

    def _none(self, name: str) -> int:
        """The size or count that says that a field is absent, 0 where it is there."""
        return (self.cls._by_name[name].none or 0) if self.raw(name) is None else 0

    def has(self, name: str) -> int:
        return int(self.raw(name) is not None)

    def number(self, rule: Next) -> int:
        above = self.layers[self.i + 1]._declaration if self.i + 1 < len(self.layers) else None
        numbers = registry.space(rule.space).numbers
        filled = registry.filled(self.cls._declaration, next(f.name for f in self.cls._fields if f.rule is rule))
        if above in filled:
            return filled[above].evaluate(self)
        return numbers[above] if above in numbers else rule.otherwise.evaluate(self)

    def elsewhere(self, leaf: Elsewhere) -> int:
        found = None if isinstance(leaf, Recalled | OwnPlace) else look(leaf, self.layers[: self.i], None)
        return recalled_number(self.header, leaf) if found is None else found  # alone it is what it was where it was read

    def covered(self, rule: Checksum) -> bytes:
        """The bytes that a checksum is taken over, its own field as zeros; without the pseudo-header."""
        own = next(f for f in self.cls._fields if f.rule is rule)
        values = tuple(0 if f is own else getattr(self.header, f.slot) for f in self.cls._fields)
        known = getattr(self.header, "__outer__", None)  # what it recalled too: whether a field is there may go by it
        blank = restored(self.cls, self.header._state | self.cls._declaration.captured_state, values, known)
        data = self.cls._encode(blank, b"", self.layers, self.i, None)
        size = self.size("self")
        wholes = {"head": data[:size], "tail": data[size:]}
        found = []
        for region in self.cls._declaration.plan.covered[own.name]:
            if region.part == "body":
                found.append(self.bodies[self.i])
                continue
            if region.part == "value":
                many, order = number_bytes(region)
                found.append((self.value(region.fields[0].name) & (1 << 8 * many) - 1).to_bytes(many, order))  # type: ignore[arg-type]
                continue
            fields = self.cls._declaration.before if region.part == "head" else self.cls._declaration.after
            first, last = fields.index(region.fields[0]), fields.index(region.fields[-1]) + 1
            start, end = (measured(self.header, fields[:place]) for place in (first, last))
            end = max(start, end - region.less)
            piece = bytes(end - start) if region.zeros else wholes[region.part][start:end]
            found.append(piece if region.cut is None else piece[slice(*region.cut)])
        return b"".join(found)

    def own_place(self, f: Field) -> int:
        """Where a checksum stands in what it goes over."""
        at = 0
        for region in self.cls._declaration.plan.covered[f.name]:
            if f in region.fields:
                return at + measured(self.header, list(region.fields[: region.fields.index(f)]))
            at += self.size("payload") if region.part == "body" else measured(self.header, list(region.fields))
        return at

    def sum(self, rule: Checksum) -> int:
        if not rule.is_due(self):
            return rule.otherwise
        data = self.covered(rule)
        if "pseudo" in rule.over:
            more = pseudo_sum(self.layers, self.i, self.cls._declaration, len(data))
            if more is None:
                return 0
            result = internet(data, more)
        elif rule.algorithm.placed:
            result = rule.algorithm.sum(data, self.own_place(next(f for f in self.cls._fields if f.rule is rule)))
        else:
            result = rule.algorithm.sum(data)
        return rule.instead if result == rule.none else result


def derive(scope: Derivation, f: Field) -> Raw:
    """Return the raw value that follows for a field from all others as they are; None where it has no rule."""
    if (rule := f.rule if f.computed is None else f.computed) is not None:
        return rule.evaluate(scope)
    if f.is_filler and f.size is not None:
        return filler(scope.raw(f.name), f.size.evaluate(scope), f.fill)
    if f.pad:
        fields = scope.cls._fields[: scope.cls._fields.index(f)]
        here = measured(scope.header, fields) + (scope.size("payload") if f in scope.cls._declaration.after else 0)
        return f.fill * filling(scope, scope.header, f, here)
    return None


def follows(scope: Derivation, f: Field) -> bool:
    """Whether the value of a field is the one its rule gives."""
    raw, derived = scope.raw(f.name), derive(scope, f)
    if isinstance(f.rule, Checksum) and f.rule.algorithm.is_loose(f.rule.none) and raw is not None and f.rule.is_due(scope):
        return f.rule.algorithm.same(raw, derived)
    return bool(raw == derived)


def holds(scope: Derivation, f: Field) -> bool:
    """The same, without working it out again where it is known of a captured field."""
    if scope.is_inside:
        return follows(scope, f)
    original = scope.packet._headers[scope.i]
    if original._state >> len(scope.cls._fields) & f.bit and not original._is_partial and scope.raw(f.name) is not None:
        return not scope.packet._rederived()[scope.i]._state & f.bit
    return follows(scope, f)


def respelled(before: Packet, packet: Packet) -> Packet:
    """Return an edited packet, its numbers that follow from others being in as many bytes as `before`, where that is more than they need.

    Captured offsets that count from headers below follow again where an edit moved what they say. BuildError where captured numbers
    tell a size of the payload that was right, and is no more.
    """
    _need_sizes(before, packet)
    packet = _laid_out_anew(packet)
    kept = {
        (i, f): raw
        for i, (was, now) in enumerate(zip(before._headers, packet._headers, strict=False))
        for f in now._declaration.coded
        if isinstance(raw := getattr(was, f.slot), Spelled) and f.rule is not None and not now._state & f.bit
    }
    for _ in range(len(kept) + 1 if kept else 0):
        headers = [*packet._headers]
        for (i, f), raw in kept.items():
            headers[i] = header = replaced(headers[i], {f.name: raw})
            header._state |= f.bit << len(header._fields)  # as if it had been captured: the next edit derives it again
        made = Packet(tuple(headers), packet.payload, packet._anomalies)
        try:
            scopes = {i: Derivation(made, i) for i, _ in kept}
        except BuildError:
            return packet
        found = {(i, f): f.kind.respelled(derive(scopes[i], f), raw) for (i, f), raw in kept.items()}
        if found == kept:
            return made
        kept = {key: raw for key, raw in found.items() if isinstance(raw, Spelled)}
    return packet


def _laid_out_anew(packet: Packet) -> Packet:
    """Return a packet whose captured offsets since headers below say where the fields lie, where they did before an edit below."""
    headers = packet._headers
    was = [header._copied(header) for header in headers]  # they know where they stood
    told = [one._state >> len(one._fields) != 0 and any(f.place is not None and f.origin is not None for f in one._fields) for one in headers]
    try:
        found = [free_what_moved(one, was[i], packet.layers[i]) if told[i] else one for i, one in enumerate(headers)]
    except BuildError:
        return packet  # which says it when it is built
    moved = any(one is not other for one, other in zip(found, headers, strict=True))
    return Packet(tuple(found), packet.payload, packet._anomalies) if moved else packet


def _need_sizes(before: Packet, packet: Packet) -> None:
    """Refuse an edit after which captured numbers, which it leaves as they are, tell another size of a payload than it has, where they told the right one."""
    bodies: list[Bodies] = []  # of both, once for all their layers
    for i, (was, now) in enumerate(zip(before._headers, packet._headers, strict=False)):
        said, count = now._declaration.payload_size, len(now._fields)
        told = [now._by_name[name] for name in needs(said) if name in now._by_name] if said is not None and not now._is_partial else []
        captured = sum(f.bit for f in told if f in now._declaration.plan.lengths) & now._state >> count & was._state >> count
        if said is None or not captured or type(was) is not type(now):
            continue
        try:
            bodies = bodies or [one._build()[0] for one in (before, packet)]
            scopes = [Derivation(one, i, known) for one, known in zip((before, packet), bodies, strict=True)]
            (right, had), (size, got) = [(said.evaluate(scope), scope.size("payload")) for scope in scopes]
        except BuildError:
            return  # which is said where it is built
        if right == had and size != got:
            names = ", ".join(f.name for f in told if f.bit & captured)
            hint = f"give {names} too, as auto to derive it again; it was captured as its rule would not say"
            raise BuildError(f"{type(now).__name__}, the payload", f"{size} bytes, as {words(said)} says", f"{got} bytes", hint)
