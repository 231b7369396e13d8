"""Fields at any bit: what they read and write, where they are refused, and protocols that have them."""

from __future__ import annotations

import struct
import sys
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    F32,
    MAC,
    U1,
    U2,
    U3,
    U4,
    U5,
    U6,
    U7,
    U8,
    U12,
    U16,
    U32,
    BuildError,
    Bytes,
    DeclareError,
    Ether,
    Header,
    Payload,
    U16le,
    auto,
    bind,
    bindings,
    bits,
    count_of,
    dissect,
    field,
    fixed_bytes,
    has,
    internet_checksum,
    many,
    scaled,
    size_of,
    sized,
    spare_bits,
    through,
    when,
    width_of,
    zlib,
)
from packetlab.declare.bits.stretches import Loose, ends
from packetlab.packet.offsets import field_offsets
from tests.careful import careful


def declared(body: dict[str, Any], **options: Any) -> Any:
    """A class of fields: name -> annotation, or annotation and what stands right of the equals sign."""
    annotations = {name: one[0] if type(one) is tuple else one for name, one in body.items()}
    rest = {name: one[1] for name, one in body.items() if type(one) is tuple}
    return type(Header)("Wrong", (Header,), {"__annotations__": annotations, "__module__": __name__, **rest}, **options)


def bit_bytes(text: str) -> bytes:
    """Bytes from bits as text, the first bit the highest; filled up with zeros."""
    whole = text.replace(" ", "")
    whole += "0" * (-len(whole) % 8)
    return int(whole, 2).to_bytes(len(whole) // 8, "big") if whole else b""


# What may be absent ----------------------------------------------------------------------------------------------


class Maybe(Header):
    """A flag that adds twelve bits, between bits."""

    far: U1 = auto(has("range"))
    range: U12 = when(field("far"))
    kind: U3 = 0
    spare: int = spare_bits()


def test_a_flag_adds_bits() -> None:
    assert bytes(Maybe(range=0xABC, kind=5)) == bit_bytes("1 101010111100 101")
    assert bytes(Maybe(kind=5)) == bit_bytes("0 101")
    read = dissect(b"\xd5\xe5rest", Maybe)
    assert (read[Maybe].range, read[Maybe].kind, read.payload) == (0xABC, 5, b"rest")
    assert dissect(b"\x50", Maybe)[Maybe].range is None


def test_spare_bits_are_kept_as_captured_and_may_be_given() -> None:
    read = dissect(b"\x5f", Maybe)
    assert read[Maybe].spare == 0xF and bytes(read) == b"\x5f" and not read.faults
    assert bytes(Maybe(kind=5, spare=3)) == b"\x53"
    with pytest.raises(BuildError, match=r"Maybe\.spare: expected a number of the 4 bits up to the next byte, got 16"):
        bytes(Maybe(kind=5, spare=16))
    with pytest.raises(BuildError, match=r"Maybe\.spare"):
        bytes(Maybe(range=1, spare=1))


def test_an_absent_value_that_is_given_is_refused() -> None:
    with pytest.raises(BuildError, match=r"Maybe\.range: expected a field that is there"):
        bytes(Maybe(far=0, range=5))


def test_fields_that_all_have_one_condition_need_no_spare_bits() -> None:
    class Tree(Header):  # the bits of a BPDU, absent in a topology change notification (IEEE 802.1D-2004 clause 9.3.2)
        type: U8 = 0
        ack: U1 = when(field("type") != 0x80, 0)
        unused: U6 = when(field("type") != 0x80, 0)
        change: U1 = when(field("type") != 0x80, 0)
        age: U16 = when(field("type") != 0x80, 0)

    assert bytes(Tree(ack=1, change=1, age=7)) == bytes.fromhex("00 81 0007")
    assert bytes(Tree(type=0x80)) == b"\x80"
    assert dissect(b"\x80\x01\x02", Tree).payload == b"\x01\x02"
    kinds = [type(step).__name__ for step in Tree._declaration.plan.head]
    assert kinds == ["Fixed", "Loose", "When"], "what is no bit is read as ever"


def test_one_or_the_other_fills_the_byte() -> None:
    class Either(Header):
        long: U1 = 0
        a: U7 = when(field("long") == 0, 0)
        b: Annotated[int, bits(15)] = when(field("long") == 1, 0)
        after: U8 = 9

    assert bytes(Either(a=5)) == b"\x05\x09" and bytes(Either(long=1, b=5)) == b"\x80\x05\x09"


def test_headers_without_such_fields_have_no_such_step() -> None:
    class Whole(Header):
        flag: U1 = 0
        rest: U7 = 0
        more: U16 = when(field("flag"), 0)
        wide: Annotated[int, bits(100)] = 1
        four: U4 = 2

    assert not any(isinstance(step, Loose) for step in Whole._declaration.plan.head)


# Widths ----------------------------------------------------------------------------------------------------------


class Told(Header):
    width: U5 = auto(width_of("value"))
    value: Annotated[int, bits(field("width"))] = 0
    spare: int = spare_bits()


class Given(Header):
    width: U5 = 9
    value: Annotated[int, bits(field("width"), signed=True)] = 0
    spare: int = spare_bits()


def test_a_width_follows_from_the_value_unless_it_is_given() -> None:
    assert bytes(Told(value=5)) == bit_bytes("00011 101")
    assert bytes(Told(value=0)) == bit_bytes("00000")
    assert bytes(Told(width=5, value=5)) == bit_bytes("00101 00101")
    read = dissect(bytes(Told(width=5, value=5)), Told)
    assert read[Told].value == 5 and bytes(read) == bit_bytes("00101 00101")
    with pytest.raises(BuildError, match=r"value: expected 0\.\.2147483647, got"):
        Told(value=1 << 31)


def test_a_value_that_does_not_fit_the_width_is_refused() -> None:
    assert dissect(bytes(Given(value=-1)), Given)[Given].value == -1
    for value in (256, -257):
        with pytest.raises(BuildError, match=r"Given\.value: expected a number of 9 bits, as width says, got .*width can be given too"):
            bytes(Given(value=value))
    with pytest.raises(BuildError, match=r"Given\.value: expected a number of 0 bits"):
        bytes(Given(width=0, value=1))
    assert bytes(Given(width=0)) == b"\0"


def test_a_width_out_of_bounds_is_a_fault_at_the_field() -> None:
    class Vast(Header):
        width: U16 = 0
        value: Annotated[int, bits(field("width") - 8)] = 0
        spare: int = spare_bits()

    read = dissect(b"\x00\x07\xff", Vast)
    assert [(f.field, f.expected, f.got) for f in read.faults] == [("value", "a width of 0 to 4096 bits", "-1")]
    read = dissect(b"\xff\xff" + bytes(9000), Vast)
    assert [(f.field, f.got) for f in read.faults] == [("value", "65527")] and bytes(read) == b"\xff\xff" + bytes(9000)
    whole = bytes(Vast(width=4104, value=1 << 4095))
    assert dissect(whole, Vast)[Vast].value == 1 << 4095 and len(whole) == 514
    with pytest.raises(BuildError, match=r"Vast\.value: expected a width of 0 to 4096 bits, got 4097"):
        bytes(Vast(width=4105))


def test_a_width_may_be_worked_out() -> None:
    class Nibbles(Header):
        size: U8 = auto((width_of("value") + 3) // 4 - 1)
        value: Annotated[int, bits((field("size") + 1) * 4)] = 0
        spare: int = spare_bits()

    assert bytes(Nibbles(value=0xABC)) == bytes.fromhex("02 abc0")
    assert dissect(bytes.fromhex("02 abc0"), Nibbles)[Nibbles].value == 0xABC


@pytest.mark.parametrize("unit", [3, 4, 8, 32])
@pytest.mark.parametrize("signed", [False, True])
@given(value=st.integers(-(1 << 70), 1 << 70))
def test_a_width_in_units_is_as_many_as_the_value_needs(unit: int, signed: bool, value: int) -> None:
    class Units(Header):
        size: U8 = auto((width_of("value") + unit - 1) // unit)
        value: Annotated[int, bits(field("size") * unit, signed=signed)] = 0
        spare: int = spare_bits()

    value = value if signed else abs(value)
    least = 0 if value == 0 else (value if value >= 0 else ~value).bit_length() + signed
    wire, size = bytes(Units(value=value)), -(-least // unit)
    assert wire == bit_bytes(f"{size:08b}" + (f"{value % (1 << size * unit):0{size * unit}b}" if size else ""))
    read = dissect(wire, Units)
    assert (read[Units].value, read.faults) == (value, ()) and careful(Units, wire)[0] == read[Units]
    assert bytes(read.replace(Units, value=1)) == bytes(Units(value=1)) and bytes(Units(value=value, size=30)) == bytes(dissect(bytes(Units(value=value, size=30)), Units))


def test_a_width_in_units_that_is_too_small_is_refused_with_the_way_out() -> None:
    class TooFew(Header):
        size: U8 = 1
        value: Annotated[int, bits(field("size") * 8)] = 0

    with pytest.raises(BuildError, match=r"a number of 8 bits, as size \* 8 says, got 256 .*follow by auto\(\(width_of\('value'\) \+ 7\) // 8\)"):
        bytes(TooFew(value=256))


def test_rules_may_name_such_a_number() -> None:
    class Counted(Header):
        width: U4 = auto(width_of("count"))
        count: Annotated[int, bits(field("width"))] = auto(size_of("data"))
        spare: int = spare_bits()
        data: Bytes = b""

    assert bytes(Counted(data=b"hello")) == bit_bytes("0011 101") + b"hello"
    read = dissect(bytes(Counted(data=b"hello")) + b"after", Counted)
    assert (read[Counted].data, read.payload) == (b"hello", b"after")


# Lists -----------------------------------------------------------------------------------------------------------


class Nibbles(Header):
    count: U4 = auto(count_of("values"))
    values: tuple[U4, ...] = many(count=field("count"))
    spare: int = spare_bits()


def test_a_list_of_four_bits() -> None:
    assert bytes(Nibbles(values=(1, 2, 3, 4))) == bytes.fromhex("41 23 40")
    assert dissect(bytes.fromhex("31 23 ff"), Nibbles)[Nibbles].values == (1, 2, 3)
    with pytest.raises(BuildError, match=r"Nibbles\.count"):
        bytes(Nibbles(values=(0,) * 16))
    with pytest.raises(BuildError, match=r"Nibbles\.values: expected 0\.\.15, got 16"):
        Nibbles(values=(16,))


@pytest.mark.parametrize("width", [*range(1, 18), 31, 64, 65, 100])
@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("lead", [1, 3, 4])
def test_long_lists_of_any_width(width: int, low: bool, lead: int) -> None:
    with bindings():
        body = {
            "count": U16, "lead": (Annotated[int, bits(lead)], 1), "values": (tuple[Annotated[int, bits(width, signed=True)], ...], many(count=field("count"))),  # type: ignore[misc]
            "spare": (int, spare_bits()),
        }  # fmt: skip
        if width % 8 == 0:
            return
        cls = declared(body, **({"bit_order": "low"} if low else {}))
        values = tuple((n * 7919 - 5000) % (1 << width) - (1 << width - 1) for n in range(203))
        data = bytes(cls(count=203, values=values))
        found = [f"{1:0{lead}b}", *(f"{one & (1 << width) - 1:0{width}b}" for one in values)]
        text = "".join(one[::-1] for one in found) if low else "".join(found)
        text += "0" * (-len(text) % 8)
        expected = bytes(int(text[at : at + 8][::-1] if low else text[at : at + 8], 2) for at in range(0, len(text), 8))
        assert data[2:] == expected
        assert dissect(data, cls)[cls].values == values


def test_a_list_goes_on_to_the_end_of_what_bounds_it() -> None:
    class Bounded(Header):
        length: U8 = auto(size_of("self"))
        values: tuple[U12, ...] = many()
        spare: int = spare_bits()

    assert bytes(Bounded(values=(1, 2, 3))) == bytes.fromhex("06 0010020030")
    read = dissect(bytes(Bounded(values=(1, 2, 3))) + b"after", Bounded)
    assert (read[Bounded].values, read.payload) == ((1, 2, 3), b"after")

    class Even(Header):
        length: U8 = auto(size_of("values"))
        values: tuple[U4, ...] = many(size=field("length"))

    assert bytes(Even(values=(1, 2, 3, 4))) == bytes.fromhex("02 1234")
    assert dissect(bytes.fromhex("02 1234 56"), Even).payload == b"\x56"
    with pytest.raises(BuildError, match=r"Even\.values: expected values that fill whole bytes, got 4 bits more"):
        bytes(Even(values=(1, 2, 3)))


def test_values_that_do_not_come_out_even_are_a_fault() -> None:
    class Twelve(Header):
        length: U8 = auto(size_of("self"))
        values: tuple[U12, ...] = many()

    read = dissect(bytes.fromhex("03 1234"), Twelve)
    assert [(f.field, f.expected, f.got) for f in read.faults] == [("values", "values of 12 bits that fill 16 bits", "4 bits more")]
    assert bytes(read) == bytes.fromhex("03 1234")


def test_spare_bits_that_would_be_one_value_more_are_refused() -> None:
    class Nibble(Header):
        length: U8 = auto(size_of("self"))
        values: tuple[U4, ...] = many()
        spare: int = spare_bits()

    assert dissect(bytes(Nibble(values=(1, 2))), Nibble)[Nibble].values == (1, 2)
    with pytest.raises(BuildError, match=r"Nibble\.values: expected less than 4 bits that are left .*many\(count=\.\.\.\)"):
        bytes(Nibble(values=(1,)))


class Sample(Header, in_bits=True):
    """Thirteen bits, or five."""

    far: U1 = auto(has("range"))
    range: U8 = when(field("far"))
    kind: U4 = 0


class Samples(Header):
    count: U3 = auto(count_of("samples"))
    samples: tuple[Sample, ...] = many(count=field("count"))
    last: Sample = Sample(kind=1)
    spare: int = spare_bits()


def test_headers_among_bits() -> None:
    sent = Samples(samples=(Sample(range=0xAB, kind=2), Sample(kind=3)), last=Sample(range=255))
    assert bytes(sent) == bit_bytes("010 1 10101011 0010 0 0011 1 11111111 0000")
    read = dissect(bytes(sent), Samples)[Samples]
    assert read.samples == (Sample(range=0xAB, kind=2), Sample(kind=3)) and read.last.range == 255
    assert read == sent
    cut = dissect(bytes(sent)[:2], Samples)
    assert cut.faults[0].field == "samples" and bytes(cut) == bytes(sent)[:2]


def test_headers_among_bits_up_to_the_end() -> None:
    class Run(Header):
        length: U8 = auto(size_of("samples"))
        samples: tuple[Sample, ...] = many(size=field("length"))

    sent = Run(samples=(Sample(kind=1), Sample(kind=2), Sample(kind=3), Sample(kind=4), Sample(kind=5), Sample(range=1), Sample(range=1, kind=9), Sample(range=3)))
    assert len(bytes(sent)) == 9 and dissect(bytes(sent) + b"x", Run)[Run].samples == sent.samples
    with pytest.raises(BuildError, match=r"Run\.samples: expected values that fill whole bytes"):
        bytes(Run(samples=(Sample(),)))
    for data in (b"\x02\xff\xff", b"\x01\x00", b"\x09\x00"):
        read = dissect(data, Run)
        assert read.faults[0].field == "samples" and bytes(read) == data


def test_bytes_and_numbers_between_bits() -> None:
    class Packed(Header):
        flag: U1 = auto(has("height"))
        height: F32 = when(field("flag"))
        size: U5 = auto(size_of("name"))
        name: Bytes = sized(field("size"), b"")
        big: Annotated[int, bits(100)] = 1
        spare: int = spare_bits()

    sent = Packed(height=1.5, name=b"ab", big=(1 << 99) + 3)
    height = int.from_bytes(struct.pack(">f", 1.5), "big")
    assert bytes(sent) == bit_bytes(f"1 {height:032b} 00010 {int.from_bytes(b'ab', 'big'):016b} {(1 << 99) + 3:0100b}")
    read = dissect(bytes(sent), Packed)[Packed]
    assert (read.height, read.name, read.big) == (1.5, b"ab", (1 << 99) + 3)


# What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "options", "message"),
    [
        ({"n": U8, "x": (U4, when(field("n"), 0))}, {}, r"Wrong\.x: expected fields that fill whole bytes before the end, got bit 0 or 4 of a byte.*spare_bits\(\)"),
        ({"n": U8, "x": (U4, when(field("n"), 0)), "data": (Bytes, sized(field("n"), b""))}, {}, r"Wrong\.data: expected fields that fill whole bytes before the end"),
        ({"n": U8, "x": Annotated[int, bits(field("n"))], "y": MAC}, {}, r"Wrong\.y: expected fields that fill whole bytes before the end"),
        ({"n": U4, "x": Annotated[int, bits(field("y"))], "y": U4, "s": (int, spare_bits())}, {}, r"Wrong\.x: expected presence and size to follow from fields before it, got y"),
        ({"n": U4, "x": (U16le, when(field("n"), 0)), "s": (int, spare_bits())}, {}, r"Wrong\.x: expected a little-endian number on a byte boundary"),
        ({"n": U4, "x": (U12, when(field("n"), 0)), "sum": (U16, auto(internet_checksum("self"))), "s": (int, spare_bits())}, {}, r"Wrong\.sum: expected a checksum on a byte boundary, got one among bits"),
        ({"s": (U8, spare_bits())}, {}, r"Wrong\.s: expected spare: int = spare_bits\(\)"),
        ({"n": U4, "v": (tuple[U4, ...], many()), "s": (int, spare_bits()), "x": Bytes}, {}, r"Wrong\.x: expected a size|Wrong\.x: expected one field at most"),
        ({"n": (U4, auto(size_of("self"))), "v": (tuple[U4, ...], many()), "s": (int, spare_bits())}, {}, r"Wrong\.v: expected many\(count=\.\.\.\), or a length that stands before the bits, got n among them"),
        ({"n": U4, "v": (tuple[Sample, ...], many(count=1)), "s": (int, spare_bits())}, {"bit_order": "low"}, r'Wrong\.v: expected headers of bit_order="low"'),
        ({"n": (U4, auto(size_of("x"))), "x": Annotated[int, bits(field("n"))]}, {}, r'Wrong\.n: .*fill whole bytes together, got x \(width_of\("x"\) counts bits\)'),
        ({"a": U4, "x": Bytes}, {"in_bits": True}, r"Wrong\.(a|x): expected numbers, lists of numbers"),
        ({"a": U4, "s": (int, spare_bits())}, {"in_bits": True}, r"Wrong\.s: expected no spare_bits\(\)"),
        ({"a": U4, "x": (tuple[U4, ...], many())}, {"in_bits": True}, r"Wrong\.x: expected a width, count or size"),
        ({"v": (tuple[Sample, ...], many(until=field("kind") == 3))}, {}, r"Wrong\.v: expected many\(count=\.\.\.\), .*until, align, none"),
        ({"v": (tuple[Sample, ...], many(count=1, align=4))}, {}, r"Wrong\.v: expected many\(count=\.\.\.\), .*until, align, none"),
        ({"n": U8, "v": (tuple[U4, ...], many(count=field("n"), none=255))}, {}, r"Wrong\.v: expected many\(count=\.\.\.\), .*until, align, none"),
        ({"n": U8, "v": (Sample, through(zlib(), sized(field("n"), Sample())))}, {}, r"Wrong\.v: expected many\(count=\.\.\.\), .*until, align, none"),
        ({"p": Payload, "a": U4, "m": MAC, "b": U4}, {}, r"Wrong\.(a|m): expected numbers side by side, or whole bytes, after a payload"),
        ({"p": Payload, "s": (int, spare_bits())}, {}, r"Wrong\.s: expected"),
        ({"a": (U4, 0), "b": (U4, when(field("a"), 0))}, {"in_bits": True, "payload_size": 0}, r"Wrong, in_bits: expected fields alone, and bit_order, got payload_size="),
        ({"a": (U4, when(field("b"), 0)), "b": (U4, 0)}, {"in_bits": True}, r"Wrong\.a: expected presence and size to follow from fields before it"),
        ({"n": U1, "a": (U4, when(field("n"), 0))}, {"in_bits": True, "through": zlib()}, r"Wrong, in_bits: expected fields alone, and bit_order, got through="),
        ({"a": U4}, {"in_bits": "yes"}, r"Wrong, in_bits: expected True or False"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_back_is_refused_at_the_class(body: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with bindings(), pytest.raises(DeclareError, match=message):
        declared(body, **options)


def test_a_width_of_a_rule_has_no_order_of_bytes() -> None:
    with pytest.raises(DeclareError, match=r"expected no little=True for a width that a rule tells"):
        bits(field("n"), little=True)


def test_a_list_leaves_what_stands_after_it() -> None:
    class Framed(Header):
        length: U8 = auto(size_of("self"))
        kind: U4 = 0
        values: tuple[U4, ...] = many()
        end: U16 = 0xABCD

    assert bytes(Framed(values=(1, 2, 3))) == bytes.fromhex("05 01 23 abcd")
    read = dissect(bytes.fromhex("05 01 23 abcd 99"), Framed)
    assert (read[Framed].values, read[Framed].end, read.payload) == ((1, 2, 3), 0xABCD, b"\x99")
    assert dissect(bytes.fromhex("02 01"), Framed).faults[0].field == "length"


def test_a_checksum_over_bits_stands_after_them() -> None:
    class Summed(Header):
        far: U1 = auto(has("range"))
        range: U12 = when(field("far"))
        spare: int = spare_bits()
        sum: U16 = auto(internet_checksum("self"))

    for sent in (Summed(), Summed(range=0xABC)):
        read = dissect(bytes(sent), Summed)
        assert read.verdict(Summed).name == "GOOD" and read[Summed] == sent
    assert dissect(b"\x80\x08\x00\x00", Summed).verdict(Summed).name == "BAD"


def test_bytes_may_begin_at_any_bit() -> None:
    class Askew(Header):
        a: U4 = 1
        station: MAC = "02:00:00:00:00:03"  # type: ignore[assignment]
        text: Annotated[bytes, fixed_bytes(2)] = b"ab"
        b: U4 = 2

    assert bytes(Askew()) == bytes.fromhex("1 02 00 00 00 00 03 61 62 2".replace(" ", ""))
    read = dissect(bytes(Askew()), Askew)[Askew]
    assert (str(read.station), read.text, read.b) == ("02:00:00:00:00:03", b"ab", 2)


def test_an_item_of_bits_is_no_layer() -> None:
    for under, upper in ((Ether, Sample), (Sample, Maybe)):
        with bindings(), pytest.raises(DeclareError, match=r"expected headers of whole bytes; in_bits=True .* got Sample"):
            bind(upper, under=under, when={"type" if under is Ether else "kind": 0x7BA8 if under is Ether else 3})
    read = dissect(b"\x00", Sample)
    assert read.faults[0].field == "kind" and bytes(read) == b"\x00"


def test_a_width_may_come_from_another_header() -> None:
    class Setup(Header):
        width: U8 = 5

    class Data(Header, under=Setup):
        flag: U1 = 1
        value: Annotated[int, bits(field("Setup.width"))] = 0
        spare: int = spare_bits()

    with bindings():
        sent = Setup(width=12) / Data(value=0xABC)
        assert bytes(sent) == bit_bytes("00001100 1 101010111100")
        read = dissect(bytes(sent) + b"x", Setup)
        assert read[Data].value == 0xABC and read.payload == b"x" and not read.faults
        assert [span.bits for span in field_offsets(read).spans] == [8, 1, 12, 3]
        assert bytes(dissect(b"\xff\x80", Setup)) == b"\xff\x80"


def test_a_number_among_low_bits_lies_lowest_first_wherever_it_comes_to_lie() -> None:
    class Low(Header, bit_order="low"):
        flag: U1 = auto(has("four"))
        seven: U7 = 0
        four: U4 = when(field("flag"))
        word: U16 = 0x1234
        spare: int = spare_bits()

    for sent, shown in ((Low(), "00 34 12"), (Low(four=0xA), "01 4a 23 01")):
        assert bytes(sent).hex(" ") == shown
        packet = dissect(bytes(sent), Low)
        assert packet[Low].word == 0x1234
        (span,) = (span for span in field_offsets(packet).spans if span.field.name == "word")
        assert span.number(bytes(packet)) == 0x1234
        assert [dissect(bytes(one), Low)[Low].word for one in packet.vary(3, {"low.word": [1, 0x100, 0xFFFE]})] == [1, 0x100, 0xFFFE]


def test_what_many_fields_can_come_to_is_found_in_few_steps() -> None:
    """Each one is there by a number of its own: trying these together would double the steps with every field."""

    def steps(count: int) -> int:
        body: dict[str, Any] = {}
        for place in range(count):
            body |= {f"has{place}": (U2, 0), f"x{place}": (U3, when(field(f"has{place}") == 1, 0))}
        calls = 0

        def count_calls(*_: object) -> None:
            nonlocal calls
            calls += 1

        with bindings():
            cls = declared(body | {"spare": (int, spare_bits())})
            begin = cls._declaration.plan.loose[0]
            sys.setprofile(count_calls)
            try:
                ends(begin.parts, cls._declaration.by_name)
            finally:
                sys.setprofile(None)
        return calls

    assert steps(32) < 6 * steps(16) < 36 * steps(8)


@pytest.mark.parametrize("count", [1 << 32, (1 << 32) - 1, 9])
def test_a_count_of_more_than_there_is_costs_no_time_and_no_memory(count: int) -> None:
    class Vast(Header):
        count: U32 = auto(count_of("samples"))
        samples: tuple[Sample, ...] = many(count=field("count"))
        spare: int = spare_bits()

    data = (count - 1).to_bytes(4, "big") + b"\0\0"
    read = dissect(data, Vast)
    assert [(f.field, f.offset) for f in read.faults] == [("samples", 6)] and bytes(read) == data


def test_what_is_not_said_among_bits_is_refused_with_the_way_out() -> None:
    with bindings():
        with pytest.raises(DeclareError, match=r"number of width bits \(a list for each width that there is: fours: tuple\[U4, ...\] \| None = when\(field\('width'\) == 4"):

            class PackedOut(Header):
                width: U8 = 4
                n: U8 = auto(count_of("values"))
                values: tuple[Annotated[int, bits(field("width"))], ...] = many(count=field("n"))

        with pytest.raises(DeclareError, match=r"rules of its own fields, in an item of bits, got \^.w \(a list for each width"):

            class PackedItem(Header, in_bits=True):
                v: Annotated[int, bits(field("^.w"))] = 0

        with pytest.raises(DeclareError, match=r"got size_of\(b\) \(n: ... = 0, a number that whoever builds gives\)"):

            class PackedBytes(Header, in_bits=True):
                n: U3 = auto(size_of("b"))
                b: Bytes = sized(field("n"), b"")

        with pytest.raises(DeclareError, match=r"in bits\(...\) alone, got w \(raw: Annotated\[int, bits\(w\)\]"):

            class PackedScaled(Header):
                w: U8 = 3
                v: Annotated[float, scaled(field("w"), 0.5)] = 0  # type: ignore[arg-type]

        with pytest.raises(DeclareError, match=r"got U128 \(Annotated\[int, bits\(128\)\] has so many bits\)"):

            class PackedWide(Header):
                v: U128 = 0  # type: ignore[name-defined]  # noqa: F821

        with pytest.raises(DeclareError, match=r"got v \(v: Annotated\[int, bits\(field\(...\)\)\] is a number of which width_of\('v'\)"):

            class PackedWidth(Header):
                w: U8 = auto(width_of("v"))
                v: U8 = 0

        with pytest.raises(DeclareError, match=r"got v \(size_of\('v'\) is how many bytes it has\)"):

            class PackedCount(Header):
                w: U8 = auto(count_of("v"))
                v: Bytes = b""


def test_the_ways_out_of_what_is_not_said_among_bits() -> None:
    with bindings():

        class PackedLists(Header):
            width: U4 = 4
            n: U4 = 0
            fours: tuple[U4, ...] | None = when(field("width") == 4, many(count=field("n")))
            twelves: tuple[U12, ...] | None = when(field("width") == 12, many(count=field("n")))
            spare: int = spare_bits()

        class PackedGiven(Header, in_bits=True):
            n: U3 = 0
            b: Bytes = sized(field("n"), b"")

        class PackedAll(Header):
            count: U8 = auto(count_of("items"))
            items: tuple[PackedGiven, ...] = many(count=field("count"))
            spare: int = spare_bits()

    made = PackedLists(width=12, n=3, twelves=(1, 2, 3))
    assert bytes(made).hex() == "c30010020030" and dissect(bytes(made), PackedLists)[PackedLists] == made
    assert bytes(PackedLists(n=3, fours=(1, 2, 3))).hex() == "431230"
    items = PackedAll(items=[PackedGiven(n=2, b=b"ab"), PackedGiven()])
    read = dissect(bytes(items), PackedAll)
    assert read[PackedAll] == items and [one.b for one in read[PackedAll].items] == [b"ab", b""]


def test_items_of_bits_that_run_out_are_left_to_the_payload() -> None:
    with bindings():

        class OutItem(Header, in_bits=True):
            more: U1 = 0
            far: U6 = 0
            further: U4 | None = when(field("more") == 1, 1)

        class OutList(Header):
            kind: U8 = 7
            n: U5 = auto(count_of("items"))
            items: tuple[OutItem, ...] = many(count=field("n"))
            spare: int = spare_bits()
            end: U8 = 0

    for size in range(2, 24):
        data = b"\7" + bytes.fromhex("ad553ad4e945dcc47c56ffffffffffffffffffff00ff")[:size]
        packet = dissect(data, OutList)
        header, faults = careful(OutList, data)
        assert header == packet[OutList] and faults == list(packet.faults)
        assert bytes(packet) == data == bytes(packet.replace(OutList))
        if packet.faults:
            assert (packet[OutList].kind, packet[OutList].n, packet.payload) == (7, None, data[1:])
