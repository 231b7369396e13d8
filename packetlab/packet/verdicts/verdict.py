"""Verdicts on checksums: those of layers, and of headers that their fields hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from packetlab.codec.bodies import Bodies, measured
from packetlab.codec.objects import AnyHeader
from packetlab.codec.pseudo import pseudo_sum
from packetlab.declare.checksums.bitwise import BitSum, is_sum
from packetlab.declare.checksums.ranges import has_payload
from packetlab.declare.expressions import Checksum, Next
from packetlab.declare.fields import Field, slot_of
from packetlab.errors import BuildError
from packetlab.packet.explain import Derivation, derive, holds
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Verdict
from packetlab.packet.verdicts.inside import inside

WORST = (Verdict.BAD, Verdict.ILLEGAL, Verdict.UNVERIFIED, Verdict.GOOD, Verdict.NOT_PRESENT)


class Judged(NamedTuple):
    """A checksum: in which layer, its name in all of the packet ("IPv4.checksum", "IPv4.checksum#2", "List.items[1].sum"), its path in
    the layer, the header that has it, its field, what is to be said of it, and what its rule refers to. holder: the field of the layer that
    holds it, None for its own."""

    layer: int
    key: str
    path: str
    header: AnyHeader
    field: Field
    verdict: Verdict
    scope: Derivation
    holder: Field | None = None


def judged(packet: Packet) -> Iterator[Judged]:
    """Yield every checksum of the packet, in the order of the layers: their own, then those of headers that their fields hold."""
    times: dict[str, int] = {}
    bodies = packet._build()[0]
    whole = all_here(packet, bodies, len(bodies))
    for i, header in enumerate(packet.layers):
        name = type(header).__name__
        times[name] = times.get(name, 0) + 1
        more = "" if times[name] == 1 else f"#{times[name]}"
        scope = Derivation(packet, i, bodies)
        for f in header._fields:
            if is_sum(f):
                yield Judged(i, f"{name}.{f.name}{more}", f.name, header, f, _verdict(scope, f, whole[i]), scope)
        for holder, before, inner in inside(packet, i):
            for f in inner.cls._fields:
                if is_sum(f):
                    path = f"{before}{f.name}"
                    yield Judged(i, f"{name}.{path}{more}", path, inner.header, f, _verdict(inner, f, whole=True), inner, holder)


def verdict(packet: Packet, layer: type[Header] | tuple[type[Header], int] | int, name: str) -> Verdict:
    """Return the verdict on the checksum field `name` of a layer, on its only one where that is ""."""
    try:
        i = layer if isinstance(layer, int) else packet._place(layer)
    except KeyError:
        return _held(packet, layer, name)
    cls = type(packet.layers[i])
    own = [f.name for f in cls._fields if is_sum(f)]
    f = cls._by_name.get(name or ("checksum" if "checksum" in own or len(own) != 1 else own[0]))
    if f is not None and is_sum(f):
        bodies = packet._build()[0]
        return _verdict(Derivation(packet, i, bodies), f, all_here(packet, bodies, i + 1)[i])
    found = {one.path: one.verdict for one in judged(packet) if one.layer == i}
    if name in found:
        return found[name]
    parts = [path for path in found if "." not in path and "[" not in path]  # of what the layer takes apart
    if not name and len(parts) == 1:
        return found[parts[0]]
    sums = [*own, *(path for path in found if path not in own)]
    hint = f"there is {', '.join(sums[:9])}" if sums else "the header has none"
    raise BuildError(f"{cls.__name__}.{name or 'checksum'}", "a checksum", "another field" if f else "no such field", hint)


def _held(packet: Packet, layer: object, name: str) -> Verdict:
    """Return the verdict on headers of a class that fields hold: the worst, where there are several; that there is none where there are none."""
    cls, _ = layer if isinstance(layer, tuple) else (layer, 0)
    found = [one for one in judged(packet) if isinstance(cls, type) and isinstance(one.header, cls) and name in ("", one.field.name)]
    if isinstance(layer, tuple):
        headers = list(dict.fromkeys(id(one.header) for one in found))
        found = [one for one in found if one.header is not None and headers[layer[1] : layer[1] + 1] == [id(one.header)]]
    return min((one.verdict for one in found), key=WORST.index, default=Verdict.NOT_PRESENT)


def verdicts(packet: Packet) -> dict[str, Verdict]:
    """Return the verdict on every checksum of the packet, by layer and field."""
    return {one.key: one.verdict for one in judged(packet)}


def checked(packet: Packet) -> dict[tuple[int, str, str], Verdict]:
    """Return the verdict on every checksum, by layer, its name in all of the packet, and the field's path in the layer."""
    return {(one.layer, one.key, one.path): one.verdict for one in judged(packet)}


def _verdict(scope: Derivation, f: Field, whole: bool) -> Verdict:
    i, raw, rule = scope.i, scope.raw(f.name), f.rule
    cut = scope.header._is_partial
    if raw is None:
        return Verdict.UNVERIFIED if cut else Verdict.NOT_PRESENT
    due = rule.checksum if isinstance(rule, BitSum) else rule
    if isinstance(due, Checksum) and not due.is_due(scope):
        return Verdict.NOT_PRESENT
    if not isinstance(rule, Checksum):  # over bits of fields that are all there
        return Verdict.UNVERIFIED if cut else Verdict.GOOD if holds(scope, f) else Verdict.BAD
    if rule.none is not None and raw == rule.none:
        # RFC 8200 section 8.1: over IPv6 a UDP packet without checksum is to be discarded.
        return Verdict.ILLEGAL if "pseudo" in rule.over and _over_ipv6(scope.layers, i) else Verdict.NOT_PRESENT
    some = scope.cls._declaration.plan.covered[f.name]
    if cut or (has_payload(some) and not whole):
        return Verdict.UNVERIFIED
    plan, body = scope.cls._declaration.plan, has_payload(some)
    for region in some:
        if region.cut is not None and measured(scope.header, list(region.fields)) < max(one or 0 for one in region.cut):
            return Verdict.UNVERIFIED  # a header that a field holds is shorter than what it goes over in there
        if region.part == "tail" or not body:  # with a payload, what carries it says how much there is
            parts = [one.name for one in region.fields if one.pad or one.name in plan.sizes]
            if any(_is_short(scope, part) for part in parts + ["self"] * (region.part == "head" and region.end)):
                return Verdict.UNVERIFIED
    if "pseudo" in rule.over and pseudo_sum(scope.layers, i, scope.cls._declaration, 0) is None:
        return Verdict.UNVERIFIED
    return Verdict.GOOD if holds(scope, f) else Verdict.BAD


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
    if f.pad and f.size is None:
        return scope.packet.truncated and len(scope.raw(part)) < len(derive(scope, f))
    return part in plan.sizes and plan.sizes[part].evaluate(scope) > len(scope.field_bytes(f))


def _over_ipv6(layers: Sequence[AnyHeader], i: int) -> bool:
    for below in range(i - 1, -1, -1):
        carrier = layers[below]
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
