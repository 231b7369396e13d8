"""What a failing comparison says: two packets, or rows of them, side by side in lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeGuard

from packetlab.codec.objects import is_pattern
from packetlab.packet.coerce import as_packet
from packetlab.packet.diff import explain_packets
from packetlab.packet.diff_sequences import explain_sequences
from packetlab.packet.foreign import is_foreign
from packetlab.packet.packet import Header, Packet


def explain(left: object, right: object) -> list[str] | None:
    """Return in lines what is different between two packets, headers, bytes and a packet, or many packets.

    The first line is the summary, the rest is in order of importance: causes with what follows from each, then the
    bytes around the differences. None where neither side is a packet, or there is nothing to explain.
    """
    one, other = _packet(left, right), _packet(right, left)
    if one is not None and other is not None:
        for side in (one, other):
            tolerant = next((h for h in side._headers if is_pattern(h)), None)
            if tolerant is not None:
                return [f"{tolerant!r} stands for several values, so it equals no packet: use matches()"]
        lines = explain_packets(one, other)
        if not lines:
            kinds = [type(side).__name__ for side in (left, right)]
            if type(left) is type(right) or (isinstance(left, Packet) and isinstance(right, Packet)):
                return None
            return [f"the same bytes, but a {kinds[0]} never equals a {kinds[1]}: compare bytes() of both"]
        return lines
    if _several(left) and _several(right):
        return explain_sequences(left, right)
    return None


def _packet(side: object, beside: object) -> Packet | None:
    if isinstance(side, Packet):
        return side
    if isinstance(side, Header):
        return Packet((side,))
    if (isinstance(side, (bytes, bytearray)) or is_foreign(side)) and isinstance(beside, (Packet, Header)):
        return as_packet(side, beside)
    return None


def _several(side: object) -> TypeGuard[Iterable[object]]:
    one = isinstance(side, (str, bytes, bytearray, dict, Packet, Header)) or is_foreign(side)
    return isinstance(side, Iterable) and not one
