"""How the values of a packet come about: derivation, and verdicts on checksums.

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
from packetlab.codec.places.inner import HeldScope
from packetlab.codec.pseudo import pseudo_sum
from packetlab.declare import registry
from packetlab.declare.bits.shares import sharing
from packetlab.declare.checksums.algorithms import internet
from packetlab.declare.checksums.ranges import has_payload
from packetlab.declare.expressions import Checksum, Elsewhere, Next
from packetlab.declare.fields import Field, slot_of
from packetlab.declare.kinds import Raw
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.remembering.recalled import Recalled
from packetlab.declare.values.varints import Spelled
from packetlab.errors import BuildError
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Verdict


class Derivation(HeldScope):
    """The values that the rules of layer `i` of `packet` refer to (see `expressions.Scope`)."""

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
        return recalled_number(self.header, leaf) if isinstance(leaf, Recalled | OwnPlace) else look(leaf, self.layers[: self.i], None) or 0

    def covered(self, rule: Checksum) -> bytes:
        """The bytes that a checksum is taken over, its own field as zeros; without the pseudo-header."""
        own = next(f for f in self.cls._fields if f.rule is rule)
        values = tuple(0 if f is own else getattr(self.header, f.slot) for f in self.cls._fields)
        blank = restored(self.cls, self.header._state | self.cls._declaration.captured_state, values)
        data = self.cls._encode(blank, b"", self.layers, self.i, None)
        size = self.size("self")
        wholes = {"head": data[:size], "tail": data[size:]}
        found = []
        for region in self.cls._declaration.plan.covered[own.name]:
            if region.part == "body":
                found.append(self.bodies[self.i])
                continue
            fields = self.cls._declaration.before if region.part == "head" else self.cls._declaration.after
            first, last = fields.index(region.fields[0]), fields.index(region.fields[-1]) + 1
            start, end = (measured(self.header, fields[:place]) for place in (first, last))
            found.append(bytes(end - start) if region.zeros else wholes[region.part][start:end])
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
    original = scope.packet._headers[scope.i]
    if original._state >> len(scope.cls._fields) & f.bit and not original._is_partial and scope.raw(f.name) is not None:
        return not scope.packet._rederived()[scope.i]._state & f.bit
    return follows(scope, f)


def respelled(before: Packet, packet: Packet) -> Packet:
    """Return an edited packet, its numbers that follow from others being in as many bytes as `before`, where that is more than they need."""
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


# Verdicts ------------------------------------------------------------------------------------------------------


def verdict(packet: Packet, layer: type[Header] | tuple[type[Header], int] | int, name: str) -> Verdict:
    """Return the verdict on the checksum field `name` of a layer, on its only one where that is ""."""
    try:
        i = layer if isinstance(layer, int) else packet._place(layer)
    except KeyError:
        return Verdict.NOT_PRESENT
    cls = type(packet.layers[i])
    sums = [f.name for f in cls._fields if isinstance(f.rule, Checksum)]
    if not name:
        name = "checksum" if "checksum" in sums or len(sums) != 1 else sums[0]
    f = cls._by_name.get(name)
    if f is None or not isinstance(f.rule, Checksum):
        hint = f"there is {', '.join(sums)}" if sums else "the header has none"
        raise BuildError(f"{cls.__name__}.{name}", "a checksum", "another field" if f else "no such field", hint)
    bodies = packet._build()[0]
    return _verdict(Derivation(packet, i, bodies), f, f.rule, all_here(packet, bodies, i + 1)[i])


def _verdict(scope: Derivation, f: Field, rule: Checksum, whole: bool) -> Verdict:
    packet, i, raw = scope.packet, scope.i, scope.raw(f.name)
    cut = scope.header._is_partial
    if raw is None:
        return Verdict.UNVERIFIED if cut else Verdict.NOT_PRESENT
    if not rule.is_due(scope):
        return Verdict.NOT_PRESENT
    if rule.none is not None and raw == rule.none:
        # RFC 8200 section 8.1: over IPv6 a UDP packet without checksum is to be discarded.
        return Verdict.ILLEGAL if "pseudo" in rule.over and _over_ipv6(packet, i) else Verdict.NOT_PRESENT
    some = scope.cls._declaration.plan.covered[f.name]
    if cut or (has_payload(some) and not whole):
        return Verdict.UNVERIFIED
    plan, body = scope.cls._declaration.plan, has_payload(some)
    for region in some:
        if region.part == "tail" or not body:  # with a payload, what carries it says how much there is
            parts = [one.name for one in region.fields if one.pad or one.name in plan.sizes]
            if any(_is_short(scope, part) for part in parts + ["self"] * (region.part == "head" and region.end)):
                return Verdict.UNVERIFIED
    if "pseudo" in rule.over and pseudo_sum(scope.layers, i, scope.cls._declaration, 0) is None:
        return Verdict.UNVERIFIED
    return Verdict.GOOD if holds(scope, f) else Verdict.BAD


def verdicts(packet: Packet) -> dict[str, Verdict]:
    """Return the verdict on every checksum of the packet, by layer and field."""
    return {key: found for (_, key, _), found in checked(packet).items()}


def checked(packet: Packet) -> dict[tuple[int, str, str], Verdict]:
    """Return the verdict on every checksum, by layer, its name in all of the packet, and the field's name."""
    found: dict[tuple[int, str, str], Verdict] = {}
    times: dict[str, int] = {}
    bodies = packet._build()[0]
    whole = all_here(packet, bodies, len(bodies))
    for i, header in enumerate(packet.layers):
        for f in header._fields:
            if isinstance(f.rule, Checksum):
                plain = f"{type(header).__name__}.{f.name}"
                number = times[plain] = times.get(plain, 0) + 1
                key = plain if number == 1 else f"{plain}#{number}"
                found[i, key, f.name] = _verdict(Derivation(packet, i, bodies), f, f.rule, whole[i])
    return found


def _is_short(scope: Derivation, part: str) -> bool:
    """Whether bytes of a header, or of one of its fields, are missing by what the header says."""
    plan = scope.cls._declaration.plan
    if part == "self":
        own = plan.own is not None and plan.own.size.evaluate(scope) > scope.size("self")
        sized = [f.name for f in scope.cls._declaration.before if f.pad or f.name in plan.sizes]
        return own or any(_is_short(scope, name) for name in sized)
    f = scope.cls._by_name.get(part)
    if f is None or scope.raw(part) is None:
        return False
    if f.pad:
        return scope.packet.truncated and len(scope.raw(part)) < len(derive(scope, f))
    return part in plan.sizes and plan.sizes[part].evaluate(scope) > len(scope.field_bytes(f))


def _over_ipv6(packet: Packet, i: int) -> bool:
    for below in range(i - 1, -1, -1):
        carrier = packet.layers[below]
        if carrier._declaration.pseudo and carrier._declaration.pseudo[0]:
            return len(getattr(carrier, slot_of(carrier._declaration.pseudo[0])) or b"") == 16
    return False


def all_here(packet: Packet, bodies: Bodies, count: int) -> list[bool]:
    """Return for the first `count` layers whether all bytes that they had on the wire are here."""
    found = []
    short = said = False
    for j in range(count):
        scope = Derivation(packet, j, bodies)
        for f in scope.cls._declaration.plan.lengths:
            raw = scope.raw(f.name)
            if raw is None and f.condition is not None and not f.condition.evaluate(scope):
                continue
            number = isinstance(f.rule, Next)
            short = short or raw is None or not (number or holds(scope, f) or derive(scope, f) >= raw)
            said = said or not number
        found.append(not short and (said or not (packet._anomalies and packet._anomalies.missing)))
        partial = scope.cls._declaration.partial
        short = short or (partial is not None and bool(partial.evaluate(scope)))
    return found
