"""Rules, must(...), about what stands after the number: a later one, and how many bytes are left. The fault stands at the number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

import packetlab
from packetlab import (
    U4,
    U8,
    U12,
    U16,
    UDP,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Frame,
    Header,
    IPv4,
    Rest,
    VarInt,
    auto,
    bindings,
    declare_from,
    dissect,
    field,
    fixed_bytes,
    left,
    malformed,
    must,
    size_of,
    sized,
    strategies,
    when,
)
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.careful import careful
from tests.conftest import need
from tests.declare.every_output.undeclared import undeclared
from tests.export.pdml import Tshark, experts, prefix


class Datagram(Header, under=UDP, port=7751):
    """The length is that of all of the datagram: less is no trailer, but a fault."""

    kind: U4 = 1
    length: U12 = must(field("length") == left() + 2, auto(size_of("self") + size_of("payload")))
    low: U8 = must(field("low") <= field("high"), 1)
    more: U8 = 0
    high: U8 = 5
    note: U8 | None = when(field("more"), must(field("note") != field("last"), 7))
    last: U8 = 0


class Record(Header, under=UDP, port=7752):
    size: VarInt = must(field("size") == left(), auto(size_of("data") + size_of("mark")))
    mark: Annotated[bytes, fixed_bytes(2)] = b"ok"
    data: Bytes = sized(field("size") - 2, b"")


class Given(Header):
    """Nothing tells the number but who builds."""

    left: U8 = must(field("left") == left(), 3)
    less: U8 = must(field("less") < field("rest"), 0)
    rest: U16 = 9


LOW = Ether() / IPv4() / UDP()


def faults(data: bytes, cls: type[Header]) -> list[tuple[str, int]]:
    read = dissect(data, cls)
    header, found = careful(cls, data)
    assert bytes(read) == data and [*read.faults] == found and (cls not in read or read[cls] == header)
    return [(fault.field, fault.offset) for fault in read.faults]


def test_a_length_has_to_be_that_of_the_datagram() -> None:
    wire = bytes(Datagram() / b"abc")
    assert faults(wire, Datagram) == [] and faults(wire + b"z", Datagram) == [("length", 0)]
    read = dissect(wire + b"zz", Datagram)
    assert read.payload == b"abc" and read.trailer == b"zz" and str(read.faults[0]) == "Datagram.length: expected length == (left() + 2) at offset 0, got 9"
    assert [line.strip() for line in read.why(Datagram, "length").splitlines()[1:3]] == ["has to obey length == (left() + 2): no", "left() = 9"]
    assert faults(wire[:-1], Datagram) == [("length", 0)]  # more than there is, as without the rule
    filled = bytes(LOW / Datagram() / b"") + bytes(12)
    over = bytes(Ether() / IPv4() / UDP(dport=7751) / (wire + b"zz"))
    for _ in range(20):  # the functions for stacks that keep coming, too
        assert dissect(filled).faults == ()  # what fills the frame stands outside of UDP
        found = dissect(over)
        assert [(fault.field, fault.offset) for fault in found.faults] == [("length", 42)] and bytes(found) == over
    assert [line.strip() for line in found.why(Datagram, "length").splitlines()[1:3]] == ["has to obey length == (left() + 2): no", "left() = 9"]
    assert Capture.of([over, filled]).where("faults > 0").count() == 1


def test_a_number_is_held_to_a_later_one() -> None:
    assert faults(bytes(Datagram(low=6)), Datagram) == [("low", 2)] and faults(bytes(Datagram(low=6, high=6)), Datagram) == []
    assert faults(bytes(Datagram(more=1, note=4, last=4)), Datagram) == [("note", 5)] and faults(bytes(Datagram(last=7)), Datagram) == []
    why = dissect(bytes(Datagram(low=6)), Datagram).why(Datagram, "low")
    assert "  has to obey low <= high: no" in why.splitlines() and "    high = 5" in why.splitlines()


def test_a_size_has_to_be_all_that_is_left_of_what_holds_the_header() -> None:
    class Holder(Header):
        n: U8 = auto(size_of("record"))
        record: Record = sized(field("n"), Record())
        end: U8 = 1

    assert faults(bytes(Record(data=b"abc")), Record) == [] and faults(b"\3okab", Record) == [("size", 0)] and faults(b"\x83\0oka", Record) == []
    assert faults(bytes(Holder(record=Record(data=b"abc"))), Holder) == []
    assert [fault.expected for fault in dissect(b"\5\3okab\1", Holder).faults][:1] == ["size == left() for Record.size"]


def test_of_a_frame_that_was_cut_it_is_not_known() -> None:
    wire = bytes(LOW / Datagram() / b"abcdef")
    (packet,) = Capture.of([Frame(wire[:-4], wire_length=len(wire))]).packets()
    assert packet.truncated and all(fault.cut for fault in packet.faults)
    assert "  has to obey length == (left() + 2), as far as all is there" in packet.why(Datagram, "length").splitlines()


@given(st.binary(max_size=14), st.integers(0, 5))
def test_a_fault_is_there_just_where_the_numbers_disagree(data: bytes, more: int) -> None:
    """The oracle works with the bytes themselves."""
    for wire in (data, bytes([len(data) + 2]) + b"ok" + data + bytes(more)):
        said = [name for name, _ in faults(wire, Record)]
        faults(wire, Datagram)
        if len(wire) > 2 and wire[0] < 128 and 2 <= wire[0] <= len(wire) - 1:
            assert said == ["size"] * (wire[0] != len(wire) - 1)


@given(strategies.headers(Given), strategies.headers(Datagram), strategies.headers(Record))
def test_what_is_drawn_obeys(given_one: Any, datagram: Any, record: Any) -> None:
    for packet in (given_one, datagram, record):
        assert dissect(bytes(packet), type((packet / b"").layers[0])).faults == ()


def test_malformed_packets_break_such_rules() -> None:
    for packet in (LOW / Datagram(more=1) / b"ab", LOW / Record(data=b"abc"), Given() / b""):
        cases = malformed(packet)
        assert not [(case.id, found) for case in cases if (found := case.disagreements())]
        assert any(case.id.endswith("against-rule") for case in cases) or Record in packet
        assert any("left()" in fault.expected for case in cases for fault in case.packet().faults)


def test_it_goes_into_files_and_source() -> None:
    data: Any = described([Datagram, Record, Given])
    wire = bytes(Datagram(low=9) / b"abc") + b"z"
    said = [str(fault) for fault in dissect(wire, Datagram).faults]
    assert len(said) == 2
    with bindings():
        made = {cls.__name__: cls for cls in declare_from(data)}
        assert described([*made.values()]) == data and [str(fault) for fault in dissect(wire, made["Datagram"]).faults] == said
    with undeclared():
        names: dict[str, Any] = {name: getattr(packetlab, name) for name in dir(packetlab)} | {"__name__": "pasted", "Annotated": Annotated}
        exec("\n\n".join(class_body(one) for one in data), names)
        assert described([names["Datagram"], names["Record"], names["Given"]]) == data


def test_what_makes_no_sense_is_refused() -> None:
    with bindings(), pytest.raises(DeclareError, match=r"Stream\.n: expected left\(\) in must\(\.\.\.\) .*, got stream=True"):
        class Stream(Header, stream=True):
            n: U8 = must(field("n") == left(), auto(size_of("data")))
            data: Bytes = sized(field("n"), b"")
    with bindings(), pytest.raises(DeclareError, match=r"Bits\.a: expected must\(\.\.\.\) of the field itself, and of fields before it, in an item of bits"):
        class Bits(Header, in_bits=True):
            a: U4 = must(field("a") < field("b"), 0)
            b: U4 = 1
    with bindings(), pytest.raises(DeclareError, match=r"Other\.a: expected must\(\.\.\.\) of the field itself, and of what stands around it, got left\(\)"):
        class Other(Header):
            a: U8 = must(left(), 0)
            b: Rest = b""
    with bindings(), pytest.raises(DeclareError, match=r"left\(\) in when\(\.\.\.\), for whether a field is there, or in must"):
        class Sized(Header):
            a: Bytes = sized(left())


def test_wireshark_says_the_same(tmp_path: Path) -> None:
    need("tshark")
    for cls, port, wires in (
        (Datagram, 7751, [bytes(Datagram(low=low, more=more, last=7) / b"ab") + over for low in (1, 9) for more in (0, 1) for over in (b"", b"zz")]),
        (Record, 7752, [bytes(Record(data=b"abc")) + over for over in (b"", b"z")] + [b"\x83\0oka", b"\x83\0okab", b"\5okab"]),
    ):
        packets = [Ether() / IPv4() / UDP(dport=port) / wire for wire in wires]
        answers = Tshark(tmp_path, cls).ask(packets)
        said = [[text for layer in layers if layer.get("name") == prefix(cls) for text in experts(layer, (".fault", ".cut"))] for layers in answers]
        mine = [[str(fault) for fault in dissect(bytes(packet)).faults] for packet in packets]
        assert said == mine and any(mine) and not all(mine)
