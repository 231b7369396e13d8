"""Fields that lie at an offset, and offsets that follow from where fields lie."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U4,
    U8,
    U16,
    U32,
    UDP,
    BERLength,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Payload,
    QuicInt,
    Text,
    U16le,
    U32le,
    VarInt,
    Writer,
    at,
    auto,
    bcd,
    bindings,
    choose,
    count_of,
    declare_from,
    digits,
    dissect,
    ended,
    field,
    fixed_bytes,
    has,
    many,
    offset_of,
    pad,
    scaled,
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


class Inner(Header):
    a: U8 = 1
    b: U16 = 2


class Blobs(Header):
    """In the manner of NTLM: sizes and offsets first, what they speak of after the fixed part."""

    size: U16le = auto(size_of("name"))
    offset: U32le = auto(offset_of("name"))
    count: U8 = auto(count_of("parts"))
    where: U16le = auto(offset_of("parts") + 64)
    rest: U8 = auto(size_of("tail"))
    last: U8 = auto(offset_of("tail"))
    name: Text = at(field("offset"), sized(field("size"), ""), align=4)
    parts: tuple[Inner, ...] = at(field("where") - 64, many(count=field("count")))
    tail: Bytes = at(field("last"), sized(field("rest"), b""), align=8)


class Plain(Header):
    """An offset that nobody derives."""

    offset: U8 = 6
    size: U8 = auto(size_of("value"))
    gap: Bytes = pad(to=field("offset"))
    value: Bytes = sized(field("size"), b"")


def test_fields_lie_where_the_offsets_say() -> None:
    made = Blobs(name="hello", parts=[Inner(a=9)], tail=b"xyz")
    data = bytes(made)
    assert data == bytes.fromhex("0500 0c000000 01 5100 03 18") + b"\0hello\t\0\2\0\0\0\0xyz"
    packet = dissect(data + b"up", Blobs)
    assert packet == made / b"up" and packet.faults == () and packet.payload == b"up"
    found = packet[Blobs]
    assert (found.name, found.parts[0].a, found.tail, found.offset, found.where) == ("hello", 9, b"xyz", 12, 81)
    shorter = packet.replace(Blobs, name="hi")
    assert dissect(bytes(shorter), Blobs) == shorter and shorter[Blobs].where == 78
    assert "size_of" in shorter.why(Blobs, "where")


def test_bytes_between_are_kept_until_the_fields_move() -> None:
    data = bytearray(bytes(Blobs(offset=20, name="hello", parts=[Inner()], tail=b"xyz")))
    assert data[2] == 20 and data[11:20] == bytes(9) and data[20:25] == b"hello"
    data[15] = 7
    packet = dissect(bytes(data), Blobs)
    assert packet.faults == () and packet[Blobs].name_gap == bytes(data[11:20])  # type: ignore[attr-defined]
    assert bytes(packet.replace(Blobs, tail=b"abc")) == bytes(data[:-3]) + b"abc"


def test_a_given_offset_is_filled_up_to() -> None:
    assert bytes(Plain(value=b"abc")) == b"\6\3\0\0\0\0abc"
    assert bytes(Plain(value=b"abc", offset=2)) == b"\2\3abc"
    assert bytes(dissect(b"\6\3\0\0\0\0abc", Plain).replace(Plain, offset=4)) == b"\4\3\0\0abc"


def test_what_has_no_size_lies_nowhere() -> None:
    data = bytes(Blobs(offset=0, last=255, parts=[Inner()]))
    packet = dissect(data + b"up", Blobs)
    assert packet.faults == () and packet.payload == b"up" and bytes(packet) == data + b"up"


@pytest.mark.parametrize(
    ("offset", "expected", "got"),
    [(3, "an offset of 11 or more, where the fields before it end", "3"), (0xFFFF, "65524 bytes", "15"), (14, "", "")],
)
def test_an_offset_before_or_beyond_is_a_fault_at_the_gap(offset: int, expected: str, got: str) -> None:
    data = bytearray(bytes(Blobs(name="hello", parts=[Inner()], tail=b"xyz")))
    data[2:6] = offset.to_bytes(4, "little")
    packet = dissect(bytes(data), Blobs)
    assert bytes(packet) == bytes(data)
    fault = packet.faults[0]
    if expected:
        assert (fault.field, fault.expected, fault.offset) == ("name_gap", expected, 11) and (
            fault.got == got or offset > 100
        )
    else:
        assert fault.field == "parts_gap"  # which begins before the field before it ends


@given(st.binary(max_size=60))
@settings(max_examples=amount(300, 3000), deadline=None)
def test_any_bytes_come_back_and_both_readers_agree(data: bytes) -> None:
    low = bytes(byte & 31 for byte in data)
    for header in (Blobs, Plain):
        for some in (data, low):
            packet = dissect(some, header)
            careful = Dissection()
            read, start, end, _ = walk(header._declaration, some, 0, len(some), careful)
            assert bytes(packet) == some
            assert (packet.layers[0], packet.payload, packet.faults) == (read, some[start:end], tuple(careful.faults))


@given(header=st.one_of(strategies.headers(Blobs), strategies.headers(Plain)), body=st.binary(max_size=9))
@settings(max_examples=amount(60, 600), deadline=None)
def test_what_is_built_reads_back(header: Any, body: bytes) -> None:
    packet = header / body
    again = dissect(bytes(packet), type(header))
    assert again == packet and again.faults == ()
    assert bytes(again.replace(type(header))) == bytes(packet)


@given(
    aligns=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    values=st.lists(st.binary(max_size=9), min_size=4, max_size=4),
    extra=st.integers(0, 5),
)
@settings(max_examples=amount(40, 400), deadline=None)
def test_drawn_declarations(aligns: list[int], values: list[bytes], extra: int) -> None:
    with bindings():
        body: dict[str, Any] = {"__module__": __name__, "__qualname__": "Drawn"}
        kinds: dict[str, Any] = {}
        for n, _ in enumerate(aligns):
            body |= {f"o{n}": auto(offset_of(f"v{n}") + extra), f"s{n}": auto(size_of(f"v{n}"))}
            kinds |= {f"o{n}": U16, f"s{n}": U8}
        for n, align in enumerate(aligns):
            body[f"v{n}"] = at(field(f"o{n}") - extra, sized(field(f"s{n}"), b""), align=align)
            kinds[f"v{n}"] = Bytes
        made: Any = type(Header)("Drawn", (Header,), {**body, "__annotations__": kinds})
        packet = made(**{f"v{n}": value for n, value in enumerate(values[: len(aligns)])}) / b"up"
        again = dissect(bytes(packet), made)
        assert again == packet and again.faults == () and again.payload == b"up"


@pytest.mark.parametrize("header", [Blobs(name="hello", parts=[Inner()], tail=b"x"), Plain(value=b"abc")], ids=repr)
def test_what_is_expected_of_malformed_packets_is_reported(header: Header) -> None:
    for case in pl.malformed(dissect(bytes(header), type(header))):
        assert (case.id, case.disagreements()) == (case.id, [])


def refused(**fields: tuple[Any, Any]) -> str:
    body: dict[str, Any] = {name: value for name, (_, value) in fields.items() if value is not None}
    body["__annotations__"] = {name: kind for name, (kind, _) in fields.items()}
    with bindings(), pytest.raises(DeclareError) as caught:
        type(Header)("Wrong", (Header,), {**body, "__module__": __name__, "__qualname__": "Wrong"})
    return str(caught.value)


def test_what_makes_no_sense_is_refused_at_the_class() -> None:
    assert "offset_of" in refused(a=(U8, auto(offset_of("nosuch"))))
    assert "before the payload" in refused(a=(U8, auto(offset_of("c"))), b=(Payload, None), c=(U8, 0))
    assert "byte boundary" in refused(a=(U4, auto(offset_of("b"))), b=(U4, 0))
    assert "fields before it" in refused(a=(U8, 0), b=(Bytes, at(field("c"), sized(field("a"), b""))), c=(U8, 0))
    assert "free" in refused(o=(U8, 0), b_gap=(U8, 0), b=(Bytes, at(field("o"), sized(field("o"), b""))))


def test_descriptions_columns_filters_and_refusals(tmp_path: Path) -> None:
    said = described([Blobs])
    data = bytes(Blobs(name="hello", parts=[Inner(a=9)], tail=b"xyz"))
    with bindings():
        assert repr(dissect(data, declare_from(said)[-1])) == repr(dissect(data, Blobs))
    with bindings():
        found: dict[str, Any] = {name: getattr(pl, name) for name in dir(pl)} | {
            "__name__": "pasted",
            "Annotated": Annotated,
        }
        exec("\n\n\n".join(map(class_body, said)), found)
        assert described([found["Blobs"]]) == said
    with bindings():
        pl.bind(Blobs, under=UDP, when={"dport": 0x7A55})
        with Writer(tmp_path / "made.pcap") as out:
            for name in ("", "one", "two"):
                out.write(Ether() / IPv4() / UDP(dport=0x7A55) / Blobs(name=name, tail=b"x"))
        capture = Capture(tmp_path / "made.pcap")
        assert capture.where('blobs.name == "two"').count() == 1 and capture.where(Blobs(name="one")).count() == 1
        assert [*capture.table("blobs.name")["blobs.name"]] == ["", "one", "two"]
        assert "gap = function" in str(pl.wireshark(Blobs))
    assert fixed_bytes


def test_items_that_say_where_the_next_one_lies() -> None:
    with bindings():

        class NextItem(Header):
            next: U32 = 0
            size: U8 = auto(size_of("name"))
            name: Bytes = b""
            filler: Bytes | None = when(field("next"), pad(8, to=field("next")))

        class NextList(Header):
            items: tuple[NextItem, ...] = many(until=field("next") == 0, value=(NextItem(),))

        made = bytes(NextList(items=(NextItem(next=8, name=b"a"), NextItem(next=16, name=b"bc"), NextItem(name=b"d"))))
        assert made.hex() == "0000000801610000" "00000010026263000000000000000000" "000000000164"
        read = dissect(made, NextList)
        assert not read.faults
        assert [one.name for one in read[NextList].items] == [b"a", b"bc", b"d"]
        assert [fault.field for fault in dissect(made[:3] + b"\x05" + made[4:], NextList).faults] == ["items"]


def test_a_header_with_nothing_before_its_payload_is_built() -> None:
    class OnlyAround(Header):
        body: Payload
        mark: U8 = 7

    assert bytes(OnlyAround() / b"ab") == b"ab\7"


def test_an_offset_in_steps_of_a_field_that_may_be_empty() -> None:
    class Stepped(Header):
        offset: Annotated[int, scaled(8, 4, unit="bytes")] = auto(offset_of("text") // 4)
        size: U8 = auto(size_of("text"))
        text: Bytes = at(field("offset") * 4, sized(field("size"), b""), align=4)
        end: U8 = 7

    assert (bytes(Stepped()).hex(" "), bytes(Stepped(text=b"ab")).hex(" ")) == ("00 00 07", "01 02 00 00 61 62 07")
    for data in (b"\0\0\7", b"\x15\0\7", b"\1\2\0\0ab\7"):
        packet = dissect(data, Stepped)
        assert not packet.faults and bytes(packet.replace(Stepped)) == data == bytes(packet)
    with pytest.raises(BuildError, match="got 3, which is read as 2"):
        bytes(Stepped(size=1, text=b"ab", text_gap=b"\0\0\0"))


@pytest.mark.parametrize("kind", [Annotated[int, digits(width=3)], Annotated[int, bcd(4)], Annotated[int, scaled(16, 2)]])
def test_offsets_in_digits_and_other_numbers_of_a_fixed_size(kind: Any) -> None:
    class Spelt(Header):
        first: kind = auto(offset_of("text"))
        second: kind = auto(offset_of("number"))
        text: Bytes = at(field("first"), ended(b"\0", b"ab"))
        number: U16 = at(field("second"), 5, align=8)

    made = Spelt(text=b"hello")
    packet = dissect(bytes(made), Spelt)
    assert packet[Spelt] == made and not packet.faults and len(bytes(made)) == 18
    assert bytes(packet.replace(Spelt, text=b"")) == bytes(Spelt(text=b""))


@pytest.mark.parametrize("kind", [VarInt, BERLength, QuicInt])
def test_an_offset_in_a_number_that_takes_as_many_bytes_as_it_needs_is_refused(kind: Any) -> None:
    with pytest.raises(DeclareError, match=r"Varied.offset: expected a number of a fixed size, as value_gap fills up by where it ends"):

        class Varied(Header):
            offset: kind = auto(offset_of("value"))
            value: U16 = at(field("offset"), 5)

    class Solved(Header):  # nothing fills up before it
        offset: kind = auto(offset_of("end"))
        text: Bytes = ended(b"\0", b"")
        end: U8 = 0

    assert bytes(Solved(text=b"abc"))[0] & 0x3F == 5


@pytest.mark.parametrize("number", ["VarInt", "U8"])
def test_a_default_that_lies_among_the_fields_before_is_refused_at_the_class(number: str) -> None:
    names = {**globals(), "VarInt": pl.VarInt}
    body = f"class Early(Header):\n    o: {number} = 0\n    x: U8 = at(field('o'), 5)"
    with bindings(), pytest.raises(DeclareError, match=r"Early\.o: expected a default of 1 or more, .*auto\(offset_of\(\"x\"\)\)"):
        exec(body, names)
    for right in body.replace("= 0", "= 1"), body.replace(" = 0", ""):
        with bindings():
            exec(right, names)
            made = names["Early"](o=1)
            assert dissect(bytes(made), names["Early"]) == made / b"" and not dissect(bytes(made), names["Early"]).faults


def test_what_is_not_always_there_lies_at_an_offset_or_nowhere() -> None:
    """Offset 0 says that there is none, of numbers, headers and addresses too; nothing fills up then."""
    with bindings():

        class Where(Header):
            offset: U8 = auto(choose(has("number"), offset_of("number"), 0))
            other: U8 = auto(choose(has("held"), offset_of("held"), 0))
            number: U32 | None = when(field("offset") != 0, at(field("offset"), align=4))
            held: Inner | None = when(field("other") != 0, at(field("other")))
            more: U8 = 9

        size = len(bytes(Inner()))
        for made, wanted in [
            (Where(), "000009"), (Where(number=7), "0400 0000 00000007 09"), (Where(held=Inner()), f"0002 {bytes(Inner()).hex()} 09"),
            (Where(number=7, held=Inner()), f"0408 0000 00000007 {bytes(Inner()).hex()} 09"), (Where(offset=6, number=7), "0600 00000000 00000007 09"),
        ]:  # fmt: skip
            data = bytes.fromhex(wanted)
            assert bytes(made) == data
            packet = dissect(data, Where)
            assert packet[Where] == made and not packet.faults and bytes(packet[Where].replace()) == data
        (read,) = dissect(bytes(Where(number=7, held=Inner())), Where).layers
        assert bytes(read.replace(number=None)) == bytes(Where(held=Inner()))
        assert [str(fault) for fault in dissect(b"\0\1" + bytes(size + 1), Where).faults] == [
            "Where.held_gap: expected an offset of 2 or more, where the fields before it end at offset 2, got 1"
        ]
