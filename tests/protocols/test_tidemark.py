"""Tidemark, a protocol of nobody's (texts/tidemark.txt): a table of sections, then their contents in words from the end of the table on.

A TRACK's numbers stand for others by its exponent: each exponent is a class of its own, made in a loop.
"""

from __future__ import annotations

from enum import IntEnum
from types import new_class
from typing import Annotated, Any

import pytest

from packetlab import (
    U1,
    U2,
    U4,
    U8,
    U16,
    U32,
    UDP,
    BuildError,
    Bytes,
    Header,
    Named,
    Rest,
    Text,
    Verdict,
    at,
    auto,
    bits,
    but,
    computed,
    const,
    count_of,
    crc,
    default,
    dissect,
    field,
    left,
    many,
    must,
    offset_of,
    scaled,
    size_of,
    sized,
    spare_bits,
    text,
    varint,
    when,
)
from tests.protocols.scope import Scope
from tests.protocols.texts import vectors

with (scope := Scope()):

    class Clock(IntEnum):
        NONE, FREE, SYNCHRONISED = 0, 1, 2

    class SectionKind(IntEnum):
        ITEMS, TRACK, TEXT, BLOB = 1, 2, 3, 4

    Varint3 = Annotated[int, varint(most=3, shortest=True)]

    class Section(Header):
        critical: U1 = must((field("critical") == 0) | field("type").one_of(1, 2, 3, 4), 0)
        pad: U2 = must((field("type") != 2) | (field("pad") == 0), 0)
        type: Annotated[Named[SectionKind], bits(5)] = default(0)
        instance: U8 = 0
        position: U16 = auto(offset_of("block", since="Tidemark.data") // 4)
        size: U16 = must(field("size") >= 1, auto(size_of("block") // 4))
        label: U16 = 0
        block: Bytes = at(field("position") * 4, sized(field("size") * 4, b""), since="Tidemark.data", within="data", align=4, fill=b"\xee")

    class KeyValue(Header):
        key_length: Varint3 = auto(size_of("key"))
        key: Text = sized(field("key_length"), "")
        value_length: Varint3 = auto(size_of("value"))
        value: Bytes = sized(field("value_length"), b"")

    class Items(Section, inside="block", when={"type": SectionKind.ITEMS}):
        count: Varint3 = auto(count_of("items"))
        items: tuple[KeyValue, ...] = many(count=field("count"))
        padding: Annotated[int, bits(field("^.pad") * 8)] = must(field("padding") == 0, 0)
        spare: int = spare_bits()

    class Track(Section, inside="block", when={"type": SectionKind.TRACK}):
        exponent: Annotated[int, bits(4, signed=True)] = 0
        dims: U4 = must(field("dims").one_of(2, 3), 2)
        zero: U8 = const(0)
        rest: Rest = b""

    class TextSection(Section, inside="block", when={"type": SectionKind.TEXT}):
        language: Annotated[str, text("ascii", size=2)] = "en"
        words: Text = sized(field("^.size") * 4 - field("^.pad") - 2, "")
        padding: Annotated[int, bits(field("^.pad") * 8)] = must(field("padding") == 0, 0)
        spare: int = spare_bits()

    class BlobSection(Section, inside="block", when={"type": SectionKind.BLOB}):
        owner: U32 = 0
        data: Bytes = sized(field("^.size") * 4 - field("^.pad") - 4, b"")
        padding: Annotated[int, bits(field("^.pad") * 8)] = must(field("padding") == 0, 0)
        spare: int = spare_bits()

    class Tidemark(Header, under=UDP, port=47113, last=True):
        magic: Bytes = const(b"TDMK")
        version: U4 = const(1)
        header_words: U4 = const(5)
        urgent: U1 = 0
        reply: U1 = 0
        clock: Annotated[Named[Clock], bits(2)] = must(field("clock") != 3, Clock.NONE)
        zero: U4 = 0
        sequence: U16 = 0
        total_words: U16 = must(field("total_words") * 4 == left() + 10, auto(size_of("self") // 4))
        section_count: U8 = must(field("section_count") <= 32, auto(count_of("sections")))
        hops: U8 = 0
        station: U32 = must(field("station") != 0, 1)
        crc: U32 = auto(crc("CRC-32/ISCSI", "self", but("hops"), but("crc")))
        sections: tuple[Section, ...] = many(count=field("section_count"))
        data: Rest = b""

    def track(exponent: int) -> tuple[Any, Any]:
        """Return the class of the points of one exponent, in degrees and metres, and of the track that holds them."""
        scale = f"1/{10**-exponent}" if exponent < 0 else 10**exponent
        most = {name: degrees * 10**-exponent if exponent < 0 else degrees // 10**exponent for name, degrees in (("latitude", 90), ("longitude", 180))}
        kinds: dict[str, Any] = {unit: Annotated[float, scaled(32, scale, unit=unit, signed=True)] for unit in ("deg", "m")}
        name = f"E{exponent}".replace("-", "Minus")  # one class a name

        def of_point(body: dict[str, Any]) -> None:
            body["__annotations__"] = {"latitude": kinds["deg"], "longitude": kinds["deg"], "height": kinds["m"] | None}
            body.update({name: must((field(name) >= -limit) & (field(name) <= limit), 0) for name, limit in most.items()}, height=when(field("^.numbers") == 3, 0))

        point: Any = new_class(f"Point{name}", (Header,), {}, of_point)

        def of_track(body: dict[str, Any]) -> None:
            body["__annotations__"] = {"numbers": int, "point_count": U16, "points": tuple[point, ...]}
            body.update(numbers=computed(field("^.dims")), point_count=auto(count_of("points")), points=many(count=field("point_count")))

        return point, new_class(f"Track{name}", (Track,), {"inside": "rest", "when": {"exponent": exponent}}, of_track)

    POINTS, TRACKS = {}, {}
    for exponent in range(-8, 8):
        POINTS[exponent], TRACKS[exponent] = track(exponent)

WHOLE, EMPTY, DAMAGED = vectors("tidemark")


def whole() -> Tidemark:
    """Return the message of 7.1, by its values."""
    point = POINTS[-5]
    return Tidemark(urgent=1, clock=Clock.SYNCHRONISED, sequence=258, hops=3, station=0xA1B2C3, sections=(
        Items(critical=1, label=0x11, position=9, pad=2, items=(KeyValue(key="name", value=b"Skerry 7"), KeyValue(key="note", value=b"x" * 130), KeyValue())),
        TRACKS[-5](label=0x22, position=0, points=(point(latitude=59.12345, longitude=-10.45678), point(latitude=-0.00003))),
        TextSection(label=0x33, position=50, language="no", words="Sjø rolig"),
        BlobSection(instance=7, label=0x44, position=6, pad=3, owner=0xC0DE, data=bytes.fromhex("deadbeef01")),
    ))  # fmt: skip


def test_four_sections_out_of_order_are_built_and_read() -> None:
    with scope:
        assert bytes(whole()) == WHOLE
        found = dissect(WHOLE, Tidemark)
        assert (found.faults, found[Tidemark], bytes(found), found.verdict(Tidemark)) == ((), whole(), WHOLE, Verdict.GOOD)
        tidemark = found[Tidemark]
        assert (tidemark.sequence, tidemark.total_words, tidemark.hops, tidemark.station, tidemark.crc) == (258, 66, 3, 0xA1B2C3, 0x57598284)
        items, tracked, spoken, blob = tidemark.sections
        assert [(one.position, one.size, one.pad) for one in tidemark.sections] == [(9, 39, 2), (0, 5, 0), (50, 3, 0), (6, 3, 3)]
        assert isinstance(items, Items) and [(one.key, one.value) for one in items.items] == [("name", b"Skerry 7"), ("note", b"x" * 130), ("", b"")]
        points: tuple[Any, ...] = getattr(tracked, "points", ())
        assert type(tracked) is TRACKS[-5]
        assert [(one.latitude, one.longitude, one.height) for one in points] == [(59.12345, -10.45678, None), (-0.00003, 0, None)]
        assert isinstance(spoken, TextSection) and (spoken.language, spoken.words) == ("no", "Sjø rolig")
        assert isinstance(blob, BlobSection) and (blob.owner, blob.data) == (0xC0DE, bytes.fromhex("deadbeef01"))


def test_no_section() -> None:
    with scope:
        made = Tidemark(reply=1, sequence=65535, station=42)
        assert bytes(made) == EMPTY
        assert dissect(EMPTY, Tidemark)[Tidemark] == made and dissect(EMPTY, Tidemark).faults == ()


def test_a_section_beyond_the_end_is_a_fault_and_is_built_only_with_its_bytes_apart() -> None:
    with scope:
        found = dissect(DAMAGED, Tidemark)
        assert bytes(found) == DAMAGED and found.verdict(Tidemark) is Verdict.GOOD
        assert list(map(str, found.faults)) == ["Tidemark.sections: expected sections[0].block within data, bytes 28 to 36 of Tidemark at offset 32, got bytes 32 to 40"]
        wrong = Section(type=SectionKind.TEXT, pad=1, position=1, size=2)
        assert bytes(Tidemark(sequence=3, station=42, sections=(wrong,), data=b"enHello\0")) == DAMAGED
        meant = Tidemark(sequence=3, station=42, sections=(TextSection(pad=1, words="Hello"),))
        assert bytes(meant)[28:] == DAMAGED[28:] and dissect(bytes(meant), Tidemark).faults == ()
        assert bytes(Tidemark(sequence=3, station=42, sections=(TextSection(position=1, pad=1, words="Hello"),)))[28:] == b"\xee" * 4 + DAMAGED[28:]


def test_positions_follow_and_given_ones_are_kept() -> None:
    with scope:
        made = Tidemark(sections=(BlobSection(data=b"x" * 8), TextSection(position=5, words="ab"), TextSection(pad=1, words="Hello")))
        found = dissect(bytes(made), Tidemark)
        assert found.faults == () and [one.position for one in found[Tidemark].sections] == [0, 5, 3]
        moved = found.replace({"tidemark.sections[1].position": 9})
        assert [one.position for one in dissect(bytes(moved), Tidemark)[Tidemark].sections] == [0, 9, 3]


def test_a_content_that_is_no_whole_words_is_not_built() -> None:
    with scope, pytest.raises(BuildError, match=r"BlobSection.data: .* got 9 bytes .*pad can be given too"):
        bytes(Tidemark(sections=(BlobSection(data=b"x" * 9),)))


@pytest.mark.parametrize("exponent", range(-8, 8))
def test_every_exponent_and_heights(exponent: int) -> None:
    with scope:
        step = 10.0**exponent
        points = (POINTS[exponent](longitude=-step if exponent < 3 else 0, height=2 * step),)
        found = dissect(bytes(Tidemark(sections=(TRACKS[exponent](dims=3, points=points),))), Tidemark)
        one: Any = found[Tidemark].sections[0]
        assert found.faults == () and type(one) is TRACKS[exponent]
        assert one.points[0].height == pytest.approx(2 * step) and bytes(found)[28] >> 4 == exponent & 15


def test_a_latitude_beyond_the_pole_is_a_fault() -> None:
    with scope:
        wrong = Tidemark(sections=(TRACKS[-5](points=(POINTS[-5](latitude=90.00001),)),))
        assert [fault.expected for fault in dissect(bytes(wrong), Tidemark).faults] != []
        assert dissect(bytes(Tidemark(sections=(TRACKS[-5](points=(POINTS[-5](latitude=-90.0),)),))), Tidemark).faults == ()
