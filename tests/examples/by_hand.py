"""TCP by hand: one end of a connection whose every segment is up to the test. No kernel takes part on this side."""

from __future__ import annotations

from typing import Any

from packetlab import TCP, Packet, TCPFlags, TCPOption

SYN, ACK, FIN, RST, PSH = TCPFlags.SYN, TCPFlags.ACK, TCPFlags.FIN, TCPFlags.RST, TCPFlags.PSH
MOST = 2**32


def mss(size: int) -> TCPOption:
    """The option that says how much one segment may carry (RFC 9293 section 3.7.1)."""
    return TCPOption(kind=2, data=size.to_bytes(2, "big"))


class Connection:
    """One end of a TCP connection: `unanswered` and its port here, `host` (or where a packet came from) and its port there."""

    def __init__(self, unanswered: Any, host: Any, here: int, there: int, seq: int = 1000) -> None:
        self.unanswered, self.host, self.here, self.there, self.seq, self.ack = unanswered, host, here, there, seq, 0

    def connect(self, *options: TCPOption) -> Packet:
        """Shake hands; return the SYN/ACK."""
        self.send(flags=SYN, options=options)
        answer = self.receive()
        assert answer[TCP].flags == SYN | ACK and answer[TCP].ack == self.seq
        self.heard(answer)
        self.send()
        return answer

    def accept(self, syn: Packet) -> None:
        """Answer the SYN of a client."""
        self.heard(syn)
        self.send(flags=SYN | ACK)

    def segment(self, data: bytes = b"", flags: TCPFlags = ACK, **given: Any) -> Packet:
        """Return the next segment; whatever is given stands in it, right or wrong."""
        given = {"seq": self.seq, "ack": self.ack if flags & ACK else 0, **given}
        return self.unanswered.to(self.host) / TCP(sport=self.here, dport=self.there, flags=flags, **given) / data

    def send(self, data: bytes = b"", flags: TCPFlags = ACK, **given: Any) -> None:
        """Send the next segment."""
        self.unanswered.send(self.segment(data, flags, **given))
        self.seq = (self.seq + len(data) + bool(flags & (SYN | FIN))) % MOST

    def receive(self, timeout: float = 30.0) -> Packet:
        """Return the next segment of this connection. Nothing is acknowledged by that."""
        return self.unanswered.receive(timeout, where=TCP(sport=self.there, dport=self.here))

    def heard(self, packet: Packet) -> bytes:
        """Take the data of a segment if it is the next; what is sent from now on acknowledges it."""
        tcp, data = packet[TCP], packet.payload
        if self.ack and tcp.seq != self.ack:
            return b""
        self.ack = (tcp.seq + len(data) + bool(tcp.flags & (SYN | FIN))) % MOST
        return data

    def read(self, size: int | None = None) -> bytes:
        """Return the next bytes, `size` or until the other side ends; every segment is acknowledged."""
        data = b""
        while size is None or len(data) < size:
            packet = self.receive()
            data += self.heard(packet)
            if packet[TCP].flags & (FIN | RST):
                break
            if packet.payload:
                self.send()
        return data
