"""Bytes become a packet, along the bindings, from the first header up to what nobody claims.

Whatever the bytes: ``bytes(dissect(b)) == b``. What was understood is kept, what was not is a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from packetlab.codec.around.bodiless import bodiless, follows as in_no_bytes
from packetlab.codec.bodies import measured
from packetlab.codec.context.context import Context, Moment, current, read_in
from packetlab.codec.faults import Dissection, Fault
from packetlab.codec.objects import classes, off_link
from packetlab.codec.stacks import count_use, stack_decoders
from packetlab.declare.transforms.transform import UnfitError
from packetlab.errors import DissectError
from packetlab.packet.anomalies import Anomalies
from packetlab.packet.coerce import first_header_of
from packetlab.packet.foreign import as_bytes
from packetlab.packet.packet import Header, Packet
from packetlab.protocols import linktypes as _all_headers  # noqa: F401  bytes may hold any of them
from packetlab.protocols.link import PPP, Ether, ShortPPP
from packetlab.protocols.streams.messages import begin

_new = Packet.__new__


def dissect(
    data: Any,
    first: type[Header] | None = Ether,
    wire_length: int | None = None,
    strict: bool = False,
    keep: bool = True,
    context: Context | Moment | None = None,
    below: Sequence[Header] = (),
) -> Packet:
    """Return `data` as a packet whose outermost header is of class `first` (None: all is payload).

    Args:
        data: bytes, or whatever has them: a captured frame, a packet or header, one of scapy's or dpkt's. Where these
            tell what they begin with, that counts instead of Ether.
        first: of PPP an odd first byte is a protocol of one byte, so that it is `ShortPPP` (RFC 1661 section 6.5).
        wire_length: bytes there were on the wire, where the capture kept fewer; the fault that this leaves is marked
            as `cut`, and `Packet.truncated` says so.
        strict: raise for the first fault instead of keeping it on the packet.
        context: what was remembered from packets before this one, where its headers recall that (see `recalled`); what is remembered from it is added.
        below: headers below these bytes, of which rules ask: ``below=[TCP(dport=502)]`` for a message of a stream.
        keep: False packs the packet anew when its bytes are needed, instead of returning `data` (for tests).

    Raises:
        DissectError: with `strict`, where bytes and declaration disagree.
    """
    if context is not None:
        given = data, first, wire_length, strict, keep
        plain = type(data) is bytes and first is not PPP  # most of them
        if plain and (quick := stack_decoders[first]) is not None and wire_length is None and keep and not (below or strict):
            found: Packet | None = read_in(context, _at_once, quick, data, first)
        else:
            found = read_in(context, dissected, *given, below) if plain and quick is None else read_in(context, dissect, *given, None, below)
        return found  # type: ignore[return-value]
    if type(data) is not bytes:
        first = first_header_of(data, first) if first is Ether else first
        data = as_bytes(data)
    if first is PPP and data and data[0] & 1:
        first = ShortPPP
    if (wire_length is None or wire_length == len(data)) and keep and not below and (read := stack_decoders[first]) is not None:
        found = read(data)
        if found is not None and not (strict and found.faults):
            return found
    return dissected(data, first, wire_length, strict, keep, below)


def _at_once(read: Callable[[bytes], Packet | None], data: bytes, first: type[Header] | None) -> Packet:
    found = read(data)
    return dissected(data, first, None) if found is None else found


def knowing(packet: Packet) -> Packet:
    """Return a packet that was read in a context, if it was, so that further messages in it are read in that too."""
    now = current.get()
    if now is not None:
        for cls in packet._classes:
            if cls._declaration.stream:
                packet._now = now
    return packet


def dissected(  # noqa: C901
    data: bytes, first: type[Header] | None, wire_length: int | None, strict: bool = False, keep: bool = True,
    below: Sequence[Header] = (), begins: bool | None = None,
) -> Packet:  # fmt: skip
    """Return bytes as a packet, header by header (see `dissect`). `begins`: whether a message of a stream begins in it, whatever the bytes say; None: these say it."""
    wire = data
    if first is not None and first._declaration.through:
        try:
            data = off_link(first._declaration, wire)
        except UnfitError as error:
            fault = Fault(first.__name__, "", 0, error.expected, error.got)
            if strict:
                raise DissectError(first.__name__, error.expected, error.got) from None
            packet = Packet((), wire, Anomalies({}, (fault,)))
            packet._data = wire
            return packet
    root, end = first, len(data)
    ctx = Dissection(wire_length - len(wire) if wire_length is not None and wire_length > len(wire) else 0)
    headers: list[Header] = []
    ctx.layers = around = [*below] if below else headers
    gaps: dict[int, bytes] = {}
    start = idle = 0
    while first is not None:
        if headers and first._declaration.stream:
            begun = None if begins is False else begin(first, data, start, end, ctx, begins is True)
            if begun is None:
                break  # the middle of a message
            header, after, stop, following = begun
        else:
            header, after, stop, following = first._decode(data, start, end, ctx)
        if after == start and following is not None:
            # Headers of no bytes that lead to each other would go on for ever.
            idle += 1
            if idle > 8:
                ctx.faults.append(Fault(first.__name__, "", start, "headers that take bytes", f"{idle} that take none"))
                following = None
        if stop != end:
            rest = stop + (measured(header, header._declaration.after) if header._declaration.has_trailer else 0)
            if rest < end:
                gaps[len(headers)] = data[rest:end]
        headers.append(header)
        if around is not headers:
            around.append(header)
        if following is None and after == stop and bodiless(header._declaration) is not None:
            following = in_no_bytes(header, data, after, ctx)
        start, end, first = after, stop, None if following is None else classes[following]
    if ctx.missing and not any(fault.cut for fault in ctx.faults):
        layer = type(headers[-1]).__name__ if headers else "frame"
        ctx.faults.append(Fault(layer, "", len(data), f"{ctx.missing} bytes more", "the end", cut=True))
    packet = _new(Packet)
    packet._stack = packet._resolved = tuple(headers)
    packet._payload = data[start:end]
    packet._data = wire
    packet._anomalies = packet._path = None
    clean = not (ctx.faults or ctx.partial or ctx.cut or ctx.missing)
    if not clean or gaps:
        packet._anomalies = Anomalies(gaps, tuple(ctx.faults), ctx.missing, ctx.cut)
    if clean and keep and root is not None and not below:
        count_use(root, packet._stack)
    if strict and packet.faults:
        fault = packet.faults[0]
        names = [type(h).__name__ for h in headers]
        path = names[: names.index(fault.layer) + 1] if fault.layer in names else [*names, fault.layer]
        where = "/".join(path)
        raise DissectError(
            f"{where}.{fault.field}" if fault.field else where, f"{fault.expected} at offset {fault.offset}", fault.got
        )
    if not keep:
        packet._data = packet.encode()
    return knowing(packet)
