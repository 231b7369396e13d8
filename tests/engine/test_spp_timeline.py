"""SPP by the clock: an unchanged connection, its peer played from a tape, each packet at its time (XSIS 028112)."""

from __future__ import annotations

import pytest

from packetlab import IDP, SPP, Control, Timing, XNSAddress, between, same_as

SYSTEM, ACK, EOM = Control.SYSTEM, Control.SEND_ACK, Control.END_OF_MESSAGE
END, END_REPLY = 254, 255
THEIRS = 22  # the id of the connection at the peer
LINK = 0.05  # seconds from one host to the other


class Talk:
    """A client, and a peer that is nothing but the lines of a tape."""

    def __init__(self, pair, tape) -> None:
        self.host, self.peer = pair
        self.tape = tape
        self.there = XNSAddress(0x401, int.from_bytes(self.peer.mac_bytes, "big"), 3000)
        self.client = self.host.socket("seqpacket")
        self.request = tape.expect("a", "b", SPP(control=SYSTEM | ACK, destination_id=0, source_id=same_as("id")), at=0)

    def hears(self, data=b"", /, **how) -> None:
        """The connection is to send this."""
        times = {name: how.pop(name) for name in ("at", "after", "optional", "times", "at_least") if name in how}
        header = SPP(source_id=same_as("id"), destination_id=THEIRS, **how)
        self.tape.expect("a", "b", header / data if data else header, **times)

    def says(self, data=b"", /, after=0.0, **how) -> None:
        """The peer sends this."""

        def packet():
            idp, spp = self.request.packet[IDP], self.request.packet[SPP]
            header = SPP(**{"source_id": THEIRS, "destination_id": spp.source_id, "alloc": 7, **how})
            return IDP(dst=idp.src, src=self.there) / header / data

        self.tape.send("b", "a", packet, after=after)

    def opens(self) -> None:
        self.says(control=SYSTEM | ACK)
        self.hears(control=SYSTEM, at=2 * LINK)
        self.client.connect(self.there)


@pytest.fixture
def talk(pair, tape) -> Talk:
    return Talk(pair, tape)


@pytest.mark.packetlab(delay=LINK)
def test_a_request_is_repeated_with_growing_pauses_until_it_gives_up(talk) -> None:
    talk.host.timing = Timing(give_up=60)
    for at in (1, 3, 7, 15, 23, 31, 39, 47, 55):
        talk.tape.expect("a", "b", SPP(control=SYSTEM | ACK, source_id=same_as("id")), at=at)
    talk.tape.nothing_else()
    with pytest.raises(TimeoutError):
        talk.client.connect(talk.there)
    talk.host.net.run(100)


@pytest.mark.packetlab(delay=LINK)
def test_three_equal_acknowledgements_bring_the_missing_packet_ahead_of_its_time(talk) -> None:
    talk.opens()
    for seq in range(4):
        talk.hears(b"%d" % seq, seq=seq)
    for _ in range(3):
        talk.says(control=SYSTEM, ack=0)
    talk.hears(b"0", seq=0, at=4 * LINK)  # a round trip later, long before its timer
    talk.says(control=SYSTEM, ack=4)
    for seq in range(4):
        talk.client.write(b"%d" % seq)
    talk.tape.play()


@pytest.mark.packetlab(delay=LINK)
def test_data_wait_for_the_window_and_go_when_it_opens(talk) -> None:
    talk.says(control=SYSTEM | ACK, alloc=0xFFFF)  # none yet: the number before the first
    talk.hears(control=SYSTEM, at=2 * LINK)
    talk.tape.nothing(within=0.1)  # before the first probe
    talk.says(control=SYSTEM, alloc=0)
    talk.hears(b"now", seq=0, after=LINK)
    talk.says(control=SYSTEM, ack=1)
    talk.client.connect(talk.there)
    talk.client.write(b"now")
    talk.tape.play()


@pytest.mark.packetlab(delay=LINK)
def test_packets_out_of_turn_are_each_answered_with_what_is_missing(talk) -> None:
    talk.opens()
    for seq, ack in ((2, 0), (1, 0), (0, 3)):
        talk.says(b"%d" % seq, seq=seq, control=ACK)
        talk.hears(control=SYSTEM, ack=ack, alloc=between(1, 40), after=LINK)
    talk.tape.play()
    assert [talk.client.read() for _ in range(3)] == [b"0", b"1", b"2"]


@pytest.mark.packetlab(delay=LINK)
def test_a_close_is_answered_and_ends_with_the_last_end_reply(talk) -> None:
    talk.opens()
    talk.hears(b"last", seq=0)
    talk.hears(datastream=END, seq=1)
    talk.says(datastream=END_REPLY, control=EOM, ack=2)
    talk.hears(datastream=END_REPLY, seq=2, after=LINK)
    talk.tape.nothing(within=100)
    talk.client.write(b"last")
    talk.client.close()
    talk.tape.play()
    assert talk.client.state.name == "CLOSED"
