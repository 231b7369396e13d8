"""Checksums over single fields of a header that a field holds, and over all of it without some, or with some as zeros."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    U32,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4Address,
    Payload,
    Verdict,
    Writer,
    auto,
    bindings,
    but,
    crc32,
    declare_from,
    describe,
    dissect,
    field,
    from_end,
    iso_fletcher,
    size_of,
    sized,
    span,
    zeroed,
)
from tests.careful import careful
from tests.conftest import need
from tests.export.pdml import Tshark, compare
from tests.export.test_wireshark_places import damaged


def declared() -> tuple[Any, Any]:
    class HeldHead(Header):
        number: U16 = 1
        age: U16 = 7
        host: IPv4Address = "10.0.0.1"  # type: ignore[assignment]
        size: U8 = auto(size_of("text"))
        text: Bytes = b"xyz"

    class Summed(Header, under=Ether, when={"type": 0x7D51}):
        head: HeldHead = HeldHead()
        kind: U8 = 9
        one: U32 = auto(crc32("head.age", "kind", "head"))
        without: U32 = auto(crc32("head", "kind", but("head.age", "kind")))
        zeros: U32 = auto(crc32(span("head", "kind"), zeroed("head.age", "head.host")))

    return HeldHead, Summed


def test_a_path_that_is_named_itself_is_left_out_or_zeros_too() -> None:
    with bindings():
        head_class, _ = declared()

        class Named(Header):
            head: head_class = head_class()
            kind: U8 = 9
            zeros: U32 = auto(crc32("head.number", "head.age", "kind", zeroed("head.number")))
            without: U32 = auto(crc32("head.age", "kind", "head.number", but("head.age")))
            both: U32 = auto(crc32("head.number", "head.age", zeroed("head.age"), but("head.number")))

        for number in (1, 0xFFFF):
            packet = dissect(bytes(Named(head=head_class(number=number))), Named)
            data = bytes(packet)
            assert packet[Named].zeros == zlib.crc32(bytes(2) + data[2:4] + b"\x09")
            assert packet[Named].without == zlib.crc32(b"\x09" + data[:2])
            assert packet[Named].both == zlib.crc32(bytes(2))
            assert {*packet.verdicts().values()} == {Verdict.GOOD} and careful(Named, data)[0] == packet[Named]
        with pytest.raises(DeclareError, match="which leaves nothing|bytes that the checksum goes over"):

            class Nothing(Header):
                head: head_class = head_class()
                zeros: U32 = auto(crc32("head.number", but("head.number")))


@given(st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=20))
def test_each_is_that_of_zlib_over_the_bytes_that_are_named(number: int, age: int, text: bytes) -> None:
    with bindings():
        head_class, summed = declared()
        head = head_class(number=number, age=age, text=text)
        data, packet = bytes(head), dissect(bytes(Ether() / summed(head=head)))
        read = packet[summed]
        assert read.one == zlib.crc32(data[2:4] + b"\x09" + data) and read.without == zlib.crc32(data[:2] + data[4:])
        assert read.zeros == zlib.crc32(data[:2] + bytes(6) + data[8:] + b"\x09")
        assert {*packet.verdicts().values()} == {Verdict.GOOD} and careful(summed, bytes(packet)[14:])[0] == read
        older = dissect(bytes(packet)[:16] + bytes(2) + bytes(packet)[18:])  # another age
        assert older.verdict(summed, "without") is Verdict.GOOD is older.verdict(summed, "zeros")
        assert (older.verdict(summed, "one") is Verdict.GOOD) is (age == 0)
        changed = packet.replace(summed, head=head_class(age=5))
        assert bytes(changed) == bytes(Ether() / summed(head=head_class(age=5)))
        description = [describe(head_class), describe(summed)]
    with bindings():
        again: Any = declare_from(description)[1]
        assert {*dissect(bytes(packet)[14:], again).verdicts().values()} == {Verdict.GOOD}


def test_what_is_varied_rewritten_and_shown_has_them_too(tmp_path: Path) -> None:
    need("tshark")
    with bindings():
        _, summed = declared()
        packet = dissect(bytes(Ether() / summed()))
        for varied in packet.vary(3, {"summed.kind": range(3)}):
            assert {*dissect(bytes(varied)).verdicts().values()} == {Verdict.GOOD}
        capture = Capture.of([bytes(packet)])
        (frame,) = capture.rewrite(ip={"10.0.0.0/8": "20.0.0.0/8"})
        assert str(frame.packet()[summed].head.host) == "20.0.0.1" and {*frame.packet().verdicts().values()} == {Verdict.GOOD}
        assert frame.packet()[summed].zeros == packet[summed].zeros and frame.packet()[summed].without != packet[summed].without
        older = bytes(packet)[:16] + bytes(2) + bytes(packet)[18:]
        with Writer(tmp_path / "a.pcap") as writer:
            writer.write(bytes(packet))
            writer.write(older)
        shown = Tshark(tmp_path, summed).dissected(tmp_path / "a.pcap")
        said = [[one.get("show") for one in layers[-1].iter("field") if (one.get("name") or "").endswith(".status")] for layers in shown]
        assert said == [["1", "1", "1"], ["0", "1", "1"]]
        assert "head.age: 2 bytes" in str(packet.why(summed, "one")) and "but(head.age, kind): 3 bytes left out" in str(packet.why(summed, "without"))


@pytest.mark.parametrize("over", [("head.number",), ("head", but("head.number")), ("head", zeroed("head.number"))])
def test_a_header_that_is_too_short_has_nothing_to_be_right(over: tuple[Any, ...], tmp_path: Path) -> None:
    with bindings():

        class ShortHead(Header):
            kind: U8 = 1
            number: U16 = 0

        class Shortened(Header, under=Ether, when={"type": 0x7D52}):
            size: U8 = auto(size_of("head"))
            sum: U32 = auto(crc32(*over))
            head: ShortHead = sized(field("size"))

        asked, expected = list[bytes](), list[str]()
        for head, more in (b"\1\2\3", b""), (b"\1\2\3", b"\4\5\6"), (b"\1\2", b""), (b"\1", b"\4"), (b"", b"\4"):
            seen = {b"\1\2\3": b"\2\3", b"\1\2": b"\2"}.get(head, b"") if over[0] == "head.number" else head[:1] if "but" in str(over[1]) else head[:1] + bytes(len(head[1:]))
            right = zlib.crc32(seen)
            frames = [bytes(Ether(type=0x7D52)) + bytes([len(head)]) + number.to_bytes(4, "big") + head + more for number in (right, right ^ 1)]
            wanted = [Verdict.GOOD, Verdict.BAD] if len(head) == 3 else [Verdict.UNVERIFIED] * 2
            assert [dissect(data).verdict(Shortened) for data in frames] == wanted
            if more or len(head) == 3:
                asked += frames
                expected += {3: ["1", "0"]}.get(len(head), ["2", "2"])
        need("tshark")
        shown = Tshark(tmp_path, Shortened).ask(asked)
        statuses = [one.get("show") for layers in shown for layer in layers for one in layer.iter("field") if (one.get("name") or "").endswith("shortened.sum.status")]
        assert statuses == expected


def test_a_path_goes_through_headers_in_headers_and_after_a_payload(tmp_path: Path) -> None:
    need("tshark")
    with bindings():
        head_class, _ = declared()

        class HeldTwice(Header):
            kind: U8 = 1
            head: head_class = head_class(number=7)

        class DeepSummed(Header, under=Ether, when={"type": 0x7D53}):
            begin: U8 = 3
            outer: HeldTwice = HeldTwice()
            one: U32 = auto(crc32("outer.head.age", "begin"))
            without: U32 = auto(crc32("outer", but("outer.head.age")))
            zeros: U32 = auto(crc32("self", zeroed("outer.head.host", "outer.kind"), but("one", "without")))

        class TrailSummed(Header, under=Ether, when={"type": 0x7D54}):
            begin: U8 = 3
            body: Payload
            head: head_class = sized(field("many"), head_class())
            many: U8 = from_end(9, auto(size_of("head")))
            one: U32 = auto(crc32("head.age", "payload"))
            without: U32 = auto(crc32("self", "payload", "head", but("head.number")))

        head, deep = bytes(head_class(number=7)), DeepSummed()
        assert (deep.one, deep.without) == (zlib.crc32(head[2:4] + b"\3"), zlib.crc32(b"\1" + head[:2] + head[4:]))
        assert deep.zeros == zlib.crc32(b"\3\0" + head[:4] + bytes(4) + head[8:] + bytes(4))
        packets = [dissect(bytes(Ether() / deep)), dissect(bytes(Ether() / TrailSummed() / b"hello"))]
        behind, head = packets[1][TrailSummed], bytes(head_class())
        assert (behind.one, behind.without) == (zlib.crc32(head[2:4] + b"hello"), zlib.crc32(b"\3hello" + head[2:]))
        assert all({*packet.verdicts().values()} == {Verdict.GOOD} for packet in packets)
        for packet, header in zip(packets, (DeepSummed, TrailSummed), strict=True):
            assert all({*dissect(bytes(row)).verdicts().values()} == {Verdict.GOOD} for row in packet.vary(3, {(header, "begin"): range(3)}))
            (frame,) = Capture.of([bytes(packet)]).rewrite(ip={"10.0.0.0/8": "20.0.0.0/8"})
            assert bytes(frame) != bytes(packet) and {*frame.packet().verdicts().values()} == {Verdict.GOOD}
            assert careful(header, bytes(packet)[14:])[0] == packet[header]
        compare(Tshark(tmp_path, DeepSummed, TrailSummed), [*packets, *damaged(packets, 7)])


@pytest.mark.parametrize("name", ["head.text", "head.none", "other.number", "head"])
def test_what_has_no_place_beforehand_is_refused_with_the_way_out(name: str) -> None:
    with bindings():
        head_class, _ = declared()
        body: dict[str, Any] = {"__module__": __name__, "__annotations__": {"head": head_class | None, "sum": U32}, "head": head_class(), "sum": auto(crc32("head", but(name)))}
        body["__annotations__"]["head"] = head_class
        with pytest.raises(DeclareError, match={"head": "leaves nothing", "other.number": "the header that has those bytes has the sum"}.get(name, "a path goes into a header that a field always holds")):
            type(Header)("Refused", (Header,), body)
        with pytest.raises(DeclareError, match="whole fields for check bytes"):
            class Placed(Header):
                head: head_class = head_class()  # type: ignore[valid-type]
                check: U16 = auto(iso_fletcher("self", but("head.age")))
