"""Why a packet does not match a prototype: field by field, what was expected and what is there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeGuard

from packetlab.codec.context.lending import fits
from packetlab.codec.refinement.views import viewed
from packetlab.declare.fields import Field
from packetlab.declare.wildcards import Contains, Known
from packetlab.escaping import bytes_text
from packetlab.packet.coerce import as_packet
from packetlab.packet.foreign import is_foreign
from packetlab.packet.packet import Header, Packet
from packetlab.packet.text import Text, expected, value_text


def why_not(prototype: Header | Packet, packet: object, known: Known | None = None) -> Text:
    """Return why `packet` does not match `prototype`, one reason a line; empty where it does."""
    packet = as_packet(packet)
    if isinstance(prototype, Header):
        return Text("\n".join(_nearest(prototype, list(packet.layers), dict(known or {}))))
    names, rest = dict(known or {}), list(packet.layers)
    for mine in prototype._headers:
        place = next((i for i, header in enumerate(rest) if Header.matches(mine, header, names)), None)
        if place is None:
            return Text("\n".join(_nearest(mine, rest, names, whole=packet)))
        rest = rest[place + 1 :]
    if prototype.payload not in (b"", packet.payload):
        return Text(f"payload: expected {bytes_text(prototype.payload)}, got {bytes_text(packet.payload)}")
    return Text("")


def explain_match(prototype: object, found: object, known: Known | None = None) -> list[str] | None:
    """Return why nothing in `found` (a packet, a header, bytes, or packets one by one) matches; None where it does.

    `prototype`: a header, a packet or a header class. The first line is the summary. None for what is no prototype
    or no packets, too.
    """
    if not _is_prototype(prototype):
        return None
    if isinstance(found, (bytes, bytearray)) or is_foreign(found):
        found = as_packet(found, prototype)
    if isinstance(found, (Header, Packet)):
        reasons = _reasons(prototype, found, known)
        return [f"no match: {reasons[0]}" + _more(len(reasons) - 1), *reasons[1:]] if reasons else None
    if not isinstance(found, Iterable):
        return None
    best: tuple[float, int, list[str]] | None = None
    count = 0
    for count, item in enumerate(found, 1):
        ours = isinstance(item, Header | Packet)
        packet = item if ours else item.packet() if hasattr(item, "packet") else as_packet(item) if is_foreign(item) else item
        if not isinstance(packet, (Header, Packet)):
            return None
        reasons = _reasons(prototype, packet, known)
        if not reasons:
            return None
        # Where the header itself is missing, any packet that has it is nearer.
        far = float("inf") if reasons[0].startswith("no ") else len(reasons)
        if best is None or far < best[0]:
            best = far, count, reasons
    if best is None:
        return ["no match: there is no packet"]
    packets = f"{count} packet{'s' * (count != 1)}"
    if best[0] == float("inf"):
        return [f"no match among {packets}: {best[2][0]}"]
    return [f"no match among {packets}; the nearest is number {best[1]}: {best[2][0]}", *best[2][1:]]


def _is_prototype(what: object) -> TypeGuard[Header | Packet | type[Header]]:
    return isinstance(what, (Header, Packet)) or (isinstance(what, type) and issubclass(what, Header))


def _reasons(prototype: Header | Packet | type[Header], packet: Header | Packet, known: Known | None) -> list[str]:
    if not isinstance(prototype, type):
        return why_not(prototype, packet, known).splitlines()
    layers = packet.layers if isinstance(packet, Packet) else (packet,)
    return [] if any(isinstance(h, prototype) for h in layers) else [f"no {prototype.__name__} in {found_text(packet)}"]


def _more(count: int) -> str:
    return f" (and {count} more)" if count else ""


def found_text(found: Header | Packet) -> str:
    """Return the names of what is there, in a line."""
    return type(found).__name__ if isinstance(found, Header) else found.summary() or "a packet without layers"


def _nearest(mine: Header, layers: list[Header], known: Known, whole: Packet | None = None) -> list[str]:
    """The mismatches with the header of the class that has the fewest."""
    tried = [_mismatches(mine, header, dict(known)) for header in layers if isinstance(header, type(mine))]
    if tried:
        return min(tried, key=len)
    name = type(mine).__name__
    if whole is not None and any(isinstance(header, type(mine)) for header in whole.layers):
        return [f"no {name} after the headers before it in {found_text(whole)}"]
    there = " / ".join(type(header).__name__ for header in layers) or "a packet without layers"
    return [f"no {name} in {there if whole is None else found_text(whole)}"]


def _mismatches(mine: Header, theirs: Header, known: Known) -> list[str]:
    lines = []
    for f in mine._fields:
        if mine._state & f.bit:
            # A name may be bound by this very field, so what it stood for is looked up first.
            wanted = expected(mine, f, known)
            if not fits(mine, theirs, [f], known):
                view = mine._declaration.view
                if view is not None and view[0] == f.name and isinstance(theirs, type(mine)):
                    lines += _mismatches(viewed(mine), viewed(theirs), known)  # type: ignore[arg-type]
                    continue
                lacking = _lacking(mine, theirs, f, known)
                if lacking:
                    lines += lacking
                    continue
                got = getattr(theirs, f.slot)
                got = getattr(theirs._resolved_alone(), f.slot) if got is None else got
                lines.append(f"{type(mine).__name__}.{f.name}: expected {wanted}, got {value_text(f, got, theirs)}")
    return lines


def _lacking(mine: Header, theirs: Header, f: Field, known: Known) -> list[str]:
    """Say which headers a list should contain that it does not, and what the nearest has instead."""
    wanted, raw = getattr(mine, f.slot), getattr(theirs, f.slot)
    if not isinstance(wanted, Contains) or f.kind.wire != "items":
        return []
    items = [] if raw is None else [item for item in theirs._items_of(f) if isinstance(item, Header)]
    lines = []
    for one in wanted.raw_values:
        if any(wanted.fits(one, item, dict(known), f.kind) for item in items):
            continue
        cls = one if isinstance(one, type) else type(one)
        near = [] if one is cls else [
            (_mismatches(one, item, dict(known)), place) for place, item in enumerate(items) if isinstance(item, cls)
        ]  # fmt: skip
        reasons, place = min(near, key=lambda found: len(found[0]), default=([], 0))
        said = f"; the nearest is [{place}]: {', '.join(reasons)}" if reasons else ""
        called = cls.__name__ if one is cls else repr(one)
        lines.append(f"{type(mine).__name__}.{f.name}: expected {called} among {len(items)} items{said}")
    return lines
