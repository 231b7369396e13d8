"""Imported headers, and what holds for each that is read: its bytes come back, and it can be built from what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from packetlab import Header, dissect

FORMATS = Path(__file__).parent / "formats" / "network"
ALL = sorted(path.relative_to(FORMATS).with_suffix("").as_posix() for path in FORMATS.rglob("*.ksy"))
MISSING = "microsoft_network_monitor_v2"
"""Names an import that is not among the formats."""
LARGE = ("ethernet_frame", "packet_ppi", "pcap", "protocol_body")
"""Those that import many others."""


def again(header: Header, alone: bool) -> Any:
    """Return a header made of the values of another; with `alone` without what follows from these: lengths, counts, padding."""
    given: dict[str, Any] = {}
    for f in type(header)._declaration.fields:
        follows = f.computed is not None or f.fixed or (alone and bool(f.pad or (f.rule is not None and not f.solved)))
        value = None if follows else getattr(header, f.name)
        if value is not None:
            given[f.name] = [_again(one, alone) for one in value] if isinstance(value, tuple) else _again(value, alone)
    return type(header)(**given)


def _again(value: Any, alone: bool) -> Any:
    return again(value, alone) if isinstance(value, Header) else value


def read(cls: type[Header], data: bytes, faults: int = 0) -> Any:
    """Return the header that bytes are: read without a fault (or with so many), and built anew from its values, with and without lengths."""
    packet = dissect(data, cls)
    assert bytes(packet) == data
    assert len(packet.faults) == faults, packet.faults
    header: Any = packet[cls]
    for alone in (False, True) if not faults else ():
        new = again(header, alone)
        whole = bytes(new / packet.payload) if packet.payload else bytes(new)
        assert whole == data
        assert dissect(whole, cls)[cls] == header == new
    return header
