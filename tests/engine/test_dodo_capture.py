"""Against Dodo's XNS stack: our engine stands in for one end of its conversations, and is fed what the other sent.

Dodo opens with id 0xFFFF, acknowledges one more than it has received, numbers system packets with the last data packet, and
closes without end-of-message or send-ack. Its server echoes what it gets.
"""

from __future__ import annotations

import pytest

from packetlab import IDP, PEX, RIP, SPP, Capture, Control, Node, Packet, SimNetwork, dissect
from packetlab.engine.xns.pex import Exchange, Responder
from packetlab.engine.xns.spp import Connection
from packetlab.engine.xns.spp_listener import Listener
from packetlab.engine.xns.spp_states import SPPState
from packetlab.network.carriers import EthernetFraming
from tests.conftest import CORPUS

SYSTEM, ATTENTION, EOM = int(Control.SYSTEM), int(Control.ATTENTION), int(Control.END_OF_MESSAGE)
CLIENT, SERVER = 39014, 39861  # connection ids
END = 254


def captured() -> list[Packet]:
    """Return the packets of the capture, as a host gets them: from IDP on."""
    unwrapped = (EthernetFraming(b"").unwrap(b"\1" + f.data[1:]) for f in Capture(CORPUS / "dodo_checksums.pcap"))
    return [dissect(raw, IDP) for raw in unwrapped if raw is not None]


def conversation() -> list[Packet]:
    """Return the packets of the longest conversation of SPP."""
    return [p for p in captured() if SPP in p and CLIENT in (p[SPP].source_id, p[SPP].destination_id)]


def content(packet: Packet) -> tuple[int, int, bytes]:
    """Return what a reader sees of a packet."""
    spp = packet[SPP]
    return int(spp.control) & (ATTENTION | EOM), spp.datastream, packet.payload


def dump_expression(packets: list[Packet], source: int) -> list[tuple[int, int, bytes]]:
    """Return what one end wrote, each packet once, in order."""
    numbered = {p[SPP].seq: p for p in packets if p[SPP].source_id == source and not int(p[SPP].control) & SYSTEM}
    return [content(numbered[seq]) for seq in sorted(numbered) if numbered[seq][SPP].datastream < END]


class Stand:
    """A node in the place of one of Dodo's."""

    def __init__(self, host: int, first_id: int) -> None:
        self.node = Node(host, first_id=first_id)
        self.node.attach(0x41A)
        self.now = 0

    def gets(self, packet: Packet) -> list[Packet]:
        self.node.receive(packet, self.now)
        return self.says()

    def says(self) -> list[Packet]:
        self.now += 10**6
        return [dissect(bytes(packet), IDP) for packet, _, _ in self.node.packets_to_send(self.now)]


def test_as_the_server_of_a_dodo_client() -> None:
    packets = conversation()
    request = packets[0]
    assert request[SPP].destination_id == 0xFFFF and int(request[SPP].control) == SYSTEM
    stand = Stand(request[IDP].dst.host, SERVER)

    def child(remote):
        local = packets[1][IDP].src  # Dodo gives each connection a socket of its own, and so do we
        connection = Connection(local, remote, stand.node.new_id())
        stand.node.bind(connection, local.socket)
        stand.node.adopt(connection, listener)
        return connection

    listener = Listener(request[IDP].dst, 5, child)
    stand.node.bind(listener, request[IDP].dst.socket)
    (answer,) = stand.gets(request)
    assert answer[SPP].source_id == SERVER and answer[IDP].src.socket == packets[1][IDP].src.socket
    heard, connection = [], None
    for packet in packets[2:]:
        if packet[SPP].source_id != CLIENT:
            continue
        answers = stand.gets(packet)
        connection = connection or listener.accept()
        assert connection is not None
        if packet[SPP].datastream < END and not int(packet[SPP].control) & SYSTEM:
            # Whatever is acknowledged was received: never more, as Dodo does it.
            assert all(a[SPP].ack <= packet[SPP].seq + 1 for a in answers)
        while (read := connection.read()) is not None:
            heard.append(content(read))
            mark, datastream, data = heard[-1]
            connection.send(data, datastream, end_of_message=bool(mark & EOM), attention=bool(mark & ATTENTION))
            stand.node.touch(connection)
            stand.says()
    assert heard == dump_expression(packets, CLIENT) and len(heard) == 22
    assert connection is not None and connection.ended and connection.error is None
    assert connection.state in (SPPState.DALLYING, SPPState.CLOSED)


def test_as_the_client_of_a_dodo_server() -> None:
    packets = conversation()
    request = packets[0]
    stand = Stand(request[IDP].src.host, CLIENT)
    connection = Connection(request[IDP].src, request[IDP].dst, stand.node.new_id())
    stand.node.bind(connection, request[IDP].src.socket)
    connection.connect(0)
    stand.node.touch(connection)
    assert [p[SPP].source_id for p in stand.says()] == [CLIENT]
    heard, sent = [], []
    for packet in packets[1:]:
        if packet[SPP].source_id == SERVER:
            stand.gets(packet)
            while (read := connection.read()) is not None:
                heard.append(content(read))
        elif packet[SPP].datastream == END:
            connection.close(stand.now)
        elif packet[SPP].datastream < END and not int(packet[SPP].control) & SYSTEM and packet[SPP].seq == len(sent):
            sent.append(content(packet))
            mark, datastream, data = sent[-1]
            connection.send(data, datastream, end_of_message=bool(mark & EOM), attention=bool(mark & ATTENTION))
        stand.node.touch(connection)
        stand.says()
    assert connection.remote.socket == packets[1][IDP].src.socket  # learned from the answer
    assert heard == dump_expression(packets, SERVER) and sent == dump_expression(packets, CLIENT)
    assert connection.error is None and connection.state is SPPState.CLOSED


# Packet exchange: a request to everybody, and what Dodo's services (time, and where the Clearinghouse is) answered -----

ASKED_ALL = [0, 2]  # numbers of requests in the capture; the reply follows each


@pytest.mark.parametrize("number", ASKED_ALL)
def test_a_request_to_everybody_takes_dodos_reply(number) -> None:
    query, answered = captured()[number : number + 2]
    idp, pex = query[IDP], query[PEX]
    assert idp.dst.host == 0xFFFFFFFFFFFF
    stand = Stand(idp.src.host, 1)
    request = Exchange(idp.src, idp.dst, query.payload, id=pex.id, client_type=pex.client_type)
    stand.node.bind(request, idp.src.socket)
    stand.node.touch(request)
    (sent,) = stand.says()
    assert bytes(sent) == bytes(query)
    assert stand.gets(answered) == [] and request.reply is not None
    assert request.reply.payload == answered.payload and request.reply[IDP].src == answered[IDP].src


@pytest.mark.parametrize("number", ASKED_ALL)
def test_whoever_answers_a_request_to_everybody_speaks_for_itself_as_dodo_does(number) -> None:
    query, answered = captured()[number : number + 2]
    stand = Stand(answered[IDP].src.host, 1)
    stand.node.bind(Responder(lambda packet: answered.payload), query[IDP].dst.socket)
    for _ in range(2):  # the way back is known the second time
        (sent,) = stand.gets(query)
        assert bytes(sent) == bytes(answered)


def test_hosts_of_a_network_find_a_service_by_asking_everybody() -> None:
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, net.host("c"))
    b.answer(8, lambda data: data + b" from b")
    assert a.exchange((0x401, 0xFFFFFFFFFFFF, 8), b"who?", client_type=1) == b"who? from b"
    (reply,) = [p for p in (frame.packet() for frame in net.capture) if PEX in p and p.payload.endswith(b"from b")]
    assert reply[IDP].src == b.at(8).xns(a)


def test_our_routers_tell_their_network_as_dodo_does() -> None:
    (reported,) = [p for p in captured() if RIP in p and p[RIP].operation == 2]
    router = Node(reported[IDP].src.host, router=True)
    router.attach(0x41A)
    router.touch(router.routes)
    ours = [packet for packet, _, _ in router.packets_to_send(0) if packet[RIP].operation == 2]
    assert [bytes(packet) for packet in ours] == [bytes(reported)]
