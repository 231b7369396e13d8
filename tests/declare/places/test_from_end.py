"""Fields whose place is counted from an end: padding that its last byte counts, trailers of a size of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U1,
    U2,
    U4,
    U7,
    U8,
    U12,
    U16,
    U32,
    UDP,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Packet,
    Payload,
    Rest,
    Writer,
    auto,
    bindings,
    const,
    count_of,
    declare_from,
    dissect,
    field,
    fixed_bytes,
    from_end,
    has,
    many,
    size_of,
    sized,
    strategies,
    when,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.conftest import amount


class Media(Header):
    """RTP (RFC 3550 section 5.1)."""

    version: U2 = const(2)
    padding: U1 = auto(has("filler"))
    extension: U1 = 0
    sources: U4 = auto(count_of("contributing"))
    marker: U1 = 0
    type: U7 = 96
    sequence: U16 = 1
    timestamp: U32 = 2
    source: U32 = 3
    contributing: tuple[U32, ...] = many()
    body: Payload
    filler: Bytes | None = when(field("padding"))
    filled: U8 | None = when(field("padding"), from_end(1, auto(size_of("filler") + 1)))


class Trailing(Header):
    """A field that goes on to the end, less what the end tells."""

    size: U8 = auto(size_of("self"))
    data: Bytes = b""
    filler: Bytes = b""
    count: U8 = from_end(3, auto(size_of("filler")))
    next: U16 = 7


class Secured(Header):
    """ESP without encryption (RFC 4303 section 2): what follows stands behind."""

    spi: U32 = 1
    body: Payload
    filler: Bytes = b""
    count: U8 = from_end(14, auto(size_of("filler")))
    next: U8 = 59
    check: Annotated[bytes, fixed_bytes(12)] = bytes(12)


def test_padding_is_counted_by_the_last_byte() -> None:
    plain, padded = Media() / b"abc", Media(filler=bytes(3)) / b"abc"
    assert bytes(plain) == b"\x80\x60" + bytes.fromhex("0001 00000002 00000003") + b"abc"
    assert bytes(padded) == b"\xa0" + bytes(plain)[1:] + b"\0\0\0\4"
    for packet in (plain, padded):
        again = dissect(bytes(packet), Media)
        assert again == packet and again.faults == () and again.payload == b"abc"
    found = dissect(bytes(padded), Media)
    assert (found[Media].filler, found[Media].filled) == (bytes(3), 4)
    assert bytes(found.replace(Media, filler=b"xy")) == bytes(padded)[:-4] + b"xy\3"
    assert bytes(found.replace(Media, filler=None, filled=None, padding=0)) == bytes(plain)
    assert "size_of(filler) + 1" in found.replace(Media, filler=b"").why(Media, "filled")


@pytest.mark.parametrize(
    ("count", "field_", "expected", "got"),
    [(0, "filler", "a size of 0 or more", "-1"), (8, "filler", "7 bytes", "6"), (255, "filler", "254 bytes", "6")],
)
def test_a_count_that_is_none_is_a_fault_and_the_payload_has_all_bytes(
    count: int, field_: str, expected: str, got: str
) -> None:
    data = bytes(Media(filler=bytes(3)) / b"abc")[:-1] + bytes([count])
    packet = dissect(data, Media)
    assert [(f.field, f.offset, f.expected, f.got) for f in packet.faults] == [(field_, 12, expected, got)]
    assert bytes(packet) == data and packet.payload == data[12:] and bytes(packet[Media]) == data[:12]


def test_without_a_byte_at_the_end_it_is_missing() -> None:
    data = bytes(Media(filler=b""))[:12]
    packet = dissect(data, Media)
    assert packet.faults[0].field == "filled" and bytes(packet) == data


def test_what_the_capture_cut_has_no_end() -> None:
    data = bytes(Media(filler=bytes(3)) / b"abcdef")
    packet = dissect(data[:-3], Media, wire_length=len(data))
    assert packet.faults and all(fault.cut for fault in packet.faults)
    assert packet[Media].filled is None and packet.payload == data[12:-3]


def test_a_field_that_goes_on_ends_where_the_end_says() -> None:
    made = Trailing(data=b"abc", filler=b"\0\0")
    assert bytes(made) == b"\x09abc\0\0\2\0\7"
    packet = dissect(bytes(made) + b"up", Trailing)
    assert packet == made / b"up" and packet.faults == ()
    assert packet.replace(Trailing, filler=b"")[Trailing].count == 0
    broken = dissect(b"\x05a\x09\0\7xyz", Trailing)
    assert broken.faults[0].field == "filler" and bytes(broken) == b"\x05a\x09\0\7xyz"


def test_a_trailer_of_fields_of_several_sorts() -> None:
    made = Secured(filler=b"\1\2", next=6) / b"body"
    assert bytes(made) == b"\0\0\0\1body\1\2\2\6" + bytes(12)
    assert dissect(bytes(made), Secured) == made


@given(st.binary(max_size=40))
@settings(max_examples=amount(300, 3000), deadline=None)
def test_any_bytes_come_back_and_both_readers_agree(data: bytes) -> None:
    for header in (Media, Trailing, Secured):
        for some in (data, b"\xa0" + data, bytes([len(data) + 1]) + data):
            packet = dissect(some, header)
            careful = Dissection()
            read, start, end, _ = walk(header._declaration, some, 0, len(some), careful)
            assert bytes(packet) == some
            assert (packet.layers[0], packet.payload, packet.faults) == (read, some[start:end], tuple(careful.faults))


@given(
    header=st.one_of(strategies.headers(Media), strategies.headers(Trailing), strategies.headers(Secured)),
    body=st.binary(max_size=9),
)
@settings(max_examples=amount(100, 1000), deadline=None)
def test_what_is_built_reads_back(header: Any, body: bytes) -> None:
    packet = header / body
    again = dissect(bytes(packet), type(header))
    assert again == packet and again.faults == ()


@given(
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    body=st.binary(max_size=9),
    filler=st.binary(max_size=9),
    optional=st.booleans(),
    inside=st.booleans(),
)
@settings(max_examples=amount(30, 1000), deadline=None)
def test_drawn_declarations(sizes: list[int], body: bytes, filler: bytes, optional: bool, inside: bool) -> None:
    with bindings():
        there = has("filler")
        fields: dict[str, Any] = {"flag": (U8, auto(there) if optional else 1)}
        if inside:
            fields |= {"length": (U8, auto(size_of("self"))), "data": (Bytes, b"")}
        else:
            fields["body"] = (Payload, None)
        some: Any = (lambda value: when(field("flag"), value)) if optional else (lambda value: value)
        fields["filler"] = (Bytes, when(field("flag")) if optional else b"")
        fields["count"] = (U8, some(from_end(1 + sum(sizes), auto(size_of("filler")))))
        for number, size in enumerate(sizes):
            fields[f"more{number}"] = (Annotated[bytes, fixed_bytes(size)], some(bytes(size)))
        body_: dict[str, Any] = {name: value for name, (_, value) in fields.items() if value is not None}
        body_["__annotations__"] = {name: kind for name, (kind, _) in fields.items()}
        made: Any = type(Header)("Drawn", (Header,), {**body_, "__module__": __name__, "__qualname__": "Drawn"})
        packet = (made(data=body, filler=filler) / b"above") if inside else made(filler=filler) / body
        again = dissect(bytes(packet), made)
        assert again == packet and again.faults == () and again.payload == (b"above" if inside else body)


def refused(**fields: tuple[Any, Any]) -> str:
    body: dict[str, Any] = {name: value for name, (_, value) in fields.items() if value is not None}
    body["__annotations__"] = {name: kind for name, (kind, _) in fields.items()}
    with bindings(), pytest.raises(DeclareError) as caught:
        type(Header)("Wrong", (Header,), {**body, "__module__": __name__, "__qualname__": "Wrong"})
    return str(caught.value)


def test_what_makes_no_sense_is_refused_at_the_class() -> None:
    assert "from_end(2)" in refused(body=(Payload, None), a=(U8, from_end(1)), b=(U8, 0))
    assert "goes on to the end" in refused(a=(U8, 0), b=(U8, from_end(1)))
    assert "fixed sizes" in refused(body=(Payload, None), a=(U8, from_end(1)), b=(Bytes, sized(field("a"))))
    assert "from the end" in refused(n=(U8, auto(size_of("payload"))), body=(Payload, None), a=(U8, from_end(1)))
    assert "whole bytes" in refused(body=(Payload, None), a=(U4, from_end(1)), b=(U4, 0))
    assert "a size" in refused(body=(Payload, None), b=(Bytes, b""), a=(U8, from_end(1)))
    assert "from_end(...) is read first" in refused(body=(Payload, None), b=(Bytes, sized(field("a"))), a=(U8, 0))
    with pytest.raises(DeclareError):
        from_end(0)
    assert Rest


def test_descriptions_columns_and_filters(tmp_path: Path) -> None:
    said = described([Media])
    data = bytes(Media(filler=bytes(3)) / b"abc")
    with bindings():
        assert repr(dissect(data, declare_from(said)[-1])) == repr(dissect(data, Media))
    with bindings():
        found: dict[str, Any] = {name: getattr(pl, name) for name in dir(pl)} | {
            "__name__": "pasted",
            "Annotated": Annotated,
        }
        exec("\n\n\n".join(map(class_body, said)), found)
        assert described([found["Media"]]) == said
    with bindings():
        pl.bind(Media, under=UDP, when={"dport": 0x7A54})
        with Writer(tmp_path / "made.pcap") as out:
            for filler in (b"", b"12", None):
                out.write(Ether() / IPv4() / UDP(dport=0x7A54) / Media(filler=filler) / b"abc")
        capture = Capture(tmp_path / "made.pcap")
        assert capture.where("media.filled == 3").count() == 1
        assert capture.where(Media(filled=1)).count() == 1
        assert [*capture.table("media.filled")["media.filled"]][:2] == [1, 3]
        assert 'name = "filled"' in str(pl.wireshark(Media)) and "from_end = 1" in str(pl.wireshark(Media))


@pytest.mark.parametrize(
    "packet",
    [
        Media(filler=b"12", contributing=[5]) / b"abcd",
        Secured(filler=b"abc") / b"xyz",
        Trailing(data=b"a", filler=b"b") / b"c",
    ],
    ids=Packet.summary,
)
def test_what_is_expected_of_malformed_packets_is_reported(packet: Packet) -> None:
    for case in pl.malformed(dissect(bytes(packet), type(packet.layers[0]))):
        assert (case.id, case.disagreements()) == (case.id, [])


def test_tshark_sees_the_same_padding(tshark: Callable[..., list[list[str]]], tmp_path: Path) -> None:
    with Writer(tmp_path / "made.pcap") as out:
        for filler in (None, b"", bytes(3), bytes(20)):
            out.write(
                Ether()
                / IPv4(src="10.0.0.1", dst="10.0.0.2")
                / UDP(sport=5004, dport=5004)
                / Media(filler=filler, contributing=[5, 6])
                / b"abcdefgh"
            )
    rows = tshark(
        tmp_path / "made.pcap",
        "rtp.padding",
        "rtp.padding.data",
        "rtp.padding.count",
        "rtp.payload",
        "_ws.malformed",
        options=("-d", "udp.port==5004,rtp"),
    )
    for row, size in zip(rows, (None, 0, 3, 20), strict=True):
        there = size is not None
        assert row[0] in (str(int(there)), str(there)) and row[3].replace(":", "") == b"abcdefgh".hex() and not row[4]
        assert row[2] == (str(size + 1) if size is not None else "")
        assert len(row[1].replace(":", "")) // 2 == (size or 0)


@pytest.mark.parametrize(("field_after", "complaint"), [
    (lambda: (U8, pl.at(1, 0)), "a field before the payload at an offset, got one after it .after a payload places count from the end: from_end"),
    (lambda: (U8, pl.at(field("a"), 0)), "a field before the payload at an offset, got one after it"),
    (lambda: (Bytes, pl.pad(to=field("a"))), "a field before the payload at an offset, got one after it"),
    (lambda: (int, pl.computed(field("a"))), r"a field of bytes after a payload, got computed.* .it may stand before the payload"),
    (lambda: (U8, from_end(3, auto(size_of("p")))), 'the payload as "payload", got .p.'),
])  # fmt: skip
@pytest.mark.parametrize("more", [{}, {"check": U8}])
def test_what_has_no_place_after_a_payload_is_refused_by_name(field_after: Any, complaint: str, more: dict[str, Any]) -> None:
    annotation, value = field_after()
    body = {"__annotations__": {"a": U8, "p": Payload, "late": annotation, **more}, "a": 0, "late": value, **dict.fromkeys(more, from_end(1, 0))}
    with pytest.raises(DeclareError, match=f"^Trailing.late: expected {complaint}"):
        type(Header)("Trailing", (Header,), body)


def test_fields_after_it_may_share_bytes() -> None:
    class SharedEnd(Header):
        body: Payload
        kind: U16 = from_end(6, 7)
        high: U12 = 0x123
        low: U4 = 4
        more: U1 = 1
        rest: U7 = 5
        end: U8 = 9

    made = SharedEnd() / b"body"
    assert bytes(made).hex() == b"body".hex() + "000712348509"
    assert dissect(bytes(made), SharedEnd) == made and not dissect(bytes(made), SharedEnd).faults
    for size in range(6):
        data = bytes(SharedEnd())[:size]
        packet = dissect(data, SharedEnd)
        assert bytes(packet) == data and packet.payload == data and len(packet.faults) == 1
