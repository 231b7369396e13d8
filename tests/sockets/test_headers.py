"""Headers with data, and headers received: by a prototype written with the data, by ``header=``, for a group, by default.

4.4BSD (idp(4), spp(4)) row by row; what the wire carries is looked at in the network's own capture, and by tshark.
"""

from __future__ import annotations

import array
import errno
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import pytest
from netaddr import EUI, IPAddress

from packetlab import (
    IDP,
    PEX,
    SPP,
    Control,
    Echo,
    Error,
    Ether,
    LocalHost,
    LocalProtocolError,
    Packet,
    RemoteProtocolError,
    SimNetwork,
    XNSAddress,
    dissect,
)

SYSTEM, SEND_ACK, ATTENTION, EOM = Control
END, END_REPLY = 254, 255
CONNECTED = ("seqpacket", "stream")


@pytest.fixture
def hosts():
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01)
    return a, b


def connected(a, b, kind="seqpacket"):
    server, client = b.socket(kind), a.socket(kind)
    server.bind(3000)
    server.listen()
    client.connect(b.at(3000))
    conn = server.accept()
    a.net.run(1)
    return client, conn


@pytest.fixture(params=CONNECTED)
def either(request, hosts):
    return connected(*hosts, request.param)


@pytest.fixture
def pair(hosts):
    return connected(*hosts)


def datagrams(a, b):
    """Return a sender with a destination, and who hears it: whatever comes, raw."""
    client, server = a.socket("datagram"), b.socket("datagram")
    server.bind(500)
    server.all_packets = True
    return client, server


class Wire:
    """What a host sends from now on."""

    def __init__(self, host) -> None:
        self.host, self.start = host, len(host.net.capture)

    def packets(self, run: float = 0.0) -> list[Packet]:
        """Return the packets of IDP that the host has sent, from IDP on, in order."""
        self.host.net.run(run)
        frames = [*self.host.net.capture][self.start :]
        ours = [frame.packet() for frame in frames if bytes(frame.data)[6:12] == self.host.mac_bytes]
        return [dissect(bytes(packet)[14:], IDP) for packet in ours]

    def data(self) -> list[Packet]:
        """Return those with data, or a datastream type of the close."""
        found = self.packets()
        return [p for p in found if SPP in p and not int(p[SPP].control) & SYSTEM]


def values(packets, header, *names):
    return [tuple(int(getattr(packet[header], name)) for name in names) for packet in packets]


# Three ways to say it: with the data, beside it, for all --------------------------------------------------------------


def with_the_data(socket, header, data):
    return socket.write(header / data)


def beside_it(socket, header, data):
    return socket.write(data, header=header)


def for_a_group(socket, header, data):
    with socket.header(header):
        return socket.write(data)


def by_default(socket, header, data):
    socket.default_header = header
    return socket.write(data)


WAYS = [with_the_data, beside_it, for_a_group, by_default]


@pytest.mark.parametrize("say", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(
    "header",
    [
        SPP(datastream=9),
        SPP(datastream=9, control=EOM),
        IDP(hops=3),
        IDP(checksum=0xFFFF),
        IDP(hops=3, checksum=0xFFFF) / SPP(datastream=9),
    ],
    ids=repr,
)
def test_a_connections_prototype_is_on_the_wire_and_the_data_are_whole(either, say, header) -> None:
    client, conn = either
    wire = Wire(client.host)
    assert say(client, header, b"data") == 4
    packet = conn.read_packet()
    assert packet.payload == b"data"
    (sent,) = wire.data()
    wanted = header if isinstance(header, Packet) else header / b""
    for prototype in wanted._headers:
        for name in prototype.given:
            got, given = getattr(sent[type(prototype)], name), getattr(prototype, name)
            if name == "control":  # a stream ends a message with each write, and the connection asks for an answer
                got &= EOM
            assert got == given
    if "checksum" not in wanted._headers[0].given:
        assert sent.verdict(IDP).name == "GOOD"


@pytest.mark.parametrize("say", WAYS, ids=lambda way: way.__name__)
def test_a_datagrams_prototype_is_on_the_wire_and_the_data_are_whole(hosts, say) -> None:
    client, server = datagrams(*hosts)
    client.connect(hosts[1].at(500))
    assert say(client, IDP(packet_type=77, hops=3, checksum=0xFFFF), b"data") == 4
    packet = server.read_packet()
    assert (packet[IDP].packet_type, packet[IDP].hops, packet[IDP].checksum) == (77, 3, 0xFFFF)
    assert packet.payload == b"data" and packet.verdict(IDP).name == "NOT_PRESENT"


@pytest.mark.parametrize("say", WAYS, ids=lambda way: way.__name__)
def test_a_datagram_carries_a_header_of_spp_by_hand(hosts, say) -> None:
    client, server = datagrams(*hosts)
    client.connect(hosts[1].at(500))
    assert say(client, IDP(hops=1) / SPP(seq=4, source_id=7), b"data") == 12 + 4
    packet = server.read_packet()
    assert (packet[IDP].hops, packet[IDP].packet_type) == (1, 5)
    assert (packet[SPP].seq, packet[SPP].source_id, packet.payload) == (4, 7, b"data")


def test_the_nearest_prototype_wins_field_by_field(pair) -> None:
    client, conn = pair
    client.default_header = IDP(hops=1) / SPP(datastream=7, control=EOM)
    client.write(b"1")
    client.write(b"2", header=SPP(datastream=5))
    client.write(IDP(hops=2) / SPP(datastream=3) / b"3", header=SPP(datastream=5, control=Control(0)))
    with client.header(SPP(datastream=6)):
        client.write(b"4")
    client.write(b"5")
    got = [conn.read_packet() for _ in range(5)]
    said = [(p[IDP].hops, p[SPP].datastream, bool(p[SPP].control & EOM)) for p in got]
    assert said == [(1, 7, True), (1, 5, True), (2, 3, False), (1, 6, True), (1, 7, True)]


def test_a_prototypes_zero_wins_over_the_default(pair) -> None:
    """As in 4.4BSD: the datastream of a prototype is taken as it stands, zero or not (spp_usrreq.c)."""
    client, conn = pair
    client.default_header = SPP(datastream=7)
    client.write(b"1", header=SPP(datastream=0))
    client.write(SPP(datastream=0) / b"2")
    client.headers_on_output = True
    client.write(bytes(SPP()) + b"3")
    got = [conn.read_packet() for _ in range(3)]
    assert [(p[SPP].datastream, p.payload) for p in got] == [(0, b"1"), (0, b"2"), (0, b"3")]


@pytest.mark.parametrize("kind", [*CONNECTED, "datagram"])
def test_groups_are_over_the_default_and_over_each_other_field_by_field(hosts, kind) -> None:
    client, _ = datagrams(*hosts) if kind == "datagram" else connected(*hosts, kind)
    if kind == "datagram":
        client.connect(hosts[1].at(500))
    wire = Wire(hosts[0])
    client.default_header = IDP(hops=4) / SPP(datastream=7, control=EOM)
    before = client.default_header
    with client.header(SPP(datastream=6)):
        client.write(b"1")
        with pytest.raises(ValueError, match="gone"), client.header(IDP(hops=0)):
            client.write(b"2", header=SPP(datastream=0))
            assert client.default_header == IDP(hops=0) / SPP(datastream=6, control=EOM)
            raise ValueError("gone")
        client.write(b"3", header=IDP(hops=5))
    client.write(b"4")
    said = [(p[IDP].hops, p[SPP].datastream, bool(p[SPP].control & EOM)) for p in wire.packets() if p.payload]
    assert said == [(4, 6, True), (0, 0, True), (5, 6, True), (4, 7, True)]
    assert client.default_header == before


def test_a_group_within_a_forced_one_is_forced_as_well(pair) -> None:
    client, _ = pair
    wire = Wire(client.host)
    with client.header(SPP(seq=77, datastream=1), force=True), client.header(SPP(datastream=2)):
        client.write(b"1")
    assert values(wire.data(), SPP, "seq", "datastream") == [(77, 2)]


@pytest.mark.parametrize("say", [for_a_group, by_default], ids=lambda way: way.__name__)
@pytest.mark.parametrize(
    ("default", "data", "expected"),
    [
        (IDP(packet_type=9), Echo(operation=3) / b"x", (2, 0)),
        (IDP(packet_type=9, hops=2), PEX(id=1) / b"x", (4, 2)),
        (SPP(datastream=1), Echo(operation=3) / b"x", (2, 0)),
        (IDP(hops=2, packet_type=9) / SPP(datastream=1), Error(number=1) / IDP() / b"x", (3, 2)),
        (IDP(packet_type=9), SPP(datastream=3) / b"x", (5, 0)),
        (IDP(packet_type=9), IDP(packet_type=7) / Echo(operation=3) / b"x", (7, 0)),
        (SPP(datastream=1), IDP(packet_type=7) / Echo(operation=3) / b"x", (7, 0)),
        (IDP(packet_type=9), b"x", (9, 0)),
    ],
    ids=repr,
)
def test_a_header_written_as_data_says_its_type_whatever_the_default(hosts, say, default, data, expected) -> None:
    client, _ = datagrams(*hosts)
    client.connect(hosts[1].at(500))
    wire = Wire(hosts[0])
    say(client, default, data)
    (sent,) = wire.packets()
    whole = (IDP() / b"" if isinstance(data, bytes) else data)._headers
    carried = bytes(data) if type(whole[0]) is not IDP or isinstance(data, bytes) else bytes(Packet(whole[1:], b"x"))
    assert (sent[IDP].packet_type, sent[IDP].hops) == expected
    assert bytes(sent)[30 : sent[IDP].length] == carried


def test_a_type_that_is_said_beside_the_data_counts_before_that_of_their_header(hosts) -> None:
    client, _ = datagrams(*hosts)
    wire = Wire(hosts[0])
    client.default_header = IDP(hops=2)
    client.write(Echo(operation=3) / b"x", to=hosts[1].at(500), header=IDP(packet_type=7))
    assert values(wire.packets(), IDP, "packet_type", "hops") == [(7, 2)]


def test_a_repeat_of_a_packet_has_its_prototype() -> None:
    net = SimNetwork(1)
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b, delay=0.01)
    client, conn = connected(a, b)
    link.change(drop=[len(net.capture) + 1])
    wire = Wire(client.host)
    client.write(IDP(hops=3) / SPP(datastream=9) / b"lost")
    assert conn.read() == b"lost"
    sent = wire.data()
    assert len(sent) == 2 and values(sent, IDP, "hops") == [(3,)] * 2 and values(sent, SPP, "datastream") == [(9,)] * 2


def test_a_header_alone_is_an_empty_packet(pair) -> None:
    client, conn = pair
    assert client.write(SPP(datastream=2)) == 0
    packet = conn.read_packet()
    assert (packet[SPP].datastream, packet.payload) == (2, b"")


def test_other_headers_are_data(either) -> None:
    client, conn = either
    client.write(SPP(datastream=9) / PEX(id=5) / b"!")
    packet = conn.read_packet()
    assert packet.payload == bytes(PEX(id=5)) + b"!" and packet[SPP].datastream == 9
    client.write(Echo(operation=2))
    assert conn.read() == b"\0\2"


def test_a_datagrams_prototype_may_say_where_it_goes(hosts) -> None:
    client, server = datagrams(*hosts)
    client.write(IDP(dst=hosts[1].at(500).xns(hosts[0]), packet_type=9) / b"there")
    assert server.read() == b"there" and server.last_header.src == client.address
    with pytest.raises(LocalProtocolError, match=r"IDP\.dst"):
        client.write(IDP(dst=(1, 2, 3)) / b"x", to=hosts[1].at(500))


# What is not the user's ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("say", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(
    ("header", "field"),
    [
        (SPP(seq=0), r"SPP\.seq"),
        (SPP(control=SYSTEM), r"SPP\.control"),
        (IDP(src=(1, 2, 3)), r"IDP\.src"),
        (IDP(packet_type=5), r"IDP\.packet_type"),
        (IDP(checksum=1), r"IDP\.checksum"),
        (IDP(hops=1) / SPP(alloc=5), r"SPP\.alloc"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else repr(value),
)
def test_what_the_connection_decides_is_refused_and_the_way_out_named(either, say, header, field) -> None:
    client, _ = either
    wire = Wire(client.host)
    with pytest.raises(LocalProtocolError, match=rf"{field}.*force=True"):
        say(client, header, b"x")
    assert wire.packets(1) == []


def test_a_received_header_is_no_prototype_unless_forced(pair) -> None:
    client, conn = pair
    client.write(b"x")
    packet = conn.read_packet()
    with pytest.raises(LocalProtocolError, match="force=True"):
        conn.write(b"back", header=packet[SPP])
    with pytest.raises(LocalProtocolError, match="force=True"):
        conn.write(packet)


@pytest.mark.parametrize("header", [5, b"x", PEX(), IDP() / Echo(), SPP() / b"data", Packet(), SPP() / IDP()], ids=repr)
def test_what_is_no_prototype_is_refused(hosts, header) -> None:
    client, _ = connected(*hosts)
    for socket in (client, datagrams(*hosts)[0]):
        with pytest.raises(LocalProtocolError, match="a prototype"):
            socket.default_header = header
        with pytest.raises(LocalProtocolError, match="a prototype"):
            with socket.header(header):
                pass


@pytest.mark.parametrize(
    "data",
    [
        SPP(datastream=9) / IDP(hops=3) / b"x",
        SPP(datastream=9) / SPP(datastream=8) / b"x",
        IDP(hops=1) / IDP(hops=2) / b"x",
        Ether() / IDP(hops=3) / SPP(datastream=9) / b"x",
        IDP() / SPP() / IDP(),
        Echo(operation=1) / SPP() / b"x",
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", [*CONNECTED, "datagram"])
def test_prototypes_in_the_wrong_order_are_no_data(hosts, kind, data) -> None:
    client, _ = datagrams(*hosts) if kind == "datagram" else connected(*hosts, kind)
    if kind == "datagram":
        client.connect(hosts[1].at(500))
    wire = Wire(hosts[0])
    for write in (client.write, getattr(client, "write_message", client.write)):
        with pytest.raises(
            LocalProtocolError, match=r"before the data, got .*\(bytes\(packet\) sends all of it as data"
        ):
            write(data)
    assert wire.packets() == []
    client.write(bytes(data))
    (sent,) = wire.packets()
    assert bytes(sent)[30 if kind == "datagram" else 42 : sent[IDP].length] == bytes(data)


# Forced ----------------------------------------------------------------------------------------------------------


def test_any_field_of_a_live_connection_can_be_forced_onto_the_wire(pair) -> None:
    client, conn = pair
    wire = Wire(client.host)
    header = SPP(control=SYSTEM | SEND_ACK | EOM, datastream=255, source_id=1, destination_id=2, seq=3, ack=4, alloc=5)
    whole = IDP(hops=9, packet_type=5, src=(7, 8, 9), checksum=0x1234, length=50) / header
    client.write(b"forced", header=whole, force=True)
    (sent,) = wire.packets()
    for given in whole._headers:
        for name in given.given:
            assert getattr(sent[type(given)], name) == getattr(given, name), name
    assert sent.payload == b"forced"
    # The connection goes on as if nothing had been.
    client.host.net.run(60)
    client.write(b"plain")
    assert conn.read() == b"plain"
    assert client.state.name == conn.state.name == "OPEN"


def test_a_forced_packet_with_a_number_of_its_own_goes_once_and_what_the_peer_does_is_seen(pair) -> None:
    client, conn = pair
    wire, back = Wire(client.host), Wire(conn.host)
    client.write(b"beyond", header=SPP(seq=500, control=SEND_ACK), force=True)
    assert values(wire.data(), SPP, "seq", "control") == [(500, SEND_ACK)]
    assert [int(packet[SPP].control) for packet in back.packets(30)] == [SYSTEM]
    assert len(wire.packets()) == 1 and "beyond the allocation" in conn.host.log[-1].why
    client.write(b"wrong id", header=SPP(seq=0, destination_id=99), force=True)
    (error,) = [p for p in Wire.packets(back, 1) if Error in p]
    assert error[Error].number == 2 and client.state.name == "OPEN"
    client.write(b"right")
    assert conn.read() == b"right"


def test_a_forced_packet_of_the_row_is_numbered_and_its_repeat_is_right(hosts) -> None:
    client, conn = connected(*hosts)
    wire = Wire(client.host)
    client.write(SPP(datastream=3, destination_id=99) / b"wrong at first", force=True)
    packet = conn.read_packet()
    assert (packet[SPP].datastream, packet.payload) == (3, b"wrong at first")
    assert values(wire.data(), SPP, "seq", "destination_id", "datastream") == [
        (0, 99, 3),
        (0, int(packet[SPP].destination_id), 3),
    ]


def test_the_close_can_be_written_by_hand(pair) -> None:
    """As programs of 4.4BSD do it: there the kernel knows neither END nor END-REPLY."""
    client, conn = pair
    wire = Wire(client.host)
    client.write(b"last")
    client.write(b"", header=SPP(datastream=END, control=EOM), force=True)
    assert conn.read() == b"last" and conn.read() == b"" and conn.ended
    client.write(b"", header=SPP(datastream=END_REPLY), force=True)
    assert values(wire.data(), SPP, "datastream", "seq")[:2] == [(0, 0), (END, 1)]
    assert END_REPLY in [datastream for (datastream,) in values(wire.data(), SPP, "datastream")]
    conn.close()
    assert conn.state.name == "CLOSED"


def test_a_group_can_be_forced(pair) -> None:
    client, _ = pair
    wire = Wire(client.host)
    with client.header(SPP(seq=77, alloc=0), force=True):
        client.write(b"1")
        client.write(b"2")
    assert values(wire.data(), SPP, "seq", "alloc") == [(77, 0)] * 2


def test_bytes_of_a_prototype_are_whole_where_forced(pair) -> None:
    client, _ = pair
    client.headers_on_output = True
    wire = Wire(client.host)
    raw = bytes(SPP(control=Control(0), datastream=8, source_id=1, destination_id=2, seq=3, ack=0, alloc=0))
    client.write(raw + b"data", force=True)
    (sent,) = wire.data()
    assert bytes(sent)[30:] == raw + b"data"


def test_a_stream_can_be_forced_and_splits(hosts) -> None:
    client, _ = connected(*hosts, "stream")
    client.mtu = 4
    wire = Wire(client.host)
    client.write(b"0123456", header=SPP(ack=9), force=True)
    assert values(wire.data(), SPP, "seq", "ack")[:2] == [(0, 9), (1, 9)]


def test_a_datagram_can_be_forced(hosts) -> None:
    client, _ = datagrams(*hosts)
    wire = Wire(hosts[0])
    client.write(b"data", to=hosts[1].at(500), header=IDP(src=(1, 2, 3), checksum=5, length=40, hops=16), force=True)
    (sent,) = wire.packets()
    assert (sent[IDP].checksum, sent[IDP].length, sent[IDP].hops) == (5, 40, 16) and sent[IDP].src == (1, 2, 3)
    client.headers_on_output = True
    head = IDP(dst=hosts[1].at(500).xns(hosts[0]), src=(4, 5, 6), checksum=7, length=31, packet_type=0)
    client.write(bytes(head)[:30] + b"x", force=True)
    assert bytes(wire.packets()[1])[:31] == bytes(head)[:30] + b"x"


# Messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 534, 535, 1068, 20_000])
def test_a_message_is_a_run_of_packets_up_to_its_end(pair, size) -> None:
    client, conn = pair
    wire = Wire(client.host)
    message = bytes(range(256)) * 79
    client.default_header = SPP(datastream=4, control=EOM)  # which is for the last packet alone
    conn.timeout = client.timeout = 60
    for start in range(0, size or 1, 10_000):  # as much as goes without a reader
        piece = message[start : min(start + 10_000, size)]
        assert client.write_message(piece) == len(piece)
        assert conn.read_message() == piece
    sent = wire.data()
    ends = [bool(packet[SPP].control & EOM) for packet in sent]
    assert {packet[SPP].datastream for packet in sent} == {4}
    sizes = [len(packet.payload) for packet in sent]
    assert all(end or size == 534 for end, size in zip(ends, sizes, strict=True)) and ends[-1]


def test_messages_and_packets_mix_and_attention_is_no_part_of_a_message(pair) -> None:
    client, conn = pair
    client.write(b"be")
    client.attention(b"!")
    client.write(b"gun", header=SPP(control=EOM))
    client.write_message(SPP(datastream=3) / b"whole")
    assert conn.read_message() == b"begun" and conn.read_attention() == ord("!")
    assert conn.read_message() == b"whole" and conn.last_header.datastream == 3
    client.write(b"half")
    conn.timeout = 1
    with pytest.raises(TimeoutError):
        conn.read_message()
    client.write_message(b" and half")
    assert conn.read_message() == b"half and half"  # what had come was kept


def test_a_message_that_never_ends_is_an_error_not_a_hang(pair) -> None:
    client, conn = pair
    client.write(b"x" * 100)
    with pytest.raises(RemoteProtocolError, match="at most 50 bytes"):
        conn.read_message(largest=50)
    client.write(b"cut off")
    client.close()
    with pytest.raises(RemoteProtocolError, match="107 bytes, and the end of the connection"):
        conn.read_message()
    assert conn.read_message() == b"" and conn.ended


def test_the_rest_of_a_message_that_is_too_long_is_no_message(pair) -> None:
    client, conn = pair
    for size in (2000, 600, 500):
        client.write_message(bytes(size))
        client.write_message(b"next")
        with pytest.raises(RemoteProtocolError, match="at most 400 bytes"):
            conn.read_message(400)
        assert conn.read_message() == b"next"
    client.write(b"x" * 500)
    with pytest.raises(RemoteProtocolError, match="500 and more"):
        conn.read_message(400)
    conn.timeout = 1
    with pytest.raises(TimeoutError, match="read_message"):
        conn.read_message()
    client.attention(b"!")
    client.write(b"y", header=SPP(control=EOM))
    client.write_message(b"last")
    assert conn.read_message() == b"last"


@pytest.mark.parametrize("largest", [-1, "x", None, 1.5])
def test_a_largest_that_is_no_size_is_the_callers_mistake(pair, largest) -> None:
    client, conn = pair
    client.write_message(b"abc")
    with pytest.raises(LocalProtocolError, match="read_message: expected a size") as caught:
        conn.read_message(largest)
    assert isinstance(caught.value, OSError) and caught.value.errno == errno.EINVAL
    assert conn.read_message() == b"abc"


@pytest.mark.parametrize("verb", ["write", "write_message", "attention"])
def test_errors_name_the_call_that_was_made(hosts, verb) -> None:
    client, conn = connected(*hosts)
    with pytest.raises(TypeError, match=f"seqpacket socket of a: {verb}: expected bytes, text or headers"):
        getattr(client, verb)(None)
    with pytest.raises(LocalProtocolError, match=f"seqpacket socket of a: {verb}: "):
        getattr(hosts[0].socket("seqpacket"), verb)(b"x")
    conn.close()
    with pytest.raises(BrokenPipeError, match=f"seqpacket socket of a: {verb}: the peer has ended"):
        getattr(client, verb)(b"x")


def test_a_message_can_be_forced(pair) -> None:
    client, conn = pair
    wire = Wire(client.host)
    client.write_message(bytes(600), header=IDP(hops=3) / SPP(destination_id=99), force=True)
    assert conn.read_message() == bytes(600)  # by repeats, which are right
    assert values(wire.data(), SPP, "destination_id")[:2] == [(99,)] * 2
    assert values(wire.data(), IDP, "hops")[:2] == [(3,)] * 2


def test_an_attention_is_no_message(pair) -> None:
    client, _ = pair
    with pytest.raises(LocalProtocolError, match=r"see attention\(\)"):
        client.write_message(b"x", header=SPP(control=ATTENTION))


# Data, on every kind of socket -----------------------------------------------------------------------------------


NO_DATA = [
    5,
    2.5,
    None,
    [1, 2],
    (1, 2),
    {"a": 1},
    object(),
    range(3),
    Path("x"),
    XNSAddress(1, 2, 3),
    EUI(1),
    IPAddress("1.2.3.4"),
    ip_address("::1"),
    UUID(int=1),
]


def sockets(a, b):
    """Yield a socket of each kind that is ready to write."""
    yield connected(a, b)[0]
    for kind in ("datagram", "raw"):
        yield a.socket(kind)
    stream, web = b.socket("stream"), b.socket("websocket")
    stream.bind(3001)
    stream.listen()
    client = a.socket("stream")
    client.connect(b.at(3001))
    yield client
    web.bind(3002)
    web.listen()
    client = a.socket("websocket")
    client.connect(b.at(3002))
    yield client


@pytest.mark.parametrize("data", NO_DATA, ids=lambda data: type(data).__name__)
def test_what_is_no_data_is_a_type_error_on_every_kind_of_socket(hosts, data) -> None:
    for socket in sockets(*hosts):
        wire = Wire(hosts[0])
        with pytest.raises(TypeError, match=f"{socket.kind} socket of a: write: expected bytes, text or headers, got"):
            socket.write(data, **({"to": hosts[1].at(9)} if socket.kind == "datagram" else {}))
        assert wire.data() == []
        if socket.kind == "websocket":
            with pytest.raises(TypeError, match="websocket socket of a: ping: expected bytes, text or headers, got"):
                socket.ping(data)


@pytest.mark.parametrize("data", NO_DATA, ids=lambda data: type(data).__name__)
def test_so_it_is_on_the_kernels_sockets(data) -> None:
    with LocalHost() as host:
        server, client, datagram = (
            host.socket("stream", "inet"),
            host.socket("stream", "inet"),
            host.socket("datagram", "inet"),
        )
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.address)
        conn = server.accept()
        for socket, how in ((client, {}), (datagram, {"to": server.address})):
            with pytest.raises(TypeError, match="write: expected bytes, text or headers, got"):
                socket.write(data, **how)
        for socket in (server, client, conn, datagram):
            socket.close()


@pytest.mark.parametrize(
    "data",
    [b"data", "data", bytearray(b"data"), memoryview(b"data"), array.array("B", b"data")],
    ids=lambda d: type(d).__name__,
)
def test_data_are_bytes_text_and_whatever_has_a_buffer(either, data) -> None:
    client, conn = either
    assert client.write(data) == 4 and conn.read() == b"data"


# The rest of the table -------------------------------------------------------------------------------------------


def test_an_attention_may_be_said_by_a_prototype_as_the_tutorial_promises(pair) -> None:
    client, conn = pair
    client.write(SPP(control=ATTENTION) / b"!")
    assert conn.read_attention() == ord("!") and conn.read() == b"!"
    for byte in (300, -1):
        with pytest.raises(LocalProtocolError, match=r"0\.\.255"):
            client.attention(byte)
    with pytest.raises(TypeError):
        client.attention([1])


def test_headers_come_in_whole_and_in_network_order(hosts) -> None:
    client, conn = connected(*hosts)
    client.write(IDP(hops=4) / SPP(datastream=3) / b"abc")
    packet = conn.read_packet()
    assert (packet[IDP].hops, packet[IDP].dst, packet[SPP].datastream) == (4, conn.address, 3)
    assert conn.last_header == packet[SPP]
    conn.headers_on_input = True
    client.write(b"abc")
    assert conn.read() == bytes(conn.last_header) + b"abc"
    sender, server = datagrams(*hosts)
    server.headers_on_input = True
    sender.write(b"abc", to=hosts[1].at(500))
    assert server.read() == bytes(server.last_header)[:30] + b"abc"


def test_raw_packets_are_whole(hosts) -> None:
    a, b = hosts
    wire, raw = Wire(a), a.socket("raw")
    whole = IDP(dst=b.at(9).xns(a), src=(1, 2, 3), checksum=5, hops=15) / SPP(seq=4) / b"x"
    raw.write(whole)
    assert bytes(wire.packets()[0]) == bytes(whole)


def test_spp_by_hand_goes_on_where_a_datagram_socket_takes_the_hosts_place(hosts) -> None:
    """Else the host's own layers answer the peer with Error 2, which ends its connection."""
    a, b = hosts
    server = b.socket("seqpacket")
    server.bind(3000)
    server.listen()
    hand, raw = a.socket("datagram"), a.socket("raw")
    hand.bind(500)
    hand.all_packets = True
    there, here = b.at(3000).xns(a), a.at(500).xns(a)
    raw.write(IDP(dst=there, src=here) / SPP(control=SYSTEM | SEND_ACK, source_id=7, alloc=9))
    answer = hand.read_packet(where=SPP)
    raw.write(IDP(dst=there, src=here) / SPP(source_id=7, destination_id=answer[SPP].source_id, alloc=9) / b"by hand")
    conn = server.accept()
    assert conn.read() == b"by hand"
    conn.write(b"heard")
    assert hand.read_packet(where=lambda packet: packet.payload).payload == b"heard" and conn.state.name == "OPEN"


@pytest.mark.parametrize("kind", ["datagram", "raw"])
def test_an_unreachable_network_is_an_error_not_silence(hosts, kind) -> None:
    a, _ = hosts
    socket = a.socket(kind)
    packet = IDP(dst=(0x999, 5, 9), src=a.at(5).xns(a)) / b"x"
    wire = Wire(a)
    with pytest.raises(OSError, match="no route to network 999") as caught:
        socket.write(packet if kind == "raw" else b"x", **({} if kind == "raw" else {"to": (0x999, 5, 9)}))
    assert caught.value.errno == errno.ENETUNREACH
    assert {int(sent[IDP].packet_type) for sent in wire.packets()} == {1}  # nothing but requests for the way
    socket.timeout = 0
    with pytest.raises(BlockingIOError):
        socket.write(packet if kind == "raw" else b"x", **({} if kind == "raw" else {"to": (0x999, 5, 9)}))


@pytest.mark.slow
def test_tshark_reads_the_headers_as_they_were_said(pair, tmp_path, tshark) -> None:
    client, _ = pair
    start = len(client.host.net.capture)
    client.write(IDP(hops=3) / SPP(datastream=9, control=EOM) / b"one")
    client.write(b"two", header=IDP(checksum=0xFFFF))
    client.write(b"three", header=SPP(seq=77, ack=5, alloc=2, source_id=1, destination_id=2), force=True)
    path = tmp_path / "wire.pcapng"
    client.host.net.capture.write(path)
    numbers = ("spp.type", "spp.seq", "spp.ack", "spp.alloc", "spp.src", "spp.dst")
    fields = ("idp.hops", "idp.checksum", *numbers, "data.data")
    rows = {bytes.fromhex(row[-1]): row for row in tshark(path, *fields)[start:] if len(row) == len(fields)}
    assert [int(rows[b"one"][place], 0) for place in (0, 2)] == [3, 9]
    assert int(rows[b"two"][1], 0) == 0xFFFF
    assert [int(value, 0) for value in rows[b"three"][3:8]] == [77, 5, 2, 1, 2]
