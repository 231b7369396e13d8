"""What a packet holds: headers and payload, or bytes and the path that was found through them (see `codec.stacks`).

Headers on a path are made when somebody asks for them. As soon as all of them are wanted, a packet is like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from packetlab.codec.refinement.class_bodies import plain_class
from packetlab.hooks import Shown, hook
from packetlab.packet.anomalies import Anomalies
from packetlab.renamed import renamed_arguments

if TYPE_CHECKING:
    from typing import Self, TypeAlias

    from packetlab.codec.objects import AnyHeader
    from packetlab.codec.stacks import Path
    from packetlab.codec.way import Headers

    AnyLayer: TypeAlias = type[AnyHeader] | tuple[type[AnyHeader], int] | None


class Held(Shown):
    """Headers, a payload, and what is to be said of them, for `Packet`."""

    # As long as it has a path (see `codec.stacks`), only `_data`, `_anomalies`, `_made`, `_start` and `_end` are there too.
    __slots__ = (
        "_anomalies", "_data", "_derived", "_end", "_made", "_now", "_path", "_payload", "_resolved", "_stack", "_start",
    )  # fmt: skip
    _derived: Headers
    _now: Any  # of one with messages of a stream that was read in a context: that, or the moment in it
    _made: list[object]
    _start: int
    _end: int

    @renamed_arguments(notes="anomalies")
    def __init__(self, headers: Headers = (), payload: bytes = b"", anomalies: Anomalies | None = None) -> None:
        self._stack = headers
        self._payload = payload
        self._data: bytes | None = None
        self._resolved: Headers | None = None
        self._anomalies = anomalies
        self._path: Path | None = None

    def _kept(self) -> Anomalies | None:
        """What of the anomalies goes on to a packet made from this one: the bytes that fill the frame."""
        return Anomalies(self._anomalies.gaps) if self._anomalies is not None and self._anomalies.gaps else None

    @property
    def _headers(self) -> Headers:
        """The headers as they were stacked, or as they were read."""
        path = self._path
        if path is not None:
            self._stack = self._resolved = path.make_all(self)
            self._payload = self.payload
            self._path = None
        return self._stack

    @property
    def _classes(self) -> tuple[type[Any], ...]:
        path = self._path
        return tuple(map(type, self._stack)) if path is None else path.classes

    def _is_like(self, other: Held) -> bool:
        """Whether the headers are of the same classes, of what takes a field apart of that whose field it is."""
        mine, theirs = self._classes, other._classes
        return mine == theirs or [*map(plain_class, mine)] == [*map(plain_class, theirs)]

    @property
    def payload(self) -> bytes:
        """The bytes after the last header."""
        data: Any = self._data
        return self._payload if self._path is None else data[self._start : self._end]

    @property
    def _trailing_bytes(self) -> dict[int, bytes]:
        """Layer number -> the bytes after that layer, inside the one below."""
        return self._anomalies.gaps if self._anomalies is not None else {}

    @property
    def truncated(self) -> bool:
        """Whether there was more on the wire than is here: cut by the capture, a fragment, a quoted packet, a message that goes on."""
        return self._anomalies is not None and (self._anomalies.cut or self._anomalies.missing > 0)

    @property
    def linktype(self) -> int | None:
        """The link type of a captured frame whose first header is not declared; None for all other packets."""
        return self._anomalies.linktype if self._anomalies is not None else None

    @property
    def trailer(self) -> bytes:
        """The bytes that belong to no layer: what fills a short frame, from the innermost gap out.

        What stands after a message of a stream (``stream=True``) belongs to further ones: see `Packet.messages`.
        """
        gaps = self._trailing_bytes
        return b"".join(gaps[i] for i in sorted(gaps, reverse=True) if not self._classes[i]._declaration.stream)

    @property
    def further(self) -> bytes:
        """The bytes after the first message of a stream; see `Packet.messages`."""
        gaps = self._trailing_bytes
        return b"".join(gaps[i] for i in sorted(gaps, reverse=True) if self._classes[i]._declaration.stream)

    # Cutting into pieces: written in `protocols.pieces` ------------------------------------------------------

    def fragments(
        self, mtu: int, layer: AnyLayer = None, *, overlap: int = 0, id: int | None = None, force: bool = False
    ) -> Iterator[Self]:
        """Return the IP fragments of this packet one by one, as RFC 791 section 3.2 and RFC 8200 section 4.5 cut it.

        Args:
            mtu: bytes of each IP packet at most, its header included and what carries it not, as in an interface's MTU.
            layer: the header to cut, as in ``packet[IPv4, 1]``; None: the outermost IPv4 or IPv6.
            overlap: bytes at its beginning that each repeats of the one before, a multiple of 8.
            id: the identification; None: the header's own, for IPv6 a CRC-32 of the data, so that datagrams differ.
            force: cut although DONT_FRAGMENT is set, which the fragments keep.

        They come in order. Each is the headers below the cut and bytes, lengths and checksums its own; options of IPv4 that
        are not to be copied stand in the first alone. A packet that fits comes as it is. A small mtu may cut a transport
        header too. BuildError where nothing can be cut: no IP, DONT_FRAGMENT, an mtu without room for 8 bytes of data.

        >>> from packetlab import IPv4, UDP
        >>> [len(piece) for piece in (IPv4() / UDP() / bytes(100)).fragments(68)]
        [68, 68, 32]
        """
        return hook("fragments")(self, mtu, layer, overlap=overlap, id=id, force=force)  # type: ignore[no-any-return]

    def segments(self, mss: int, layer: AnyLayer = None, *, overlap: int = 0) -> Iterator[Self]:
        """Return the TCP segments of this packet one by one: what segmentation offload makes of it.

        Args:
            mss: bytes of data in each at most.
            layer: the header to cut below, as in ``packet[TCP, 1]``; None: the outermost TCP.
            overlap: bytes at its beginning that each repeats of the one before.

        They come in order, with sequence numbers, lengths and checksums of their own. SYN and CWR are in the first, PSH (RFC
        9293 section 3.9.1.2), FIN and RST in the last; IPv4 identifications count up. A packet that fits comes as it is.
        BuildError where there is no TCP, or not all of its data.

        >>> from packetlab import IPv4, TCP
        >>> [(piece[TCP].seq, piece.payload) for piece in (IPv4() / TCP(seq=7, flags="ACK") / b"abcde").segments(2)]
        [(7, b'ab'), (9, b'cd'), (11, b'e')]
        """
        return hook("segments")(self, mss, layer, overlap=overlap)  # type: ignore[no-any-return]

    def __getstate__(self) -> tuple[None, dict[str, object]]:
        # What is compiled does not travel.
        _, kept = self._headers, super().__getstate__()[1]  # type: ignore[index]
        return None, {name: value for name, value in kept.items() if name not in ("_made", "_now")}
