"""Ladders: who sent what to whom, a line a packet, time running down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from packetlab.capture import Frame
from packetlab.view.hexdump import printable
from packetlab.wire.addresses import ip_text, mac_text
from packetlab.wire.header import Header
from packetlab.wire.packet import Packet
from packetlab.wire.text import Text
from packetlab.wire.xns import IDP

WIDTH = 60  # characters of a label between two columns


def ladder(frames: Iterable[Frame], names: dict[str, str] | None = None) -> Text:
    """Return a ladder of captured frames as text.

    Each end that speaks is a column, named by `names` (address as text -> name) or its address; an arrow goes from
    source to destination with the topmost headers' fields; a frame's comment stands behind it (a simulated link says
    there what it did to the frame). Times are seconds since the first frame.
    """
    names = names or {}
    rows: list[tuple[int | None, str, str, str, str]] = []
    ends: list[str] = []
    for frame in frames:
        packet = frame.packet()
        source, destination = (names.get(end, end) for end in _ends(packet))
        for end in (source, destination):
            if end not in ends:
                ends.append(end)
        rows.append((frame.time_ns, source, destination, label(packet), printable(frame.comment or "")))
    if not rows:
        return Text("no frames")
    start = next((time for time, *_ in rows if time is not None), 0)
    columns = {end: 14 + i * (WIDTH + 4) for i, end in enumerate(ends)}
    lines = ["time (s)".ljust(14) + "".join(printable(end)[: WIDTH + 2].ljust(WIDTH + 4) for end in ends).rstrip()]
    for time, source, destination, text, comment in rows:
        moment = "" if time is None else f"{(time - start) / 1e9:.6f}"
        arrow = _arrow(columns[source] - 14, columns[destination] - 14, text)
        lines.append(moment.ljust(14) + arrow + (f"  {comment}" if comment else ""))
    return Text("\n".join(lines))


def _arrow(source: int, destination: int, text: str) -> str:
    left, right = sorted((source, destination))
    if left == right:
        return " " * left + "(" + text[:WIDTH] + ")"
    body = f" {text[: right - left - 6]} ".center(right - left - 2, "-")
    return " " * left + "|" + (f"{body}>" if destination > source else f"<{body}") + "|"


def label(packet: Packet, most: int = 2) -> str:
    """Return in one line what the topmost headers say, `most` of them (fields that are not zero), the uppermost first."""
    text = " on ".join(_fields(header) for header in reversed(_spoken(packet)[-most:]))
    if packet.payload:
        text += f" +{len(packet.payload)} B"
    if packet.faults:
        text += " (faulty)"
    return printable(text)


def _spoken(packet: Packet) -> tuple[Header, ...]:
    """Return the headers that speak themselves: not those of a packet that an error report quotes."""
    for place, header in enumerate(packet.layers, 1):
        if type(header)._quotes is not None:
            return packet.layers[:place]
    return packet.layers


def _fields(header: Header) -> str:
    shown = []
    for f in header._fields:
        raw = getattr(header, f.slot)
        if isinstance(raw, int) and raw and f.rule is None and not f.fixed:
            shown.append(f"{f.name}={f.kind.text(raw).split(' (')[0]}")
    return f"{type(header).__name__} {' '.join(shown)}".strip()


def _ends(packet: Packet) -> tuple[str, str]:
    """Source and destination as text: of the innermost header that has both."""
    for header in reversed(_spoken(packet)):
        if isinstance(header, IDP):
            return str(header.src), str(header.dst)
        source: Any = getattr(header, "_src", None)
        destination: Any = getattr(header, "_dst", None)
        if isinstance(source, bytes) and isinstance(destination, bytes):
            show = mac_text if len(source) == 6 else ip_text
            return show(source), show(destination)
    return "?", "?"
