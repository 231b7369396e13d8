"""A message of a stream that is wrong inside stays a message, with the fault: in a packet, in filters, in a stream put in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    U32,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4,
    Text,
    auto,
    bindings,
    const,
    count_of,
    dissect,
    ended,
    field,
    many,
    pad,
    size_of,
    sized,
)

LOW = Ether() / IPv4() / TCP(sport=1, dport=3333, flags="ACK", seq=1)


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with bindings():
        yield


def read(message: type[Header], data: bytes) -> tuple[str, list[tuple[str, bool]], int]:
    """Return the summary above TCP, (field, "expected" is there) of the faults, and how many frames a filter finds."""
    packet = dissect(bytes(LOW / data))
    start = LOW.replace(TCP, flags="SYN", seq=0)
    capture = Capture.of([start, LOW / data])
    (one,) = capture.messages(message)
    assert len(one.faults) == len(packet.faults)
    assert bytes(packet) == bytes(LOW / data)
    return packet.summary().removeprefix("Ether / IPv4 / TCP / "), [(f.field, f.cut) for f in packet.faults], capture.where(message).count()


class TestFaultInAnItem:
    """Whether items are read at once (as where they hold others of their sort) or when somebody asks is no matter."""

    @pytest.mark.parametrize("sort", ["plain", "holds others", "counts from the message", "counted", "one"])
    def test_the_message_is_there(self, sort: str) -> None:
        class Opt(Header):
            kind: U8 = 0
            size: U8 = auto(size_of("data"))
            data: Bytes = b""
            if sort == "counts from the message":
                filler: Bytes = pad(4, since="Msg")

        class Num(Opt, inside="data", when={"kind": 1}):
            n: U32 = 0

        if sort in ("holds others", "counted", "one"):

            class Group(Opt, inside="data", when={"kind": 2}):
                opts: tuple[Opt, ...] = many()

        class Msg(Header, under=TCP, port=3333, stream=True):
            version: U8 = const(1)
            length: U16 = auto(size_of("self"))
            if sort == "counted":
                count: U8 = auto(count_of("opts"))
                opts: tuple[Opt, ...] = many(count=field("count"))
            elif sort == "one":
                opts: Opt = Opt()  # type: ignore[no-redef]
            else:
                opts: tuple[Opt, ...] = many()  # type: ignore[no-redef]

        opt = Opt(kind=7, data=b"12345")
        whole = bytes(Msg(opts=opt if sort == "one" else [opt]))
        assert read(Msg, whole) == ("Msg", [], 1)
        assert read(Msg, whole.replace(b"\7\5", b"\1\5")) == ("Msg", [("opts", False)], 1)

    def test_a_message_that_is_wrong_inside_and_goes_on_in_the_next_segment(self) -> None:
        class Opt(Header):
            kind: U8 = 0
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Group(Opt, inside="data", when={"kind": 2}):
            opts: tuple[Opt, ...] = many()

        class Num(Opt, inside="data", when={"kind": 1}):
            n: U32 = 0

        class Msg(Header, under=TCP, port=3333, stream=True):
            version: U8 = const(1)
            length: U16 = auto(size_of("self"))
            opts: tuple[Opt, ...] = many()

        data = bytes(Msg(opts=[Opt(kind=7, data=b"12345"), Opt(kind=9, data=bytes(40))])).replace(b"\7\5", b"\1\5")
        first, second = (LOW / data).segments(30)
        packet = dissect(bytes(first))
        assert packet.summary() == "Ether / IPv4 / TCP / Msg"
        assert [fault.expected for fault in packet.faults] == ["4 bytes for Num for Opt.data"]  # and nothing of what is to come
        assert dissect(bytes(first), wire_length=len(first) + 9).faults[-1].cut
        assert Capture.of([LOW.replace(TCP, flags="SYN", seq=0), first, second]).where(Msg).count() == 1


class TestFaultInAValue:
    def test_letters_that_are_none_in_a_text_of_a_told_size(self) -> None:
        class Msg(Header, under=TCP, port=3333, stream=True):
            length: U16 = auto(size_of("name"))
            name: Text = sized(field("length"), "")

        assert read(Msg, bytes(Msg(name="abc")).replace(b"b", b"\xff")) == ("Msg", [("name", False)], 1)

    def test_a_line_that_is_no_text_is_the_middle_of_something(self) -> None:
        class Msg(Header, under=TCP, port=3333, stream=True):
            line: Text = ended(b"\n", "")

        assert dissect(bytes(LOW / b"\xff\xfe\n")).summary() == "Ether / IPv4 / TCP / 3 bytes"

    def test_a_wrong_constant_is_the_middle_of_something(self) -> None:
        class Msg(Header, under=TCP, port=3333, stream=True):
            version: U8 = const(1)
            length: U16 = auto(size_of("self"))
            data: Bytes = b""

        assert dissect(bytes(LOW / b"\2\0\4a")).summary() == "Ether / IPv4 / TCP / 4 bytes"
