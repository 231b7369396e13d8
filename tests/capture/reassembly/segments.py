"""Captures of one TCP connection, built segment by segment, for the tests beside."""

from __future__ import annotations

from collections.abc import Iterable

from packetlab import TCP, Ether, Frame, IPv4, IPv6, TCPFlags
from packetlab.capture.reassembly import End, Piece, Stream, Streams

SYN, ACK, FIN, RST, PSH = (int(flag) for flag in (TCPFlags.SYN, TCPFlags.ACK, TCPFlags.FIN, TCPFlags.RST, TCPFlags.PSH))
MILLISECOND = 1_000_000


class Line:
    """Frames of a connection from port 40000 to port 80, a millisecond apart."""

    def __init__(self, first: int = 1000, answer: int = 5000, six: bool = False) -> None:
        self.first, self.answer, self.six = first, answer, six
        self.frames: list[Frame] = []
        self.time_ns = 1_700_000_000 * 10**9

    def put(
        self,
        offset: int,
        data: bytes = b"",
        flags: int = ACK | PSH,
        back: bool = False,
        ack: int = 0,
        window: int = 5000,
    ) -> None:
        """Add a segment; `offset` counts bytes of its direction from 0, `ack` those of the other."""
        mine, theirs = (self.answer, self.first) if back else (self.first, self.answer)
        a, b = ("2001:db8::1", "2001:db8::2") if self.six else ("10.0.0.1", "10.0.0.2")
        ip = (IPv6 if self.six else IPv4)(src=b if back else a, dst=a if back else b)
        tcp = TCP(
            sport=80 if back else 40000,
            dport=40000 if back else 80,
            seq=(mine + 1 + offset) % 2**32,
            ack=(theirs + 1 + ack) % 2**32 if flags & ACK else 0,
            flags=TCPFlags(flags),
            window=window,
        )
        self.time_ns += MILLISECOND
        self.frames.append(Frame(bytes(Ether() / ip / tcp / data), self.time_ns, number=len(self.frames) + 1))

    def open(self) -> None:
        """Add the handshake."""
        self.put(-1, flags=SYN)
        self.put(-1, flags=SYN | ACK, back=True)
        self.put(0, flags=ACK)


def together(frames: Iterable[Frame], **limits: object) -> tuple[list[Stream], list[tuple[End, Piece]]]:
    """Return the streams of frames, and the pieces as they came."""
    streams = Streams(**limits)  # type: ignore[arg-type]
    pieces: list[tuple[End, Piece]] = []
    done: list[Stream] = []
    for frame in frames:
        pieces += streams.receive(frame)
        done += streams.finished()
    done += streams.end()
    return done, pieces + streams.late()
