"""How scapy is asked to decode: which class a name means, what it says, and when it failed silently."""

from __future__ import annotations

import pkgutil
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from packetlab.export.decoders import plain as plain_value
from packetlab.export.scapy_bridge import to_scapy
from packetlab.wire.foreign import DECLARED, counterpart
from packetlab.wire.packet import Packet

# Names whose class is not that of the module's name.
_CLASSES = {
    "bootp": "dhcp.BOOTP", "dhcp": "dhcp.BOOTP", "eap": "eap.EAP", "kerberos": "kerberos.Kerberos", "isakmp": "isakmp.ISAKMP",
    "llmnr": "llmnr.LLMNRQuery", "mdns": "dns.DNS", "modbus": "modbus.ModbusADURequest", "nbns": "netbios.NBNSHeader",
    "netbios": "netbios.NBNSHeader", "netflow": "netflow.NetflowHeader", "quic": "quic.QUIC", "rip": "rip.RIP",
    "smb": "smb.SMB_Header", "smb2": "smb2.SMB2_Header", "tls": "tls.record.TLS", "snmp": "snmp.SNMP", "ssh": "ssh.SSH",
    "radius": "radius.Radius", "tftp": "tftp.TFTP", "http2": "http2.H2Frame", "coap": "coap.CoAP", "stun": "stun.STUN",
    "isis": "isis.ISIS_CommonHdr", "ospf": "ospf.OSPF_Hdr", "rpc": "oncrpc.RPC", "mqttsn": "mqttsn.MQTTSN", "gtp": "gtp.GTPHeader",
    "diameter": "diameter.DiamG", "bgp": "bgp.BGP", "geneve": "geneve.GENEVE", "vrrp": "vrrp.VRRP", "dicom": "dicom.DICOM",
    "bluetooth": "bluetooth.HCI_Hdr", "cdp": "cdp.CDPv2_HDR", "ethernet": "l2.Ether", "lldp": "lldp.LLDPDU", "pim": "pim.PIMv2Hdr",
    "ptp": "ptp_v2.PTP", "roce": "roce.BTH", "tacacs": "tacacs.TacacsHeader", "zigbee": "zigbee.ZigbeeNWK", "ip": "inet.IP",
}  # fmt: skip


@cache
def load() -> None:
    """Import all of scapy's ordinary layers, with their bindings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("scapy.layers.all")
        import_module("scapy.layers.http")


@cache
def _modules() -> dict[str, str]:
    """Return the modules of scapy that hold protocols: the last word of the name -> the whole, layers before contrib."""
    load()
    found: dict[str, str] = {}
    for package in ("scapy.layers", "scapy.contrib"):
        for module in pkgutil.iter_modules(import_module(package).__path__):
            if module.name not in ("all", "smbclient", "smbserver"):  # programs, no protocols
                found.setdefault(module.name, f"{package}.{module.name}")
    return found


@cache
def _named() -> frozenset[str]:
    """Return the modules that define a class of their own name, read from their sources: importing them binds layers."""
    found = set()
    for name, whole in _modules().items():
        spec = find_spec(whole)
        if spec is not None and spec.origin and spec.submodule_search_locations is None:
            source = Path(spec.origin).read_text(encoding="utf-8")
            if re.search(rf"^class {re.escape(name)}\(", source, re.MULTILINE | re.IGNORECASE):
                found.add(name)
    return frozenset(found)


def names() -> list[str]:
    """Return the names of decoders, without importing their modules."""
    return [*dict.fromkeys([*_named(), *_CLASSES, "dhcp6"])]


@cache
def find(name: str) -> Callable[[bytes, list[str]], Any] | None:
    """Return a function of (octets, texts of faults to add to) for a name, None where scapy has none."""
    load()
    if name == "dhcp6":
        return lambda data, faults: _decode(lambda: _dhcp6(data), data, faults)
    path = _CLASSES.get(name, name)
    module, _, wanted = path.rpartition(".")
    first, _, rest = (module or path).partition(".")
    if first in _modules() and (module or first in _named()):
        whole = _modules()[first] + (f".{rest}" if rest else "")
        return lambda data, faults: _decode(lambda: _class(whole, wanted), data, faults)
    from scapy.config import conf

    cls = next((one for one in conf.layers if one.__name__ == name), None)
    return None if cls is None else lambda data, faults: _decode(lambda: cls, data, faults)


def _class(module: str, wanted: str) -> Any:
    """Return a class of a module, in whatever case its name is written. LookupError where there is none."""
    from scapy.packet import Packet as ScapyPacket

    for name, found in vars(import_module(module)).items():
        if name.lower() == wanted.lower() and isinstance(found, type) and issubclass(found, ScapyPacket):
            return found
    raise LookupError(f"{module} has no packet class {wanted!r}")


def _dhcp6(data: bytes) -> Any:
    from scapy.layers import dhcp6

    return getattr(dhcp6, dhcp6.dhcp6_cls_by_type.get(data[0] if data else 0, "DHCP6"))


def _decode(pick: Callable[[], Any], data: bytes, faults: list[str]) -> Any:
    """Return octets decoded. scapy leaves what its inner decoders fail on as octets without a word: that is a fault."""
    try:
        with _told():
            return pick()(data)
    except Exception as error:
        faults.append(f"{type(error).__name__}: {error}"[:300])
    try:
        with _told(silent=True):
            return pick()(data)
    except Exception:
        return None  # the fault is noted


@contextmanager
def _told(silent: bool = False) -> Iterator[None]:
    """Let inner decoders raise, or not, and keep what they print and log off the terminal."""
    from scapy.config import conf
    from scapy.error import log_runtime

    before = conf.debug_dissector, log_runtime.disabled
    conf.debug_dissector, log_runtime.disabled = not silent, True
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        conf.debug_dissector, log_runtime.disabled = before


def above(packet: Packet) -> Any:
    """Return the layer where scapy's bindings go on behind what is declared here, None where they do not."""
    load()
    from scapy.packet import Padding, Raw

    layer = to_scapy(packet)
    while layer:
        cls = type(layer)
        if counterpart(cls) is None and not hasattr(cls, DECLARED):
            return None if cls in (Raw, Padding) else layer
        layer = layer.payload
    return None


def plain(value: Any, depth: int = 0) -> Any:
    """Return a packet of scapy's, or a value in one, as plain data."""
    from scapy.packet import NoPayload, Packet as ScapyPacket, Padding, Raw

    if not isinstance(value, ScapyPacket):
        inner = getattr(value, "val", None)  # of ASN.1
        return None if inner is None else plain_value(inner, plain, depth)
    if isinstance(value, (Raw, Padding)) and not value.payload:
        return bytes(value.load)
    fields: dict[str, Any] = {"layer": type(value).__name__}
    for f in value.fields_desc:
        one = value.getfieldval(f.name)
        if one is not None:
            made = plain_value(one, plain, depth)
            fields[f.name] = made
    if not isinstance(value.payload, NoPayload):
        fields["payload"] = plain(value.payload, depth + 1)
    return fields
