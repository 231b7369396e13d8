"""How dpkt is called to decode: which class a name means, and what its objects say."""

from __future__ import annotations

import pkgutil
from bisect import bisect
from collections.abc import Callable
from functools import cache
from importlib import import_module
from itertools import accumulate
from typing import Any

from packetlab.export.bridges.decoders import plain as plain_value
from packetlab.packet.foreign import Foreign
from packetlab.packet.results import Plain

# Names whose class is not that of the module's name, or that two modules have.
_CLASSES = {
    "nbns": "netbios.NS", "netbios": "netbios.NS", "aim": "aim.FLAP", "h225": "h225.H225", "http2": "http2.Frame", "ssl": "ssl.TLS",
    "tls": "ssl.TLS", "ieee80211": "ieee80211.IEEE80211", "netflow": "netflow.Netflow5", "mdns": "dns.DNS", "bootp": "dhcp.DHCP",
}  # fmt: skip
_NOT = {
    "asn1", "compat", "crc32c", "dpkt", "gzip", "pcap", "pcapng", "snoop", "ssl_ciphersuites", "utils", "telnet",
    "mrt", "aoe",
}  # fmt: skip


@cache
def names() -> list[str]:
    import dpkt

    modules = [module.name for module in pkgutil.iter_modules(dpkt.__path__) if module.name not in _NOT]
    return [name for name in dict.fromkeys([*modules, *_CLASSES]) if find(name) is not None]


@cache
def find(name: str) -> Callable[[bytes, list[str]], Foreign] | None:
    """Return a function of (bytes, texts of faults to add to) for a name, None where dpkt has none."""
    import dpkt

    if name in ("http", "sip"):
        return lambda data, faults: _request_or_response(name, data)
    path = _CLASSES.get(name, name)
    stem, _, wanted = path.partition(".")
    modules = {module.name for module in pkgutil.iter_modules(dpkt.__path__)} - _NOT
    if stem not in modules:
        return None
    module = import_module(f"dpkt.{stem}")
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, dpkt.Packet)]
    cls = next(
        (c for c in classes if c.__name__.lower() == (wanted or stem).lower() and c.__module__ == module.__name__), None
    )
    return None if cls is None else lambda data, faults: _decode(cls, data, faults)


def _decode(cls: type[Foreign], data: bytes, faults: list[str]) -> Foreign:
    made = cls(data)
    if cls.__name__ == "TLS":
        _handshakes(made.records, faults)
    return made


_CHANGE_CIPHER, _HANDSHAKE = 20, 22
_MESSAGES = frozenset({*range(7), 8, 9, *range(11, 18), *range(20, 26), 67, 254})  # IANA, TLS HandshakeType


def _handshakes(records: list[Foreign], faults: list[str]) -> None:
    """Give each TLS record the handshake messages that begin in it, which dpkt leaves inside.

    Messages run on over records, and a record holds several (RFC 8446 section 5.1). After a change of the cipher they
    are encrypted; so is, or belongs to a message begun before, what begins with no message: such bytes stay bytes.
    """
    run: list[Foreign] = []
    for record in [*records, None]:
        if record is not None and record.type == _HANDSHAKE:
            run.append(record)
            continue
        _messages(run, faults)
        run = []
        if record is not None and record.type == _CHANGE_CIPHER:
            return


def _messages(run: list[Foreign], faults: list[str]) -> None:
    data = b"".join(bytes(record.data) for record in run)
    starts = [0, *accumulate(len(record.data) for record in run)]
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        lacking = at + 4 + size - len(data)
        plain_text = data[at] in _MESSAGES and size < 1 << 16 and (lacking <= 0 or len(data) - at >= 4)
        if not plain_text:
            if at:
                faults.append(f"handshake: {len(data) - at} bytes after a message that begin none")
            return
        if lacking > 0:
            faults.append(f"handshake: a message of type {data[at]} that goes on, {lacking} bytes more")
            return
        record = run[bisect(starts, at) - 1]
        try:
            message = _message(data[at : at + 4 + size])
        except Exception as error:  # anything that its parsers trip over
            faults.append(f"handshake: {type(error).__name__}: {error}"[:300])
        else:
            if hasattr(record, "handshake"):
                record.more_handshakes = [*getattr(record, "more_handshakes", []), message]
            else:
                record.handshake = message
        at += 4 + size


def _message(data: bytes) -> Foreign:
    """Return a handshake message; one of a type that dpkt does not know has its body as bytes."""
    from dpkt.ssl import HANDSHAKE_TYPES, TLSHandshake

    if data[0] in HANDSHAKE_TYPES:
        return TLSHandshake(data)
    message = TLSHandshake(type=data[0], length_bytes=data[1:4])
    message.data = data[4:]
    return message


def _request_or_response(name: str, data: bytes) -> Foreign:
    module = import_module(f"dpkt.{name}")
    return (module.Response if data.startswith((b"HTTP/", b"SIP/")) else module.Request)(data)


def _value(packet: object, name: str) -> Any:
    """Return an attribute, None where a property has nothing to say of this packet."""
    try:
        return getattr(packet, name)
    except Exception:
        return None


def plain(value: object, depth: int = 0) -> Plain:
    """Return a packet of dpkt's, or a value in one, as plain data."""
    import dpkt

    if not isinstance(value, dpkt.Packet):
        return None
    fields: dict[str, object] = {"layer": type(value).__name__}
    shared = getattr(value, "__bit_fields__", None) or {}
    known: list[str] = []
    for name in getattr(value, "__hdr_fields__", ()):
        known += [part for part, _ in shared[name]] if name in shared else [name]
    derived = [name for cls in type(value).__mro__ for name, one in vars(cls).items() if isinstance(one, property)]
    for name in dict.fromkeys([*known, *derived, *vars(value)]):
        one = None if name.startswith("_") or name == "data" else _value(value, name)
        if one is not None and one is not value.data and not callable(one):
            fields[name] = plain_value(one, plain, depth)
    if isinstance(value.data, dpkt.Packet) or value.data:
        fields["payload"] = plain_value(value.data, plain, depth)
    return fields
