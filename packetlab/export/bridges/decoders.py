"""Application data handed to scapy's and dpkt's decoders by name: HTTP, DNS, TLS, DHCP and the hundreds of others.

Owns which decoder fits (by what the data begins with, by ports, by scapy's bindings), the result, and that nothing a
decoder does becomes an exception: dpkt lets IndexError and struct.error out, and both raise what they please on bytes
from the wire. How each library is called is in `scapy_decoders` and `dpkt_decoders`.
"""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from types import ModuleType
from typing import Any

from packetlab.codec.faults import Fault
from packetlab.codec.source import Compiled
from packetlab.errors import BuildError, suggestion
from packetlab.escaping import printable
from packetlab.export.bridges.decoder_tables import (
    BEGINS,
    BY_NUMBER,
    BY_PORT,
    CISCO,
    CISCO_TYPES,
    plausible,
    tls_records,
)
from packetlab.packet.coerce import as_packet
from packetlab.packet.foreign import Foreign, as_bytes, is_foreign
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Deep, Plain
from packetlab.pattern.replies import is_opaque
from packetlab.protocols.ip import Fragment, IPv4
from packetlab.protocols.link import SNAP, Ether
from packetlab.protocols.transport import TCP, UDP

LIBRARIES = {"scapy": "packetlab.export.bridges.scapy_decoders", "dpkt": "packetlab.export.bridges.dpkt_decoders"}
"""In the order they are tried: scapy's decoders know more fields."""


def deep(data: object, name: str | None = None, *, using: str | None = None) -> Deep:
    """Return application data decoded by scapy or dpkt; the same whatever of the two was imported before.

    Args:
        data: whatever is a packet (then what its last transport header carries counts), or the bytes of a stream.
        name: of the decoder: one of `deep_names()`, or a class of a library's ("mqtt.MQTTPublish", "http.Request"). None:
            by the number in the header below, by what the data begins with, by ports where the data looks like it, by
            the bindings of scapy's own layers. Of frames whose link type is not declared: by scapy's class for it.
        using: "scapy" or "dpkt", None: the first that has the decoder.

    Whatever is in the data, this does not raise: where a decoder fails, or none is found, the result has a fault.

    Raises:
        BuildError: there is no decoder of that name. TypeError: `data` is no packet.
    """
    with warnings.catch_warnings():  # the libraries warn of their own ways
        warnings.simplefilter("ignore")
        return _deep(data, name, using)


def _deep(data: object, name: str | None, using: str | None) -> Deep:
    if using not in (None, *LIBRARIES):
        raise BuildError("deep: using", "scapy or dpkt", using)
    raw = isinstance(data, (bytes, bytearray, memoryview))
    packet = None if raw else as_packet(data)
    transport, body = (None, as_bytes(data)) if packet is None else _application(packet)
    if name is not None:
        return _decoded(name, body, using, transport)
    if not body:
        return _unread(body, "application data", "none")
    if packet is not None and transport is None and not packet.layers and packet.linktype is not None:
        return _by_link_type(packet.linktype, body, using)
    found, by = _guess(packet, transport, body)
    if found is not None and (using is None or _finders(found, using)):
        if not _finders(found, using):
            return _unread(body, "data that a decoder is known for", f"{found}, which no library reads")
        return _decoded(found, body, using, transport, by)
    last = packet.layers[-1] if packet is not None and packet.layers else None
    if transport is None and last is not None and is_opaque(last):
        later = isinstance(last, (IPv4, Fragment))
        rest = "of a later fragment" if later else f"that do not begin it ({last._declaration.opaque})"
        return _unread(body, f"the start of what {type(last).__name__} carries", f"{len(body)} bytes {rest}")
    if packet is not None and using != "dpkt":
        made = _library("scapy").above(packet)
        if made is not None:
            name = type(made).__name__
            if transport is None or plausible(_library("scapy").protocol(made), body):
                return _result(name, "scapy", body, made, (), "header" if transport is None else "port")
    return _unread(body, "data that a decoder is known for", f"{len(body)} bytes; name one (deep_names())")


def _unread(body: bytes, expected: str, got: str, layer: str = "payload", field: str = "") -> Deep:
    """Return what was not decoded, with the fault that says why."""
    return Deep("", "", body, None, {}, (Fault(layer, field, 0, expected, got),))


def _guess(packet: Packet | None, transport: Header | None, body: bytes) -> tuple[str | None, str]:
    """Return the name of the decoder that fits, and by what: the header below, the data's beginning, or a port."""
    if packet is not None and transport is None and packet.layers:
        return _numbered(packet.layers[-1]), "header"
    begun = next((name for name, begins in BEGINS if begins(body)), None)
    if begun is not None:
        return begun, "begin"
    ports = BY_PORT.get(type(transport).__name__, {})
    named = [ports.get(getattr(transport, name, 0) or 0) for name in ("dport", "sport")]
    missing = packet._anomalies.missing if packet is not None and packet._anomalies is not None else 0
    likely = [name for name in named if name is not None and plausible(name, body, missing)]
    if not likely and "gtp" in named and plausible("gtp2", body):
        likely = ["gtp2"]
    # Almost anything may be the inside of a QUIC connection: where the other port says more, it counts.
    likely.sort(key=lambda name: name == "quic")
    return (likely[0] if likely else None), "port"


def _numbered(last: Header) -> str | None:
    """Return the name of the decoder that a number in the header below the data stands for."""
    field, names = BY_NUMBER.get(type(last).__name__, ("", {}))
    number = getattr(last, field, None) if field else None
    if number is None:
        return None
    if isinstance(last, SNAP) and last.oui == CISCO:
        names = CISCO_TYPES
    elif is_opaque(last):
        return None
    return names.get(int(number))


def _by_link_type(linktype: int, body: bytes, using: str | None) -> Deep:
    """Return a whole frame decoded by the class that scapy has for its link type."""
    scapy = import_module("packetlab.export.bridges.scapy_classes")
    cls = scapy.link_class(linktype) if using != "dpkt" else None
    if cls is None:
        return _unread(body, "a link type that is declared, or that scapy knows", str(linktype), "frame", "linktype")
    return _tried(cls.__name__, "scapy", body, lambda data, faults: scapy.decode(cls, data, faults), "header")


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


def _library(using: str) -> ModuleType:
    return import_module(LIBRARIES[using])


def _finders(name: str, using: str | None) -> list[tuple[str, Compiled]]:
    """Return (library, decoder) for every library that has the name."""
    found = [(one, _library(one).find(name)) for one in LIBRARIES if using in (None, one)]
    return [(one, decoder) for one, decoder in found if decoder is not None]


def _application(packet: Packet) -> tuple[Header | None, bytes]:
    """Return the last transport header and what it carries; the payload where none stands above the last network header."""
    bodies, headers = packet._build()
    for header, body in zip(reversed(headers), reversed(bodies), strict=True):
        if isinstance(header, (TCP, UDP)):
            return header, body
        if header._declaration.pseudo or isinstance(header, Ether):
            break
    return None, packet.payload


def _decoded(name: str, body: bytes, using: str | None, transport: Header | None, by: str = "name") -> Deep:
    finders = _finders(name, using)
    if not finders:
        known = [one for one, libraries in deep_names().items() if using is None or using in libraries]
        raise BuildError("deep: name", "one of deep_names()", repr(name), suggestion(name, known))
    data, more = body, ""
    size = int.from_bytes(body[:2], "big")
    if name == "dns" and (isinstance(transport, TCP) or size == len(body) - 2 > 0):
        data = body[2 : 2 + size]  # RFC 1035 section 4.2.2: a length stands first
    if name in ("tls", "ssl"):
        end, lacking = tls_records(body)
        if lacking > 0:  # whole records are read, whatever becomes of the one that is cut
            data, more = body[:end], f"one of {len(body) - end} bytes, {lacking} less than it says"
            if not data:
                return Deep(name, "", body, None, {}, (Fault(name, "", 0, "whole records", more),), by)
    results = [_tried(name, one, data, decoder, by) for one, decoder in finders]
    # Without faults, or from the library that got farthest; one that could not even begin says nothing of the data.
    best = min(results, key=lambda result: (bool(result.faults), result.decoded is None, _broken(result)))
    if more:
        cut = Fault(name, "", end, "whole records", more)
        best = Deep(best.name, best.using, body, best.decoded, best.fields, (*best.faults, cut), by)
    return best


def _broken(result: Deep) -> bool:
    """Whether a library failed for want of something of its own, whatever the data."""
    return any(re.match(r"(\w+: )?(Name|Import|ModuleNotFound)Error\b", str(fault.got)) for fault in result.faults)


def _tried(name: str, using: str, data: bytes, decoder: Compiled, by: str) -> Deep:
    faults: list[str] = []
    try:
        made = decoder(data, faults)
    except Exception as error:  # a foreign decoder raises anything for bytes that it does not like
        made = None
        faults.append(_words(error))
    wanted = f"what {using} reads as {name}"
    return _result(name, using, data, made, tuple(Fault(name, "", 0, wanted, text) for text in faults), by)


def _result(name: str, using: str, data: bytes, made: object, faults: tuple[Fault, ...], by: str) -> Deep:
    try:
        fields = {} if made is None else _library(using).plain(made)
    except Exception as error:  # values are decoded as late as when they are looked at
        fields, faults = {}, (*faults, Fault(name, "", 0, "fields that can be read", _words(error)))
    return Deep(name, using, data, made, fields, faults, by)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


# Plain data ----------------------------------------------------------------------------------------------------


def plain(value: Any, packet: Foreign, depth: int = 0) -> Plain:
    """Return a decoder's value as plain data; `packet(value, depth)` does so for the library's packets, or gives None."""
    if depth > 40:
        return printable(repr(type(value).__name__))
    if isinstance(value, int):
        return int(value)  # truths too
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
