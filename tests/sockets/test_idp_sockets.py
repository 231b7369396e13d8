"""Options of datagram and raw sockets, and how hosts and their networks meet them."""

from __future__ import annotations

import errno

import pytest

from packetlab import IDP, SPP, Error, LocalProtocolError, SimNetwork, Stalled


@pytest.fixture
def hosts():
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    return a, b


def spp_for(a, b, socket):
    return IDP(dst=b.at(socket).xns(a), src=a.at(5).xns(a)) / SPP(seq=4) / b"hi"


def test_a_datagram_socket_takes_packets_of_other_protocols_only_when_given(hosts) -> None:
    a, b = hosts
    socket, raw = b.socket("datagram"), a.socket("raw")
    socket.bind(500)
    raw.write(spp_for(a, b, 500))
    a.net.run(1)
    assert "all_packets" in b.log[-1].why
    socket.all_packets = True
    raw.write(spp_for(a, b, 500))
    assert socket.read_packet()[SPP].seq == 4
    socket.write(b"nobody", to=a.at(77))
    assert socket.read_packet()[Error].number == 2


def test_headers_on_output_decide_all_but_length_and_checksum(hosts) -> None:
    a, b = hosts
    server, client = b.socket("datagram"), a.socket("datagram")
    server.bind(500)
    client.headers_on_output = True
    head = IDP(dst=b.at(500).xns(a), src=(0x401, 0x0A0B0C0D0E, 9), packet_type=77, hops=3, length=0, checksum=1)
    client.write(bytes(head) + b"data")
    packet = server.read_packet()
    assert packet.payload == b"data" and (packet[IDP].packet_type, packet[IDP].hops) == (77, 3)
    assert packet[IDP].src.host == 0x0A0B0C0D0E and packet.verdict(IDP).name == "GOOD"
    with pytest.raises(LocalProtocolError, match="30 bytes"):
        client.write(b"short")


def test_groups_are_sent_to_with_leave_alone_and_everybody_hears(hosts) -> None:
    a, b = hosts
    c = a.net.host("c")
    a.net.link(a, b, c)
    sockets = [host.socket("datagram") for host in (b, c)]
    for socket in sockets:
        socket.bind(600)
    sender = a.socket("datagram")
    sender.broadcast = True
    sender.write(b"all", to=(0x402, 0xFFFFFFFFFFFF, 600))
    assert [socket.read() for socket in sockets] == [b"all", b"all"]


def test_a_connected_socket_hears_its_peer_alone(hosts) -> None:
    a, b = hosts
    one, other, server = a.socket("datagram"), a.socket("datagram"), b.socket("datagram")
    one.bind(700)
    server.bind(500)
    server.connect(a.at(700))
    other.write(b"not this", to=b.at(500))
    one.write(b"but this", to=b.at(500))
    assert server.read() == b"but this"
    with pytest.raises(LocalProtocolError, match="EISCONN"):
        server.write(b"x", to=a.at(700))


def test_sequence_numbers_are_a_row_for_the_host(hosts) -> None:
    a, _ = hosts
    one, other = a.socket("datagram"), a.socket("raw")
    numbers = [one.seqno(), other.seqno(), one.seqno()]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    assert (
        numbers[0] not in (0, 1) and hosts[1].socket("raw").seqno() != numbers[0]
    )  # no two runs or hosts have the same


def test_a_reader_that_does_not_read_loses_what_is_too_much_and_it_is_on_record(hosts) -> None:
    a, b = hosts
    server, client = b.socket("datagram"), a.socket("datagram")
    server.bind(500)
    for _ in range(70):
        client.write(b"x", to=b.at(500))
    a.net.run(1)
    assert sum("wait for the reader" in getattr(event, "why", "") for event in b.log) == 6


def test_a_network_that_nobody_knows_is_an_error_not_a_hang(hosts) -> None:
    a, _ = hosts
    with pytest.raises(OSError, match="no route to network 999") as caught:
        a.socket("seqpacket").connect((0x999, 5, 3000))
    assert caught.value.errno == errno.ENETUNREACH


def test_a_host_talks_to_itself(hosts) -> None:
    a, _ = hosts
    server, client = a.socket("seqpacket"), a.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client.connect(a.at(3000))
    conn = server.accept()
    client.write(b"me")
    assert conn.read() == b"me"
    client.close()
    conn.close()
    assert a.net.capture.count() == 0


def test_a_closed_lab_ends_its_sockets(lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    server, client = b.socket("seqpacket"), a.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client.connect(b.at(3000))
    conn = server.accept()
    lab.close()
    with pytest.raises(Stalled, match="was closed"):
        client.read()
    for each in (client, conn, server):
        each.close()
