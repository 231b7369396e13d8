"""HTTP/2 (RFC 9113) with its header blocks: HPACK (RFC 7541) by the library hpack, in the order of each direction of a connection."""

from __future__ import annotations

from typing import Annotated, Any

import hpack
import pytest

from packetlab import (
    TCP,
    U8,
    U24,
    U32,
    BuildError,
    Capture,
    Context,
    Ether,
    Frame,
    Header,
    IPv4,
    Rest,
    Text,
    auto,
    dissect,
    ended,
    field,
    fixed_bytes,
    many,
    named,
    receiver,
    sender,
    size_of,
    through,
    when,
)
from tests.protocols.oracle import Ask, family
from tests.protocols.scope import Scope


def coders() -> tuple[hpack.Decoder, hpack.Encoder]:
    decoder = hpack.Decoder()
    decoder.max_allowed_table_size = 1 << 16  # of what SETTINGS may say
    return decoder, hpack.Encoder()


def opened(state: Any, data: bytes) -> bytes:
    return b"".join(name + b"\0" + value + b"\0" for name, value in state[0].decode(data, raw=True))


def closed(state: Any, data: bytes) -> bytes:
    parts = data.split(b"\0")[:-1]
    block: bytes = state[1].encode(list(zip(parts[::2], parts[1::2], strict=True)))
    return block


HPACK = named("hpack", opened, closed, state=coders, key=(sender(), receiver()))

with (scope := Scope()):

    class Line(Header):
        name: Text = ended(b"\0")
        value: Text = ended(b"\0")

    class HTTP2(Header, under=TCP, port=80, stream=True, payload_size=0):
        length: U24 = 0
        type: U8 = 0
        flags: U8 = 0
        stream: U32 = 0

    class Preface(HTTP2, when={"type": 0x20}):
        """What a client sends first, read as a frame: PRI * HTTP/2.0."""

        length = auto(0x505249)
        flags = 0x2A
        stream = 0x20485454
        more: Annotated[bytes, fixed_bytes(15)] = b"P/2.0\r\n\r\nSM\r\n\r\n"

    class Headers(HTTP2, when=(field("type") == 1) & (field("flags") & 12 == 4)):
        """A whole header block: END_HEADERS, and no padding."""

        length = auto(size_of("self") - 9)
        type = 1
        flags = 4
        depends: U32 | None = when(field("flags") & 0x20)
        weight: U8 | None = when(field("flags") & 0x20)
        headers: tuple[Line, ...] = through(HPACK, many())

    class Parts(HTTP2, when=(field("type") == 1) & (field("flags") & 12 != 4)):
        """The first part of a header block, or one with padding."""

        length = auto(size_of("self") - 9)
        data: Rest = b""

    class Others(HTTP2, when=(field("type") != 0x20) & (field("type") != 1)):
        length = auto(size_of("self") - 9)
        data: Rest = b""


CAPTURES = ["app-layer-protocol-exact.pcap", "bug-5929-02-http2_multiple_headers.pcap"]


def lines(header: Any) -> list[tuple[str, str]]:
    return [(line.name, line.value) for line in header.headers]


@pytest.mark.parametrize("name", CAPTURES)
def test_header_blocks_read_like_tshark(name: str, tshark: Ask) -> None:
    path = family(f"http2/{name}")
    messages = [message for message in Capture(path).messages(HTTP2) if isinstance(message.header, Headers)]
    assert [message.faults for message in messages] == [()] * len(messages) != []
    rows = tshark(path, "frame.number", "http2.header.name", "http2.header.value", options=("-E", "aggregator=\x1f", "-d", "tcp.port==80,http2"))
    theirs = [pair for row in rows if row[1] for pair in zip(row[1].split("\x1f"), row[2].split("\x1f"), strict=True)]
    assert [line for message in messages for line in lines(message.header)] == theirs
    assert all(bytes(message.packet) == message.data for message in messages)


def test_a_packet_by_itself_keeps_the_bytes_and_says_so() -> None:
    capture = Capture(family("http2/app-layer-protocol-exact.pcap"))
    packet = next(frame.packet() for frame in capture if Headers in frame.packet())
    assert (packet[Headers].headers, packet.faults) == ((), ())
    assert "not known here (state of hpack(" in packet.why(Headers, "headers")
    assert "capture.messages(...) reads them in order" in packet.why(Headers, "headers")
    assert bytes(packet) == packet.encode()


def test_after_a_hole_no_state_is_known() -> None:
    capture = Capture(family("http2/app-layer-protocol-exact.pcap"))
    part = Capture.of([frame for frame in capture if frame.number not in (8, 9)])  # the server's first block
    blocks = [message for message in part.messages(HTTP2) if message.by == "server" and isinstance(message.header, Headers)]
    assert blocks
    for message in blocks:
        assert isinstance(message.header, Headers) and message.header.headers == ()
        assert "a stream of which not all was captured" in {fault.got for fault in message.faults}


BLOCKS = [[(":method", "GET"), (":path", "/"), ("x-mine", "value")], [(":method", "GET"), (":path", "/a"), ("x-mine", "value")],
          [(":method", "GET"), (":path", "/"), ("x-mine", "value")]]  # fmt: skip


def sent() -> list[bytes]:
    """Built in one context: each block is shorter for what those before it left in the table."""
    found, seq = [], 1
    with Context():
        for number, block in enumerate([None, *BLOCKS]):
            message = Preface() if block is None else Headers(flags=5, stream=2 * number - 1, headers=tuple(Line(name=n, value=v) for n, v in block))
            segment = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=50000, dport=80, seq=seq, flags="PSH|ACK") / message
            found.append(bytes(segment))
            seq += len(found[-1]) - 54
    return found


def test_what_we_send_reads_like_tshark_and_comes_back(tshark: Ask, tmp_path: Any) -> None:
    frames = sent()
    assert len(frames[3]) < len(frames[2]) < len(frames[1])
    capture = Capture.of([Frame(data, number * 10**9) for number, data in enumerate(frames)])
    capture.write(tmp_path / "made.pcap")
    rows = tshark(tmp_path / "made.pcap", "http2.header.name", "http2.header.value", options=("-E", "aggregator=\x1f", "-d", "tcp.port==80,http2"))
    assert [[*zip(row[0].split("\x1f"), row[1].split("\x1f"), strict=True)] for row in rows if row[0]] == BLOCKS


def test_in_order_by_hand_and_out_of_order() -> None:
    below = [IPv4(src="10.0.0.1", dst="10.0.0.2"), TCP(sport=50000, dport=80)]
    messages = [data[54:] for data in sent()[1:]]
    context = Context()
    assert [lines(dissect(data, HTTP2, context=context, below=below)[Headers]) for data in messages] == BLOCKS
    (late,) = dissect(messages[2], HTTP2, context=Context(), below=below).faults  # an entry of a table that is empty
    assert (late.field, late.expected) == ("headers", "what hpack takes")
    alone = dissect(messages[0], HTTP2, below=below)
    assert (alone.faults[0].field, alone[Headers].headers, bytes(alone)) == ("headers", (), messages[0])
    assert alone.faults[0].expected.startswith("state of hpack(sender() = 0a.00.00.01:50000, receiver() = 0a.00.00.02:80)")


def test_what_was_read_is_sent_again_as_it_was_and_edited_in_a_context_alone() -> None:
    below = [IPv4(src="10.0.0.1", dst="10.0.0.2"), TCP(sport=50000, dport=80)]
    data = sent()[1][54:]
    packet = dissect(data, HTTP2, context=Context(), below=below)
    assert packet.encode() == bytes(packet) == data
    with pytest.raises(BuildError, match="state of hpack"):
        bytes(packet.replace(Headers, headers=[Line(name="a", value="b")]))
    with Context():
        again = bytes(packet.replace(Headers, headers=[Line(name="a", value="b")]))
    assert lines(dissect(again, HTTP2, context=Context(), below=below)[Headers]) == [("a", "b")]


def test_a_block_that_cannot_be_read_ends_the_state() -> None:
    below = [IPv4(src="10.0.0.1", dst="10.0.0.2"), TCP(sport=50000, dport=80)]
    context, good = Context(), sent()[1][54:]
    bad = good[:9] + b"\xff" * (len(good) - 9)
    assert dissect(bad, HTTP2, context=context, below=below).faults
    (fault,) = dissect(good, HTTP2, context=context, below=below).faults
    assert (fault.expected, fault.got) == ("what the packets before left", "packet 1, which could not be read")


def test_a_header_that_is_built_in_two_contexts_is_new_to_each() -> None:
    header = Headers(headers=(Line(name="x-mine", value="value"),))
    found = []
    for _ in range(2):
        with Context():
            found.append([bytes(header / b"") for _ in range(2)])
    assert found[0] == found[1]
