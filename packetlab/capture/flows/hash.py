"""Which packets of a batch belong together: a number a conversation, worked out for all packets at once.

Both directions of a conversation have the same number. It goes by IP addresses, protocol and ports, or by what a declared
header names as source and destination (`src` and `dst`, or the two of its ``pseudo=``) and the first `sport` and `dport`
above; else by MAC addresses and type; what has none of these has the number 0. As in network cards, fragments go by
addresses alone, since all but the first have no ports.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from packetlab.bulk.batch import Batch
    from packetlab.capture.batch import FrameBatch

ETHERNET, RAW = 1, (12, 101, 228, 229)  # link types
LINK_IPV6 = 229
NAMED = (228, LINK_IPV6)  # link types that say which IP it is
EXTENSIONS = (0, 43, 44, 51, 60)  # IPv6 extension headers
IPV4, IPV6, IDP, TAGS = 0x0800, 0x86DD, 0x0600, (0x8100, 0x88A8, 0x9100)
WITH_PORTS = (6, 17, 33, 132, 136)  # TCP, UDP, DCCP, SCTP, UDP-Lite
ODD, OTHER = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F  # multipliers that spread numbers over 64 bits


def flow_numbers(batch: Batch, linktype: int = ETHERNET) -> NDArray[np.uint64]:
    """Return a number of 64 bits for each packet's conversation; a batch of frames has its own link types."""
    import numpy as np

    from packetlab.capture.batch import FrameBatch
    from packetlab.capture.frame import InterfaceDescription
    from packetlab.capture.rewrite.unwalked import unwalked_rows

    if not isinstance(batch, FrameBatch):
        batch = FrameBatch(
            batch.data, batch.starts, batch.sizes, np.zeros(len(batch), np.int64),
            interfaces=(InterfaceDescription(linktype=linktype),),
        )  # fmt: skip
    numbers, known = np.zeros(len(batch), np.uint64), np.zeros(len(batch), np.bool_)
    if not len(batch.data):
        return numbers
    for place, interface in enumerate(batch.interfaces):
        if interface.linktype == ETHERNET or interface.linktype in RAW:
            rows = np.flatnonzero(batch.which == place)
            some = _Rows(batch.data, batch.starts[rows], batch.sizes[rows])
            numbers[rows], known[rows] = some.numbers(interface.linktype)
    known[unwalked_rows(batch)] = False
    rest = np.flatnonzero(~known)
    if len(rest):
        _walked(batch.chosen(rest), rest, numbers)
    return numbers


def _walked(batch: FrameBatch, rows: Any, numbers: Any) -> None:
    """Number what the quick way does not know: packets in tunnels and of other link types, and by declarations."""
    import numpy as np

    from packetlab.capture.rewrite.sites import Sites

    sites = Sites(batch, batch.starts + batch.sizes)
    view = _Rows(batch.data, batch.starts, batch.sizes)
    nets = sites.networks
    outer = nets.depth == 0
    for version in (4, 6):
        here = np.flatnonzero(outer & (nets.version == version))
        at = nets.at[here]
        whole = ~nets.piece[here] & (nets.upper[here] >= 0)
        ports = view.ports(
            np.maximum(nets.upper[here], 0), nets.end[here], nets.protocol[here].astype(np.uint64), whole
        )
        numbers[rows[nets.row[here]]] = _mixed(view.addresses(at, version) + ports)
    walked = np.zeros(len(rows), np.bool_)
    walked[nets.row[outer]] = True
    for row, ends in sites.ends_of.items():
        plain = ends.ip if ends.piece else ends.plain  # fragments go by addresses alone
        if ends.destination is not None and not (plain and walked[row]):
            ports = (not ends.piece and ends.ports) or (0, 0)
            sides = sorted(
                (end + b"%d" % port) for end, port in zip((ends.source, ends.destination), ports, strict=True)
            )
            digest = blake2b(b"".join(sides), digest_size=8).digest()
            numbers[rows[row]] = int.from_bytes(digest, "big")


class _Rows:
    def __init__(self, data: Any, starts: Any, sizes: Any) -> None:
        self.data, self.starts, self.ends = data, starts, starts + sizes

    def number(self, at: Any, size: int) -> Any:
        """Return the number of `size` bytes at a place of each packet; what lies after a packet's end does not matter."""
        import numpy as np

        last = len(self.data) - 1
        got = np.zeros(len(at), np.uint64)
        for i in range(size):
            got = got << np.uint64(8) | self.data[np.minimum(at + i, last)]
        return got

    def numbers(self, linktype: int) -> Any:
        import numpy as np

        count = len(self.starts)
        if linktype == ETHERNET:
            at = self.starts + 14
            type = kind = self.number(at - 2, 2)
            for _ in range(2):
                tagged = np.isin(kind, TAGS)
                if not tagged.any():
                    break
                at = np.where(tagged, at + 4, at)
                kind = self.number(at - 2, 2)
        else:
            at = self.starts
            six = self.number(at, 1) >> np.uint64(4) == 6 if linktype not in NAMED else linktype == LINK_IPV6
            kind = np.where(np.broadcast_to(six, at.shape), IPV6, IPV4)
        numbers, known = np.zeros(count, np.uint64), np.zeros(count, np.bool_)
        four = np.flatnonzero((kind == IPV4) & (at + 20 <= self.ends))
        six = np.flatnonzero((kind == IPV6) & (at + 40 <= self.ends))
        numbers[four], known[four] = self.four(four, at[four]), True
        numbers[six], known[six] = self.six(six, at[six])
        if linktype == ETHERNET:
            xns = np.flatnonzero((kind == IDP) & (at + 30 <= self.ends))
            numbers[xns], known[xns] = _both(self.long(at[xns] + 6, 12), self.long(at[xns] + 18, 12)), True
            rest = np.flatnonzero(~known & (self.starts + 14 <= self.ends))
            start = self.starts[rest]
            numbers[rest] = _both(self.number(start, 6), self.number(start + 6, 6)) + type[rest] * np.uint64(OTHER)
        return _mixed(numbers), known

    def long(self, at: Any, size: int) -> Any:
        """Return a number for more bytes than 8."""
        import numpy as np

        return self.number(at, 8) * np.uint64(OTHER) + self.number(at + 8, size - 8)

    def addresses(self, at: Any, version: int) -> Any:
        """Return a number for both addresses of IP headers."""
        if version == 4:
            return _both(self.number(at + 12, 4), self.number(at + 16, 4))
        return _both(self.long(at + 8, 16), self.long(at + 24, 16))

    def four(self, rows: Any, at: Any) -> Any:
        import numpy as np

        protocol = self.number(at + 9, 1)
        whole = self.number(at + 6, 2) & np.uint64(0x3FFF) == 0
        ports = at + ((self.number(at, 1) & np.uint64(15)) << np.uint64(2)).astype(np.int64)
        return self.addresses(at, 4) + self.ports(ports, self.ends[rows], protocol, whole)

    def six(self, rows: Any, at: Any) -> tuple[Any, Any]:
        import numpy as np

        protocol = self.number(at + 6, 1)
        ports = self.ports(at + 40, self.ends[rows], protocol, np.ones(len(at), np.bool_))
        return self.addresses(at, 6) + ports, ~np.isin(protocol, EXTENSIONS)

    def ports(self, at: Any, ends: Any, protocol: Any, whole: Any) -> Any:
        import numpy as np

        known = np.zeros(256, np.bool_)
        known[list(WITH_PORTS)] = True
        has = whole & known[protocol] & (at + 4 <= ends)
        both = _both(self.number(at, 2), self.number(at + 2, 2)) + protocol * np.uint64(OTHER)
        return np.where(has, both, 0)


def _mixed(numbers: Any) -> Any:
    import numpy as np

    return numbers ^ numbers >> np.uint64(32)


def _both(one: Any, other: Any) -> Any:
    """Return a number for two that does not depend on their order."""
    import numpy as np

    return _spread(one + np.uint64(1)) + _spread(other + np.uint64(1))


def _spread(number: Any) -> Any:
    import numpy as np

    number = (number ^ number >> np.uint64(29)) * np.uint64(ODD)
    return (number ^ number >> np.uint64(32)) * np.uint64(OTHER)
