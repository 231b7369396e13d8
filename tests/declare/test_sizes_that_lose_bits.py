"""A number whose rule, or whose reading, drops bits tells no more than it can: what would read back shorter is refused when it is built."""

from typing import Any

import pytest

from packetlab import (
    TCP,
    U8,
    U16,
    UDP,
    BuildError,
    Bytes,
    Capture,
    Ether,
    Header,
    IPv4,
    Text,
    VarInt,
    WebSocketFrame,
    auto,
    bindings,
    choose,
    count_of,
    dissect,
    field,
    many,
    size_of,
    sized,
)


class Item7C(Header):
    a: U8 = 0


N = field("n")
RULES: dict[str, tuple[Any, Any, Any, int, int]] = {
    "flags in the high bits": (auto(size_of("d")), Bytes, sized(N & 63, b""), 63, 70),
    "flags that are set": (auto(size_of("d") | 0xC0), Bytes, sized(N & 63, b""), 63, 70),
    "a low nibble": (auto(size_of("d") & 15), Bytes, sized(N & 15, b""), 15, 20),
    "a remainder": (auto(size_of("d") % 100), Bytes, sized(N % 100, b""), 99, 120),
    "the least of two": (auto(choose(size_of("d") < 64, size_of("d"), 63)), Bytes, sized(N, b""), 63, 70),
    "shifted": (auto(size_of("d") << 6), Bytes, sized((N >> 6) & 3, b""), 3, 4),
    "text": (auto(size_of("d")), Text, sized(N & 63, ""), 63, 70),
    "numbers by count": (auto(count_of("d") & 127), tuple[U8, ...], many(count=N & 127), 127, 130),
    "numbers by size": (auto(size_of("d") & 127), tuple[U8, ...], many(size=N & 127), 127, 130),
    "varints": (auto(count_of("d") & 127), tuple[VarInt, ...], many(count=N & 127), 127, 130),
    "headers by count": (auto(count_of("d") & 127), tuple[Item7C, ...], many(count=N & 127), 127, 130),
    "headers by size": (auto(size_of("d")), tuple[Item7C, ...], many(size=N & 127), 127, 130),
}


def _of(kind: Any, size: int) -> Any:
    return b"x" * size if kind is Bytes else "x" * size if kind is Text else [Item7C()] * size if "Item7C" in str(kind) else [1] * size


@pytest.mark.parametrize("name", RULES)
def test_a_size_that_its_number_cannot_tell_is_refused(name: str) -> None:
    rule, kind, told, most, more = RULES[name]
    with bindings():
        cls: Any = type(Header)("Lossy7C", (Header,), {"__annotations__": {"n": U16 if name == "shifted" else U8, "d": kind}, "n": rule, "d": told})
        for size in (1, most):
            made = cls(d=_of(kind, size))
            read = dissect(bytes(made), cls)
            assert read[cls] == made
            assert not read.faults
            assert not read.payload
        with pytest.raises(BuildError, match=rf"Lossy7C\.d: expected {more % (most + 1) if 'least' not in name else most} .*n can be given too\)"):
            bytes(cls(d=_of(kind, more)))
        assert len(bytes(cls(n=1, d=_of(kind, more)))) > more, "a number that is given is sent so"


def test_a_payload_that_its_number_cannot_tell_is_refused() -> None:
    with bindings():

        class Over7C(Header, under=UDP, port=7001, payload_size=N & 63):
            n: U8 = auto(size_of("payload"))

        for _ in range(20):  # in line, too
            with pytest.raises(BuildError, match=r"Over7C\.n: .*got 70, which is read as 6"):
                bytes(Ether() / IPv4() / UDP() / Over7C() / (b"x" * 70))
        assert dissect(bytes(Over7C() / (b"x" * 63)), Over7C).payload == b"x" * 63
        assert bytes(Over7C(n=70) / (b"x" * 70))[0] == 70


def test_the_messages_of_a_stream_stay_apart() -> None:
    with bindings():

        class Message7C(Header, under=TCP, port=7000, stream=True):
            n: U8 = auto(size_of("d"))
            d: Bytes = sized(N & 63, b"")

        def frame(flags: str, seq: int, data: bytes) -> bytes:
            return bytes(Ether() / IPv4(src="1.1.1.1", dst="1.1.1.2") / TCP(sport=4000, dport=7000, flags=flags, seq=seq) / data)

        sent = bytes(Message7C(d=b"x" * 63)) + bytes(Message7C(d=b"y"))
        read = Capture.of([frame("SYN", 0, b""), frame("ACK", 1, sent)]).messages(Message7C)
        assert [one.packet[Message7C].d for one in read] == [b"x" * 63, b"y"]
        with pytest.raises(BuildError, match=r"Message7C\.d"):
            bytes(Message7C(d=b"x" * 70))


def test_a_captured_number_with_other_flags_does_not_stay_when_what_it_sizes_changes() -> None:
    with bindings():

        class Avp7C(Header):
            head: U16 = auto(size_of("v") + 6 | 0x8000)
            w: U16 = 0
            kind: U16 = 0
            v: Bytes = sized((field("head") & 0x3FF) - 6, b"")

        usual, other = (dissect(bytes.fromhex(data), Avp7C) for data in ("8008000000006162", "4008000000006162"))
        assert bytes(usual.replace({"avp7c.v": b"abcd"})).hex() == "800a0000000061626364"
        with pytest.raises(BuildError, match=r"Avp7C\.v: expected 2 bytes.*head can be given too"):
            bytes(other.replace({"avp7c.v": b"abcd"}))
        assert bytes(other.replace({"avp7c.v": b"abcd", "avp7c.head": 0x400A})).hex() == "400a0000000061626364"
        assert bytes(other.replace({"avp7c.w": 1})).hex() == "4008000100006162"
        assert bytes(other.replace({"avp7c.v": b"cd"})).hex() == "4008000000006364"


def test_a_field_that_was_captured_goes_by_a_number_that_changes() -> None:
    with bindings():

        class Two7C(Header, under=UDP, port=7003):
            n: U8 = auto(size_of("a"))
            a: Bytes = sized(N, b"")
            b: Bytes = sized(N, b"")

        data = bytes(Ether() / IPv4() / UDP() / Two7C(a=b"ab", b=b"cd"))
        for _ in range(20):
            packet = dissect(data)
            with pytest.raises(BuildError, match=r"Two7C\.b: expected 3 bytes, as n says, got 2 bytes"):
                bytes(packet.replace(Two7C, a=b"abc"))
            assert bytes(packet.replace(Two7C, a=b"xy")) != data
            assert bytes(packet.replace(Two7C, a=b"abc", b=b"def"))[42:] == b"\3abcdef"
            assert bytes(packet.replace(Two7C, a=b"abc", n=2))[42:] == b"\2abccd", "given, so it is sent"
            assert bytes(packet.replace(IPv4, ttl=9))[42:] == data[42:]


def test_values_without_a_number_of_theirs_are_refused_as_others_are() -> None:
    with bindings():

        class Varints7C(Header):
            n: U8 = 0
            xs: tuple[VarInt, ...] = many(count=N)

        assert dissect(bytes(Varints7C(n=2, xs=[1, 300])), Varints7C)[Varints7C].xs == (1, 300)
        with pytest.raises(BuildError, match=r"Varints7C\.xs: expected 0 items, as n says, got 2 items"):
            bytes(Varints7C(xs=[1, 300]))


def test_numbers_of_any_width_are_counted_by_a_header_in_a_field() -> None:
    with bindings():

        class Count7C(Header):
            k: U8 = 7
            n: U8 = 0

        for kind, values in ((U16, (1, 2, 3)), (U8, (1, 2)), (VarInt, (1, 300))):
            for word, unit in (("count", 1), ("size", 0)):
                if kind is VarInt and word == "size":
                    continue
                cls: Any = type(Header)("Held7C", (Header,), {
                    "__annotations__": {"c": Count7C, "xs": tuple[kind, ...]}, "c": Count7C(), "xs": many(**{word: field("c.n")}),
                })  # fmt: skip
                made = cls(xs=values)
                read = dissect(bytes(made), cls)
                assert read[cls].xs == values
                assert not read.faults
                assert read[cls].c.n == len(values) * (1 if unit else 2 if kind is U16 else 1)


def test_a_header_in_a_field_of_no_bytes_is_a_fault_where_it_needs_some() -> None:
    with bindings():

        class In7C(Header):
            a: U8 = 1
            b: U16 = 2

        class Around7C(Header, under=UDP, port=7004):
            n: U8 = auto(size_of("i"))
            i: In7C = In7C()
            z: U8 = 7

        class Outer7C(Header):
            n: U8 = 0
            g: In7C = sized(N, In7C())

        for data, cls in ((b"\0\7", Around7C), (b"\0", Outer7C)):
            for look in (False, True):
                packet = dissect(data, cls)
                if look:
                    assert "None" in repr(packet[cls])
                (fault,) = packet.faults
                assert (fault.offset, fault.expected, fault.got) == (1, "1 bytes for In7C.a", "0")
                assert bytes(packet) == data
        packet = dissect(bytes(Ether() / IPv4() / UDP(dport=7004) / b"\0\7"))
        assert [fault.field for fault in packet.faults] == ["i"]
        assert not dissect(bytes(Around7C()), Around7C).faults


def test_a_header_in_a_field_says_that_there_is_none() -> None:
    with bindings():

        class Says7C(Header):
            n: U8 = 0
            k: U8 = 0

        for kind, told, values, none in (
            (Bytes, sized(field("c.n") - 1, none=-1), (b"", b"abc"), 0),
            (tuple[U16, ...], many(count=field("c.n"), none=255), ((), (1, 2)), 255),
            (tuple[Item7C, ...], many(count=field("c.n"), none=255), ((), (Item7C(a=1),)), 255),
        ):
            cls: Any = type(Header)("None7C", (Header,), {
                "__annotations__": {"c": Says7C, "v": kind | None, "z": U8}, "c": Says7C(), "v": told, "z": 3,
            })  # fmt: skip
            for value in (None, *values):
                read = dissect(bytes(cls(v=value)), cls)
                assert read[cls] == cls(v=value)
                assert read[cls].v == value
                assert not read.faults
                for other in (None, *values):
                    assert bytes(read.replace(cls, v=other)) == bytes(cls(v=other))
            assert bytes(cls())[0] == none


class Flagged(Header, payload_size=field("n") & 31):
    n: U8 = auto(size_of("payload") | 0xA0)


def test_a_payload_of_another_size_does_not_keep_the_number_that_was_captured_with_other_flags() -> None:
    other, usual = dissect(b"\x63abc", Flagged), dissect(b"\xa3abc", Flagged)
    for edit in ({"payload": b"abcde"}, {"flagged.payload": b"abcde"}):
        assert bytes(usual.replace(edit)) == b"\xa5abcde"
        with pytest.raises(BuildError, match=r"Flagged, the payload: expected 3 bytes, as n & 31 says, got 5 bytes \(give n too, as auto to derive it again"):
            other.replace(edit)
    assert bytes(other.replace(payload=b"xyz")) == b"\x63xyz"
    assert bytes(other.replace(Flagged, payload=b"abcde", n=auto)) == b"\xa5abcde"
    assert bytes(other.replace(Flagged, payload=b"abcde", n=0x65)) == b"\x65abcde"


def test_one_that_was_wrong_before_stays_so() -> None:
    cut = dissect(b"\x63ab", Flagged)
    assert bytes(cut.replace(payload=b"a")) == b"\x63a"


def test_a_long_form_of_a_length_follows() -> None:
    frame = dissect(bytes.fromhex("817e0005") + b"hello", WebSocketFrame)
    assert bytes(frame.replace(payload=b"hello world")) == bytes.fromhex("817e000b") + b"hello world"


def test_a_number_that_is_no_length_may_tell_another_size() -> None:
    packet = dissect(bytes(12) + b"\0\0" + b"filled", Ether)  # a length of 0, in a frame that is filled up
    assert bytes(packet.replace(payload=b"hello"))[12:19] == b"\0\0hello"
