"""How scapy is called to decode: which class a name means, what it says, and when it failed silently."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packetlab.export.bridges.counterparts import DECLARED, counterpart
from packetlab.export.bridges.decoders import plain as plain_value
from packetlab.export.bridges.scapy_bridge import to_scapy
from packetlab.export.bridges.scapy_classes import class_of, decode
from packetlab.export.bridges.scapy_loaded import always, bring, load, quiet
from packetlab.packet.foreign import Foreign
from packetlab.packet.packet import Packet
from packetlab.packet.results import Plain

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
    "eapol": "eap.EAPOL", "enip": "enipTCP.ENIPTCP", "erspan": "erspan.ERSPAN_II", "erspan3": "erspan.ERSPAN_III", "esp": "ipsec.ESP",
    "gtp2": "gtp_v2.GTPHeader", "maccontrol": "mac_control.MACControl", "nbdgm": "netbios.NBTDatagram", "nbss": "netbios.NBTSession",
    "profinet": "pnio.ProfinetIO", "slow": "slowprot.SlowProtocol", "stp": "l2.STP",
}  # fmt: skip

# Classes that scapy's own bindings lead to by a port -> the name that their data is tested by.
_PROTOCOLS = {
    "BOOTP": "dhcp", "HSRPv2": "hsrp", "KerberosTCPHeader": "kerberos", "LLMNRQuery": "llmnr", "LLMNRResponse": "llmnr",
    "NBNSHeader": "nbns", "NBTDatagram": "nbdgm", "NBTSession": "nbss", "NTPHeader": "ntp", "NetflowHeader": "netflow",
}  # fmt: skip


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
def find(name: str) -> Callable[[bytes, list[str]], Foreign] | None:
    """Return a function of (bytes, texts of faults to add to) for a name, None where scapy has none."""
    load()
    if name == "dhcp6":
        return lambda data, faults: decode(_dhcp6(data), data, faults)
    path = _CLASSES.get(name, name)
    module, _, wanted = path.rpartition(".")
    first, _, rest = (module or path).partition(".")
    if first in _modules() and (module or first in _named()):
        whole = _modules()[first] + (f".{rest}" if rest else "")
        return lambda data, faults: decode(class_of(whole, wanted), data, faults)
    from scapy.config import conf

    cls = next((one for one in conf.layers if one.__name__ == name and always(one.__module__)), None)
    return None if cls is None else lambda data, faults: decode(cls, data, faults)


def protocol(made: object) -> str:
    """Return the name that data is tested by which scapy reads as such a packet."""
    name = type(made).__name__
    return _PROTOCOLS.get(name, name.lower())


def _dhcp6(data: bytes) -> Any:
    dhcp6 = bring("scapy.layers.dhcp6")
    return getattr(dhcp6, dhcp6.dhcp6_cls_by_type.get(data[0] if data else 0, "DHCP6"))


def above(packet: Packet) -> Foreign:
    """Return the layer where scapy's bindings go on after what is declared here, None where they do not."""
    load()
    from scapy.packet import Padding, Raw

    with quiet():
        layer = to_scapy(packet, always)
    while layer:
        cls = type(layer)
        if counterpart(cls) is None and not hasattr(cls, DECLARED):
            return None if cls in (Raw, Padding) or not always(cls.__module__) else layer
        layer = layer.payload
    return None


def plain(value: object, depth: int = 0) -> Plain:
    """Return a packet of scapy's, or a value in one, as plain data."""
    from scapy.packet import NoPayload, Packet as ScapyPacket, Padding, Raw

    if not isinstance(value, ScapyPacket):
        inner = getattr(value, "val", None)  # of ASN.1
        return None if inner is None else plain_value(inner, plain, depth)
    if isinstance(value, (Raw, Padding)) and not value.payload:
        return bytes(value.load)
    fields: dict[str, object] = {"layer": type(value).__name__}
    for f in value.fields_desc:
        one = value.getfieldval(f.name)
        if one is not None:
            fields[f.name] = plain_value(one, plain, depth)
    if not isinstance(value.payload, NoPayload):
        fields["payload"] = plain(value.payload, depth + 1)
    return fields
