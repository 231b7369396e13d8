"""Sides: which of two, client or server, sent each frame of a capture, as tcpprep tells them apart.

Goes by the outermost IP header, or other declared header that names a source and a destination. Frames without one (ARP)
are of the side that their source MAC address was last seen on, or else opposite to the side of their destination's; where nothing is known, of the client. What is remembered of hosts
and conversations has a bound, MOST; a capture of more is a CaptureError while it is split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from packetlab.capture.reading import Readable
from packetlab.capture.rewrite.located import Located
from packetlab.capture.rewrite.maps import HALF, mac_number, network, words_at
from packetlab.errors import BuildError, CaptureError

if TYPE_CHECKING:
    from packetlab.capture.batch import FrameBatch
    from packetlab.capture.frame import Frame
    from packetlab.packet.packet import Packet

C = TypeVar("C", bound=Readable)

Side = Literal["client", "server"]
WELL_KNOWN = 1024  # ports below are servers'
MOST = 1 << 21  # hosts, MAC addresses and conversations that are remembered, together
WAYS = ("first", "port", "cidr", "mac")


class Row:
    """What is known of one frame: addresses and ports as numbers, None where there are none."""

    source: Any = None
    destination: Any = None
    mac: Any = None
    other_mac: Any = None
    ports: Any = None


class Sides(Generic[C]):
    """The side of each frame, in the order of the capture; iterating reads it through, as often as you like.

    `client` and `server` are the captures of one side's frames.
    """

    def __init__(self, capture: C, by: str | Callable[[Packet], object], servers: Iterable[object] | None) -> None:
        self.capture = capture
        if not callable(by) and by not in WAYS:
            raise BuildError("sides: by", f"{', '.join(WAYS)}, or a function of a packet", repr(by))
        if by in ("cidr", "mac") and not servers:
            raise BuildError("sides: servers", "the networks or addresses of the servers", "none")
        self.by = by
        wanted = [servers] if isinstance(servers, str) else list(servers or ())
        self.macs = {mac_number(one, "sides: servers") for one in wanted} if by == "mac" else set()
        self.nets = [network(one, "sides: servers") for one in wanted] if by == "cidr" else []

    def __iter__(self) -> Iterator[Side]:
        return (side for _, side in self.pairs())

    def __repr__(self) -> str:
        by = self.by if isinstance(self.by, str) else getattr(self.by, "__name__", type(self.by).__name__)
        return f"<Sides of {self.capture!r} by {by}>"

    def pairs(self) -> Iterator[tuple[Frame, Side]]:
        """Yield each frame and its side."""
        for batch, sides in self._decided():
            yield from zip(batch, sides, strict=True)

    @property
    def client(self) -> C:
        """The frames that clients sent."""
        return self._of("client")

    @property
    def server(self) -> C:
        """The frames that servers sent."""
        return self._of("server")

    def _of(self, wanted: Side) -> C:
        def batches(lasting: bool) -> Iterator[FrameBatch]:
            for batch, sides in self._decided(lasting):
                mine = batch.chosen([row for row, side in enumerate(sides) if side == wanted] or [False] * len(batch))
                if len(mine):
                    yield mine

        return self.capture._in_stretches(batches)

    def _decided(self, lasting: bool = True) -> Iterator[tuple[FrameBatch, list[Side]]]:
        finder = _SideFinder(self)
        for batch in self.capture.batches(lasting):
            if callable(self.by):
                by = self.by
                yield batch, [_side(by(frame.packet())) for frame in batch]
            else:
                yield batch, [finder.side(row) for row in _rows(batch)]
                if len(finder.hosts) + len(finder.at) + len(finder.flows) > MOST:
                    hint = "by='cidr' remembers none; or split a part of the capture"
                    raise CaptureError(self.capture.name, f"{MOST} hosts and conversations at most", "more", hint)


def _side(said: object) -> Side:
    return said if said in ("client", "server") else "server" if said else "client"


class _SideFinder:
    """What is remembered from one frame to the next."""

    def __init__(self, sides: Sides[Any]) -> None:
        self.sides = sides
        self.hosts: dict[object, Side] = {}  # IP address -> what it was first seen as
        self.at: dict[int, Side] = {}  # MAC address -> the side it was last seen on
        self.flows: dict[object, Side] = {}  # conversation -> the side of its lower address and port

    def side(self, row: Row) -> Side:
        if row.source is None and self.sides.by != "mac":
            if row.mac in self.at:
                return self.at[row.mac]
            side: Side = "server" if self.at.get(row.other_mac, "server") == "client" else "client"
        else:
            side = getattr(self, "_" + str(self.sides.by))(row)
        if row.mac is not None:
            self.at[row.mac] = side
        return side

    def _first(self, row: Row) -> Side:
        side = self.hosts.setdefault(row.source, "client")
        if row.destination is not None:
            self.hosts.setdefault(row.destination, "server")
        return side

    def _port(self, row: Row) -> Side:
        if row.ports is None:
            return self.hosts.get(row.source, "client")
        source, destination = row.ports
        if destination < WELL_KNOWN:
            side: Side = "client"
        elif source < WELL_KNOWN:
            side = "server"
        else:  # who began the conversation
            ours, theirs = (row.source, source), (row.destination, destination)
            lower = ours < theirs
            begun = self.flows.setdefault((min(ours, theirs), max(ours, theirs)), "client" if lower else "server")
            side = begun if lower else "server" if begun == "client" else "client"
        self.hosts[row.source] = side
        return side

    def _cidr(self, row: Row) -> Side:
        bits, address = row.source
        for net in self.sides.nets:
            if net.max_prefixlen == bits and address & int(net.netmask) == int(net.network_address):
                return "server"
        return "client"

    def _mac(self, row: Row) -> Side:
        return "server" if row.mac in self.sides.macs else "client"


def _rows(batch: FrameBatch) -> list[Row]:
    """Return what is known of each frame of a batch."""
    import numpy as np

    found = Located(batch, batch.starts + batch.sizes, {"ends", "macs"})
    rows = [Row() for _ in range(len(batch))]
    for name, role in (("other_mac", 1), ("mac", 0)):
        here = np.flatnonzero(found.macs.role == role)
        numbers = words_at(batch.data, found.macs.at[here], 6)[1]
        for row, number in zip(found.macs.row[here].tolist(), numbers.tolist(), strict=True):
            setattr(rows[row], name, number)
    ends = found.ends
    for name, at in (("source", ends.source), ("destination", ends.target)):
        for size in np.unique(ends.width[at >= 0]).tolist():
            here = np.flatnonzero((at >= 0) & (ends.width == size))
            high, low = words_at(batch.data, at[here], size)
            for row, a, b in zip(here.tolist(), high.tolist(), low.tolist(), strict=True):
                setattr(rows[row], name, (size * 8, a << 64 | b & HALF))
    here = np.flatnonzero((ends.sport >= 0) & (ends.dport >= 0))
    for row, a, b in zip(here.tolist(), ends.sport[here].tolist(), ends.dport[here].tolist(), strict=True):
        rows[row].ports = (a, b)
    return rows


def split(capture: C, by: str | Callable[[Packet], object], servers: Iterable[object] | None) -> Sides[C]:
    return Sides(capture, by, servers)
