"""The messages of a packet are read as the packet was: with what was remembered before it, and from messages before them in it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from packetlab import (
    TCP,
    U8,
    UDP,
    Bytes,
    Capture,
    Context,
    Ether,
    Header,
    IPv4,
    Packet,
    Records,
    Rest,
    auto,
    bindings,
    count_of,
    dissect,
    field,
    laid_out,
    many,
    recalled,
    sender,
    size_of,
    sized,
)
from tests.protocols.scope import Scope

with (scope := Scope()):

    class Piece(Header, under=TCP, port=7101, stream=True):
        n: U8 = auto(size_of("payload"))
        k: U8 = 0

    class Size(Header, under=Piece, when={"k": 1}, remembers={("piece size", sender(), field("id")): field("size")}):
        id: U8 = 1
        size: U8 = 2

    class Body(Header, under=Piece, when={"k": 2}):
        id: U8 = 1
        body: Bytes = sized(recalled("piece size", sender(), field("id")))
        rest: Rest = b""

    class Guessed(Header, under=Piece, when={"k": 3}):
        id: U8 = 1
        body: Bytes = sized(recalled("piece size", sender(), field("id"), default=1))
        rest: Rest = b""

    class Column(Header):
        number: U8
        width: U8

    class Layout(Header, under=Piece, when={"k": 4}, remembers={("piece rows", sender()): field("columns")}):
        count: U8 = auto(count_of("columns"))
        columns: tuple[Column, ...] = many(count=field("count"))

    class Rows(Header, under=Piece, when={"k": 5}):
        size: U8 = auto(size_of("rows"))
        rows: Records = laid_out(recalled("piece rows", sender()), size="width", number="number", kinds={1: int})


SIZE, BODY, GUESSED = b"\2\1\1\3", b"\5\2\1abcd", b"\5\3\1abcd"


@pytest.fixture(autouse=True)
def _declared() -> Iterator[None]:
    with scope:
        yield


def frames(*segments: bytes) -> list[bytes]:
    low, found, at = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2"), [], 1
    found.append(bytes(low / TCP(sport=4000, dport=7101, flags="SYN", seq=0)))
    for data in segments:
        found.append(bytes(low / TCP(sport=4000, dport=7101, flags="ACK", seq=at) / data))
        at += len(data)
    return found


def bodies(packet: Packet, wanted: type[Body] | type[Guessed] = Body) -> list[bytes | None]:
    return [message[wanted].body for message in packet.messages(Piece) if wanted in message]


@pytest.mark.parametrize(("data", "wanted"), [(BODY, Body), (GUESSED, Guessed)])
@pytest.mark.parametrize("again", [False, True])
def test_packets_of_a_capture_read_all_their_messages_alike(data: bytes, wanted: type[Body] | type[Guessed], again: bool) -> None:
    capture = Capture.of(frames(SIZE, data * 3))
    packet = [*capture.packets()][2] if again else capture[2].packet()
    assert bodies(packet, wanted) == [b"abc"] * 3 == [one.packet[wanted].body for one in capture.messages(Piece) if wanted in one.packet]
    assert packet[wanted].body == packet[wanted, 1].body == packet[wanted, 2].body == b"abc"
    assert [message.faults for message in packet.messages(Piece)] == [()] * 3
    assert packet.summary().endswith(" + ".join([f"Piece / {wanted.__name__}"] * 3))
    assert str(packet.show()).count("b'abc'") == 3 and str(packet.show()).count("fault") == 0
    assert bodies(packet.replace(IPv4, ttl=3), wanted) == [b"abc"] * 3


@pytest.mark.parametrize(("data", "wanted"), [(BODY, Body), (GUESSED, Guessed)])
def test_a_message_recalls_what_one_before_it_in_its_segment_tells(data: bytes, wanted: type[Body] | type[Guessed]) -> None:
    sent = frames(SIZE + data + b"\2\1\1\2" + data)
    capture = Capture.of(sent)
    for packet in (capture[1].packet(), dissect(sent[1], context=Context())):
        assert bodies(packet, wanted) == [b"abc", b"ab"]
        assert packet[wanted, 1].body == b"ab"
        assert packet.summary().endswith(f"Piece / Size + Piece / {wanted.__name__} + Piece / Size + Piece / {wanted.__name__}")
    assert [one.packet[wanted].body for one in capture.messages(Piece) if wanted in one.packet] == [b"abc", b"ab"]
    assert [bodies(one.packet, wanted) for one in capture.messages(Piece) if wanted in one.packet] == [[b"abc"], [b"ab"]]


def test_what_packets_after_it_tell_does_not_count() -> None:
    sent = frames(SIZE, BODY * 2, b"\2\1\1\1", BODY * 2)
    context = Context()
    read = [dissect(data, context=context) for data in sent]
    packets = [*Capture.of(sent).packets()]
    for found in (read, packets, packets[::-1][::-1]):
        assert [bodies(packet) for packet in found] == [[], [], [b"abc"] * 2, [], [b"a"] * 2]
    assert context.recall("piece size", (b"\x0a\0\0\1", 4000), 1) == 1


def test_what_a_packet_is_asked_for_later_is_read_in_the_context_that_was_around() -> None:
    sent = frames(SIZE, BODY * 2)
    with Context() as context:
        read = [dissect(data) for data in sent]
        assert bodies(read[2]) == [b"abc"] * 2
    known = len(context)
    assert bodies(read[2]) == [b"abc"] * 2 and "4 bytes" not in read[2].summary() and len(context) == known


def test_a_pickled_packet_has_what_its_headers_recalled_and_its_further_messages_what_is_known_around() -> None:
    frame = Capture.of(frames(SIZE, BODY * 2))[2]
    packet = pickle.loads(pickle.dumps(frame.packet()))
    assert packet[Body].body == b"abc" and not packet.faults
    assert all("no context" in one.faults[0].got for one in packet.messages(Piece))
    with frame.context():
        assert bodies(packet) == [b"abc"] * 2


def test_without_a_context_a_fault_says_so() -> None:
    (fault,) = dissect(frames(BODY)[1]).messages(Piece)[0].faults
    assert "no context" in fault.got


def test_what_others_told_counts_too() -> None:
    with bindings():

        class Near(Header, under=TCP, port=7103, stream=True):
            n: U8 = auto(size_of("self") + size_of("payload"))
            body: Bytes = sized(recalled("near size", default=1))

        class Far(Header, under=UDP, port=7104, remembers={("near size",): field("size")}):
            size: U8 = 2

        low = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
        data = b"\4abc\4def"
        capture = Capture.of([
            bytes(low / TCP(sport=4000, dport=7103, flags="SYN", seq=0)), bytes(low / UDP(dport=7104) / Far(size=3)),
            bytes(low / TCP(sport=4000, dport=7103, flags="ACK", seq=1) / data),
        ])  # fmt: skip
        assert [one[Near].body for one in capture[2].packet().messages(Near)] == [b"abc", b"def"]


def test_records_are_read_by_the_layout_that_came_before_and_a_missing_one_is_a_fault() -> None:
    layout, rows = b"\3\4\1\1\2", b"\5\5\4\0\1\0\2"
    for sent, at in ((frames(layout, rows * 2), 2), (frames(layout + rows * 2), 1)):
        found = [one[Rows] for one in Capture.of(sent)[at].packet().messages(Piece) if Rows in one]
        assert len(found) == 2 and [[record[1] for record in one.rows] for one in found] == [[1, 2]] * 2
    packet = Capture.of(frames(rows * 2))[1].packet()
    assert [fault.field for fault in packet.faults] == ["rows"]
    assert [[(fault.field, fault.got) for fault in one.faults] for one in packet.messages(Piece)] == [[("rows", "none")]] * 2
