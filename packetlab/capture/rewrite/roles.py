"""Roles: what of a header rewriting touches, as its declaration says: addresses, ports, checksums, lengths, ends.

Nothing here looks at packets; it is worked out once for each header and kept until bindings change.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar

from packetlab.bulk.scan import following
from packetlab.bulk.scan_places import Part, Wants
from packetlab.capture.rewrite.inside import INSIDE, KEPT, NUMBERS
from packetlab.declare import registry
from packetlab.declare.checksums.bitwise import BitSum, is_sum
from packetlab.declare.checksums.ranges import Region, in_order, regions
from packetlab.declare.declaration import Declaration
from packetlab.declare.expressions import Checksum, Expr, Next, Op, Size
from packetlab.declare.fields import Field
from packetlab.declare.kinds import Kind
from packetlab.declare.refinement.registered import refinements
from packetlab.declare.remembering.records import LaidOut
from packetlab.declare.rules import field
from packetlab.declare.transforms.carried import Through
from packetlab.packet.packet import Header
from packetlab.protocols.ip import IPv4, Routing
from packetlab.protocols.link import ETHERTYPE
from packetlab.protocols.linktypes import FIRST
from packetlab.protocols.transport import SCTP, TCP, UDP

PORTS = ("sport", "dport")
"""Names of the fields that are ports, in any header."""
LINK_TYPES = (ETHERTYPE, "cisco.hdlc")  # number spaces of ether types

T = TypeVar("T")
_known: dict[object, Any] = {}
registry.caches.append(_known)


class Roles(NamedTuple):
    """What the fields of a header are.

    Attributes:
        addresses: fields with addresses. lists: fields with one address after the other. ports: those that can be changed. wrong: fields that cannot be, and why.
        sums: checksums, the outermost first. built: names of those that header objects work out (see `built`). ends: the two fields that say who speaks to whom. carrier: whether these are
        what a pseudo-header takes. target: the field or property that names the final destination in place of that.
        ported: whether it has ports. macs: whether its `src` and `dst` may be those of a frame. lengths: fields that say how
        long header and payload (True) or the payload (False) are. type: the field with an ether type.
        hides: whether what it leaves unread may hold addresses.
    """

    addresses: tuple[Field, ...]
    lists: tuple[Field, ...]
    ports: tuple[Field, ...]
    wrong: tuple[tuple[Field, str], ...]
    sums: tuple[Field, ...]
    built: frozenset[str]
    ends: tuple[str, str] | None
    carrier: bool
    target: str
    ported: bool
    macs: bool
    lengths: tuple[tuple[Field, bool], ...]
    type: Field | None


def _once(work: Callable[[Declaration], T]) -> Callable[[Declaration], T]:
    """Have what a function says of a header worked out once, until bindings change."""

    @wraps(work)
    def known(cls: Declaration) -> T:
        key = work.__name__, cls
        if key not in _known:
            _known[key] = work(cls)
        said: T = _known[key]
        return said

    return known


@_once
def roles(cls: Declaration) -> Roles:
    """Return what the fields of a header are."""
    by_name = cls.by_name
    askew = _askew(cls)
    ports = tuple(f for f in cls.fields if is_port(f) and cls not in KEPT)
    wrong = [(f, "which is no port of 16 bits in network order") for f in ports if f.kind.bits != 16 or f.kind.little]
    addresses = tuple(f for f in cls.fields if f.kind.is_address)
    lists = tuple(f for f in cls.fields if _element(f.kind) is not None and not f.kind.transforms)
    wrong += [
        (f, "which is no address of 4, 6 or 16 bytes") for f in (*addresses, *lists)
        if (kind := _element(f.kind) or f.kind).bits not in (32, 48, 128) and "host" not in kind.parts
    ]  # fmt: skip
    wrong += [(f, "which does not begin with a byte") for f in (*addresses, *lists, *ports) if f.name in askew]
    covered = sum_regions(cls)
    sums = in_order([*cls.before, *cls.after], covered)
    bad = [f for f, _ in wrong]
    pseudo = cls.pseudo or ("", "")
    carrier = bool(pseudo[0])
    two = pseudo if carrier else ("src", "dst")
    kinds = [by_name[name].kind if name in by_name else None for name in two]
    ends = (
        two if all(kind is not None and kind.is_address and kind.fixed_bits not in (0, 48) for kind in kinds) else None
    )
    target = pseudo[1] if pseudo[1] and not carrier else "final_destination" if cls.redirects else ""
    return Roles(
        tuple(f for f in addresses if f not in bad),
        tuple(f for f in lists if f not in bad),
        tuple(f for f in ports if f not in bad),
        tuple(dict(wrong).items()),
        tuple(reversed(sums)),
        frozenset(f.name for f in sums if f.name in askew or _needs_objects(f, covered[f.name])),
        ends,
        carrier,
        target,
        all(name in by_name and is_port(by_name[name]) for name in PORTS),
        any(f.kind.is_address and f.kind.bits == 48 and f.name in ("src", "dst") for f in cls.fields),
        tuple((f, whole) for f, whole in _lengths(cls) if f.name not in askew and not cls.has_trailer),
        next((f for f in cls.fields if isinstance(f.rule, Next) and f.rule.space in LINK_TYPES), None),
    )


def is_one(cls: Declaration, *headers: type[Header]) -> bool:
    """Whether a header is of one of some classes."""
    return any(cls.is_a(one._declaration) for one in headers)


def _element(kind: Kind) -> Kind | None:
    """Return the kind of the addresses of a list, None for other kinds."""
    return kind.element if kind.element is not None and kind.element.is_address else None


def is_port(f: Field) -> bool:
    """Whether a field is a port."""
    return f.name in PORTS and f.kind.wire == "number"


@_once
def sum_regions(cls: Declaration) -> dict[str, list[Region]]:
    """Return what each checksum of a header goes over."""
    bits = {f.name: regions(f.rule.checksum, cls.before, cls.after, f) for f in cls.fields if isinstance(f.rule, BitSum)}
    return {**cls.plan.covered, **bits}


def _needs_objects(f: Field, some: list[Region]) -> bool:
    """Whether a checksum is over bits or what is not sent, in digits, in parts of bytes or in more bytes than numbers in arrays have."""
    kind = f.kind
    return not isinstance(f.rule, Checksum) or kind.wire != "number" or kind.fixed_bits % 8 > 0 or kind.fixed_bits > 64 or any(one.part == "value" for one in some)


def is_plain(cls: Declaration, f: Field) -> bool:
    """Whether a checksum is one of 16 bits as IP has them (RFC 1071), over the header or all."""
    rule = f.rule
    return (
        isinstance(rule, Checksum) and f.name not in roles(cls).built and rule.algorithm.word == "internet" and f.kind.fixed_bits == 16 and not f.kind.little and f not in cls.after
        and tuple(part for part in rule.over if part != "pseudo") in (("self",), ("self", "payload"))
        and rule.none in (None, 0) and rule.instead == 0xFFFF and rule.where is None
    )  # fmt: skip


def is_whole(region: Region) -> bool:
    """Whether a stretch is all of a header up to its payload, or of the payload."""
    return region.part == "body" or (region.part == "head" and region.start and region.end and not region.zeros)


def _askew(cls: Declaration) -> set[str]:
    """Names of the fields that do not begin with a byte."""
    found = {f.name for step in cls.plan.loose for f in step.fields}
    for unit in cls.plan.units:
        for f, shift in unit.places:
            skipped = shift if unit.little else unit.bits - shift - f.kind.fixed_bits
            found.update([f.name] if skipped % 8 or (unit.little and len(unit.fields) > 1) else [])
    return found


def _lengths(cls: Declaration) -> list[tuple[Field, bool]]:
    return [
        (f, parts == {"self", "payload"}) for f in cls.fields
        if f.kind.bits == 16 and f.kind.wire == "number" and not f.kind.little and f.condition is None
        and f.rule is not None and (parts := _summed(f.rule)) in ({"self", "payload"}, {"payload"})
    ]  # fmt: skip


def _summed(rule: Expr) -> set[str]:
    """Return the parts whose sizes a rule adds up; {""} where it does anything else."""
    if isinstance(rule, Size):
        return {rule.name}
    if isinstance(rule, Op) and rule.sign == "+":
        return _summed(rule.left) | _summed(rule.right)
    return {""}


# What is wanted of the scan ------------------------------------------------------------------------------------------


@_once
def parts(cls: Declaration) -> tuple[Part, ...]:
    """Return the parts of a header that hold headers with addresses, ports or checksums."""
    found = [
        Part(f.name, f.kind.item, repeated=f) for f in cls.fields if f.kind.wire == "items" and _holds(f.kind.item)
    ]
    found += [
        part
        for one in (cls, *cls.bases)
        for part in INSIDE.get(one, ())
        if part.name in (*cls.by_name, "payload", "rest", "self")
    ]
    for f in cls.fields:
        if isinstance(f.rule, Next):
            numbers = registry.space(f.rule.space).headers
            found += [
                Part("payload", header, field(f.name) == number)
                for number, header in NUMBERS.get(f.rule.space, {}).items() if number not in numbers
            ]  # fmt: skip
    found += [Part(f.name, None, why=f"{cls.name}.{f.name}, inside what is through a transform") for f in cls.fields if _hidden(f)]
    if cls.stream and any(map(_holds, (cls, *following(cls)))):
        found.append(Part("rest", None, why=f"{cls.name}: further messages in a segment"))
    return tuple(found)


def _holds(cls: Declaration, inside: tuple[Declaration, ...] = ()) -> bool:
    """Whether a header has addresses, ports or checksums itself or in its items."""
    return any(holds(cls, f, inside) or is_sum(f) for f in cls.fields) or any(
        part.name == "self" for one in (cls, *cls.bases) for part in INSIDE.get(one, ())
    ) or any(_holds(one if one.view is None else one.view[1], (*inside, cls)) for one in refinements(cls))


def holds(cls: Declaration, f: Field, inside: tuple[Declaration, ...] = ()) -> bool:
    """Whether a field of a header is an address or a port, or has such inside."""
    if f.kind.transforms:
        return _hidden(f, (*inside, cls))
    if f.kind.is_address or _element(f.kind) is not None or is_port(f):
        return True
    if any(part.name == f.name for one in (cls, *cls.bases) for part in INSIDE.get(one, ())):
        return True
    return f.kind.wire == "items" and f.kind.item not in (*inside, cls) and _holds(f.kind.item, (*inside, cls))


def _hidden(f: Field, inside: tuple[Declaration, ...] = ()) -> bool:
    """Whether addresses, ports or checksums stand in what a field's transforms give, whose bytes nobody here makes anew."""
    kind = f.kind
    inner = kind.inner if isinstance(kind, Through) else None
    if isinstance(kind, LaidOut):
        return any(getattr(one, "is_address", False) for one in kind.transforms[0].kinds.values())
    if inner is None:
        return False
    return inner.is_address or _element(inner) is not None or (inner.wire == "items" and inner.item not in inside and _holds(inner.item, inside))


@_once
def wants(cls: Declaration) -> Wants:
    """Return what of a header is wanted of the scan."""
    role = roles(cls)
    fields = {f.name for f in (*role.addresses, *role.lists, *role.ports, *(f for f, _ in (*role.wrong, *role.lengths)))}
    for f in role.sums:
        if f.name not in role.built:
            fields.update([f.name], *([one.name for one in region.fields] for region in cls.plan.covered[f.name] if not is_whole(region)))
    fields.update(part.name for part in parts(cls) if part.name in cls.by_name)
    values = (
        {f.name for f, _ in cls.plan.numbered}
        if role.type is not None or cls.opaque is not None
        else set()
    )
    values |= {name for name in PORTS if role.ported}
    values |= {name for part in parts(cls) if "{" in part.why for name in cls.by_name if f"{{{name}}}" in part.why}
    if is_one(cls, Routing):
        values |= {"kind", "segments_left"}
    never = bool(role.target) and not is_one(cls, IPv4, Routing) and role.target not in cls.by_name
    return Wants(frozenset(fields), frozenset(values), parts(cls), never)


def concerned() -> dict[Declaration, int]:
    """Return the headers that have addresses, ports or checksums or lead to such, with a number for each from 1."""
    if "concerned" not in _known:
        reached: dict[Declaration, list[Declaration]] = {}
        todo = [
            *registry.declared(),
            *(first._declaration for first in FIRST.values()),
            *(part.header for some in INSIDE.values() for part in some if part.header),
        ]
        for one in todo:
            if one not in reached:
                reached[one] = [*following(one), *refinements(one)]
                todo += reached[one]
        found = {one for one in reached if _holds(one) or parts(one)}
        before: dict[Declaration, list[Declaration]] = {}
        for lower, uppers in reached.items():
            for upper in uppers:
                before.setdefault(upper, []).append(lower)
        todo = list(found)
        for one in todo:
            new = [lower for lower in before.get(one, ()) if lower not in found]
            found.update(new)
            todo += new
        _known["concerned"] = {one: number for number, one in enumerate((one for one in reached if one in found), 1)}
    some: dict[Declaration, int] = _known["concerned"]
    return some


def known() -> dict[object, Any]:
    """Return where what is compiled for this is kept."""
    return _known


# What nobody reads ---------------------------------------------------------------------------------------------------


@_once
def hiding(cls: Declaration) -> tuple[Field | None, list[int] | bool]:
    """Return by which number what a header leaves unread may hold addresses or ports: a field, and its numbers. True in
    place of numbers: whatever follows may."""
    found: tuple[Field | None, list[int] | bool] = (
        None,
        any(_reaches_on(upper) for _, _, upper in registry.conditions(cls)),
    )
    for f in cls.fields:
        if isinstance(f.rule, Next) and not found[1]:
            headers = registry.space(f.rule.space).headers
            extra = {number for number in NUMBERS.get(f.rule.space, {}) if number == 2 and number not in headers}
            found = f, sorted({number for number, upper in [*headers.items()] if _reaches_on(upper)} | extra)
    return found


def _reaches_on(cls: Declaration) -> bool:
    """Whether addresses or ports may lie beyond the first 8 bytes of a header, which are in the first fragment."""
    lead = concerned()
    return (cls not in [one._declaration for one in (TCP, UDP, SCTP)] and _holds(cls)) or any(
        upper in lead for upper in following(cls)
    )
