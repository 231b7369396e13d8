"""Frame: one captured packet with its circumstances. Interface: where and how it was captured.

Times are whole nanoseconds since 1970-01-01 UTC, never floating point. Texts come from files and are not to be trusted:
what shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from packetlab.codec.context.context import Context
from packetlab.hooks import Shown
from packetlab.packet.coerce import first_header_of
from packetlab.packet.foreign import as_bytes, library
from packetlab.protocols.linktypes import linktype_for
from packetlab.renamed import old_names

if TYPE_CHECKING:
    from packetlab.packet.packet import Packet


class InterfaceDescription(NamedTuple):
    """What a capture says of one interface (pcapng section 4.2; a pcap file has just one).

    Attributes:
        linktype: number of the link type. snaplen: bytes kept of a frame at most, 0 for no limit.
        name, description: in the words of the file. resolution: ticks a second of its time stamps.
        offset: seconds to add to them. number: its place in its section. section: from 0.
        fcs_length: bytes of frame check sequence at the end of each frame, 0 where the file does not say.
        options: other options (code, value) of pcapng, numbers in them little-endian: filter, hardware, speed, comments.
    """

    linktype: int = 1
    snaplen: int = 0
    name: str = ""
    description: str = ""
    resolution: int = 1_000_000_000
    offset: int = 0
    number: int = 0
    section: int = 0
    fcs_length: int = 0
    options: tuple[tuple[int, bytes], ...] = ()

    @property
    def link(self) -> int | None:
        """What tells its frames from those of others where they have no addresses; None for the first interface of a file."""
        return self.section << 16 | self.number or None


class Extras(NamedTuple):
    """What pcapng can say of a single frame (section 4.3): comments, link layer flags, frames lost before, an id.

    `options` are the others (code, value), numbers in them little-endian: 3 is a hash, 6 a queue, 7 a verdict.
    """

    comments: tuple[str, ...] = ()
    flags: int | None = None
    drop_count: int | None = None
    packet_id: int | None = None
    options: tuple[tuple[int, bytes], ...] = ()

    @classmethod
    def of(
        cls,
        *comments: str,
        flags: int | None = None,
        drop_count: int | None = None,
        packet_id: int | None = None,
        hashes: Iterable[tuple[int, bytes]] = (),
        queue: int | None = None,
        verdicts: Iterable[tuple[int, bytes]] = (),
    ) -> Extras:
        """Return extras from what they mean: hashes are (algorithm, bytes), verdicts (who gave it, bytes)."""
        options = [(_HASH, bytes([algorithm]) + value) for algorithm, value in hashes]
        options += [] if queue is None else [(_QUEUE, queue.to_bytes(4, "little"))]
        options += [(_VERDICT, bytes([giver]) + value) for giver, value in verdicts]
        return cls(comments, flags, drop_count, packet_id, tuple(options))

    @property
    def hashes(self) -> tuple[tuple[int, bytes], ...]:
        """Hashes of the frame: (algorithm, bytes)."""
        return tuple((value[0], value[1:]) for code, value in self.options if code == _HASH and value)

    @property
    def queue(self) -> int | None:
        """The queue of the interface that the frame came by, or None."""
        found = (value for code, value in self.options if code == _QUEUE and len(value) == 4)
        return next((int.from_bytes(value, "little") for value in found), None)

    @property
    def verdicts(self) -> tuple[tuple[int, bytes], ...]:
        """What was decided on the frame: (who did: 0 hardware, 1 eBPF in TC, 2 in XDP; bytes)."""
        return tuple((value[0], value[1:]) for code, value in self.options if code == _VERDICT and value)


_HASH, _QUEUE, _VERDICT = 3, 6, 7  # options of a packet (4.3)
NOTHING = Extras()
ETHERNET = InterfaceDescription()


_dissecting: Any = (
    None  # what frames are dissected with, once the first one is: an import for each would cost a fifth more
)


def _begin() -> Any:
    global _dissecting
    from packetlab.protocols.dissect import dissect
    from packetlab.protocols.linktypes import FIRST

    _dissecting = dissect, FIRST
    return _dissecting


class Frame(Shown):
    """The bytes of one frame, when it was captured, and on what.

    Attributes:
        data: the bytes kept. wire_length: bytes there were on the wire.
        time_ns: nanoseconds since 1970-01-01 UTC, or None where the file has no time for it.
        interface: where it was captured. number: its place in the capture, from 1; 0 for one made by hand.
    """

    __slots__ = ("data", "extras", "interface", "number", "time_ns", "wire_length")

    def __init__(
        self,
        data: bytes,
        time_ns: int | None = 0,
        linktype: int | None = None,
        wire_length: int | None = None,
        comment: str | tuple[str, ...] | None = None,
        *,
        interface: InterfaceDescription | None = None,
        number: int = 0,
        extras: Extras = NOTHING,
    ) -> None:
        self.data = data if type(data) is bytes else as_bytes(data)
        self.time_ns = time_ns
        self.wire_length = len(self.data) if wire_length is None else wire_length
        self.interface = interface or (ETHERNET if linktype in (None, 1) else InterfaceDescription(linktype or 0))
        self.number = number
        self.extras = extras
        if comment is not None:
            self.extras = extras._replace(comments=(comment,) if isinstance(comment, str) else tuple(comment))

    @classmethod
    def of(cls, packet: Any) -> Frame:
        """Return whatever is a packet as a frame; a frame stays as it is.

        The link type is that of its outermost header (Ethernet where only bytes are known), the time scapy's, else 0.
        TypeError for what is no packet.
        """
        if isinstance(packet, cls):
            return packet
        time = getattr(packet, "time", None) if library(type(packet)) == "scapy" else None
        return cls(
            as_bytes(packet), int(time * 10**9) if time is not None else 0, linktype_for(first_header_of(packet))
        )

    @property
    def linktype(self) -> int:
        """Number of the link type: what the first header is."""
        return self.interface.linktype

    @property
    def comments(self) -> tuple[str, ...]:
        """All comments of the frame."""
        return self.extras.comments

    @property
    def comment(self) -> str | None:
        """The first comment, or None."""
        return self.extras.comments[0] if self.extras.comments else None

    @property
    def flags(self) -> int | None:
        """Link layer flags (pcapng section 4.3.1: direction, cast, FCS length, errors), or None."""
        return self.extras.flags

    @property
    def drop_count(self) -> int | None:
        """Frames lost between the one before and this one, or None where it is not known."""
        return self.extras.drop_count

    @property
    def packet_id(self) -> int | None:
        """The number that the same packet has on other interfaces too, or None."""
        return self.extras.packet_id

    def packet(self) -> Packet:
        """Return the frame dissected, from the header of its link type; a fault says so where that is not known."""
        dissect, headers = _dissecting or _begin()
        linktype = self.interface.linktype
        first = headers.get(linktype)
        packet: Packet = dissect(self.data, first, self.wire_length)
        if first is not None:
            return packet
        from packetlab.codec.faults import Fault

        return packet.with_fault(
            Fault("frame", "linktype", 0, "a link type whose first header is declared", str(linktype)), linktype
        )

    def context(self) -> Context:
        """Return what was remembered from the packets before it, where it is one of a capture (see `Context`); else a context that knows nothing.

        ``with frame.context():`` has what is built inside go by it, such as other records for a template that came before.
        """
        return Context()

    def replace(self, data: bytes | None = None, time_ns: int | None = None, comment: str | None = None) -> Frame:
        """Return a copy with other bytes (of their own length), another time, or one comment."""
        return Frame(
            self.data if data is None else data,
            self.time_ns if time_ns is None else time_ns,
            wire_length=self.wire_length if data is None else len(data),
            comment=comment,
            interface=self.interface,
            number=self.number,
            extras=self.extras,
        )

    def numbered(self, number: int) -> Self:
        """Return the same frame with another number; itself where it has that."""
        if self.number == number:
            return self
        made = copy(self)
        made.number = number
        return made

    def __bytes__(self) -> bytes:
        return self.data

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        return (self.data, self.time_ns, self.wire_length, self.linktype, self.extras) == (
            other.data, other.time_ns, other.wire_length, other.linktype, other.extras,
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.data, self.time_ns))

    def __repr__(self) -> str:
        more = f", comment={self.comment!r}" if self.comments else ""
        return f"<Frame {self.number}: {len(self.data)} of {self.wire_length} bytes, time_ns={self.time_ns}{more}>"


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
