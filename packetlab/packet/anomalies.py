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

    def with_fault(self, fault: Fault, linktype: int | None) -> Anomalies:
        """Return these and one fault more; of a link type that is not declared, its number."""
        known = self.linktype if linktype is None else linktype
        return Anomalies(self.gaps, (*self.faults, fault), self.missing, self.cut, known)
