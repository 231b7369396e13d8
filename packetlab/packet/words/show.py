"""A packet as a table: a line a layer, below it a line a field with its state."""

from __future__ import annotations

from packetlab.declare.checksums.bitwise import is_sum
from packetlab.errors import BuildError
from packetlab.escaping import bytes_text
from packetlab.hooks import hook
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Verdict
from packetlab.packet.text import ITEMS, Text, cut, expected, headline, item_lines, items_text, value_text
from packetlab.packet.verdicts.verdict import Judged, judged


def show(packet: Packet) -> Text:
    """Return the packet as text: a line a layer, below it a line a field with its state.

    A packet that has no bytes, such as a prototype, shows the fields it was given, and why it cannot be built.
    """
    reason = unbuildable(packet)
    if reason is not None:
        return _given(packet, reason)
    lines, sums = [], [*judged(packet)]
    checks = {(one.layer, one.path): one.verdict for one in sums if one.holder is None}
    for i, (header, original) in enumerate(zip(packet.layers, packet._headers, strict=True)):
        lines.append(headline(header))
        for f in header._fields:
            raw = getattr(header, f.slot)
            if f.kind.wire == "payload" or raw is None:
                continue
            if is_sum(f):
                text = value_text(f, raw)
                text += f"  {checks[i, f.name].name.lower().replace('_', ' ')}"
            else:
                text = items_text(header, f) if f.kind.inside.wire == "items" else value_text(f, raw, header)
            lines.append(f"  {f.name:<18} {cut(text):<36} {Header.state(original, f.name)}".rstrip())
            lines += [f"    {line}" for line in item_lines(header, f)]
            lines += [f"    {held_sum(one)}" for one in sums if one.layer == i and one.holder is f and one.verdict is not Verdict.GOOD][:ITEMS]
    if packet.payload:
        lines.append(f"payload {len(packet.payload)} bytes: {bytes_text(packet.payload)}")
    lines += hook("rest_lines")(packet)
    if packet.truncated:
        lines.append("the capture holds less than there was on the wire")
    lines += [f"fault: {fault}" for fault in packet.faults]
    return Text("\n".join(lines))


def held_sum(one: Judged) -> str:
    """Return what is to be said of a checksum in what a field holds: "items[1].sum 0x0007  bad"."""
    raw = getattr(one.header, one.field.slot)
    shown = value_text(one.field, raw)
    return f"{one.path} {shown}  {one.verdict.name.lower().replace('_', ' ')} checksum"


def unbuildable(packet: Packet) -> BuildError | None:
    """Return why a packet has no bytes, None for one that has."""
    try:
        bytes(packet)
    except BuildError as error:
        return error
    return None


def _given(packet: Packet, reason: BuildError) -> Text:
    lines = []
    for header in packet._headers:
        lines.append(type(header).__name__)
        for f in header._fields:
            if header._state & f.bit:
                lines.append(f"  {f.name:<18} {expected(header, f, {})}")
    if packet.payload:
        lines.append(f"payload {len(packet.payload)} bytes: {bytes_text(packet.payload)}")
    return Text("\n".join([*lines, f"cannot be built: {reason}"]))
