"""Messages of streams of bytes (``stream=True``): where one begins, where it ends, and which stand in one packet.

What stands at the beginning of a packet is a message where it reads without a fault, or would if there were more bytes. Anything
else is the middle of one. The first message of a packet is among its layers; bytes after it are looked into when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from packetlab.codec.bodies import measured
from packetlab.codec.faults import Dissection, Fault
from packetlab.codec.lenient import ItemValues
from packetlab.escaping import bytes_text
from packetlab.hooks import hook

if TYPE_CHECKING:
    from packetlab.codec.objects import AnyHeader
    from packetlab.declare.declaration import Declaration
    from packetlab.packet.packet import Header, Packet

SHOWN = 16  # further messages of one packet that are shown


def begin(
    cls: type[AnyHeader], data: bytes, start: int, end: int, ctx: Dissection
) -> tuple[Any, int, int, Declaration | None] | None:
    """Read the header of a message that begins at `start`; None where none does, so that it is the middle of one."""
    own = Dissection(ctx.missing, ctx.partial)
    found = cls._decode(data, start, end, own)
    if not all(fault.cut for fault in own.faults):
        own = Dissection(ctx.missing, True)
        found = cls._decode(data, start, end, own)
        if own.faults or own.wanted <= end:
            return None
    ctx.faults += own.faults
    ctx.cut, ctx.partial, ctx.unsized = ctx.cut or own.cut, ctx.partial or own.partial, max(ctx.unsized, own.unsized)
    return found


class Beginning(NamedTuple):
    """What stands at a place of a stream.

    Attributes:
        header: the first one of the message. end: where the message ends, as far as that can be told.
        wanted: where the bytes must end for more to be known, 0 for a whole message. faults: what does not fit.
    """

    header: AnyHeader
    end: int
    wanted: int
    faults: tuple[Fault, ...]


def look(cls: type[AnyHeader], data: bytes, start: int) -> Beginning:
    """Read the header of a message at `start` and find its end."""
    ctx = Dissection()
    header, _, stop, _ = cls._decode(data, start, len(data), ctx)
    declaration = header._declaration
    stop += measured(header, declaration.after) if declaration.has_trailer else 0
    if not ctx.faults:
        payload = declaration.plan.payload
        if payload is None or payload.field is not None or declaration.plan.bare or declaration.plan.total is not None:
            return Beginning(header, stop, 0, ())
        if payload.size.evaluate(ItemValues(header, data, len(data))) >= 0:
            return Beginning(header, stop, 0, ())
        fault = Fault(declaration.name, "", start, "a message that tells where it ends", "a payload of unknown size")
        return Beginning(header, stop, 0, (fault,))
    part = Dissection(partial=True)
    cut = cls._decode(data, start, len(data), part)[0]
    if not part.faults and part.wanted > len(data):
        return Beginning(cut, len(data), part.wanted, ())
    return Beginning(header, stop, 0, tuple(ctx.faults))


def whole_messages(cls: type[AnyHeader], data: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the messages that stand whole in bytes, one after the other."""
    while start < len(data):
        found = look(cls, data, start)
        if found.wanted or found.faults or found.end <= start:
            return
        yield start, found.end
        start = found.end


# In one packet -------------------------------------------------------------------------------------------------


def messages_of(packet: Packet, wanted: type[Header]) -> tuple[Packet, ...]:
    """Return the whole messages of a packet whose first header is a `wanted` one, each as a packet."""
    for i, header in enumerate(packet.layers):
        if isinstance(header, wanted) and header._declaration.stream:
            start, end = packet._build()[0].extents[i - 1] if i else (0, len(packet))
            return tuple(_packets(type(header), bytes(packet)[start:end]))
    return ()


def further_headers(packet: Packet, wanted: type[Header]) -> list[Header]:
    """Return the headers of a class in the whole messages after the first one."""
    messages = (message for cls, data in _rests(packet) for message in _packets(cls, data))
    return [header for message in messages for header in message.layers if isinstance(header, wanted)]


def _packets(cls: type[AnyHeader], data: bytes) -> Iterator[Packet]:
    dissect = hook("dissect")
    return (dissect(data[start:end], cls) for start, end in whole_messages(cls, data))


def _rests(packet: Packet) -> list[tuple[type[Any], bytes]]:
    """Return what stands after messages, with the class of these, the innermost first."""
    gaps, classes = packet._trailing_bytes, packet._classes
    return [(classes[i], gaps[i]) for i in sorted(gaps, reverse=True) if classes[i]._declaration.stream]


def further_summary(packet: Packet) -> str:
    """Return further messages for the end of a packet's summary: " + Rec + Rec / 5 bytes + 3 bytes of a Rec"."""
    words = []
    for cls, data in _rests(packet):
        found = [*whole_messages(cls, data)]
        words += [hook("dissect")(data[start:end], cls).summary() for start, end in found[:SHOWN]]
        words += [f"{len(found) - SHOWN} more {cls.__name__}"] if len(found) > SHOWN else []
        end = found[-1][1] if found else 0
        words += [f"{len(data) - end} bytes of a {cls.__name__}"] if end < len(data) else []
    return "".join(f" + {word}" for word in words)


def rest_lines(packet: Packet) -> list[str]:
    """Return further messages as `Packet.show` has them, a headline before each, and what fills the frame."""
    lines: list[str] = []
    for cls, data in _rests(packet):
        found = [*whole_messages(cls, data)]
        for number, (start, end) in enumerate(found[:SHOWN], 2):
            lines.append(f"message {number} of the segment, {end - start} bytes")
            lines += hook("dissect")(data[start:end], cls).show().splitlines()
        if len(found) > SHOWN:
            lines.append(f"{len(found) - SHOWN} more messages")
        end = found[-1][1] if found else 0
        if end < len(data):
            lines.append(f"{len(data) - end} bytes of a message that does not end here")
    if packet.trailer:
        lines.append(f"trailer {len(packet.trailer)} bytes: {bytes_text(packet.trailer)}")
    return lines
