"""A connection and a hand that plays its peer: packets made by hand go in, what comes out is looked at."""

from __future__ import annotations

from packetlab import IDP, SPP, Control, XNSAddress, dissect
from packetlab.engine.xns.spp import Connection
from packetlab.engine.xns.spp_states import SPPState

SECOND = 10**9
HERE, THERE = XNSAddress(1, 0x02000000000A, 3000), XNSAddress(1, 0x02000000000B, 777)
OURS, THEIRS = 11, 22  # connection ids
SYSTEM, ACK, ATTENTION, EOM = (int(each) for each in Control)


class Peer:
    """Plays the other end of a connection, packet by packet, on a clock of its own."""

    def __init__(self, connection: Connection | None = None, **how) -> None:
        self.connection = connection or Connection(HERE, THERE, OURS, **how)
        self.now = 0
        self.source = THERE

    def says(self, control=0, datastream=0, seq=0, ack=0, alloc=7, data=b"", *, sid=THEIRS, did=OURS) -> list[SPP]:
        """Send the connection a packet; return the headers of what it answers."""
        spp = SPP(
            control=control, datastream=datastream, source_id=sid, destination_id=did,
            seq=seq & 0xFFFF, ack=ack & 0xFFFF, alloc=alloc & 0xFFFF,
        )  # fmt: skip
        packet = IDP(dst=HERE, src=self.source) / spp / data
        self.connection.receive(dissect(bytes(packet), IDP), self.now)
        return self.hears()

    def hears(self) -> list[SPP]:
        """Return the headers of what the connection sends now."""
        self.packets = [dissect(bytes(packet), IDP) for packet in self.connection.packets_to_send(self.now)]
        self.events = self.connection.events()
        assert not any(packet.faults for packet in self.packets)
        return [packet[SPP] for packet in self.packets]

    def data(self) -> list[bytes]:
        """Return the data of the last packets heard."""
        return [packet.payload for packet in self.packets]

    def waits(self, seconds: float | None = None) -> list[SPP]:
        """Let time pass, to the next timer unless given; return what the connection sends then."""
        due = self.connection.next_timeout()
        if seconds is None:
            assert due is not None
            self.now = due
        else:
            self.now += int(seconds * SECOND)
        self.connection.on_time(self.now)
        return self.hears()

    def ignored(self) -> list[str]:
        """Return why packets were ignored, since the last look."""
        return [event.why for event in self.events if type(event).__name__ == "Ignored"]


def opened(alloc: int = 7, **how) -> Peer:
    """Return the peer of a connection that is open, requested by our side."""
    peer = Peer(**how)
    peer.connection.connect(0)
    assert [header.control for header in peer.hears()] == [SYSTEM | ACK]
    assert [header.control for header in peer.says(SYSTEM | ACK, alloc=alloc)] == [SYSTEM]
    assert peer.connection.state is SPPState.OPEN
    return peer
