"""Application data handed to scapy's and dpkt's decoders by name: HTTP, DNS, TLS, DHCP and the hundreds of others.

Owns which decoder fits (by what the data begins with, by ports, by scapy's bindings), the result, and that nothing a
decoder does becomes an exception: dpkt lets IndexError and struct.error out, and both raise what they please on bytes
from the wire. How each library is asked is in `scapy_decoders` and `dpkt_decoders`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from packetlab.errors import BuildError, suggestion
from packetlab.escaping import printable
from packetlab.wire.foreign import as_packet, is_foreign, octets
from packetlab.wire.header import Header
from packetlab.wire.packet import Packet
from packetlab.wire.transport import TCP, UDP
from packetlab.wire.walk import Fault

LIBRARIES = {"scapy": "packetlab.export.scapy_decoders", "dpkt": "packetlab.export.dpkt_decoders"}
"""In the order they are asked: scapy's decoders know more fields."""

# What no other protocol begins with.
_BEGINS = (
    ("http", re.compile(rb"HTTP/1\.|(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT) [^\r\n ]+ HTTP/")),
    ("tls", re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")),
    ("sip", re.compile(rb"SIP/2\.0 |[A-Z]+ sips?:")),
    ("ssh", re.compile(rb"SSH-\d")),
)
# Service names and numbers as IANA assigns them.
_PORTS = {
    TCP: {
        22: "ssh", 53: "dns", 80: "http", 88: "kerberos", 102: "tpkt", 179: "bgp", 389: "ldap", 443: "tls", 445: "smb",
        502: "modbus", 636: "tls", 853: "tls", 993: "tls", 995: "tls", 1883: "mqtt", 2049: "rpc", 3128: "http", 3868: "diameter",
        5060: "sip", 5061: "tls", 8000: "http", 8080: "http", 8443: "tls", 8883: "tls",
    },
    UDP: {
        53: "dns", 67: "dhcp", 68: "dhcp", 69: "tftp", 88: "kerberos", 123: "ntp", 137: "nbns", 161: "snmp", 162: "snmp", 389: "ldap",
        443: "quic", 500: "isakmp", 520: "rip", 546: "dhcp6", 547: "dhcp6", 1812: "radius", 1813: "radius", 1900: "http",
        2055: "netflow", 3478: "stun", 5060: "sip", 5353: "dns", 5355: "llmnr", 5683: "coap",
    },
}  # fmt: skip


class Deep:
    """What a decoder made of application data.

    Attributes:
        name: of the decoder ("dns"), "" where none was found. using: "scapy" or "dpkt", "" likewise.
        data: the octets it was given. decoded: the library's own object, None where it gave none.
        fields: the same as plain data: dicts by field name, lists, str, int, bytes. A packet's dict has its class under
            "layer" and what it carries under "payload".
        faults: what went wrong, as `Packet.faults`; empty where all was understood.
    """

    __slots__ = ("data", "decoded", "faults", "fields", "name", "using")

    def __init__(
        self, name: str, using: str, data: bytes, decoded: Any, fields: Any, faults: tuple[Fault, ...]
    ) -> None:
        self.name, self.using, self.data = name, using, data
        self.decoded, self.fields, self.faults = decoded, fields, faults

    def find(self, name: str) -> list[Any]:
        """Return every value under that field name, at any depth, in order."""
        return list(_found(self.fields, name))

    def __getitem__(self, name: str) -> Any:
        """Return the first value under a field name, at any depth. KeyError where there is none."""
        for value in _found(self.fields, name):
            return value
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return next(_found(self.fields, name), self) is not self

    def __str__(self) -> str:
        lines = [f"{self.name or 'no decoder'}{f' ({self.using})' if self.using else ''}: {len(self.data)} octets"]
        lines += _lines(self.fields, "  ")
        return "\n".join([*lines, *(f"fault: {printable(str(fault))}" for fault in self.faults)])

    def __repr__(self) -> str:
        faults = f", {len(self.faults)} fault{'s' * (len(self.faults) != 1)}" * bool(self.faults)
        return f"<Deep {self.name or 'nothing'}{f' by {self.using}' if self.using else ''}: {len(self.data)} octets{faults}>"


def deep(data: Any, name: str | None = None, *, using: str | None = None) -> Deep:
    """Return application data decoded by scapy or dpkt.

    Args:
        data: whatever is a packet (then what its last transport header carries counts), or the octets of a stream.
        name: of the decoder: one of `deep_names()`, or a class of a library's ("mqtt.MQTTPublish", "http.Request"). None:
            by what the data begins with, by ports, by scapy's bindings.
        using: "scapy" or "dpkt", None: the first that has the decoder.

    Whatever is in the data, this does not raise: where a decoder fails, or none is found, the result has a fault.

    Raises:
        BuildError: there is no decoder of that name. TypeError: `data` is no packet.
    """
    if using not in (None, *LIBRARIES):
        raise BuildError("deep: using", "scapy or dpkt", using)
    raw = isinstance(data, (bytes, bytearray, memoryview))
    packet = None if raw else as_packet(data)
    transport, body = (None, octets(data)) if packet is None else _application(packet)
    if name is not None:
        return _decoded(name, body, using, transport)
    if not body:
        return Deep("", "", body, None, {}, (Fault("payload", "", 0, "application data", "none"),))
    found = next((known for known, begins in _BEGINS if begins.match(body)), None) or _by_port(transport)
    if found is not None and (using is None or _finders(found, using)):
        return _decoded(found, body, using, transport)
    if packet is not None and using != "dpkt":
        made = _library("scapy").above(packet)
        if made is not None:
            return _result(type(made).__name__, "scapy", body, made, ())
    fault = Fault("payload", "", 0, "data that a decoder is known for", f"{len(body)} octets; name one (deep_names())")
    return Deep("", "", body, None, {}, (fault,))


def deep_names() -> dict[str, tuple[str, ...]]:
    """Return the names that `deep` takes, each with the libraries that have such a decoder.

    Names are protocols ("dns", "mqtt") as the libraries' modules have them; the classes inside a module go by
    "module.Class". Imports the libraries, but not their modules.
    """
    names: dict[str, tuple[str, ...]] = {}
    for using in LIBRARIES:
        for name in _library(using).names():
            names[name] = (*names.get(name, ()), using)
    return dict(sorted(names.items()))


def _library(using: str) -> Any:
    return import_module(LIBRARIES[using])


def _finders(name: str, using: str | None) -> list[tuple[str, Any]]:
    """Return (library, decoder) for every library that has the name."""
    found = [(one, _library(one).find(name)) for one in LIBRARIES if using in (None, one)]
    return [(one, decoder) for one, decoder in found if decoder is not None]


def _application(packet: Packet) -> tuple[Header | None, bytes]:
    """Return the last transport header and what it carries; without one, the payload."""
    bodies, headers = packet._build()
    for header, body in zip(reversed(headers), reversed(bodies), strict=True):
        if isinstance(header, (TCP, UDP)):
            return header, body
    return None, packet.payload


def _by_port(transport: Header | None) -> str | None:
    if not isinstance(transport, (TCP, UDP)):
        return None
    names = _PORTS[type(transport)]
    return names.get(transport.dport) or names.get(transport.sport)


def _decoded(name: str, body: bytes, using: str | None, transport: Header | None) -> Deep:
    finders = _finders(name, using)
    if not finders:
        known = [one for one, libraries in deep_names().items() if using is None or using in libraries]
        raise BuildError("deep: name", "one of deep_names()", repr(name), suggestion(name, known))
    data = body
    if name == "dns" and (isinstance(transport, TCP) or int.from_bytes(body[:2], "big") == len(body) - 2 > 0):
        data = body[2 : 2 + int.from_bytes(body[:2], "big")]  # RFC 1035 section 4.2.2: a length stands first
    best: Deep | None = None  # of those that have faults
    for one, decoder in finders:
        result = _tried(name, one, data, decoder)
        if not result.faults:
            return result
        if best is None or (best.decoded is None and result.decoded is not None):
            best = result
    assert best is not None
    return best


def _tried(name: str, using: str, data: bytes, decoder: Any) -> Deep:
    faults: list[str] = []
    try:
        made = decoder(data, faults)
    except Exception as error:  # a foreign decoder raises anything for bytes that it does not like
        made = None
        faults.append(_words(error))
    wanted = f"what {using} reads as {name}"
    return _result(name, using, data, made, tuple(Fault(name, "", 0, wanted, text) for text in faults))


def _result(name: str, using: str, data: bytes, made: Any, faults: tuple[Fault, ...]) -> Deep:
    try:
        fields = {} if made is None else _library(using).plain(made)
    except Exception as error:  # values are decoded as late as when they are looked at
        fields, faults = {}, (*faults, Fault(name, "", 0, "fields that can be read", _words(error)))
    return Deep(name, using, data, made, fields, faults)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


# Plain data ----------------------------------------------------------------------------------------------------


def _found(fields: Any, name: object) -> Iterator[Any]:
    if isinstance(fields, dict):
        for key, value in fields.items():
            if key == name:
                yield value
            yield from _found(value, name)
    elif isinstance(fields, list):
        for value in fields:
            yield from _found(value, name)


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return repr(value) if len(value) <= 80 else f"{value[:80]!r}... ({len(value)} octets)"
    return printable(str(value))


def _lines(fields: Any, indent: str) -> Iterator[str]:
    pairs = fields.items() if isinstance(fields, dict) else [("-", value) for value in fields]
    for key, value in pairs:
        label = printable(str(key)) + ("" if key == "-" else ":")
        if isinstance(value, (dict, list)) and value:
            kind = f" {printable(str(value['layer']))}" if isinstance(value, dict) and "layer" in value else ""
            yield f"{indent}{label}{kind}"
            inner = {k: v for k, v in value.items() if k != "layer"} if isinstance(value, dict) else value
            yield from _lines(inner, indent + "  ")
        elif not isinstance(value, (dict, list)):
            yield f"{indent}{label} {_shown(value)}"


def plain(value: Any, packet: Any, depth: int = 0) -> Any:
    """Return a decoder's value as plain data; `packet(value, depth)` does so for the library's packets, or gives None."""
    if depth > 40:
        return printable(repr(type(value).__name__))
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, dict):
        return {str(key): plain(one, packet, depth + 1) for key, one in value.items() if one is not None}
    if is_foreign(value):
        return packet(value, depth + 1)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one, packet, depth + 1) for one in value if one is not None]
    made = packet(value, depth + 1)
    return str(value) if made is None else made
