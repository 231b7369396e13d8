"""One declaration, many forms. Names are imported when they are first used.

    bridges/, wireshark/    classes for scapy and dpkt; a dissector for Wireshark
    diagram                 the bit ruler of the RFCs, and a table of fields
    strategies              Hypothesis strategies; `field_strategies` for one header, `drawn_so_far`,
                            `classes_found`, `whole_headers`, `from_type` for `st.from_type`
    malformed               one thing wrong in each packet; `expected_faults` what a dissector must say of it

Each goes by the plans of declarations. Begin with `diagram`.

>>> from packetlab import UDP, malformed
>>> [case.id for case in malformed(UDP())][:2]
['udp.sport.cut', 'udp.dport.cut']
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packetlab.export.bridges.decoders import deep as deep, deep_names as deep_names
    from packetlab.export.bridges.dpkt_bridge import from_dpkt as from_dpkt, to_dpkt as to_dpkt
    from packetlab.export.bridges.dpkt_declared import dpkt_class as dpkt_class
    from packetlab.export.bridges.scapy_bridge import from_scapy as from_scapy, to_scapy as to_scapy
    from packetlab.export.bridges.scapy_declared import scapy_class as scapy_class
    from packetlab.packet.results import Deep as Deep

_WHERE = {
    "Deep": "bridges.decoders",
    "deep": "bridges.decoders",
    "deep_names": "bridges.decoders",
    "dpkt_class": "bridges.dpkt_declared",
    "from_dpkt": "bridges.dpkt_bridge",
    "from_scapy": "bridges.scapy_bridge",
    "scapy_class": "bridges.scapy_declared",
    "to_dpkt": "bridges.dpkt_bridge",
    "to_scapy": "bridges.scapy_bridge",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _WHERE:
        raise AttributeError(f"packetlab.export has no {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
