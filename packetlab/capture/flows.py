"""Which packets of a batch belong together: a number a conversation, worked out for all packets at once.

Both directions of a conversation have the same number. It goes by IP addresses, protocol and ports, else by MAC
addresses and type; packets of link types that are not known here all have the number 0. As in network cards, fragments
go by addresses alone, since all but the first have no ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from packetlab.wire.batch import Batch

ETHERNET, RAW = 1, (12, 101, 228, 229)  # link types
IPV4, IPV6, TAGS = 0x0800, 0x86DD, (0x8100, 0x88A8, 0x9100)
WITH_PORTS = (6, 17, 33, 132, 136)  # TCP, UDP, DCCP, SCTP, UDP-Lite
ODD, OTHER = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F  # multipliers that spread numbers over 64 bits


def flow_numbers(batch: Batch, linktype: int = ETHERNET) -> NDArray[np.uint64]:
    """Return a number of 64 bits for each packet's conversation; a batch of frames has its own link types."""
    import numpy as np

    interfaces = getattr(batch, "interfaces", ())
    kinds = {interface.linktype for interface in interfaces} or {linktype}
    if len(kinds) == 1:
        one: NDArray[np.uint64] = _Rows(batch.data, batch.starts, batch.sizes).numbers(kinds.pop())
        return one
    numbers = np.zeros(len(batch), np.uint64)
    of = np.array([interface.linktype for interface in interfaces])[batch.which]  # type: ignore[attr-defined]
    for kind in kinds:
        rows = np.flatnonzero(of == kind)
        numbers[rows] = _Rows(batch.data, batch.starts[rows], batch.sizes[rows]).numbers(kind)
    return numbers


class _Rows:
    def __init__(self, data: Any, starts: Any, sizes: Any) -> None:
        self.data, self.starts, self.ends = data, starts, starts + sizes

    def number(self, at: Any, size: int) -> Any:
        """Return the number of `size` octets at a place of each packet; what lies behind a packet's end does not matter."""
        import numpy as np

        last = len(self.data) - 1
        got = np.zeros(len(at), np.uint64)
        for i in range(size):
            got = got << np.uint64(8) | self.data[np.minimum(at + i, last)]
        return got

    def numbers(self, linktype: int) -> Any:
        import numpy as np

        count = len(self.starts) if len(self.data) else 0
        if linktype == ETHERNET and count:
            at = self.starts + 14
            type = kind = self.number(at - 2, 2)
            for _ in range(2):
                tagged = np.isin(kind, TAGS)
                if not tagged.any():
                    break
                at = np.where(tagged, at + 4, at)
                kind = self.number(at - 2, 2)
        elif linktype in RAW and count:
            at = self.starts
            kind = np.where(self.number(at, 1) >> np.uint64(4) == 6, IPV6, IPV4)
        else:
            return np.zeros(len(self.starts), np.uint64)
        numbers = np.zeros(count, np.uint64)
        four = (kind == IPV4) & (at + 20 <= self.ends)
        six = (kind == IPV6) & (at + 40 <= self.ends)
        self.four(numbers, np.flatnonzero(four), at)
        self.six(numbers, np.flatnonzero(six), at)
        rest = np.flatnonzero(~(four | six) & (self.starts + 14 <= self.ends))
        if linktype == ETHERNET and len(rest):
            start = self.starts[rest]
            numbers[rest] = _both(self.number(start, 6), self.number(start + 6, 6)) + type[rest] * np.uint64(OTHER)
        return numbers ^ numbers >> np.uint64(32)

    def four(self, numbers: Any, rows: Any, at: Any) -> None:
        import numpy as np

        if not len(rows):
            return
        at = at[rows]
        protocol = self.number(at + 9, 1)
        whole = self.number(at + 6, 2) & np.uint64(0x3FFF) == 0
        ports = at + ((self.number(at, 1) & np.uint64(15)) << np.uint64(2)).astype(np.int64)
        addresses = _both(self.number(at + 12, 4), self.number(at + 16, 4))
        numbers[rows] = addresses + self.ports(ports, self.ends[rows], protocol, whole)

    def six(self, numbers: Any, rows: Any, at: Any) -> None:
        import numpy as np

        if not len(rows):
            return
        at = at[rows]
        spread = np.uint64(OTHER)
        source, destination = (
            self.number(at + place, 8) * spread + self.number(at + place + 8, 8) for place in (8, 24)
        )
        ports = self.ports(at + 40, self.ends[rows], self.number(at + 6, 1), np.ones(len(at), np.bool_))
        numbers[rows] = _both(source, destination) + ports

    def ports(self, at: Any, ends: Any, protocol: Any, whole: Any) -> Any:
        import numpy as np

        known = np.zeros(256, np.bool_)
        known[list(WITH_PORTS)] = True
        has = whole & known[protocol] & (at + 4 <= ends)
        both = _both(self.number(at, 2), self.number(at + 2, 2)) + protocol * np.uint64(OTHER)
        return np.where(has, both, 0)


def _both(one: Any, other: Any) -> Any:
    """Return a number for two that does not depend on their order."""
    import numpy as np

    return _spread(one + np.uint64(1)) + _spread(other + np.uint64(1))


def _spread(number: Any) -> Any:
    import numpy as np

    number = (number ^ number >> np.uint64(29)) * np.uint64(ODD)
    return (number ^ number >> np.uint64(32)) * np.uint64(OTHER)
