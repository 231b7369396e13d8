"""Addresses as fields hold them: raw bytes inside, netaddr's types (and our XNSAddress) outside.

MAC addresses go out as `netaddr.EUI`, IPv4 and IPv6 addresses as `netaddr.IPAddress`; in come those, the standard
library's `ipaddress` objects, text, numbers and bytes. netaddr is imported when the first address is looked at.
Text of XNS addresses follows ns_addr(3) and ns_ntoa(3) of 4.4BSD.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import netaddr


_new: Any = object.__new__
_number = int.from_bytes
_like: dict[int, tuple[Any, ...]] = {}
"""Size in bytes -> type of netaddr's objects of it, as `_new` takes it, and the parts they share."""


def _load() -> dict[int, tuple[Any, ...]]:
    import netaddr

    mac: Any = netaddr.EUI(0, 48, netaddr.mac_unix_expanded)
    for text, size in (("0.0.0.0", 4), ("::", 16)):
        ip: Any = netaddr.IPAddress(text)
        _like[size] = (netaddr.IPAddress,), ip._module
    _like[6] = (netaddr.EUI,), mac._module, mac._dialect
    return _like


def mac_bytes(value: object) -> bytes:
    """Return the 6 bytes of a MAC address. ValueError where `value` is none.

    >>> mac_bytes("02:00:00:00:00:01").hex()
    '020000000001'
    """
    if type(value) is str:
        return _mac_parsed(value)
    return _as_bytes(value, 6)


@lru_cache(4096)
def _mac_parsed(value: str) -> bytes:
    digits = re.sub(r"[:.\-]", "", value)
    if len(digits) != 12:
        raise ValueError(value)
    return bytes.fromhex(digits)


def mac_text(raw: bytes) -> str:
    """Return 6 bytes as ``02:00:00:00:00:01``."""
    return raw.hex(":")


def mac_value(raw: bytes) -> netaddr.EUI:
    """Return 6 bytes as a `netaddr.EUI` that prints with colons."""
    # As its own `__setstate__` does: the constructor takes ten times as long to find out what it was given.
    of, module, dialect = (_like or _load())[6]
    made = _new(*of)
    made._value, made._module, made._dialect = _number(raw), module, dialect
    return made  # type: ignore[no-any-return]


def value_source(size: int) -> tuple[list[str], dict[str, object]]:
    """Return lines that make ``made`` of ``raw``, as `mac_value` and `ip_value` do but for a call, and what they refer to."""
    of, *parts = (_like or _load())[size]
    shared = dict(zip(("module", "dialect"), parts, strict=False))
    lines = ["made = new(*of)", "made._value = number(raw)", *(f"made._{word} = {word}" for word in shared)]
    return lines, {"new": _new, "of": of, "number": _number, **shared}


def ip_bytes(value: object, size: int) -> bytes:
    """Return the `size` (4 or 16) bytes of an IP address. ValueError where `value` is none."""
    if type(value) is str:
        return _ip_parsed(value, size)
    packed = getattr(value, "packed", None)  # netaddr.IPAddress and ipaddress.IPv4Address alike
    if isinstance(packed, bytes):
        if len(packed) == size:
            return packed
        value = packed
    return _as_bytes(value, size)


@lru_cache(4096)
def _ip_parsed(value: str, size: int) -> bytes:
    import ipaddress

    return (ipaddress.IPv4Address(value) if size == 4 else ipaddress.IPv6Address(value)).packed


def ip_text(raw: bytes) -> str:
    """Return 4 or 16 bytes as an IP address is written (RFC 5952 for IPv6)."""
    if len(raw) == 4:
        return "%d.%d.%d.%d" % tuple(raw)
    import ipaddress

    return str(ipaddress.IPv6Address(raw))


def ip_value(raw: bytes) -> netaddr.IPAddress:
    """Return 4 or 16 bytes as a `netaddr.IPAddress`."""
    of, module = (_like or _load())[len(raw)]
    made = _new(*of)
    made._value, made._module = _number(raw), module
    return made  # type: ignore[no-any-return]


def as_written(value: object) -> object:
    """Return an address or a UUID as its text, which a field takes as well; anything else as it is."""
    named = type(value).__name__ in ("UUID", "EUI", "IPAddress", "IPv4Address", "IPv6Address", "XNSAddress")
    return str(value) if named and not isinstance(value, int | bytes) else value


class XNSAddress(NamedTuple):
    """A Xerox NS address: network (32 bits), host (48 bits, the machine's MAC address) and socket (16 bits).

    `XNSAddress.of` takes any accepted form; `str` prints as ns_ntoa(3) does: hexadecimal, with an H after each
    number that has no digit above 9, trailing zero fields dropped.

    >>> XNSAddress.of("401H.1000AA000077.4001H")
    XNSAddress('401H.1000AA000077.4001H')
    >>> XNSAddress(socket=5).host
    0
    """

    net: int = 0
    host: int = 0
    socket: int = 0

    @classmethod
    def of(cls, value: Any) -> XNSAddress:
        """Return an address from text (ns_addr(3)), 12 bytes, a number, or (net, host, socket)."""
        if isinstance(value, str):
            return cls(*_ns_addr(value))
        if isinstance(value, tuple):
            net, host, socket = value
            if isinstance(host, (str, bytes)) or hasattr(host, "words"):
                host = int.from_bytes(mac_bytes(host), "big")
            address = cls(int(net), int(host), int(socket))
            for part, bits in zip(address, (32, 48, 16), strict=True):
                if not 0 <= part < 1 << bits:
                    raise ValueError(value)
            return address
        raw = _as_bytes(value, 12)
        return cls(*(int.from_bytes(raw[a:b], "big") for a, b in ((0, 4), (4, 10), (10, 12))))

    @property
    def mac(self) -> netaddr.EUI:
        """The host part as a MAC address."""
        return mac_value(self.host.to_bytes(6, "big"))

    def __bytes__(self) -> bytes:
        return self.net.to_bytes(4, "big") + self.host.to_bytes(6, "big") + self.socket.to_bytes(2, "big")

    def __str__(self) -> str:
        parts = [_ns_number(part) for part in self]
        while len(parts) > 1 and parts[-1] == "0":
            parts.pop()
        return ".".join(parts)

    def __repr__(self) -> str:
        return f"XNSAddress({str(self)!r})"


def xns_bytes(value: object) -> bytes:
    """Return the 12 bytes of an XNS address. ValueError where `value` is none."""
    try:
        return bytes(XNSAddress.of(value))
    except TypeError as error:
        raise ValueError(value) from error


def _as_bytes(value: Any, size: int) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        if len(value) != size:
            raise ValueError(value)
        return bytes(value)
    if isinstance(value, (str, float)):
        raise ValueError(value)
    try:
        return int(value).to_bytes(size, "big")
    except (TypeError, OverflowError) as error:
        raise ValueError(value) from error


def _ns_number(number: int) -> str:
    text = f"{number:X}"
    return text if number == 0 or re.search("[A-F]", text) else text + "H"


def _ns_addr(text: str) -> tuple[int, int, int]:
    # ns_addr(3): fields are split at "#", else at the first of ":" or "." that occurs.
    split = "#" if "#" in text else next((c for c in text if c in ".:"), "#")
    parts = text.strip().split(split)
    if not 1 <= len(parts) <= 3:
        raise ValueError(text)
    net, host, socket = (*parts, "0", "0")[:3]
    numbers = _ns_field(net), _ns_field(host, pieces=True), _ns_field(socket)
    if numbers[0] >> 32 or numbers[1] >> 48 or numbers[2] >> 16:
        raise ValueError(text)
    return numbers


def _ns_field(text: str, pieces: bool = False) -> int:
    # Base: 0x.., a trailing H or any digit A-F is hexadecimal; a leading 0 octal; dashes are groups of thousands in
    # decimal; all else is decimal. A host may be written as six bytes.
    if pieces and re.fullmatch(r"([0-9A-Fa-f]{1,2}[.:\-]){5}[0-9A-Fa-f]{1,2}", text):
        return int.from_bytes(bytes(int(piece, 16) for piece in re.split(r"[.:\-]", text)), "big")
    if re.fullmatch(r"\d+(-\d{1,3})+", text):
        number = 0
        for group in text.split("-"):
            number = number * 1000 + int(group)
        return number
    if found := re.fullmatch(r"0[xX]([0-9A-Fa-f]+)|([0-9A-Fa-f]+)[hH]", text):
        return int(found[1] or found[2], 16)
    if re.fullmatch(r"[0-9A-Fa-f]+", text):
        if re.search("[A-Fa-f]", text):
            return int(text, 16)
        return int(text, 8 if text.startswith("0") and text != "0" * len(text) else 10)
    raise ValueError(text)
