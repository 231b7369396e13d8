"""What tests read of packets: values of the layers of a class."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from packetlab import Header, Packet

H = TypeVar("H", bound=Header)


def of(wanted: type[H], read: Callable[[H], object]) -> Callable[[Packet], list[object]]:
    """Return what reads a packet: all values (or lists of them) of its layers of a class, but for None."""

    def values(packet: Packet) -> list[object]:
        found: list[object] = []
        for one in packet.layers:
            if isinstance(one, wanted):
                value = read(one)
                found += value if isinstance(value, list | tuple) else [] if value is None else [value]
        return found

    return values


def all_of(*readings: Callable[[Packet], list[object]]) -> Callable[[Packet], list[object]]:
    """Return what reads all that several do, one after the other."""
    return lambda packet: [value for read in readings for value in read(packet)]


def date(time: datetime) -> str:
    """Return a time up to its seconds as Wireshark writes it."""
    month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][time.month - 1]
    return f"{month} {time.day:2}, {time.year} {time:%H:%M:%S}"
