"""Messages of streams in one packet: several, one that goes on, one that began before."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

import packetlab as pl
from packetlab import (
    TCP,
    U8,
    U16,
    UDP,
    BuildError,
    Bytes,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Packet,
    Payload,
    Rest,
    Text,
    Verdict,
    auto,
    bindings,
    choose,
    const,
    count_of,
    dissect,
    ended,
    field,
    many,
    size_of,
    when,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.protocols.streams import messages
from packetlab.schema.source import class_body

PORT = 7443


@pytest.fixture(scope="module", autouse=True)
def declared() -> Iterator[None]:
    global Rec, Alert, Line, Block
    with bindings():

        class Rec(Header, under=TCP, when={"dport": PORT}, stream=True):
            type: U8 = 22
            version: U16 = const(0x0303)
            length: U16 = auto(size_of("payload"))

        class Alert(Header, under=Rec, when={"type": 21}):
            level: U8 = 1
            code: U8 = 0

        class Line(Header, under=TCP, when={"dport": PORT + 1}, stream=True):
            text: Text = ended(b"\r\n")

        class Block(Header, under=TCP, when={"dport": PORT + 2}, stream=True):
            magic: U16 = const(0xB10C)
            size: U16 = auto(size_of("self"))
            data: Bytes = b""

        yield


def segment(data: bytes, port: int = PORT) -> Packet:
    return Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / TCP(dport=port) / data


def three() -> list[bytes]:
    return [bytes(Rec(type=23) / b"abc"), bytes(Rec() / Alert(code=7)), bytes(Rec(type=24) / b"")]


def test_several_messages_stand_in_one_segment() -> None:
    data = b"".join(three())
    packet = dissect(bytes(segment(data)))
    assert packet.faults == ()
    assert (packet.payload, packet.trailer, packet.truncated) == (b"abc", b"", False)
    assert [packet[Rec, i].type for i in range(3)] == [23, 21, 24]
    assert Alert not in packet  # of the second message
    with pytest.raises(KeyError):
        packet[Rec, 3]
    assert [bytes(message) for message in packet.messages(Rec)] == three()
    assert packet.messages(Rec)[1][Alert].code == 7
    assert packet.messages(Alert) == packet.messages(TCP) == ()
    assert packet.summary() == "Ether / IPv4 / TCP / Rec / 3 bytes + Rec / Alert + Rec"
    assert "message 2 of the segment, 7 bytes\nRec\n" in packet.show()
    assert "further" in packet._repr_mimebundle_()["text/html"]
    assert "trailer" not in packet.show() + packet._repr_mimebundle_()["text/html"]


def test_the_bytes_stay_and_an_edit_keeps_all_messages() -> None:
    built = segment(b"".join(three()))
    packet = dissect(bytes(built))
    assert bytes(packet) == packet.encode() == bytes(built)
    assert packet == dissect(bytes(built))
    edited = packet.replace(Rec, type=99)
    assert [m[Rec].type for m in edited.messages(Rec)] == [99, 21, 24]
    assert edited.verdict(TCP) is Verdict.GOOD
    longer = dissect(bytes(packet.replace(payload=b"abcdef")))
    assert longer[Rec].length == 6
    assert longer[Rec, 1].type == 21
    assert longer[IPv4].length == packet[IPv4].length + 3
    with pytest.raises(BuildError, match="messages"):
        packet.replace((Rec, 1), type=1)
    assert bytes(packet.to_scapy()) == bytes(packet)


def test_a_message_that_goes_on_is_partial_and_no_fault() -> None:
    whole = bytes(segment(three()[0]))
    for size in range(1, len(three()[0])):
        packet = dissect(bytes(segment(three()[0][:size])))
        assert packet.faults == ()
        assert Rec in packet
        assert packet.truncated
        assert packet.messages(Rec) == ()
        assert packet.verdict(TCP) is Verdict.GOOD
        assert bytes(packet) == packet.encode() == bytes(segment(three()[0][:size]))
    assert not dissect(whole).truncated
    cut = dissect(bytes(segment(three()[0] + three()[1][:4])))
    assert cut.faults == ()
    assert cut.summary().endswith("Rec / 3 bytes + 4 bytes of a Rec")
    assert "4 bytes of a message that does not end here" in cut.show()


def test_the_middle_of_a_message_is_payload() -> None:
    packet = dissect(bytes(segment(b"in the middle")))
    assert packet.summary() == "Ether / IPv4 / TCP / 13 bytes"
    assert packet.faults == ()
    inner = bytes([0xB1, 0x0C, 0, 2]) + b"zzzz"  # a size that does not hold what has to be there
    assert dissect(bytes(segment(inner, PORT + 2))).summary() == "Ether / IPv4 / TCP / 8 bytes"
    # Where a message is read by itself, what does not fit is a fault as with any header.
    assert dissect(b"in the middle", Rec).faults


def test_ends_of_three_sorts() -> None:
    lines = dissect(bytes(segment(b"one\r\ntwo\r\nthr", PORT + 1)))
    assert [m[Line].text for m in lines.messages(Line)] == ["one", "two"]
    assert lines.faults == ()
    assert lines.payload == b""
    blocks = [bytes(Block(data=b"x" * n)) for n in (3, 0, 5)]
    packet = dissect(bytes(segment(b"".join(blocks), PORT + 2)))
    assert [m[Block].data for m in packet.messages(Block)] == [b"xxx", b"", b"xxxxx"]
    with bindings():

        class Total(Header, under=TCP, when={"dport": PORT + 3}, stream=True):
            size: U16 = auto(size_of("self") + size_of("payload"))

        data = b"".join(bytes(Total() / body) for body in (b"a", b"", b"ccc"))
        assert [m.payload for m in dissect(bytes(segment(data, PORT + 3))).messages(Total)] == [b"a", b"", b"ccc"]


def test_a_message_says_where_it_ends() -> None:
    with bindings():
        with pytest.raises(DeclareError, match="data, which goes on to the end.*sized"):

            class Open(Header, stream=True):
                data: Rest = b""

        with pytest.raises(DeclareError, match="last=True says"):

            class Forgotten(Header, stream=True):
                type: U8 = 0
                length: U16 = 0

        with pytest.raises(DeclareError, match="where its payload ends"):

            class Tailed(Header, stream=True):
                type: U8 = 0
                rest: Payload
                after: U8 = 0

        with pytest.raises(DeclareError, match="True or False"):

            class Wrong(Header, stream=3):  # type: ignore[arg-type]
                type: U8 = 0

        class Fixed(Header, under=TCP, when={"dport": PORT + 4}, stream=True, payload_size=0):
            type: U8 = 0
            value: U16 = 0

        assert len(dissect(bytes(segment(bytes(9), PORT + 4))).messages(Fixed)) == 3

        class Listed(Header, under=TCP, when={"dport": PORT + 5}, stream=True):
            count: U8 = auto(count_of("values"))
            values: tuple[Fixed, ...] = many(count=field("count"))

        with pytest.raises(DeclareError, match="something follows"):

            class Above(Header, under=Listed):
                a: U8 = 0

        data = bytes(Listed(values=(Fixed(type=1), Fixed(type=2)))) + bytes(Listed())
        assert [len(m[Listed].values) for m in dissect(bytes(segment(data, PORT + 5))).messages(Listed)] == [2, 0]


def test_a_payload_of_unknown_size_ends_no_message() -> None:
    with bindings():

        class Some(Header, under=TCP, when={"dport": PORT + 6}, stream=True, payload_size=choose(field("n") == 255, -1, field("n"))):
            n: U8 = 0

        packet = dissect(bytes(segment(b"\x01a\xffbcd", PORT + 6)))
        assert [m.payload for m in packet.messages(Some)] == [b"a"]
        assert packet.summary().endswith("4 bytes of a Some")


def test_it_travels() -> None:
    assert pl.describe(Rec)["stream"] == 1
    data = json.loads(json.dumps(pl.describe(Line)))
    with bindings():
        (theirs,) = pl.declare_from(data)
    assert pl.describe(theirs) == data
    with pytest.raises(DeclareError, match="stream"):
        pl.declare_from({**data, "name": "Other", "stream": 2})
    assert "class Line(Header, under=TCP, when={\"dport\": 0x1d14}, stream=True):" in class_body(data)

    class Derived(Rec):
        pass

    assert Derived._declaration.stream


def test_compiled_stacks_read_the_same() -> None:
    frames = [bytes(segment(b"".join(three()[:n]) + tail)) for n in range(4) for tail in (b"", b"\x16\x03", b"middle")]
    first = [(p.summary(), p.faults, p.truncated) for p in map(dissect, frames)]
    for _ in range(100):
        again = [(p.summary(), p.faults, p.truncated) for p in map(dissect, frames)]
    assert again == first


@given(st.binary(max_size=60), st.sampled_from([PORT, PORT + 1, PORT + 2]))
def test_any_bytes_come_back_and_make_no_fault(data: bytes, port: int) -> None:
    packet = dissect(bytes(segment(data, port)))
    assert bytes(packet) == bytes(segment(data, port)) == packet.encode()
    assert all(fault.layer == "Alert" for fault in packet.faults)
    packet.summary(), packet.show()
    for cls in (Rec, Line, Block):
        found = packet.messages(cls)
        assert data.startswith(b"".join(map(bytes, found)))
        compiled = [cls._decode(bytes(m), 0, len(m), Dissection()) for m in found]
        assert compiled == [walk(cls._declaration, bytes(m), 0, len(m), Dissection()) for m in found]


@given(st.lists(st.sampled_from([b"\0\1a", b"\1\0", b"\2\1a\1\0", b"\3\7", b"\4\5\6\0", b"\2", b"\2\1a"]), max_size=6), st.sampled_from([PORT + 5, PORT + 6]))
def test_many_at_once_are_what_they_are_one_by_one(parts: list[bytes], port: int) -> None:
    with bindings(), pytest.MonkeyPatch.context() as patch:

        class Plain(Header, under=TCP, when={"dport": PORT + 5}, stream=True):
            kind: U8 = 0
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Item(Header):
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Listed(Header, under=TCP, when={"dport": PORT + 6}, stream=True):
            kind: U8 = 0
            items: tuple[Item, ...] = many(until=field("size") == 0)

        packet, cls = dissect(bytes(segment(b"".join(parts), port))), Plain if port == PORT + 5 else Listed
        at_once = packet.messages(cls)
        patch.setattr(messages, "reader_of", lambda declaration: None)
        one_by_one = packet.messages(cls)
        assert at_once == one_by_one
        assert [m.layers for m in at_once] == [m.layers for m in one_by_one]
        assert [(m.payload, m.faults, m.summary()) for m in at_once] == [(m.payload, m.faults, m.summary()) for m in one_by_one]


def test_over_datagrams_too() -> None:
    with bindings():
        pl.bind(Block, under=UDP, when={"dport": PORT})
        packet = dissect(bytes(Ether() / IPv4() / UDP(dport=PORT) / (bytes(Block(data=b"a")) + bytes(Block(data=b"b")))))
        assert [m[Block].data for m in packet.messages(Block)] == [b"a", b"b"]
        assert packet.trailer == b""


def test_rules_of_messages_ask_the_headers_below() -> None:
    with bindings():

        class Call(Header, under=TCP, when={"port": 7450}, stream=True):
            size: U8 = auto(size_of("payload"))

        class Question(Header, under=Call, when=field("TCP.dport") == 7450):
            number: U8 = 1

        class Answer(Header, under=Call, when=field("TCP.dport") != 7450):
            number: U8 = 2
            code: U8 | None = when(field("TCP.sport") == 7450, 3)

        low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
        up = low / TCP(sport=40000, dport=7450, flags="ACK", seq=1) / (bytes(Call() / b"\1") * 3)
        down = low.replace(IPv4, src="10.0.0.2", dst="10.0.0.1") / TCP(sport=7450, dport=40000, flags="ACK", seq=1)
        down /= b"\2\2\3" * 2
        for _ in range(40):  # more often than a function of their own is worth
            assert [type(one).__name__ for one in dissect(bytes(up)).layers[3:]] == ["Call", "Question"]
            assert dissect(bytes(down))[Answer].code == 3
        read = dissect(bytes(up))
        assert all(Question in one for one in read.messages(Call)) and len(read.messages(Call)) == 3
        assert read[Question, 2].number == 1
        assert read.summary().count("Call / Question") == 3
        found = list(pl.Capture.of([*up.segments(4), down]).messages(Call))
        assert [type(one.packet.layers[1]).__name__ for one in found] == ["Question"] * 3 + ["Answer"] * 2
        assert Question in dissect(b"\1\1", Call, below=[TCP(dport=7450)])
