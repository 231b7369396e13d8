"""Golden captures: recorded once, compared and replayed from then on."""

from __future__ import annotations

import errno
import socket
import sys
import threading
from pathlib import Path

import pytest

from packetlab import (
    IDP,
    SPP,
    TCP,
    U16,
    UDP,
    Capture,
    Ether,
    Frame,
    Header,
    IPv4,
    LocalHost,
    Mismatch,
    PacketlabError,
    Rest,
    SimNetwork,
    TCPFlags,
    TCPOption,
    field,
)
from packetlab.declare.registry import bind
from packetlab.testing import Golden, Replay, Volatile
from packetlab.testing.conversation import conversations


class Question(Header, under=UDP, when={"dport": 5354}):
    """A protocol with an id, as DNS has."""

    id: U16 = 0
    kind: U16 = 0
    text: Rest = b""


bind(Question, under=UDP, when=field("sport") == 5354)


def request(id=7, ip_id=1, ttl=64, port=40000, text=b"who?", time=0) -> list[Frame]:
    """An exchange of question and answer, with what differs from run to run."""
    there = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2", id=ip_id, ttl=ttl) / UDP(sport=port, dport=5354)
    back = Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1", id=ip_id + 5) / UDP(sport=5354, dport=port)
    answer = Question(id=id, kind=1, text=b"me")
    return [
        Frame(bytes(there / Question(id=id, text=text)), time),
        Frame(bytes(back / bytes(answer)), time + 1000),
    ]


VOLATILE = {"ip.id", "question.id", "ports", "time"}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "captures" / "x.pcapng"


# Modes ---------------------------------------------------------------------------------------------------------------


def test_none_fails_without_a_file_and_says_how_to_record(path) -> None:
    with pytest.raises(Mismatch, match=r"no golden capture .*x.pcapng: --packetlab-record=once records it"):
        Golden(path).check(request())
    assert not path.parent.exists()


def test_once_records_what_is_missing_and_then_compares(path) -> None:
    golden = Golden(path, "once")
    golden.check(request())
    assert golden.recorded == path and Capture(path).count() == 2
    again = Golden(path, "once")
    again.check(request())
    assert again.recorded is None
    with pytest.raises(Mismatch):
        again.check(request(ttl=3))


def test_new_appends_and_changes_nothing_that_was_there(path) -> None:
    Golden(path, "once").check(request()[:1])
    with pytest.raises(Mismatch, match="packet 2 is one more than recorded"):
        Golden(path, "once").check(request())
    Golden(path, "new").check(request())
    assert Capture(path).count() == 2
    with pytest.raises(Mismatch, match="packet 1 differs"):
        Golden(path, "new").check(request(ttl=3))
    with pytest.raises(Mismatch, match="packet 2 did not come"):
        Golden(path, "new").check(request()[:1])


def test_all_records_anew_but_leaves_alone_what_is_the_same(path) -> None:
    Golden(path, "all").check(request())
    before = path.stat().st_mtime_ns, path.read_bytes()
    golden = Golden(path, "all")
    golden.check(request())
    assert golden.recorded is None and (path.stat().st_mtime_ns, path.read_bytes()) == before
    golden.check(request(ttl=3))
    assert golden.recorded == path and path.read_bytes() != before[1]
    assert [each.name for each in path.parent.iterdir()] == ["x.pcapng"]  # nothing half-written


def test_a_mode_that_is_none_of_these_is_refused(path) -> None:
    with pytest.raises(PacketlabError, match="none, once, new, all"):
        Golden(path, "sometimes")


def test_a_golden_that_is_damaged_is_reported(path) -> None:
    Golden(path, "once").check(request())
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(Mismatch, match="the golden capture cannot be read: "):
        Golden(path).check(request())


# What differs from run to run ----------------------------------------------------------------------------------------


def test_what_is_declared_volatile_may_differ_and_makes_the_same_file(path) -> None:
    Golden(path, "once").check(request(), volatile=VOLATILE)
    first = path.read_bytes()
    other = request(id=99, ip_id=4000, port=51515, time=10**18)
    Golden(path).check(other, volatile=VOLATILE)
    Golden(path, "all").check(other, volatile=VOLATILE)
    assert path.read_bytes() == first
    for packet in Capture(path).packets():
        assert not packet.faults and packet.verdict(UDP).name == packet.verdict(IPv4).name == "GOOD"


@pytest.mark.parametrize("left", sorted(VOLATILE))
def test_each_of_them_counts_where_it_is_not_declared(path, left) -> None:
    Golden(path, "once").check(request(), volatile=VOLATILE - {left})
    with pytest.raises(Mismatch):
        Golden(path).check(
            [
                frame.replace(time_ns=(frame.time_ns or 0) * 2)
                for frame in request(id=99, ip_id=4000, port=51515, time=10**9)
            ],
            volatile=VOLATILE - {left},
        )


def test_equal_values_stay_equal(path) -> None:
    """An answer with another id than its question differs, volatile or not."""
    Golden(path, "once").check(request(), volatile=VOLATILE)
    with pytest.raises(Mismatch, match=r"Question\.id: recorded 1, now 2"):
        Golden(path).check([request(id=5)[0], request(id=6)[1]], volatile=VOLATILE)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ip.ident", "expected a field of IPv4, got 'ident'"),
        ("ipp.id", "expected a field of a declared header"),
        ("tcp.sequence", "expected a field of TCP, got 'sequence'"),
        ("question.idd", "did you mean 'id'?"),
        ("time.stamp", "expected a field of a declared header, or time, ports, tcp.seq, got 'time.stamp'"),
    ],
)
def test_an_unknown_name_is_refused_since_it_would_silence_nothing(path, name, message) -> None:
    import re

    with pytest.raises(PacketlabError, match=re.escape(message)):
        Golden(path, "once").check(request(), volatile={name})
    assert not path.exists()


def test_a_text_is_no_set_of_names() -> None:
    with pytest.raises(PacketlabError, match="a set of names"):
        Volatile("ip.id")


def connection(isn: int, other: int, stamp: bytes = b"\0\1\0\2\0\3\0\4") -> list[Frame]:
    stamps = (TCPOption(kind=8, data=stamp),)
    a = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    b = Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1")
    said = [
        a / TCP(sport=4000, dport=80, seq=isn, flags="SYN", options=stamps),
        b / TCP(sport=80, dport=4000, seq=other, ack=isn + 1 & 0xFFFFFFFF, flags="SYN|ACK", options=stamps),
        a / TCP(sport=4000, dport=80, seq=isn + 1 & 0xFFFFFFFF, ack=other + 1 & 0xFFFFFFFF, flags="ACK|PSH") / b"GET /",
        b / TCP(sport=80, dport=4000, seq=other + 1 & 0xFFFFFFFF, ack=isn + 6 & 0xFFFFFFFF, flags="ACK") / b"no",
    ]
    return [Frame(bytes(packet), n) for n, packet in enumerate(said)]


def test_numbers_of_tcp_are_relative(path) -> None:
    Golden(path, "once").check(connection(7, 9), volatile={"tcp.seq", "tcp.options"})
    golden = Golden(path)
    golden.check(connection(0xFFFFFFFE, 4711, b"\x99" * 8), volatile={"tcp.seq", "tcp.options"})
    recorded = [packet[TCP] for packet in golden.capture.packets()]
    assert [(tcp.seq, tcp.ack) for tcp in recorded] == [(0, 0), (0, 1), (1, 1), (1, 6)]
    frames = connection(50, 60)
    skipped = frames[3].packet().replace(TCP, seq=62)
    with pytest.raises(Mismatch, match=r"TCP\.seq: recorded 1, now 2"):
        golden.check([*frames[:3], Frame(bytes(skipped), 3)], volatile={"tcp.seq", "tcp.options"})


# Messages ------------------------------------------------------------------------------------------------------------


def test_the_first_packet_that_differs_is_reported_by_its_fields_with_both_ladders(path) -> None:
    Golden(path, "once").check(request(), volatile=VOLATILE)
    with pytest.raises(Mismatch) as caught:
        Golden(path).check(request(ttl=3, text=b"what"), volatile=VOLATILE)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("x.pcapng (2 packets, now 2)")
    assert lines[2:6] == [
        "packet 1 differs:",
        "  IPv4.ttl: recorded 64, now 3",
        "  Question.text: recorded b'who?', now b'what'",
        lines[5],
    ]
    assert lines[5].endswith(("(follows from IPv4.ttl)", "(follows from Question.text)"))
    assert sum(line.endswith("<- here") for line in lines) == 2
    assert "Where the change is meant: --packetlab-record=all records it anew." in lines


def test_one_packet_more_or_less_is_reported_as_that(path) -> None:
    one, two = request()
    Golden(path, "once").check([one, two, one], volatile=VOLATILE)
    with pytest.raises(Mismatch, match="one more packet came here: the next is the one recorded"):
        Golden(path).check([one, request(ip_id=99, text=b"hm")[0], two, one], volatile=VOLATILE)
    with pytest.raises(Mismatch, match=r"\(packet 2 of the recording did not come: received was its packet 3\)"):
        Golden(path).check([one, one], volatile=VOLATILE)


# Replaying -----------------------------------------------------------------------------------------------------------


def conversation_of(talk, port=3000, **shape) -> tuple[SimNetwork, Capture]:
    net = SimNetwork(3)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.01, **shape)
    talk(a, b)
    return net, net.capture


def seqpackets(a, b) -> None:
    server = b.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client = a.socket("seqpacket")
    client.connect(b.at(3000))
    conn = server.accept()
    for question, answer in ((b"one", b"1"), (b"two", b"2"), (b"", b"nothing")):
        client.write(question)
        assert conn.read() == question
        conn.write(answer, header=SPP(datastream=5))
        assert client.read() == answer
    client.close()
    conn.close()


@pytest.mark.parametrize("shape", [{}, {"loss": 0.2, "duplicate": 0.2, "reorder": 0.2}], ids=["good", "bad"])
def test_a_client_of_sequenced_packets_talks_to_the_replayed_server(shape) -> None:
    """What repeats and reordering did to the recorded packets is no matter: the conversation is replayed."""
    _, capture = conversation_of(seqpackets, **shape)
    net = SimNetwork(99)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.5)
    with Replay(capture, "seqpacket", 3000).on(b):
        client = a.socket("seqpacket")
        client.connect(b.at(3000))
        for question, answer in ((b"one", b"1"), (b"two", b"2"), (b"", b"nothing")):
            client.write(question)
            assert client.read() == answer and client.last_header.datastream == 5
        client.close()


def test_a_server_of_sequenced_packets_talks_to_the_replayed_client() -> None:
    _, capture = conversation_of(seqpackets)
    net = SimNetwork(99)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.5)
    server = b.socket("seqpacket")
    server.bind(3000)
    server.listen()
    with Replay(capture, "seqpacket", 3000, side="client").on(a, to=b):
        conn = server.accept()
        for question, answer in ((b"one", b"1"), (b"two", b"2"), (b"", b"nothing")):
            assert conn.read() == question
            conn.write(answer)
        assert conn.read() == b"" and conn.ended
        conn.close()


def test_a_client_that_says_something_else_is_reported_and_sees_its_connection_end() -> None:
    _, capture = conversation_of(seqpackets)
    net = SimNetwork(99)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.5)
    with pytest.raises(Mismatch) as caught, Replay(capture, "seqpacket", 3000).on(b):
        client = a.socket("seqpacket")
        client.connect(b.at(3000))
        client.write(b"oye")
        client.timeout = 100
        client.read()
    assert (
        "turn 1 of 8: the client said something else than was recorded, from byte 1 on (3 bytes recorded, 3 now)"
        in str(caught.value)
    )


def test_what_did_not_come_is_reported() -> None:
    _, capture = conversation_of(seqpackets)
    net = SimNetwork(99)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.5)
    with pytest.raises(Mismatch, match="conversation 1 of 1: the conversation stopped at turn 3 of 8"):
        with Replay(capture, "seqpacket", 3000).on(b):
            client = a.socket("seqpacket")
            client.connect(b.at(3000))
            client.write(b"one")
            assert client.read() == b"1"


def streams(a, b) -> None:
    server = b.socket("stream", family="xns")
    server.bind(3000)
    server.listen()
    client = a.socket("stream", family="xns")
    client.connect(b.at(3000))
    conn = server.accept()
    client.write(b"x" * 2000)
    got = b""
    while len(got) < 2000:
        got += conn.read()
    conn.write(b"y" * 1500)
    got = b""
    while len(got) < 1500:
        got += client.read()
    client.close()
    conn.close()


def test_streams_of_spp_are_replayed_whatever_their_pieces() -> None:
    _, capture = conversation_of(streams)
    net = SimNetwork(99)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.5)
    with Replay(capture, "stream", 3000).on(b):
        client = a.socket("stream", family="xns")
        client.connect(b.at(3000))
        for _ in range(20):
            client.write(b"x" * 100)
        got = b""
        while len(got) < 1500:
            got += client.read()
        assert got == b"y" * 1500
        client.close()


def datagrams(a, b) -> None:
    server, client = b.socket("datagram", family="xns"), a.socket("datagram", family="xns")
    server.bind(3000)
    client.write(b"who?", to=b.at(3000), header=IDP(packet_type=9))
    _, source = server.read_from()
    server.write(b"me", to=source, header=IDP(packet_type=10))
    assert client.read() == b"me"


@pytest.mark.parametrize("side", ["server", "client"])
def test_datagrams_of_idp_are_replayed(side) -> None:
    _, capture = conversation_of(datagrams)
    net = SimNetwork(99)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.5)
    if side == "server":
        with Replay(capture, "datagram", 3000).on(b):
            client = a.socket("datagram")
            client.write(b"who?", to=b.at(3000))
            assert client.read() == b"me" and client.last_header.packet_type == 10
    else:
        server = b.socket("datagram")
        server.bind(3000)
        with Replay(capture, "datagram", 3000, side="client").on(a, to=b):
            data, source = server.read_from()
            assert data == b"who?"
            server.write(b"me", to=source)


def test_a_replayed_server_of_datagrams_shares_its_port_with_nobody() -> None:
    with Replay(request(), "datagram", 5354).on(LocalHost(), port=0) as peer:
        with pytest.raises(OSError) as caught, Replay(request(), "datagram", 5354).on(LocalHost(), port=peer.port):
            pass
        assert caught.value.errno == errno.EADDRINUSE
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(bytes(Question(id=7, text=b"who?")), ("127.0.0.1", peer.port))
            client.settimeout(30)
            assert client.recv(100) == bytes(Question(id=7, kind=1, text=b"me"))


def test_a_datagram_with_a_volatile_id_gets_it_back_in_the_answer() -> None:
    with Replay(request(id=7), "datagram", 5354, volatile={"question.id"}).on(LocalHost(), port=0) as peer:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(30)
            client.sendto(bytes(Question(id=4242, text=b"who?")), ("127.0.0.1", peer.port))
            assert client.recv(100) == bytes(Question(id=4242, kind=1, text=b"me"))


def test_a_datagram_that_differs_is_reported_by_field() -> None:
    with pytest.raises(Mismatch, match=r"Question\.text: recorded b'who\?', now b'what'") as caught:
        with Replay(request(), "datagram", 5354, volatile={"question.id"}).on(LocalHost(), port=0) as peer:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(bytes(Question(id=4242, text=b"what")), ("127.0.0.1", peer.port))
                # The `with` waits for what is still to come.
    assert "Question.id" not in str(caught.value)


def test_a_tcp_client_and_a_tcp_server_talk_to_their_replayed_peers() -> None:
    frames = connection(1, 2)
    with Replay(frames, "stream", 80).on(LocalHost(), port=0) as peer:
        with socket.create_connection(("127.0.0.1", peer.port), 30) as client:
            client.sendall(b"GE")
            client.sendall(b"T /")
            assert client.recv(10) == b"no"
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with Replay(frames, "stream", 80, side="client").on(LocalHost(), to="127.0.0.1", port=port):
        conn, _ = listener.accept()
        conn.settimeout(30)
        assert conn.recv(10) == b"GET /"
        conn.sendall(b"no")
        conn.close()
    listener.close()


def test_a_tcp_client_that_says_something_else_sees_its_connection_close() -> None:
    with pytest.raises(Mismatch, match=r"from byte 4 on \(5 bytes recorded, 5 now\)"):
        with Replay(connection(1, 2), "stream", 80).on(LocalHost(), port=0) as peer:
            with socket.create_connection(("127.0.0.1", peer.port), 30) as client:
                client.sendall(b"GET !")
                assert client.recv(10) == b""
    with pytest.raises(Mismatch, match="one more client came than the 1 recorded"):
        with Replay(connection(1, 2), "stream", 80).on(LocalHost(), port=0) as peer:
            for _ in range(2):
                with socket.create_connection(("127.0.0.1", peer.port), 30) as client:
                    client.sendall(b"GET /")
                    assert client.recv(10) in (b"no", b"")
    with pytest.raises(Mismatch, match="the client ended where the recorded client said 5 bytes, of which it said 2"):
        with Replay(connection(1, 2), "stream", 80).on(LocalHost(), port=0) as peer:
            with socket.create_connection(("127.0.0.1", peer.port), 30) as client:
                client.sendall(b"GE")
                client.shutdown(socket.SHUT_WR)
                client.recv(10)


def test_streams_are_put_in_order_and_repeats_left_out() -> None:
    frames = connection(0xFFFFFFFE, 9)
    (one,) = conversations(frames, "stream", 80)
    assert [(turn.by_server, turn.data) for turn in one.turns] == [(False, b"GET /"), (True, b"no")]
    (other,) = conversations([*frames[:3], frames[2], frames[3], frames[2]], "stream", 80)
    assert other == one
    head = frames[2].packet()
    parts = [head.replace(payload=b"GET"), head.replace(TCP, seq=2).replace(payload=b" /")]
    (split,) = conversations([*frames[:2], *(Frame(bytes(p)) for p in parts[::-1]), frames[3]], "stream", 80)
    assert [turn.data for turn in split.turns] == [b"GET /", b"no"]
    with pytest.raises(PacketlabError, match="every byte, got Hole"):
        conversations([*frames[:2], Frame(bytes(parts[1])), frames[3]], "stream", 80)
    with pytest.raises(PacketlabError, match="expected one in the capture, got none"):
        conversations(frames, "stream", 81)
    end = head.replace(TCP, seq=4, flags=TCPFlags.FIN | TCPFlags.ACK).replace(payload=b"")
    (ended,) = conversations([*frames, Frame(bytes(end)), Frame(bytes(end))], "stream", 80)
    assert [turn.ends for turn in ended.turns] == [False, False, True]


SERVER = """
import socket, sys
listener = socket.create_server(("0.0.0.0", 8000))
print("ready", flush=True)
while True:
    conn, _ = listener.accept()
    data = conn.recv(100)
    conn.sendall(b"you said " + data)
    conn.close()
"""
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], 8000), 30) as conn:
    conn.sendall(sys.argv[2].encode())
    conn.shutdown(socket.SHUT_WR)
    answer = b""
    while data := conn.recv(100):
        answer += data
print(answer.decode())
"""


@pytest.mark.slow
def test_a_real_program_is_recorded_once_and_then_talks_to_the_replay(lab, path) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)

    def start(host):
        program = host.popen(sys.executable, "-c", SERVER)
        assert program.stdout.readline() == b"ready\n"
        return program

    def talk(mode, word, live=start):
        with Golden(path, mode).peer(b, "stream", 8000, live=live, volatile={"ports", "tcp.window"}):
            return a.run(sys.executable, "-c", CLIENT, str(b.address), word).stdout

    assert talk("once", "hello") == "you said hello\n"
    recorded = path.read_bytes()
    assert talk("none", "hello", live=None) == "you said hello\n"
    assert talk("once", "hello", live=None) == "you said hello\n"
    with pytest.raises(Mismatch, match="the client said something else than was recorded"):
        talk("none", "hullo", live=None)
    assert path.read_bytes() == recorded


def test_a_host_of_a_simulated_network_is_recorded_and_replayed_too(path) -> None:
    def ask(mode: str, live) -> bytes:
        net = SimNetwork(1)
        a, b = net.host("a"), net.host("b")
        net.link(a, b, delay=0.01)
        with Golden(path, mode).peer(b, "datagram", 3000, live=live):
            client = a.socket("datagram")
            client.write(b"who?", to=b.at(3000))
            return client.read()

    def live(host):
        server = host.socket("datagram")
        server.bind(3000)

        def answer() -> None:
            if (packet := server._endpoint.read()) is not None:
                server.write(packet.payload.upper(), to=packet[IDP].src)

        host.loop.followers.append(answer)

    assert ask("once", live) == b"WHO?" == ask("none", None)


def test_a_server_under_test_may_be_anything_that_listens(tmp_path) -> None:
    """Here a thread; in a lab a program in any language."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        conn, _ = listener.accept()
        with conn:
            conn.recv(100)
            conn.sendall(b"yes")

    thread = threading.Thread(target=serve)
    thread.start()
    to = listener.getsockname()
    with pytest.raises(Mismatch, match=r"the server said something else than was recorded, from byte 0 on"):
        with Replay(connection(1, 2), "stream", 80, side="client").on(LocalHost(), to=to):
            thread.join(5)
    listener.close()


def test_misuse_of_a_replay_is_reported() -> None:
    with pytest.raises(PacketlabError, match="server or client"):
        Replay(request(), "datagram", 5354, side="both")
    with pytest.raises(PacketlabError, match="stream, datagram, seqpacket"):
        Replay(request(), "dgram", 5354)
    with pytest.raises(PacketlabError, match="to=, the server under test"):
        with Replay(request(), "datagram", 5354, side="client").on(LocalHost()):
            pass
    with pytest.raises(PacketlabError, match="a host with a kernel"):
        with Replay(request(), "datagram", 5354).on(SimNetwork().host("a")):
            pass


# In a test -----------------------------------------------------------------------------------------------------------

EXCHANGE = """
def test_game(pair, golden):
    a, b = pair
    throw(a, b, 1)
    throw(b, a, NUMBER)
    golden.check(a.net.capture)
"""


@pytest.mark.slow
def test_the_fixture_records_replays_and_reports(run, pytester) -> None:
    result = run(EXCHANGE.replace("NUMBER", "2"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*no golden capture captures/test_it/test_game.pcapng: --packetlab-record=once records it"]
    )
    result = run(EXCHANGE.replace("NUMBER", "2"), "--packetlab-record=once")
    result.assert_outcomes(passed=1)
    assert Capture(pytester.path / "captures/test_it/test_game.pcapng").count() == 2
    run(EXCHANGE.replace("NUMBER", "2")).assert_outcomes(passed=1)
    result = run(EXCHANGE.replace("NUMBER", "3"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Ball.number: recorded 2, now 3"])
    run(EXCHANGE.replace("NUMBER", "3"), "-o", "packetlab_record=all").assert_outcomes(passed=1)
    run(EXCHANGE.replace("NUMBER", "3")).assert_outcomes(passed=1)


def test_recording_is_refused_in_ci(run) -> None:
    result = run(EXCHANGE, "--packetlab-record=once", environment={"CI": "true"})
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*packetlab record mode 'once': refused where CI is set*"])
    run("def test(): pass", "--packetlab-record=none", environment={"CI": "true"}).assert_outcomes(passed=1)


@pytest.mark.slow
def test_goldens_that_no_test_has_are_reported(run, pytester) -> None:
    folder = pytester.path / "captures" / "test_it"
    test = EXCHANGE.replace("NUMBER", "2") + "\n\n@pytest.mark.skip\ndef test_skipped(golden):\n    pass\n"
    run(test, "--packetlab-record=once").assert_outcomes(passed=1, skipped=1)
    golden = (folder / "test_game.pcapng").read_bytes()
    for name in ("test_gone", "test_game.second", "test_skipped"):
        (folder / f"{name}.pcapng").write_bytes(golden)
    for words in ([], ["-k", "skipped"], ["-n1"]):
        result = run(test, *words)
        result.stdout.fnmatch_lines(["golden captures that no test uses (1):", "  captures/test_it/test_gone.pcapng"])
    run(test, "test_it.py::test_game").stdout.no_fnmatch_line("golden captures that no test uses*")
