"""What is to be said of a packet beyond its headers and payload."""

from __future__ import annotations

from packetlab.codec.faults import Fault


class Anomalies:
    """What is to be said of a packet beyond its headers and payload."""

    __slots__ = ("cut", "faults", "gaps", "linktype", "missing")

    def __init__(
        self,
        gaps: dict[int, bytes],
        faults: tuple[Fault, ...] = (),
        missing: int = 0,
        cut: bool = False,
        linktype: int | None = None,
    ) -> None:
        self.gaps, self.faults, self.missing, self.cut, self.linktype = gaps, faults, missing, cut, linktype
