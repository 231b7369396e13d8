"""Conversations between two hosts, both ends in one thread, written once for every network that has hosts."""

from __future__ import annotations

import pytest

from packetlab import IDP, PEX, SPP, Control, Echo

SOCKET = 3000


def connected(a, b, kind="seqpacket", **how):
    """Return a connected pair of sockets."""
    server = b.socket(kind, family="xns")
    server.bind(SOCKET)
    server.listen(**how)
    client = a.socket(kind, family="xns")
    client.connect(b.at(SOCKET))
    return client, server.accept()


def packets_keep_their_boundaries_and_headers(a, b):
    server = b.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client = a.socket("seqpacket")
    client.default_header = SPP(datastream=7)
    client.connect(b.at(3000))
    conn = server.accept()
    client.write(b"plain")
    client.write(b"the end", header=SPP(datastream=9, control=Control.END_OF_MESSAGE))
    assert conn.read() == b"plain"
    assert conn.last_header.datastream == 7
    last = conn.read_packet()
    assert last[SPP].datastream == 9 and last[SPP].control & Control.END_OF_MESSAGE and last.payload == b"the end"
    conn.headers_on_input = True
    client.write(b"more")
    raw = conn.read()
    assert raw[12:] == b"more" and raw[1] == 7 and raw[6:8] == b"\0\2"
    client.close()
    assert conn.read() == b"" and conn.ended
    conn.close()
    server.close()


def messages_of_every_size_arrive_in_order_both_ways(a, b):
    client, conn = connected(a, b)
    there = [bytes([size & 255]) * size for size in (0, 1, 2, 533, 534, *range(3, 40))]
    back = [message[::-1] + b"!" for message in there if len(message) < 534]
    for message in there[:20]:
        client.write(message)
    for message in back[:20]:
        conn.write(message)
    assert [conn.read() for _ in there[:20]] == there[:20]
    assert [client.read() for _ in back[:20]] == back[:20]
    for message in there[20:]:
        client.write(message)
        assert conn.read() == message
    client.close()
    assert conn.read() == b""
    conn.close()


def streams_join_what_was_written(a, b):
    client, conn = connected(a, b, "stream")
    data = bytes(range(256)) * 20
    client.write(data[:1])
    client.write(data[1:])
    got = b""
    while len(got) < len(data):
        got += conn.read(1000)
    assert got == data
    conn.write("answer")
    assert client.read(3) + client.read() == b"answer"
    client.close()
    assert conn.read() == b""
    conn.close()


def attention_comes_ahead_and_in_line(a, b):
    client, conn = connected(a, b)
    client.write(b"one")
    client.write(b"two")
    client.attention(b"!")
    assert conn.read_attention() == ord("!")
    assert [conn.read(), conn.read()] == [b"one", b"two"]
    packet = conn.read_packet()
    assert packet.payload == b"!" and packet[SPP].control & Control.ATTENTION
    client.close()
    conn.close()


def a_listener_takes_many(a, b, **how):
    server = b.socket("seqpacket")
    server.bind(SOCKET)
    server.listen(8, **how)
    clients = []
    for number in range(5):
        client = a.socket("seqpacket")
        client.connect(b.at(SOCKET))
        client.write(bytes([number]))
        clients.append(client)
    conns = [server.accept() for _ in clients]
    assert sorted(conn.read() for conn in conns) == [bytes([n]) for n in range(5)]
    places = {conn.address.socket for conn in conns}
    assert places == {SOCKET} if not how else len(places) == 5 and SOCKET not in places
    assert {client.peer.socket for client in clients} == places
    for each in (*clients, *conns, server):
        each.close()


def a_listener_gives_each_connection_a_socket_of_its_own(a, b):
    a_listener_takes_many(a, b, own_sockets=True)


def two_ends_meet(a, b):
    """Rendezvous: both connect, nobody listens."""
    one, other = a.socket("seqpacket"), b.socket("seqpacket")
    one.bind(4001)
    other.bind(4002)
    # The first request may find nobody there yet; so one side asks without waiting, and goes on asking.
    other.connect(a.at(4001), wait=False)
    one.connect(b.at(4002))
    other.connect(a.at(4001))
    one.write(b"met")
    assert other.read() == b"met"
    one.close()
    other.close()


def nobody_listens(a, b):
    client = a.socket("seqpacket")
    with pytest.raises(ConnectionRefusedError, match="nobody listens"):
        client.connect(b.at(SOCKET + 1))


def either_side_may_close(a, b):
    client, conn = connected(a, b)
    client.write(b"unread, but delivered")
    conn.close()
    assert client.read() == b"" and client.ended
    with pytest.raises(BrokenPipeError, match="the peer has ended"):
        client.write(b"too late")
    client.close()


def datagrams_and_their_headers(a, b):
    server, client = b.socket("datagram"), a.socket("datagram")
    server.bind(SOCKET)
    client.default_header = IDP(packet_type=9)
    client.write(b"odd", to=b.at(SOCKET))
    data, source = server.read_from()
    assert data == b"odd" and server.last_header.packet_type == 9 and source == client.address
    server.write(b"back", to=source, header=IDP(packet_type=10))
    client.headers_on_input = True
    raw = client.read()
    assert raw[30:] == b"back" and raw[5] == 10
    client.write(Echo(operation=1) / b"again", to=b.at(2), header=IDP(packet_type=2))
    reply = client.read_packet()
    assert reply[Echo].operation == 2 and reply.payload == b"again"
    client.connect(b.at(SOCKET + 7))
    client.write(b"to nobody")
    with pytest.raises(ConnectionRefusedError):
        client.read()
    client.close()
    server.close()


def raw_sockets_see_everything(a, b):
    raw, probe = b.socket("raw"), a.socket("raw")
    there, here = b.at(2).xns(a), a.at(SOCKET).xns(b)
    probe.write(IDP(dst=there, src=here, checksum=0xFFFF) / Echo(operation=1) / b"x")
    seen = raw.read_packet(where=Echo)
    assert seen[Echo].operation == 1 and seen[IDP].checksum == 0xFFFF
    back = probe.read_packet(where=Echo)
    assert back[Echo].operation == 2 and back[IDP].checksum == 0xFFFF  # whoever sends none gets none
    raw.close()
    probe.close()


def requests_are_answered(a, b):
    b.answer(4000, lambda data: data.upper())
    raw = b.socket("raw")
    assert a.exchange(b.at(4000), b"hello", client_type=2) == b"HELLO"
    assert raw.read_packet(where=PEX)[PEX].client_type == 2
    raw.close()
    with pytest.raises(ConnectionRefusedError):
        a.exchange(b.at(4001), b"nobody")


def websockets_over_packets(a, b):
    server = b.socket("websocket", family="xns")
    server.bind(80)
    server.listen()
    client = a.socket("websocket", family="xns", subprotocols=["chat"])
    client.connect(b.at(80), path="/here")
    conn = server.accept()
    assert conn.opened.request.path == "/here"
    client.write("text")
    conn.write(b"binary" * 200, fragment=100)
    assert conn.read() == "text" and client.read() == b"binary" * 200
    assert client.ping(b"?") >= 0
    client.close(1001, "going")
    assert conn.read() is None and (conn.close_code, conn.close_reason) == (1001, "going")
    conn.close()
    server.close()


def headers_go_with_data_in_every_way(a, b):
    client, conn = connected(a, b)
    client.default_header = SPP(datastream=7)
    client.write(SPP(datastream=0) / b"with the data")
    client.write(b"beside", header=IDP(hops=3, checksum=0xFFFF) / SPP(datastream=9))
    with client.header(IDP(hops=2)):
        client.write(b"group")
    client.write(b"odd", header=SPP(seq=900, control=Control.SEND_ACK), force=True)  # none of the row: nobody takes it
    client.write_message(bytes(1000))
    got = [conn.read_packet() for _ in range(3)]
    assert [(p[SPP].datastream, p.payload) for p in got] == [(0, b"with the data"), (9, b"beside"), (7, b"group")]
    assert (got[1][IDP].checksum, got[0][IDP].checksum == 0xFFFF) == (0xFFFF, False)
    crossed = got[0][IDP].hops  # routers in between
    assert [p[IDP].hops - crossed for p in got] == [0, 3, 2]
    assert conn.read_message() == bytes(1000) and conn.last_header.datastream == 7
    client.close()
    conn.close()


def everybody_is_asked(a, b):
    b.answer(SOCKET, lambda data: data + b" here")
    everybody = b.at(SOCKET).xns(a)._replace(host=0xFFFFFFFFFFFF)
    assert a.exchange(everybody, b"who?", client_type=1) == b"who? here"


CONVERSATIONS = [
    packets_keep_their_boundaries_and_headers,
    messages_of_every_size_arrive_in_order_both_ways,
    streams_join_what_was_written,
    attention_comes_ahead_and_in_line,
    a_listener_takes_many,
    a_listener_gives_each_connection_a_socket_of_its_own,
    two_ends_meet,
    nobody_listens,
    either_side_may_close,
    datagrams_and_their_headers,
    raw_sockets_see_everything,
    requests_are_answered,
    headers_go_with_data_in_every_way,
    everybody_is_asked,
    websockets_over_packets,
]
