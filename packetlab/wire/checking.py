"""What a declaration may not be: rules that name nothing, and layouts that cannot be read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.errors import DeclareError, suggestion
from packetlab.wire.expressions import Checksum, Next, Ref
from packetlab.wire.fields import Bytes, PayloadMark
from packetlab.wire.layout import Extents, behind_payload, needs

if TYPE_CHECKING:
    from packetlab.wire.header import Field, Header


def check_declaration(header: type[Header]) -> None:
    """Refuse rules that name unknown fields, and layouts that cannot be read back."""
    width = 0
    open_ended: Field | None = None
    for f in header._fields:
        where = f"{header.__name__}.{f.name}"
        if isinstance(f.rule, Checksum) and "pseudo" in f.rule.over and f.rule.algorithm != "internet":
            # A pseudo-header is a number that is added (RFC 768). A CRC has nothing to add it to, and the sum of XNS goes
            # by the places of octets, which a number has none of.
            raise DeclareError(where, 'parts of the packet: "pseudo" is for internet checksums', str(f.rule))
        for rule in (f.rule, f.condition, f.size, f.count):
            for leaf in rule.leaves() if rule is not None else ():
                named = getattr(leaf, "name", None) if not isinstance(leaf, (Next, Checksum)) else None
                parts = [*leaf.over] if isinstance(leaf, Checksum) else [named] if named else []
                for part in parts:
                    free = () if isinstance(leaf, Ref) else ("self", "payload", "pseudo")
                    if part not in free and part not in header._by_name:
                        raise DeclareError(where, "a field of the header", part, suggestion(part, header._by_name))
        if isinstance(f.kind, PayloadMark):
            open_ended = None
        bits = f.kind.bits
        if bits is None or f.condition is not None:
            if width % 8 or (bits or 0) % 8:
                raise DeclareError(where, "a start on a byte boundary", f"bit {width % 8}")
            if bits is None and isinstance(f.kind, Bytes) and not (f.kind.rest or f.size is not None or f.pad):
                if not any(_sizes(other, f.name) for other in header._fields):
                    raise DeclareError(where, "a size: sized(...), pad(...), Rest or a size_of rule", "none")
            if isinstance(f.kind, Bytes) and f.kind.rest and f.size is None:
                if open_ended is not None:
                    raise DeclareError(where, "one field at most that takes the rest", f"{open_ended.name} before it")
                open_ended = f
        else:
            width += bits
    if width % 8:
        raise DeclareError(header.__name__, "fields that fill whole bytes", f"{width} bits")
    _check_order(header)


def _check_order(header: type[Header]) -> None:
    """Refuse what a reader would have to know before it has come there."""
    extents = Extents(header)
    before: set[str] = set()
    for f in header._fields:
        said = (f.condition, extents.sizes.get(f.name), extents.counts.get(f.name))
        for name in sorted(set().union(*(needs(rule) for rule in said if rule is not None))):
            if name not in before:
                where = f"{header.__name__}.{f.name}"
                raise DeclareError(where, "presence and size to follow from fields before it", name)
        before.add(f.name)
    for f in behind_payload(header):
        if f.condition is not None or (f.kind.bits is None and not f.pad):
            where = f"{header.__name__}.{f.name}"
            raise DeclareError(
                where, "a fixed field or pad() behind a payload", "one that may be absent or of any size"
            )


def _sizes(f: Field, name: str) -> bool:
    if f.rule is None:
        return False
    return any(getattr(leaf, "name", None) in (name, "self") for leaf in f.rule.leaves() if not isinstance(leaf, Next))
