"""Against the real 4.4BSD: our engine stands in for one of the two hosts of a capture, and is fed what the other sent."""

from __future__ import annotations

import pytest

from packetlab import IDP, SPP, Capture, Control, Error, Ignored, Node, Packet, XNSAddress, dissect
from packetlab.engine.xns.spp import Attention, Connection, PeerEnded
from packetlab.engine.xns.spp_listener import Listener
from packetlab.engine.xns.spp_states import SPPState
from packetlab.network.carriers import EthernetFraming, IPFraming, SnapFraming
from tests.conftest import CORPUS

NET, A, B = 0x401, 0x08002B00000A, 0x08002B00000B
CLIENT, SERVER = XNSAddress(NET, A, 0x0BB8), XNSAddress(NET, B, 0x0777)
SYSTEM, SEND_ACK = Control.SYSTEM, Control.SEND_ACK


def bsd(number: int) -> Packet:
    """Return a packet of the capture as a host gets it: from IDP on."""
    raw = EthernetFraming(b"").unwrap(b"\1" + CAPTURE[number - 1].data[1:])
    return dissect(raw, IDP)


CAPTURE = [*Capture(CORPUS / "bsd-bsd.pcap")]


class Host:
    """A node on the network of the capture, and what it sends."""

    def __init__(self, host: int) -> None:
        self.node = Node(host, first_id=1)
        self.node.attach(NET)
        self.now = 0

    def feed(self, number: int) -> list[Packet]:
        self.node.receive(bsd(number), self.now)
        return self.sent()

    def sent(self) -> list[Packet]:
        self.now += 10**6
        out = [dissect(bytes(packet), IDP) for packet, _, _ in self.node.packets_to_send(self.now)]
        self.events = self.node.events()
        assert not any(packet.faults for packet in out)
        return out

    def touch(self, endpoint) -> list[Packet]:
        self.node.touch(endpoint)
        return self.sent()


def said(packet: Packet) -> tuple[int, int, int, int, int, int]:
    spp = packet[SPP]
    return int(spp.control), spp.datastream, spp.source_id, spp.destination_id, spp.seq, spp.ack


def test_as_the_server_of_a_bsd_client() -> None:
    host = Host(B)
    node = host.node
    listener = Listener(SERVER, 5, lambda remote: child(node, remote))
    node.bind(listener, SERVER.socket)
    (answer,) = host.feed(1)
    # The answer: from the same socket, both ids, asking for the third packet; 3 or more may come.
    assert said(answer) == (SYSTEM | SEND_ACK, 0, 1, 1, 0, 0) and answer[SPP].alloc >= 3
    assert (answer[IDP].src, answer[IDP].dst) == (SERVER, CLIENT)
    assert listener.accept() is None
    assert host.feed(3) == []
    connection = listener.accept()
    assert connection is not None and connection.state is SPPState.OPEN
    (ack,) = host.feed(4)
    assert said(ack) == (SYSTEM, 0, 1, 1, 0, 1)
    (ack,) = host.feed(6)
    assert said(ack)[5] == 2 and Attention in map(type, host.events)
    hello, attention = connection.read(), connection.read()
    assert hello.payload == b"hello" and hello[SPP].control & Control.END_OF_MESSAGE
    assert attention.payload == b"!" and attention[SPP].control & Control.ATTENTION
    (reply,) = host.feed(8)
    # END-REPLY: takes the next number, which with us is 0, since nothing was sent before; it acknowledges the END.
    assert said(reply)[1:] == (255, 1, 1, 0, 3) and PeerEnded in map(type, host.events)
    assert connection.state is SPPState.DALLYING
    assert host.feed(11) == [] and connection.state is SPPState.DALLYING
    host.feed(12)
    assert connection.state is SPPState.CLOSED and connection.error is None
    # Whatever comes now is of a connection that is gone.
    (error,) = host.feed(4)
    assert error[Error].number == 2 and error[IDP].dst == CLIENT


def child(node: Node, remote: XNSAddress) -> Connection:
    connection = Connection(SERVER, remote, node.new_id())
    node.adopt(connection, next(e for e in node._sockets.values() if isinstance(e, Listener)))
    return connection


def test_as_the_client_of_a_bsd_server() -> None:
    host = Host(A)
    connection = Connection(CLIENT, SERVER, host.node.new_id(), window=5)
    host.node.bind(connection, CLIENT.socket)
    connection.connect(host.now)
    (request,) = host.touch(connection)
    # A BSD host sends the very same, but for what it allows: 5 packets there, and 5 here.
    assert bytes(request) == bytes(bsd(1))
    (third,) = host.feed(2)
    assert bytes(third) == bytes(bsd(3)) and connection.state is SPPState.OPEN
    connection.send(b"hello", end_of_message=True)
    (hello,) = host.touch(connection)
    assert bytes(hello) == bytes(bsd(4))
    assert host.feed(5) == []
    connection.send(b"!", attention=True)
    (attention,) = host.touch(connection)
    assert bytes(attention)[:42] == bytes(bsd(6))[:42] and attention.payload == b"!"
    assert host.feed(7) == []
    connection.close(host.now)
    (end,) = host.touch(connection)
    assert said(end) == said(bsd(8))
    assert host.feed(9) == [] and connection.state is SPPState.ENDING
    (last,) = host.feed(10)
    # The last END-REPLY asks for nothing, as Xerox has it; BSD's program, which the kernel makes ask, is alone there.
    assert said(last)[1:] == said(bsd(12))[1:] and connection.state is SPPState.CLOSED and connection.error is None
    # BSD acknowledges it, to a socket that is gone; a late write then draws the Error that BSD itself sends, byte by byte.
    host.feed(13)
    assert any(isinstance(event, Ignored) for event in host.events)
    (error,) = host.feed(14)
    assert bytes(error) == bytes(bsd(15))


@pytest.mark.parametrize(
    ("frame", "framing", "start"),
    [(1, IPFraming("127.0.0.2"), 14), (3, SnapFraming(b""), 0), (5, EthernetFraming(b""), 0)],
    ids=["IP protocol 22", "SNAP", "Ethernet II"],
)
def test_what_carries_a_packet_does_not_change_it(frame, framing, start) -> None:
    frames = [each.data for each in Capture(CORPUS / "encap.pcap")]
    inner = [b"\1" + data[1:] if not start else data[start:] for data in (frames[frame - 1],)][0]
    raw = framing.unwrap(inner)
    assert raw is not None and raw.hex().startswith("58c8002a0005")
    packet = dissect(raw, IDP)
    assert packet.verdict(IDP).name == "GOOD" and said(packet)[:2] == (0xC0, 0)
