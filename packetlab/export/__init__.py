"""One declaration, many forms: scapy and dpkt classes. Names are imported when they are first used."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packetlab.export.decoders import Deep as Deep, deep as deep, deep_names as deep_names
    from packetlab.export.dpkt_bridge import from_dpkt as from_dpkt, to_dpkt as to_dpkt
    from packetlab.export.dpkt_declared import dpkt_class as dpkt_class
    from packetlab.export.scapy_bridge import from_scapy as from_scapy, to_scapy as to_scapy
    from packetlab.export.scapy_declared import scapy_class as scapy_class

_WHERE = {
    "Deep": "decoders",
    "deep": "decoders",
    "deep_names": "decoders",
    "dpkt_class": "dpkt_declared",
    "from_dpkt": "dpkt_bridge",
    "from_scapy": "scapy_bridge",
    "scapy_class": "scapy_declared",
    "to_dpkt": "dpkt_bridge",
    "to_scapy": "scapy_bridge",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _WHERE:
        raise AttributeError(f"packetlab.export has no {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
