"""What `why` says of how a field lies: its width, its place, what fills up; and whether that is what follows."""

from typing import Annotated, Any

import pytest

from packetlab import (
    U5,
    U8,
    U16,
    Bytes,
    Header,
    Payload,
    at,
    auto,
    bits,
    dissect,
    field,
    from_end,
    many,
    offset_of,
    pad,
    spare_bits,
    width_of,
)


class WhyLaid(Header):
    width: U5 = auto(width_of("number"))
    number: Annotated[int, bits(field("width") + 1)] = 0
    spare: int = spare_bits()
    where: U8 = auto(offset_of("value"))
    value: U16 = at(field("where"), 7, align=8)
    filler: Bytes = pad(4, fill=b"\x55")
    end: U8 = 0


class WhyItem(Header):
    size: U8 = 1
    filler: Bytes = pad(4, since="WhyList")


class WhyList(Header):
    more: U8 = 0
    items: tuple[WhyItem, ...] = many()


class WhyEnd(Header):
    payload: Payload
    size: U8 = from_end(2)
    next: U8 = 0


def said(packet: Any, header: Any, name: str) -> list[str]:
    return str(packet.why(header, name)).splitlines()[1:]


WHY = {
    "width": ["  rule: width_of(number) = 3", "    width_of(number) = 3"],
    "number": ["  is so many bits wide: width + 1 = 4", "    width = 3"],
    "spare": ["  fills up the last byte"],
    "value": ["  begins at offset where = 8, counted from its header's start"],
    "value_gap": ["  fills up to offset where = 8 (a multiple of 8 where that follows), counted from its header's start"],
    "filler": ["  fills up to a multiple of 4 bytes, counted from its header's start"],
}


@pytest.mark.parametrize("name", WHY)
def test_widths_places_and_gaps_explain_themselves(name: str) -> None:
    made = WhyLaid(number=5) / b""
    read = dissect(bytes(made), WhyLaid)
    found = said(made, WhyLaid, name)
    assert found[: len(WHY[name])] == WHY[name] == said(read, WhyLaid, name)[: len(WHY[name])]
    assert not any("default" in line for line in found) or name == "value"
    if name in ("spare", "value_gap", "filler"):
        assert (found[-1], said(read, WhyLaid, name)[-1]) == ("  follows from that", "  agrees with that")


def test_what_fills_up_otherwise_is_told() -> None:
    data = bytes(WhyLaid(number=5))
    packet = dissect(data[:1] + b"\x6d" + data[2:3] + b"\1" + data[4:10] + b"\0\0\0", WhyLaid)
    assert not packet.faults
    assert said(packet, WhyLaid, "spare")[-1] == "  differs from that, which gives zeros; kept as it is"
    assert said(packet, WhyLaid, "value_gap")[-1].startswith("  differs from that, which gives 5 bytes 0x00")
    assert said(packet, WhyLaid, "filler")[-1] == "  differs from that, which gives 2 bytes 0x55; kept as it is"
    given = WhyLaid(filler=b"ab", value_gap=b"") / b""
    assert said(given, WhyLaid, "filler")[-1] == "  no rule: set by the user"


def test_items_and_what_is_counted_from_the_end() -> None:
    packet = dissect(bytes(WhyList(items=[WhyItem(), WhyItem()])), WhyList)
    assert said(packet, WhyList, "items[1].filler") == ["  fills up to a multiple of 4 bytes, counted from the start of WhyList", "  agrees with that"]
    packet = dissect(bytes(WhyEnd(size=3) / b"abc"), WhyEnd)
    assert said(packet, WhyEnd, "size")[0] == "  begins 2 bytes before the end"
