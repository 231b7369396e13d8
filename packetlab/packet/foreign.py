"""Bytes of whatever is a packet, and which library a packet of somebody else's is from.

scapy and dpkt are known by the names of their classes: neither is imported here, and a program without them pays nothing.
"""

from __future__ import annotations

from typing import Any, SupportsBytes, TypeAlias, TypeGuard

Foreign: TypeAlias = Any
"""A packet of scapy's or dpkt's, of a class that may be made at run time."""
_libraries: dict[type, str] = {}


def library(kind: type) -> str:
    """Return "scapy" or "dpkt" for the class of one of their packets, "" for any other."""
    if kind not in _libraries:
        _libraries[kind] = _library(kind)
    return _libraries[kind]


def _library(kind: type) -> str:
    for cls in kind.__mro__:
        root = cls.__module__.partition(".")[0]
        if cls.__name__ == "Packet" and root in ("scapy", "dpkt"):
            return root
    return ""


def is_foreign(packet: object) -> bool:
    """Say whether `packet` is one of scapy's or dpkt's."""
    return library(type(packet)) != ""


def is_packed(packet: object) -> TypeGuard[SupportsBytes]:
    """Whether something is made of bytes and says which: a frame or a packet of whatever library, no path and no address.

    What is a number too, as netaddr's addresses are, is a value of a field.
    """
    kind = type(packet)
    is_value = hasattr(kind, "__fspath__") or hasattr(kind, "__int__") or issubclass(kind, tuple)
    return hasattr(kind, "__bytes__") and not is_value


def as_bytes(packet: object) -> bytes:
    """Return the bytes of whatever is a packet: bytes, a `Packet`, a header, a captured frame, scapy's, dpkt's.

    TypeError for anything else (a number or a list has bytes too, in Python's eyes).
    """
    if type(packet) is bytes:
        return packet
    if isinstance(packet, (bytes, bytearray, memoryview)):
        return bytes(packet)
    if is_packed(packet):
        return bytes(packet)
    wanted = "a packet, a header, a frame, bytes, or a packet of scapy or dpkt"
    raise TypeError(f"{wanted} was expected, got {type(packet).__name__}")
