"""Fields that are there if bytes are left: reason codes of MQTT 5 (section 3.4.2), hellos of TLS without extensions (RFC 5246 section 7.4.1.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    Packet,
    Payload,
    Rest,
    auto,
    bind,
    bindings,
    declare_from,
    describe,
    dissect,
    field,
    has,
    left,
    many,
    size_of,
    sized,
    strategies,
    when,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.schema.source import class_body
from tests.conftest import need
from tests.export.pdml import Tshark, compare
from tests.export.test_wireshark_places import damaged


class LeftPart(Header):
    n: U8 = auto(size_of("data"))
    data: Bytes = b""


class LeftFrame(Header):
    version: U8 = 5
    size: U8 = auto(size_of("payload"))


class LeftAck(Header, under=LeftFrame, when=field("version") > 0):
    id: U16 = 1
    code: U8 | None = when(left())
    part: LeftPart | None = when(left())
    note: Rest | None = when(left())


class LeftOwn(Header):
    """Of a size of its own, and a payload."""

    kind: U8 = 0
    size: U8 = auto(size_of("self"))
    first: U16 | None = when((left() >= 2) & (field("kind") < 100))
    second: U8 | None = when(left())
    body: Payload


class LeftHello(Header):
    version: U8 = 3
    size: U16 | None = when(left(), auto(size_of("parts")))
    parts: tuple[LeftPart, ...] | None = when(has("size"), many(size=field("size")))


class LeftHolder(Header):
    size: U8 = auto(size_of("hello"))
    hello: LeftHello = sized(field("size"), LeftHello())
    after: U8 = 0xFF


PART = LeftPart(data=b"x")


@pytest.mark.parametrize(
    "given, sent",
    [
        ({}, "05 02 0001"),
        ({"code": 0}, "05 03 0001 00"),
        ({"code": 9, "part": PART}, "05 05 0001 09 01 78"),
        ({"code": 9, "part": LeftPart(), "note": b"hi"}, "05 06 0001 09 00 6869"),
    ],
)
def test_sizes_follow_from_which_fields_are_given(given: dict[str, Any], sent: str) -> None:
    ack = LeftAck(**given)
    data = bytes(LeftFrame() / ack)
    assert data == bytes.fromhex(sent)
    found = dissect(data, LeftFrame)
    assert found[LeftAck] == ack and not found.faults and bytes(found) == data
    assert walk(LeftAck._declaration, data, 2, len(data), Dissection())[0] == found[LeftAck]
    assert bytes(found.replace(LeftAck, code=7, part=PART, note=b"!")) == bytes.fromhex("05 06 0001 07 01 78 21")


def test_what_would_be_read_as_another_field_is_refused() -> None:
    for some, name in (
        ({"part": PART}, "code"),
        ({"code": 1, "note": b"x"}, "part"),
        ({"code": 1, "part": PART, "note": b""}, "note"),
    ):
        with pytest.raises(BuildError, match=rf"LeftAck.{name}: expected a value where left\(\) > 0, and only there"):
            bytes(LeftFrame() / LeftAck(**some))  # type: ignore[arg-type]


def test_a_header_of_its_own_size_and_a_payload() -> None:
    for some, size in (({}, 2), ({"first": 1}, 4), ({"first": 1, "second": 2}, 5)):
        data = bytes(LeftOwn(**some) / b"zz")  # type: ignore[arg-type]
        found = dissect(data, LeftOwn)
        assert found[LeftOwn] == LeftOwn(**some) and found[LeftOwn].size == size  # type: ignore[arg-type]
        assert found.payload == b"zz" and not found.faults
    assert dissect(b"\x00\x03\x05", LeftOwn)[LeftOwn].second == 5


def test_a_field_that_follows_from_others_is_there_with_them() -> None:
    assert bytes(LeftHello()) == b"\x03" and bytes(LeftHello(size=0)) == b"\x03\0\0"
    assert bytes(LeftHello(parts=(PART,))) == b"\x03\0\x02\x01x"
    found = dissect(b"\x03", LeftHello)
    assert found[LeftHello].size is None and found[LeftHello].parts is None
    assert bytes(found.replace(LeftHello, parts=(PART,))) == b"\x03\0\x02\x01x"
    held = LeftHolder(hello=LeftHello(parts=(PART,)))
    assert bytes(LeftHolder()) == b"\x01\x03\xff" and bytes(held) == b"\x05\x03\0\x02\x01x\xff"
    assert dissect(bytes(held), LeftHolder)[LeftHolder] == held


def test_a_field_for_which_too_few_bytes_are_left_is_a_fault() -> None:
    (fault,) = dissect(b"\x03\0", LeftHello).faults
    assert (fault.field, fault.expected, fault.got) == ("size", "2 bytes", "1")


CLASSES: list[type[Header]] = [LeftAck, LeftOwn, LeftHello, LeftHolder]


@given(st.sampled_from(CLASSES), st.binary(max_size=12))
def test_any_bytes_are_read_alike_by_both_readers(cls: type[Header], data: bytes) -> None:
    found = dissect(data, cls)
    assert bytes(found) == data
    ctx = Dissection()
    if data:
        assert walk(cls._declaration, data, 0, len(data), ctx)[0] == found.layers[0]


@given(st.data())
def test_drawn_headers_come_back(data: st.DataObject) -> None:
    for cls in CLASSES:
        header = data.draw(strategies.headers(cls))
        found = dissect(bytes(header), cls)
        assert found[cls] == header and not found.faults


def test_filters_tables_and_words() -> None:
    packets = [
        LeftFrame() / LeftAck(),
        LeftFrame() / LeftAck(code=9),
        LeftFrame(version=3) / LeftAck(code=1, part=PART),
    ]
    with bindings():
        bind(LeftFrame, under=Ether, when={"type": 0x7AE1})
        capture = Capture.of([bytes(Ether() / one) for one in packets])
        assert [*capture.table("leftack.code")["leftack.code"]][1:] == [9, 1]
        assert capture.where("leftack.code == 9").count() == 1 and capture.where(LeftAck(code=1)).count() == 1
        for packet in packets:
            assert bytes(packet.to_scapy()) == bytes(packet)
    read = [dissect(bytes(one), LeftFrame) for one in packets]
    assert "left() > 0: yes" in str(read[1].why(LeftAck, "code")) and ": no" in str(read[0].why(LeftAck, "code"))


@pytest.mark.slow
def test_tshark_reads_what_is_there_if_bytes_are_left(tmp_path: Path) -> None:
    need("tshark")
    with bindings():
        for number, header in enumerate((LeftFrame, LeftOwn, LeftHolder)):
            bind(header, under=Ether, when={"type": 0x7AE5 + number})
        packets = [
            Ether() / LeftFrame() / LeftAck(),
            Ether() / LeftFrame() / LeftAck(code=9, part=PART, note=b"abc"),
            Ether() / LeftOwn(),
            Ether() / LeftOwn(first=3, second=1) / b"abc",
            Ether() / LeftOwn(kind=200, second=1) / b"abc",
            Ether() / LeftHolder(),
            Ether() / LeftHolder(hello=LeftHello(parts=[PART, PART])),
        ]
        compare(Tshark(tmp_path, LeftFrame, LeftOwn, LeftHolder), [*damaged(packets, 38)])


def test_files_and_source_say_it() -> None:
    described = describe(LeftOwn)
    (again,) = declare_from(described)[:1]
    assert describe(again) == described
    assert bytes(again(first=1)) == bytes(LeftOwn(first=1))
    assert 'when((left() >= 2) & (field("kind") < 100))' in class_body(described, {})


def test_rules_that_make_no_sense_are_refused() -> None:
    with pytest.raises(DeclareError, match=r"left\(\) in when"):

        class Wrong(Header):
            data: Bytes = sized(left())

    with pytest.raises(DeclareError, match="no default with left"):

        class Usual(Header):
            code: U8 | None = when(left(), 7)

    with pytest.raises(DeclareError, match="items that tell their size"):

        class Listed(Header):
            hellos: tuple[LeftHello, ...] = many()

    with pytest.raises(DeclareError, match="before the payload"):

        class Behind(Header):
            body: Payload
            code: U8 | None = when(left())


def test_the_packet_is_one() -> None:
    packet = LeftFrame() / LeftAck(code=9)
    assert isinstance(packet, Packet) and packet[LeftFrame].size == 3
