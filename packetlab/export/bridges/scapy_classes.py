"""How scapy's own classes are found by link type and module, and called for bytes."""

from __future__ import annotations

import sys
from typing import Any

from packetlab.export.bridges.scapy_loaded import always, bring, guessing, load, quiet
from packetlab.packet.foreign import Foreign

_LINK_TYPES = {
    104: "contrib.chdlc.CHDLC", 117: "layers.pflog.PFLog", 163: "contrib.avs.AVSWLANHeader", 227: "layers.can.CAN",
    249: "layers.usb.USBpcap", 272: "contrib.nrf_sniffer.NRFS2_PCAP",
}  # fmt: skip
_CARRIES_ANY = 192  # PPI says the link type of what it carries


def link_class(linktype: int) -> Any:
    """Return the class that scapy has for frames of a link type, None where it has none. Imports its module alone."""
    load()
    from scapy.config import conf

    for one in _LINK_TYPES if linktype == _CARRIES_ANY else ():
        link_class(one)
    cls = conf.l2types.num2layer.get(linktype)
    if cls is not None and always(cls.__module__):
        return cls
    module, _, wanted = _LINK_TYPES.get(linktype, "").rpartition(".")
    return class_of(f"scapy.{module}", wanted) if module else None


def class_of(module: str, wanted: str) -> type[Foreign]:
    """Return a class of a module, in whatever case its name is written. LookupError where there is none."""
    from scapy.packet import Packet as ScapyPacket

    for name, found in vars(bring(module)).items():
        if name.lower() == wanted.lower() and isinstance(found, type) and issubclass(found, ScapyPacket):
            return found
    raise LookupError(f"{module} has no packet class {wanted!r}")


def decode(cls: type[Foreign], data: bytes, faults: list[str]) -> Foreign:
    """Return bytes decoded by a class. scapy leaves what its inner decoders fail on as bytes without a word: that is a fault."""
    own = _own(cls)

    def counts(module: str) -> bool:
        return always(module) or module in own

    from scapy.packet import Padding, Raw

    try:
        with quiet(), guessing(counts, silent=False):
            made = cls(data)
        if type(made) not in (Raw, Padding) or cls in (Raw, Padding):
            return made
        faults.append(f"{len(data)} bytes that it does not take")
        return None
    except Exception as error:
        faults.append(f"{type(error).__name__}: {error}"[:300])
    try:
        with quiet(), guessing(counts):
            return cls(data)
    except Exception:
        return None  # the fault is noted


def _own(cls: object) -> frozenset[str]:
    """Return the modules that a decoder of a class is made of: its own and those that it imports classes from."""
    module = getattr(cls, "__module__", "")
    found = vars(sys.modules[module]).values() if module in sys.modules else ()
    return frozenset({module, *(one.__module__ for one in found if isinstance(one, type))})
