"""WebSocket messages against tshark, and against what endpoints of our own wrote in any split, with and without losses."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import Capture, SimNetwork, WebSocketFrame, mask
from packetlab.capture.reassembly import WebSocketMessage, WebSockets
from packetlab.engine.websocket.connection import WebSocket
from tests.capture.reassembly.segments import Line
from tests.conftest import CORPUS, amount, oracle

KEYS = [f"{i:02x}".encode() for i in range(16)]


@pytest.mark.parametrize("name", ["two-binary-fragments.pcap", "example_websocket.pcap"])
def test_the_corpus_agrees_with_tshark(name: str) -> None:
    found: dict[int, list[WebSocketMessage]] = {}
    for message in Capture(CORPUS / name).websocket_messages():
        assert message.whole and not message.faults
        found.setdefault(message.numbers[-1], []).append(message)
    for row in oracle(name, ".websocket"):
        (message,) = found.pop(int(row["frame.number"]))
        opcodes = row["websocket.opcode"].split(",")
        assert (message.opcode, message.frames) == (int(opcodes[0]), len(opcodes))
        assert message.by == ("server" if row["websocket.mask"][0] == "0" else "client")
        end = message.connection.client if message.by == "client" else message.connection.server
        assert end.port == int(row["tcp.srcport"])
        if row["websocket.payload.text"]:
            assert message.data == row["websocket.payload.text"]
        if row["websocket.payload.close.status_code"]:
            assert message.code == int(row["websocket.payload.close.status_code"])
        assert message.compressed == (row["websocket.pmc"] == "1")
        if message.kind == "binary" and row["websocket.reassembled.length"]:
            assert len(message.data) == int(row["websocket.reassembled.length"])
    assert not found


class Talk:
    """Two endpoints of our own, and the line that their bytes go over."""

    def __init__(self, compression: bool | str = True, path: str = "/") -> None:
        self.ends = {
            "client": WebSocket(
                "client", compression=compression, path=path, randomness=lambda n: bytes(range(1, n + 1))
            ),  # type: ignore[arg-type]
            "server": WebSocket("server", compression=bool(compression)),
        }
        self.line = Line()
        self.sent = {"client": 0, "server": 0}
        self.line.open()
        self.ends["client"].start(0)
        self.go("client")
        self.go("server")

    def go(self, by: str, cut: int = 1000) -> bytes:
        """Put what an end has to send on the line, and give it to the other."""
        other = "server" if by == "client" else "client"
        raw = self.ends[by].bytes_to_send(0)
        self.put(by, raw, cut)
        self.ends[other].receive(raw, 0)
        return raw

    def put(self, by: str, raw: bytes, cut: int = 1000) -> None:
        other = "server" if by == "client" else "client"
        for at in range(0, len(raw), cut):
            some = raw[at : at + cut]
            self.line.put(self.sent[by], some, back=by == "server", ack=self.sent[other])
            self.sent[by] += len(some)

    def messages(self, **limits) -> list[WebSocketMessage]:
        return list(Capture.of(self.line.frames).websocket_messages(**limits))


sayings = st.lists(
    st.tuples(
        st.sampled_from(["client", "server"]),
        st.one_of(st.text(max_size=200), st.binary(max_size=200), st.binary(max_size=9).map(lambda b: b * 90)),
        st.sampled_from([None, 4, 50]),
        st.booleans(),
    ),
    max_size=8,
)


@pytest.mark.slow
@settings(max_examples=amount(15, 1000))
@given(sayings, st.sampled_from([True, False, "afresh"]), st.integers(1, 90), st.randoms())
def test_what_endpoints_write_in_any_split_and_order_is_what_comes(said, compression, cut, shuffle) -> None:
    talk = Talk(compression)
    expected = []
    for by, data, fragment, ping in said:
        talk.ends[by].send(data, 0, fragment)
        expected.append((by, data))
        if ping:
            talk.ends[by].ping(b"are you there")
        talk.go(by, cut)
        other = "server" if by == "client" else "client"
        talk.go(other, cut)
    talk.ends["client"].close(1000, "bye")
    talk.go("client", cut)
    talk.go("server", cut)
    head, rest = talk.line.frames[:5], talk.line.frames[5:]
    # Segments near each other change places, some come twice.
    for i in range(len(rest) - 1):
        if shuffle.random() < 0.3:
            rest[i], rest[i + 1] = rest[i + 1], rest[i]
    talk.line.frames = head + [frame for frame in rest for _ in range(1 + (shuffle.random() < 0.2))]
    found = talk.messages()
    for by in ("client", "server"):
        assert [m.data for m in found if m.by == by and m.kind in ("text", "binary")] == [
            d for b, d in expected if b == by
        ]
    assert all(m.whole and not m.faults for m in found)
    assert [(m.code, m.reason) for m in found if m.kind == "close" and m.by == "client"] == [(1000, "bye")]
    pings = [m for m in found if m.kind == "ping"]
    assert len(pings) == sum(ping for *_, ping in said) and all(m.data == b"are you there" for m in pings)


def test_each_message_says_when_it_came_in_which_frames_and_what_was_agreed_on() -> None:
    talk = Talk(path="/chat?x=1")
    talk.ends["client"].send("hello" * 100, 0, 50)
    talk.go("client", 20)
    (message,) = talk.messages()
    numbers = [frame.number for frame in talk.line.frames[5:]]
    assert message.numbers == tuple(numbers) and message.time_ns == talk.line.frames[-1].time_ns
    assert (message.frames, message.compressed, message.by, message.kind) == (10, True, "client", "text")
    connection = message.connection
    assert connection.request.path == "/chat?x=1" and connection.extensions[0].startswith("permessage-deflate")
    assert (connection.client.port, connection.server.port) == (40000, 80) and not connection.faults


def test_other_exchanges_may_go_before_on_the_same_connection() -> None:
    talk = Talk()
    talk.ends["server"].send("hello", 0)
    talk.go("server")
    before = Line()
    before.open()
    query, reported = (
        b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n" * 300,
        b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno" * 300,
    )
    for at in range(0, len(query), 900):
        before.put(at, query[at : at + 900])
    for at in range(0, len(reported), 900):
        before.put(at, reported[at : at + 900], back=True)
    for frame in talk.line.frames[3:]:
        packet = frame.packet()
        back = packet.layers[2].sport == 80  # type: ignore[attr-defined]
        offset = packet.layers[2].seq - (5001 if back else 1001)  # type: ignore[attr-defined]
        before.put(offset + len(reported if back else query), packet.payload, back=back)
    assert [m.data for m in Capture.of(before.frames).websocket_messages()] == ["hello"]


def test_streams_that_are_no_websockets_give_none() -> None:
    for name in ("web.pcap", "4KHttpRequests.pcap", "mime-header-size-limit.pcap.gz", "raw_ip.pcap"):
        assert list(Capture(CORPUS / name).websocket_messages()) == []


# What breaks a rule --------------------------------------------------------------------------------------------


def frame(data: bytes, opcode: int, by: str = "server", **more) -> bytes:
    key = b"\1\2\3\4" if by == "client" else None
    header = WebSocketFrame(opcode=opcode, **({"masking_key": key} if key else {}), **more)  # type: ignore[arg-type]
    return bytes(header / (mask(key, data) if key else data))


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (frame(b"x", 2, "client"), ["masked"]),
        (frame(b"x", 2, rsv1=1), ["rsv1"]),
        (frame(b"x", 2, rsv2=1), ["rsv2"]),
        (frame(b"x", 3), ["opcode"]),
        (frame(b"x", 0), ["opcode"]),
        (frame(b"x", 9, fin=0), ["fin"]),
        (frame(bytes(126), 10), ["length"]),
        (frame(b"\xff", 1), ["payload"]),
        (frame(b"x", 8), ["payload"]),
        (bytes.fromhex("827e000161"), ["length"]),
    ],
)  # fmt: skip
def test_frames_that_break_a_rule_are_read_with_a_fault(raw: bytes, fields: list[str]) -> None:
    talk = Talk(compression=False)
    talk.put("server", raw + frame(b"and on", 2))
    broken, after = talk.messages()
    assert [fault.field for fault in broken.faults] == fields
    assert after.data == b"and on" and [fault.field for fault in after.faults] == ["opcode"] * (broken.kind == "close")


def test_a_message_in_the_middle_of_another_leaves_that_incomplete() -> None:
    talk = Talk(compression=False)
    talk.put("server", frame(b"begun", 2, fin=0) + frame(b"other", 1))
    first, second = talk.messages()
    assert (first.data, first.whole, second.data, second.whole) == (b"begun", False, "other", True)


def test_what_cannot_be_inflated_is_a_fault_and_the_next_message_is_read() -> None:
    talk = Talk("afresh")
    deflater = zlib.compressobj(wbits=-15)
    good = (deflater.compress(b"good") + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    talk.put("server", frame(b"\xff\xff\xff", 2, rsv1=1) + frame(good, 2, rsv1=1))
    bad, after = talk.messages()
    assert [fault.field for fault in bad.faults] == ["payload"] and not bad.whole
    assert (after.data, after.faults) == (b"good", [])


def test_a_bomb_is_not_inflated_beyond_the_limit() -> None:
    talk = Talk()
    deflater = zlib.compressobj(9, wbits=-15)
    packed = deflater.compress(bytes(1 << 24)) + deflater.flush(zlib.Z_SYNC_FLUSH)
    talk.put("server", frame(packed, 2, rsv1=1))
    (message,) = talk.messages(largest=10_000)
    assert len(message.data) <= 10_000 and message.faults and not message.whole
    (message,) = talk.messages(largest=1 << 25)
    assert message.data == bytes(1 << 24) and message.whole


def test_a_frame_longer_than_the_limit_is_passed_over_and_reported() -> None:
    talk = Talk(compression=False)
    talk.put("server", frame(bytes(5000), 2) + frame(b"small", 2))
    large, small = talk.messages(largest=1000)
    assert (large.data, large.whole, small.data, small.whole) == (b"", False, b"small", True)


def test_a_hole_inside_a_payload_costs_these_bytes_only() -> None:
    talk = Talk(compression=False)
    talk.put("server", frame(bytes(range(200)), 2) + frame(b"next", 2), 50)
    del talk.line.frames[6]
    first, second = talk.messages()
    assert not first.whole and "50 bytes" in str(first.faults[0]) and len(first.data) == 150
    assert second.data == b"next" and second.whole


def test_a_hole_over_a_header_ends_the_reading_and_counts_what_was_not_read() -> None:
    talk = Talk(compression=False)
    talk.put("server", frame(bytes(100), 2) + frame(bytes(100), 2) + frame(bytes(100), 2), 60)
    del talk.line.frames[6]  # bytes 60 to 119: the end of one frame and the header of the next
    talk.ends["client"].send("still heard", 0)
    talk.go("client")
    found = talk.messages()
    assert {(m.by, m.whole) for m in found} == {("server", False), ("client", True)}
    assert found[0].connection.unread == {"client": 0, "server": 306 - 120}


def test_handshakes_that_break_a_rule_are_reported() -> None:
    line = Line()
    line.open()
    query = (
        b"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: short\r\n\r\n"
    )
    reported = b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n"
    line.put(0, query)
    line.put(0, reported + frame(b"hi", 1), back=True)
    (message,) = Capture.of(line.frames).websocket_messages()
    assert message.data == "hi"
    assert ["Sec-WebSocket-Version" in str(f) or "Accept" in str(f) for f in message.connection.faults] == [True, True]


def test_websockets_over_spp_are_read_too() -> None:
    network = SimNetwork(seed=3)
    a, b = network.host("a"), network.host("b")
    network.link(a, b, delay=0.01, loss=0.1)
    server = b.socket("websocket", family="xns")
    server.bind(80)
    server.listen()
    client = a.socket("websocket", family="xns")
    client.connect(b.at(80))
    other = server.accept()
    client.write("hello" * 300)
    assert other.read() == "hello" * 300
    other.write(b"bytes")
    assert client.read() == b"bytes"
    client.close()
    found = [m for m in network.capture.websocket_messages() if m.kind in ("text", "binary")]
    assert [(m.by, m.data, m.whole, m.faults) for m in found] == [
        ("client", "hello" * 300, True, []),
        ("server", b"bytes", True, []),
    ]


@pytest.mark.slow
@given(st.data())
def test_no_bytes_whatever_make_it_fail(data) -> None:
    talk = Talk(data.draw(st.booleans()))
    raw = bytearray(frame(b"one", 1) + frame(bytes(300), 2, fin=0) + frame(b"ping", 9) + frame(b"end", 0))
    for _ in range(data.draw(st.integers(0, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    talk.put("server", bytes(raw), data.draw(st.integers(1, 100)))
    talk.put("client", data.draw(st.binary(max_size=60)), 7)
    for _ in range(data.draw(st.integers(0, 2))):
        del talk.line.frames[data.draw(st.integers(3, len(talk.line.frames) - 1))]
    machine = WebSockets(largest=1000)
    found = [message for one in talk.line.frames for message in machine.receive(one)] + machine.end()
    for message in found:
        assert all(str(fault) for fault in message.faults) and message.kind and message.reason is not None
        assert message.whole or message.faults
