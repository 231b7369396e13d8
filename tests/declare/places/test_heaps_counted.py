"""Items' bytes elsewhere whose places count from where the field that has them begins, in units too, with a byte between them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
    U32,
    BuildError,
    Bytes,
    DeclareError,
    Header,
    Packet,
    Rest,
    at,
    auto,
    bindings,
    computed,
    count_of,
    dissect,
    field,
    many,
    must,
    offset_of,
    size_of,
    sized,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.schema.dump import described
from packetlab.schema.load import declare_from
from packetlab.schema.source import class_body


class YardPart(Header):
    kind: U8 = 3
    position: U16 = auto(offset_of("block", since="Yard.data") // 4)
    size: U16 = must(field("size") >= 1, auto(size_of("block") // 4))
    block: Bytes = at(field("position") * 4, sized(field("size") * 4, b""), since="Yard.data", within="data", align=4, fill=b"\xee")


class OwnedPart(YardPart, inside="block", when={"kind": 4}):
    owner: U32 = 0
    rest: Rest = b""


class Yard(Header):
    n: U8 = auto(count_of("sections"))
    sections: tuple[YardPart, ...] = many(count=field("n"))
    data: Rest = b""


def yard(sections: list[tuple[int, int, int]], data: bytes) -> bytes:
    head = b"".join(bytes((kind,)) + position.to_bytes(2, "big") + size.to_bytes(2, "big") for kind, position, size in sections)
    return bytes((len(sections),)) + head + data


def read(data: bytes) -> Packet:
    """Return what both readers find, which goes out as it came."""
    found, seen = dissect(data, Yard), Dissection()
    assert bytes(found) == found.encode() == data
    assert walk(Yard._declaration, data, 0, len(data), seen)[0] == found[Yard] and tuple(seen.faults) == tuple(found.faults)
    return found


def test_given_positions_are_kept_and_others_follow_with_the_filler_between() -> None:
    made = Yard(sections=(OwnedPart(position=4, rest=b"last"), YardPart(block=b"one."), YardPart(block=b"two.")))
    wanted = yard([(4, 4, 2), (3, 0, 1), (3, 1, 1)], b"one.two." + b"\xee" * 8 + b"\0\0\0\0last")
    assert bytes(made) == wanted
    found = read(wanted)
    assert found == made / b"" and found.faults == () and [one.block for one in found[Yard].sections[1:]] == [b"one.", b"two."]


def test_positions_do_not_change_with_the_size_of_the_table() -> None:
    found = read(yard([(4, 4, 2), (3, 0, 1), (3, 1, 1)], b"one.two." + b"\xee" * 8 + b"\0\0\0\0last"))
    fewer = found.replace(Yard, sections=found[Yard].sections[:2], data=auto)
    assert bytes(fewer) == yard([(4, 4, 2), (3, 0, 1)], b"one." + b"\xee" * 12 + b"\0\0\0\0last")
    longer = found.replace({"yard.sections[1].block": b"words!!!"})
    assert [one.block for one in read(bytes(longer))[Yard].sections[1:]] == [b"words!!!", b"two."]
    assert bytes(found.replace({"yard.sections[1].block": b"ONE."})) == bytes(found).replace(b"one.", b"ONE.")


def test_one_beyond_the_end_is_a_fault_where_it_lies() -> None:
    assert list(map(str, read(yard([(3, 1, 2)], bytes(8))).faults)) == ["Yard.sections: expected sections[0].block within data, bytes 6 to 14 of Yard at offset 10, got bytes 10 to 18"]


def test_a_message_that_contradicts_itself_is_not_built() -> None:
    with bindings():

        class YardPart(Header):
            position: U8 = auto(offset_of("block", since="Yard.data") // 4)
            size: U8 = auto(size_of("block"))
            block: Bytes = at(field("position") * 4, sized(field("size"), b""), since="Yard.data", within="data", align=2)

        class Yard(Header):
            sections: tuple[YardPart, ...] = many(count=2)
            data: Rest = b""

        assert bytes(Yard(sections=(YardPart(block=b"abc"), YardPart(block=b"d")))).hex(" ") == "00 03 01 01 61 62 63 00 64"
        with pytest.raises(BuildError, match=r"Yard.data, sections\[1\].block: expected numbers that say where it lies, at 10, got ones that say 8"):
            bytes(Yard(sections=(YardPart(block=b"abcde"), YardPart(block=b"f"))))


def test_two_on_the_same_bytes_have_to_agree() -> None:
    assert bytes(Yard(sections=(YardPart(position=1, block=b"same"), YardPart(position=1, block=b"same"))))[-8:] == b"\xee\xee\xee\xeesame"
    with pytest.raises(BuildError, match=r"bytes at 15 that sections\[0\].block has there too"):
        bytes(Yard(sections=(YardPart(position=1, block=b"abcd"), YardPart(position=1, block=b"efgh"))))


def test_they_come_back_from_data_and_source() -> None:
    descriptions = json.loads(json.dumps(described([YardPart, OwnedPart, Yard])))
    assert """since="Yard.data", within="data", align=4, fill=b'\\xee')""" in class_body(descriptions[0])
    data = bytes(Yard(sections=(OwnedPart(position=4, rest=b"last"), YardPart(block=b"one."))))
    with bindings():
        made = {cls.__name__: cls for cls in declare_from(descriptions)}
        again: Any = made["Yard"](sections=(made["OwnedPart"](position=4, rest=b"last"), made["YardPart"](block=b"one.")))
        assert bytes(again) == data and dissect(data, made["Yard"])[made["Yard"]] == again


def refused(place: Any, rule: Any = 0, since: str = "Yard.data", within: str = "data") -> str:
    with bindings(), pytest.raises(DeclareError) as error:

        class YardPart(Header):
            start: int = computed(1 + 4 * field("Yard.n"))
            position: U16 = rule
            size: U16 = auto(size_of("block"))
            block: Bytes = at(place, sized(field("size"), b""), since=since, within=within)

    return str(error.value)


def test_places_that_cannot_be_built_are_refused_with_the_form_that_can() -> None:
    way = 'since="Yard.data" counts from where data begins'
    assert f"YardPart.block, at(...): expected number fields of the item before it, got Yard.n ({way})" in refused(field("position") + 1 + 4 * field("Yard.n"), since="Yard")
    assert f"got start, which is computed ({way})" in refused(field("position") + field("start"), since="Yard")
    assert 'expected offset_of("block", since="Yard.data"), as it is read, got since="Yard"' in refused(field("position"), auto(offset_of("block", since="Yard")))
    assert "YardPart.position: expected a number that follows from where block lies, got size_of(block)" in refused(field("position"), auto(size_of("block")))
    assert 'expected since="Yard.data", to count from where data begins, got since="Yard.other"' in refused(field("position"), since="Yard.other")
    assert "expected one byte, such as b'\\xff'" in _filled(b"")


def _filled(fill: bytes) -> str:
    with pytest.raises(DeclareError) as error:
        at(field("position"), sized(field("size"), b""), since="Yard.data", within="data", fill=fill)
    return str(error.value)


def test_elsewhere_such_an_origin_is_refused() -> None:
    with bindings(), pytest.raises(DeclareError, match=r"since='Yard\.data' of a field that lies there"):

        class Plain(Header):
            offset: U8 = auto(offset_of("rest", since="Yard.data"))
            rest: Rest = b""

    with pytest.raises(DeclareError, match="the name of a header as since="):
        at(field("offset"), b"", since="Yard.data")


def test_a_given_place_is_kept_beside_a_size_that_follows() -> None:
    with bindings():

        class Tail(Header):
            end: U8 = auto(offset_of("block", since="Tails.data") + size_of("block"))
            size: U8 = auto(size_of("block"))
            block: Bytes = at(field("end") - field("size"), sized(field("size"), b""), since="Tails.data", within="data")

        class Tails(Header):
            parts: tuple[Tail, ...] = many(count=2)
            data: Rest = b""

        made = Tails(parts=(Tail(end=9, block=b"de"), Tail(block=b"abc")))
        assert bytes(made).hex(" ") == "09 02 03 03 61 62 63 00 00 00 00 64 65"
        assert dissect(bytes(made), Tails)[Tails] == made


def test_what_stands_inside_is_told_how_it_names_a_field_of_what_it_stands_in() -> None:
    with bindings(), pytest.raises(DeclareError) as error:

        class Padded(YardPart, inside="block", when={"kind": 5}):
            sizes: Bytes = sized(field("size"), b"")

    assert str(error.value) == 'Padded.sizes: expected a field of Padded, got size (field("^.size") is that of YardPart)'


@pytest.mark.parametrize("counts", ["self", "parts"])
def test_a_rule_of_an_item_over_a_number_that_counts_its_list_is_refused_at_the_class(counts: str) -> None:
    with bindings(), pytest.raises(DeclareError) as error:

        class Part(Header):
            size: U8 = must(field("size") <= field("Lot.total"), auto(size_of("block")))
            block: Bytes = sized(field("size"), b"")

        class Lot(Header):
            total: U16 = auto(size_of(counts))
            parts: tuple[Part, ...] = many(count=2)

    assert f"Lot.parts, for Lot.total of Part: expected a number that is known before parts is built, got total = size_of({counts}), which goes by the size of parts" in str(error.value)
