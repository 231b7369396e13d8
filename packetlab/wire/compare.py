"""Two packets side by side: which fields differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from packetlab.wire.above import Shown
from packetlab.wire.expressions import Checksum
from packetlab.wire.fields import Items, PayloadMark, octets_text
from packetlab.wire.header import Header
from packetlab.wire.packet import Packet


@dataclass(frozen=True)
class Change:
    """One difference: where ("IPv4.ttl"), and what either side has. `follows` marks a derived field, whose difference
    comes from another one."""

    where: str
    ours: Any
    theirs: Any
    follows: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.ours} != {self.theirs}" + ("  (follows)" if self.follows else "")


class Difference(tuple[Change, ...], Shown):
    """The changes between two packets, causes before what follows from them. False where there are none."""

    def __str__(self) -> str:
        return "\n".join(str(change) for change in self) or "no difference"

    __repr__ = __str__


def diff(one: Packet | Header, other: Packet | Header | bytes) -> Difference:
    """Compare layer by layer and field by field; `other` may be bytes, dissected from the same first header."""
    if isinstance(one, Header):
        one = Packet((one,))
    if isinstance(other, Header):
        other = Packet((other,))
    if isinstance(other, (bytes, bytearray)):
        from packetlab.wire.dissect import dissect

        other = dissect(bytes(other), type(one.layers[0]) if one.layers else None)
    causes: list[Change] = []
    mine, theirs = one.layers, other.layers
    seen: dict[str, int] = {}
    for i in range(max(len(mine), len(theirs))):
        left = mine[i] if i < len(mine) else None
        right = theirs[i] if i < len(theirs) else None
        if left is None or right is None or type(left) is not type(right):
            names = [type(h).__name__ if h is not None else "nothing" for h in (left, right)]
            causes.append(Change(f"layer {i + 1}", names[0], names[1]))
            break
        name = type(left).__name__
        seen[name] = seen.get(name, 0) + 1
        place = name if seen[name] == 1 else f"{name}#{seen[name]}"
        causes += _fields(place, left, right)
    if one.payload != other.payload:
        causes.append(Change("payload", octets_text(one.payload), octets_text(other.payload)))
    if one.trailer != other.trailer:
        causes.append(Change("trailer", octets_text(one.trailer), octets_text(other.trailer)))
    if not causes and bytes(one) != bytes(other):
        causes.append(Change("bytes", octets_text(bytes(one)), octets_text(bytes(other))))
    return Difference(sorted(causes, key=lambda change: change.follows))


def _fields(place: str, left: Header, right: Header) -> list[Change]:
    changes = []
    for f in left._fields:
        if isinstance(f.kind, PayloadMark):
            continue
        a, b = getattr(left, f.slot), getattr(right, f.slot)
        if isinstance(f.kind, Items):
            a, b = getattr(left, f.name), getattr(right, f.name)
        if a != b:
            shown = ["absent" if v is None else str(v) if isinstance(f.kind, Items) else f.kind.text(v) for v in (a, b)]
            if isinstance(f.rule, Checksum):
                shown = ["absent" if v is None else f"0x{v:04x}" for v in (a, b)]
            changes.append(Change(f"{place}.{f.name}", shown[0], shown[1], follows=f.rule is not None))
    return changes
