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
    choose,
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


def sent(*segments: bytes) -> Capture:
    """Return a capture of a SYN and segments after it, so that it is known where messages begin."""
    frames, at = [LOW.replace(TCP, flags="SYN", seq=0)], 1
    for data in segments:
        frames.append(LOW.replace(TCP, seq=at) / data)
        at += len(data)
    return Capture.of([bytes(frame) for frame in frames])


class TestWhereACaptureKnowsThatItBegins:
    """A frame alone takes what does not fit for the middle of a message; segments in order say that it is the beginning of one."""

    def check(self, message: type[Header], data: bytes, field: str, column: str, value: str) -> None:
        name = message.__name__
        assert message not in dissect(bytes(LOW / data))
        capture = sent(data)
        (alone,) = {fault.expected for fault in dissect(data, message).faults}
        packet = capture[1].packet()
        assert [(fault.layer, fault.field, fault.expected) for fault in packet.faults] == [(name, field, alone)]
        assert bytes(packet) == bytes(LOW / data) and packet[message] == dissect(data, message)[message]
        assert [frame.number for frame in capture.where(message)] == [2]
        for engine in ("rows", None):
            assert capture.table(column, engine=engine).read().text(column) == ["", value]
        assert [(fault.field, fault.expected) for one in capture.messages(message) for fault in one.faults][0] == (field, alone)

    def test_a_line_that_is_no_text(self) -> None:
        class Msg(Header, under=TCP, port=3333, stream=True):
            line: Text = ended(b"\n", "")
            code: U8 = 0

        self.check(Msg, b"\xff\xfe\n\7", "line", "msg.code", "7")

    def test_a_constant_of_the_message(self) -> None:
        class Msg(Header, under=TCP, port=3333, stream=True):
            version: U8 = const(1)
            length: U16 = auto(size_of("self"))
            data: Bytes = b""

        self.check(Msg, b"\2\0\4a", "version", "msg.length", "4")

    def test_a_constant_of_an_item(self) -> None:
        class Marked(Header):
            mark: U8 = const(5)
            value: U8 = 0

        class Msg(Header, under=TCP, port=3333, stream=True, last=True):
            n: U8 = auto(count_of("held"))
            held: tuple[Marked, ...] = many()

        self.check(Msg, bytes.fromhex("02 0501 0601"), "held", "msg.n", "2")

    def test_a_constant_of_a_header_in_a_field(self) -> None:
        class Marked(Header):
            mark: U8 = const(5)
            value: U8 = 0

        class Msg(Header, under=TCP, port=3333, stream=True, last=True):
            kind: U8 = 0
            held: Marked = Marked()
            z: U8 = 7

        self.check(Msg, bytes.fromhex("03 0601 07"), "held", "msg.kind", "3")

    def test_an_item_that_goes_on_in_the_next_segment_is_no_fault(self) -> None:
        class Marked(Header):
            mark: U8 = const(5)
            value: U16 = 0

        class Msg(Header, under=TCP, port=3333, stream=True, last=True):
            n: U8 = auto(count_of("held"))
            held: tuple[Marked, ...] = many()

        data = bytes(Msg(held=[Marked(value=1), Marked(value=2)]))
        for cut in range(1, len(data)):
            capture = sent(data[:cut], data[cut:])
            assert [packet.faults for packet in capture.packets()] == [(), (), ()]
            assert Msg in capture[1].packet() and [one.whole for one in capture.messages(Msg)] == [True]
        wrong = bytes.fromhex("03 0501 02 0600 0105")
        assert [fault.expected for fault in sent(wrong)[1].packet().faults] == ["5 for Marked.mark"]
        assert [fault.field for fault in sent(bytes.fromhex("03 050102 05"))[1].packet().faults] == []


class TestMessagesAfterAFaultyOne:
    """A fault that leaves it known where its message ends loses none of those after it."""

    def check(self, message: type[Header], bad: bytes, good: bytes) -> None:
        capture = sent(bad + good + good)
        found = [*capture.messages(message)]
        assert [(one.whole, bool(one.faults), one.data) for one in found] == [(True, True, bad), (True, False, good), (True, False, good)]
        packet = capture[1].packet()
        assert [bytes(one) for one in packet.messages(message)] == [bad, good, good]
        in_between = sent(good + bad + good)[1].packet()
        assert [bytes(one) for one in in_between.messages(message)] == [good, bad, good]
        assert [bool(one.faults) for one in in_between.messages(message)] == [False, True, False]
        assert in_between.summary().count("+") == 2 and "of a" not in in_between.summary()

    def test_of_a_class_that_another_one_refines(self) -> None:
        class K(Header, under=TCP, port=3333, stream=True):
            n: U16 = auto(size_of("self") + size_of("payload") - 2)
            k: U8 = 0
            m: U8 = auto(size_of("t"))
            t: Text = sized(field("m"), "")

        class K1(K, when={"k": 1}):
            z: U8 = 9

        good = bytes(K1(t="x"))
        self.check(K, good.replace(b"x", b"\xe9"), good)

    def test_of_a_text_up_to_a_delimiter_that_the_size_goes_by(self) -> None:
        class Msg(Header, under=TCP, port=3333, stream=True, payload_size=choose(field("word") == "GET", 0, 2)):
            word: Text = ended(b" ", "GET")
            line: Text = ended(b"\n", "x")

        good = bytes(Msg())
        self.check(Msg, good.replace(b"x", b"\xe9"), good)
        self.check(Msg, b"\xe9 x\nab", good)

    def test_where_a_list_ends_at_a_fault_it_is_not_known_where_the_message_does(self) -> None:
        class Marked(Header):
            mark: U8 = const(5)
            value: U8 = 0

        class Msg(Header, under=TCP, port=3333, stream=True, last=True):
            n: U8 = auto(count_of("held"))
            held: tuple[Marked, ...] = many()
            z: U8 = 7

        (one,) = sent(bytes.fromhex("02 0501 0601 07") + bytes(Msg()))[:].messages(Msg)
        assert not one.whole and one.lost[0].expected == "5 for Marked.mark"
