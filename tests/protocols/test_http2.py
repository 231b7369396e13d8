"""HTTP/2 (RFC 9113) with its header blocks: HPACK (RFC 7541) by the library hpack, in the order of each direction of a connection.

A block goes on in CONTINUATION frames, a message of gRPC in DATA frames: what is not complete waits in the state of its transform.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

import hpack
import pytest

from packetlab import (
    TCP,
    U1,
    U8,
    U16,
    U24,
    U32,
    BuildError,
    Bytes,
    Capture,
    Context,
    Ether,
    Frame,
    Header,
    IPv4,
    Rest,
    Text,
    auto,
    bits,
    dissect,
    ended,
    field,
    fixed_bytes,
    many,
    named,
    receiver,
    sender,
    size_of,
    sized,
    through,
    when,
)
from tests.protocols.oracle import Ask, cut, family, packets_of, spoilt
from tests.protocols.scope import Scope


class Coders:
    """What HPACK remembers of one direction, and the parts of a block that is not complete: it goes on in CONTINUATION frames."""

    def __init__(self) -> None:
        self.decoder, self.encoder = hpack.Decoder(), hpack.Encoder()
        self.decoder.max_allowed_table_size = 1 << 16  # of what SETTINGS may say
        self.read, self.written = b"", b""


def opened(state: Coders, data: bytes) -> bytes:
    block, state.read = state.read + data, b""
    return b"".join(name + b"\0" + value + b"\0" for name, value in state.decoder.decode(block, raw=True))


def closed(state: Coders, data: bytes) -> bytes:
    parts = data.split(b"\0")[:-1]
    block: bytes = state.encoder.encode(list(zip(parts[::2], parts[1::2], strict=True)))
    begun, state.written = state.written, b""
    if not block.startswith(begun):
        raise ValueError(f"a block that begins otherwise: {block.hex()}")
    return block[len(begun) :]


def part_read(state: Coders, data: bytes) -> bytes:
    state.read += data
    return data


def part_written(state: Coders, data: bytes) -> bytes:
    state.written += data
    return data


class Pieces:
    """What is there of a message of gRPC that goes on in the next DATA frame of its stream."""

    def __init__(self) -> None:
        self.read = b""


def joined(state: Pieces, data: bytes) -> bytes:
    """Return the messages that end in a frame."""
    data, size = state.read + data, 0
    while len(data) >= size + 5 and len(data) >= (end := size + 5 + int.from_bytes(data[size + 1 : size + 5], "big")):
        size = end
    state.read = data[size:]
    return data[:size]


DIRECTION = (sender(), receiver())
HPACK = named("hpack", opened, closed, state=Coders, key=DIRECTION)
PART = named("hpack", part_read, part_written, state=Coders, key=DIRECTION)
GRPC = named("grpc", joined, lambda state, data: data, state=Pieces, key=(*DIRECTION, field("stream")))

with (scope := Scope()):

    class Line(Header):
        name: Text = ended(b"\0")
        value: Text = ended(b"\0")

    class HTTP2(Header, under=TCP, port=(80, 50051), stream=True, payload_size=0):
        length: U24 = 0
        type: U8 = 0
        flags: U8 = 0
        reserved: U1 = 0
        stream: Annotated[int, bits(31)] = 0

    class Preface(HTTP2, when={"type": 0x20}):
        """What a client sends first, read as a frame: PRI * HTTP/2.0."""

        length = auto(0x505249)
        flags = 0x2A
        stream = 0x20485454
        more: Annotated[bytes, fixed_bytes(15)] = b"P/2.0\r\n\r\nSM\r\n\r\n"

    PADDED, LAST, MORE = field("flags") & 8, field("flags") & 4 == 4, field("flags") & 4 == 0
    CALLS = (field("TCP.sport") == 50051) | (field("TCP.dport") == 50051)

    class Data(HTTP2, when=(field("type") == 0) & (CALLS == 0)):
        length = auto(size_of("self") - 9)
        pad_length: U8 | None = when(PADDED, auto(size_of("padding")))
        data: Bytes = b""
        padding: Bytes | None = when(PADDED, sized(field("pad_length"), b""))

    class Call(Header):
        """A message of gRPC, whatever frames it came in."""

        compressed: U8 = 0
        size: U32 = auto(size_of("message"))
        message: Bytes = b""

    class CallData(HTTP2, when=(field("type") == 0) & CALLS):
        length = auto(size_of("self") - 9)
        type = 0
        pad_length: U8 | None = when(PADDED, auto(size_of("padding")))
        calls: tuple[Call, ...] = through(GRPC, many())
        padding: Bytes | None = when(PADDED, sized(field("pad_length"), b""))

    class Headers(HTTP2, when=(field("type") == 1) & LAST):
        """A whole header block: END_HEADERS."""

        length = auto(size_of("self") - 9)
        type = 1
        flags = 4
        pad_length: U8 | None = when(PADDED, auto(size_of("padding")))
        depends: U32 | None = when(field("flags") & 0x20)
        weight: U8 | None = when(field("flags") & 0x20)
        headers: tuple[Line, ...] = through(HPACK, many())
        padding: Bytes | None = when(PADDED, sized(field("pad_length"), b""))

    class Begun(HTTP2, when=(field("type") == 1) & MORE):
        """The first part of a header block, which goes on in CONTINUATION frames."""

        length = auto(size_of("self") - 9)
        type = 1
        pad_length: U8 | None = when(PADDED, auto(size_of("padding")))
        depends: U32 | None = when(field("flags") & 0x20)
        weight: U8 | None = when(field("flags") & 0x20)
        part: Bytes = through(PART, b"")
        padding: Bytes | None = when(PADDED, sized(field("pad_length"), b""))

    class Priority(HTTP2, when={"type": 2}):
        length = 5
        depends: U32 = 0
        weight: U8 = 15

    class Reset(HTTP2, when={"type": 3}):
        length = 4
        error: U32 = 8

    class Setting(Header):
        id: U16 = 1
        value: U32 = 0

    class Settings(HTTP2, when={"type": 4}):
        length = auto(size_of("self") - 9)
        settings: tuple[Setting, ...] = many()

    class Promise(HTTP2, when=(field("type") == 5) & LAST):
        length = auto(size_of("self") - 9)
        type = 5
        flags = 4
        pad_length: U8 | None = when(PADDED, auto(size_of("padding")))
        promised: U32 = 2
        headers: tuple[Line, ...] = through(HPACK, many())
        padding: Bytes | None = when(PADDED, sized(field("pad_length"), b""))

    class PromiseBegun(HTTP2, when=(field("type") == 5) & MORE):
        length = auto(size_of("self") - 9)
        type = 5
        pad_length: U8 | None = when(PADDED, auto(size_of("padding")))
        promised: U32 = 2
        part: Bytes = through(PART, b"")
        padding: Bytes | None = when(PADDED, sized(field("pad_length"), b""))

    class Ping(HTTP2, when={"type": 6}):
        length = 8
        opaque: Annotated[bytes, fixed_bytes(8)] = bytes(8)

    class GoAway(HTTP2, when={"type": 7}):
        length = auto(size_of("self") - 9)
        last: U32 = 0
        error: U32 = 0
        debug: Rest = b""

    class Window(HTTP2, when={"type": 8}):
        length = 4
        increment: U32 = 65535

    class Going(HTTP2, when=(field("type") == 9) & MORE):
        """A part of a block in its middle."""

        length = auto(size_of("self") - 9)
        type = 9
        part: Bytes = through(PART, b"")

    class Continuation(HTTP2, when=(field("type") == 9) & LAST):
        """The last part of a block: with it there are all headers."""

        length = auto(size_of("self") - 9)
        type = 9
        flags = 4
        headers: tuple[Line, ...] = through(HPACK, many())

    class Others(HTTP2, when={"type": (*range(10, 32), *range(33, 256))}):
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


BLOCK = [(":method", "POST"), (":path", "/a.B/c"), ("te", "trailers"), ("content-type", "application/grpc"), ("x-mine", "value")]


def conversation(*messages: HTTP2, port: int, size: int = 1400) -> list[Frame]:
    """Return what a client sends, built in one context, in segments."""
    below = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    with Context():
        whole = [(below / TCP(sport=50000, dport=port, flags="ACK", seq=1) / one) for one in messages]
        stream = b"".join(bytes(one)[54:] for one in whole)
    frames = [below / TCP(sport=50000, dport=port, flags="SYN", seq=0), *(below / TCP(sport=50000, dport=port, flags="ACK", seq=1) / stream).segments(size)]
    return [Frame(bytes(one), number * 10**6) for number, one in enumerate(frames)]


def as_lines(block: list[tuple[str, str]]) -> tuple[Line, ...]:
    return tuple(Line(name=name, value=value) for name, value in block)


def asked(tshark: Ask, path: Any, *names: str, port: int) -> list[list[str]]:
    """Return all values of fields of tshark's, which puts segments together; a frame that goes on has none in those before its last."""
    rows = tshark(path, *names, options=("-E", "aggregator=\x1f", "-d", f"tcp.port=={port},http2"))
    return [[value for row in rows for value in row[place].split("\x1f") if value] for place in range(len(names))]


@pytest.mark.parametrize("size", [1400, 50, 33])
def test_frames_of_all_sorts_read_like_tshark(size: int, tshark: Ask, tmp_path: Any) -> None:
    block = hpack.Encoder().encode(BLOCK)
    made = [
        Preface(), Settings(settings=(Setting(id=3, value=100), Setting(id=4, value=65535))),
        Headers(stream=1, flags=0x2C, headers=as_lines(BLOCK[:2]), weight=7, depends=0, padding=bytes(9)),
        Data(stream=1, flags=8, data=b"hello", padding=bytes(3)), Data(stream=1, flags=9, data=b"", padding=b""),
        Priority(stream=3, depends=1, weight=20), Reset(stream=3), Ping(opaque=b"12345678"), Window(stream=1, increment=77),
        Others(type=0x40, stream=1, data=b"of nobody"), GoAway(last=1, error=2, debug=b"bye"),
    ]  # fmt: skip
    frames = conversation(*made, port=80, size=size)
    Capture.of(frames).write(tmp_path / "made.pcap")
    found = list(Capture(tmp_path / "made.pcap").messages(HTTP2))
    assert [type(one.header) for one in found] == [type(one) for one in made]
    assert [one.faults for one in found] == [()] * len(made) and all(one.whole for one in found)
    headers: list[Any] = [one.header for one in found]
    theirs = asked(
        tshark, tmp_path / "made.pcap", "http2.type", "http2.length", "http2.streamid", "http2.padding", "http2.header.name",
        "http2.headers.weight", "http2.settings.id", "http2.window_update.window_size_increment", "http2.goaway.error", port=80,
    )  # fmt: skip
    rest = headers[1:]  # tshark has the preface as no frame
    assert theirs[0] == [str(one.type) for one in rest]
    assert theirs[1] == [str(one.length) for one in rest] and theirs[2] == [str(one.stream) for one in rest]
    assert [int(value, 16) for value in theirs[3]] == [one.pad_length for one in rest if getattr(one, "pad_length", None) is not None]
    assert theirs[4] == [line.name for one in rest if isinstance(one, Headers) for line in one.headers]
    assert theirs[5:] == [["7", "20"], ["3", "4"], ["77"], ["2"]] and block


@pytest.mark.parametrize("parts", [[0], [5], [5, 9], [1, 2, 3, 4, 60]])
def test_a_block_goes_on_in_continuations(parts: list[int], tshark: Ask, tmp_path: Any) -> None:
    """Cut anywhere; the headers are those of the frame that ends the block."""
    block = hpack.Encoder().encode(BLOCK)
    cuts = [0, *[min(part, len(block)) for part in parts]]
    pieces = [block[a:b] for a, b in pairwise(cuts)]
    made: list[HTTP2] = [Preface(), Settings(), Begun(stream=1, flags=8, part=pieces[0], padding=bytes(2))]
    made += [Going(stream=1, part=one) for one in pieces[1:]]
    made += [Continuation(stream=1, headers=as_lines(BLOCK))]
    made += [Headers(stream=3, headers=as_lines(BLOCK))]  # the table is one for all blocks
    frames = conversation(*made, port=80)
    Capture.of(frames).write(tmp_path / "made.pcap")
    found: list[Any] = [one.header for one in Capture(tmp_path / "made.pcap").messages(HTTP2) if not one.faults]
    assert [type(one) for one in found] == [type(one) for one in made]
    assert b"".join(one.part for one in found if isinstance(one, Begun | Going)) == b"".join(pieces)
    assert lines(found[-2]) == lines(found[-1]) == BLOCK and found[-1].length < 20 < found[-2].length + cuts[-1]
    names, values = asked(tshark, tmp_path / "made.pcap", "http2.header.name", "http2.header.value", port=80)
    assert [*zip(names, values, strict=True)] == BLOCK * 2


def test_a_continuation_that_cannot_go_on_is_refused() -> None:
    with Context(), pytest.raises(BuildError, match="a block that begins otherwise"):
        below = TCP(sport=50000, dport=80)
        bytes(below / Begun(stream=1, part=b"wrong"))
        bytes(below / Continuation(stream=1, headers=(Line(name="a", value="b"),)))


@pytest.mark.parametrize("cuts", [[], [3], [5], [20], [2, 4, 30], [14]])
def test_messages_of_grpc_go_over_frames(cuts: list[int], tshark: Ask, tmp_path: Any) -> None:
    """Three messages in DATA frames that end anywhere, one of them padded: each stands in the frame that it ends in."""
    calls = [Call(message=b"hello"), Call(message=bytes(300)), Call(compressed=0, message=b"")]
    stream = b"".join(map(bytes, calls))
    places = [0, *cuts, len(stream)]
    made: list[HTTP2] = [Preface(), Settings(), Headers(stream=1, headers=as_lines(BLOCK))]
    for number, (a, b) in enumerate(pairwise(places)):
        padded = number == 1
        made.append(Data(stream=1, flags=8 * padded + (b == len(stream)), data=stream[a:b], padding=bytes(4) if padded else None))
    frames = conversation(*made, port=80)
    moved = [Frame(frame.data[:36] + (50051).to_bytes(2, "big") + frame.data[38:], frame.time_ns) for frame in frames]
    Capture.of(moved).write(tmp_path / "made.pcap")
    found = list(Capture(tmp_path / "made.pcap").messages(HTTP2))
    assert [one.faults for one in found] == [()] * len(made)
    frames_of_data = [one.header for one in found if isinstance(one.header, CallData)]
    assert len(frames_of_data) == len(cuts) + 1
    assert [call for one in frames_of_data for call in one.calls] == calls
    assert [bytes(one.packet) for one in found] == [one.data for one in found]
    (lengths,) = asked(tshark, tmp_path / "made.pcap", "grpc.message_length", port=50051)
    assert lengths == ["5", "300", "0"]


def test_messages_of_grpc_are_built() -> None:
    made = [Preface(), CallData(stream=1, calls=(Call(message=b"hello"), Call(message=b"world"))), CallData(stream=3, flags=8, calls=(Call(),), padding=bytes(7))]
    found: list[Any] = [one.header for one in Capture.of(conversation(*made, port=50051)).messages(HTTP2)]
    assert [call.message for one in found[1:] for call in one.calls] == [b"hello", b"world", b""]


def test_what_is_cut_or_spoilt_is_a_fault() -> None:
    packets = packets_of("http2/app-layer-protocol-exact.pcap")
    some = [packet for packet in packets if HTTP2 in packet][:6]
    assert {"HTTP2.type", "Data.length", "Headers.headers"} <= cut(some, HTTP2, 3)
    spoilt(some, HTTP2)
    padded = dissect(bytes(Data(flags=8, data=b"ab", padding=b"c")).replace(b"\1abc", b"\4abc"), HTTP2)
    assert [(fault.layer, fault.field) for fault in padded.faults] == [("Data", "padding")]
