"""Values that have to obey a rule, `must(...)`: a fault at the field where they do not, and nothing else changes."""

from __future__ import annotations

from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

import packetlab
from packetlab import (
    U1,
    U3,
    U4,
    U5,
    U8,
    U16,
    Bytes,
    Capture,
    DeclareError,
    Digits,
    DissectError,
    Ether,
    Header,
    IPv4,
    Named,
    Payload,
    VarInt,
    auto,
    bindings,
    bits,
    computed,
    const,
    count_of,
    declare_from,
    dissect,
    ended,
    field,
    malformed,
    many,
    must,
    pad,
    raw,
    scaled,
    size_of,
    sized,
    spare_bits,
    when,
)
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.careful import careful
from tests.conftest import need
from tests.declare.every_output.undeclared import undeclared
from tests.export.pdml import Tshark, experts, prefix


class Mode(IntEnum):
    OFF, ON, OLD = 0, 1, 2


class Point(Header, in_bits=True):
    far: U5 = must(field("far") < 20, 1)
    up: U1 = 0


class Piece(Header):
    kind: U8 = must({"kind": (1, 2, 3)}, 1)
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class Ruled(Header, under=Ether, when={"type": 0x7ABB}):
    version: U4 = must(field("version").one_of(1, 2), 1)
    reserved: U3 = must(field("reserved") == 0, 0)
    more: U1 = 0
    mode: Annotated[Named[Mode], bits(8)] = must(field("mode") != Mode.OLD, Mode.ON)
    long: VarInt = must(field("long") % 2 == 0, 4)
    text: Digits = must(field("text") <= 16, ended(b" ", 7))
    speed: Annotated[float, scaled(16, 0.5)] = must(field("speed") != 0xFFFF, 1)
    wide: Annotated[int, bits(128)] = must(field("wide") > 0, 1)
    unless: U16 | None = when(field("more"), must((field("mode") == Mode.ON) | (field("unless") == 0), 0))
    n: U8 = must(field("n") < 4, auto(count_of("pieces")))
    pieces: tuple[Piece, ...] = many(count=field("n"))
    points: U4 = auto(count_of("way"))
    way: tuple[Point, ...] = many(count=field("points"))
    spare: int = spare_bits()
    body: Payload
    last: U8 = must(field("last") != field("version"), 9)


BAD: dict[str, dict[str, Any]] = {
    "version": {"version": 3}, "reserved": {"reserved": 5}, "mode": {"mode": Mode.OLD}, "long": {"long": 301}, "text": {"text": 17},
    "speed": {"speed": raw(0xFFFF)}, "wide": {"wide": 0}, "unless": {"more": 1, "mode": 0, "unless": 4}, "n": {"pieces": [Piece()] * 4}, "last": {"last": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_value_that_does_not_obey_is_a_fault_and_all_else_stays(name: str) -> None:
    built = Ether() / Ruled(**BAD[name]) / b"payload"
    wire = bytes(built)
    read = dissect(wire)
    assert [(fault.layer, fault.field) for fault in read.faults] == [("Ruled", name)]
    (fault,) = read.faults
    assert fault.expected == str(Ruled._by_name[name].must) and fault.got != fault.expected
    assert bytes(read) == wire and read == built and read.payload == b"payload"
    assert careful(Ruled, wire[14:])[1] == [fault._replace(offset=fault.offset - 14)]
    why = read.why(Ruled, name)
    assert f"  has to obey {fault.expected}: no" in why.splitlines()
    assert str(fault) in str(read.show())
    with pytest.raises(DissectError, match=f"Ruled.{name}"):
        dissect(wire, strict=True)
    assert Capture.of([wire]).where("faults > 0").count() == 1 and Capture.of([wire]).where(f"ruled.version == {read[Ruled].version}").count() == 1
    good = read.replace(Ruled, **{f.name: f.default for f in Ruled._fields if f.name in BAD[name] and f.name not in ("pieces", "speed")}, **({"pieces": []} if name == "n" else {}), **({"speed": 1} if name == "speed" else {}))
    assert name == "unless" or not good.faults


def test_what_obeys_has_no_fault_and_says_so() -> None:
    read = dissect(bytes(Ether() / Ruled(more=1, unless=5, pieces=[Piece(kind=3)], way=[Point(far=19)])))
    assert not read.faults
    assert read.why(Ruled, "unless").splitlines()[1:] == [
        "  present where more: yes", "    more = 1", "  has to obey (mode == 1) | (unless == 0): yes", "    mode = 1", "  no rule: as it came",
    ]  # fmt: skip
    assert "has to obey n < 4: yes" in read.why(Ruled, "n")


def test_items_go_on_after_one_that_does_not_obey() -> None:
    read = dissect(bytes(Ether() / Ruled(pieces=[Piece(kind=9, data=b"ab"), Piece(kind=2)])))
    assert [str(fault) for fault in read.faults] == ["Ruled.pieces: expected kind in (1, 2, 3) for Piece.kind at offset 38, got 9"]
    assert [one.kind for one in read[Ruled].pieces] == [9, 2]
    bits_read = dissect(bytes(Ether() / Ruled(way=[Point(far=20)])))
    assert [fault.expected for fault in bits_read.faults][:1] == ["far < 20 for Point.far"]


@given(st.binary(min_size=30, max_size=60), st.integers(0, 3))
def test_both_readers_agree_on_any_bytes(data: bytes, n: int) -> None:
    sound = bytearray(bytes(Ruled(pieces=[Piece()] * n, way=[Point()] * n)))
    for place, byte in enumerate(data):
        if byte % 3 == 0 and place < len(sound):
            sound[place] ^= byte
    for wire in (data, bytes(sound)):
        read = dissect(wire, Ruled)
        header, faults = careful(Ruled, wire)
        assert bytes(read) == wire and read[Ruled] == header and [*read.faults][: len(faults)] == faults


def test_it_goes_by_what_is_around_and_holds_in_what_is_refined() -> None:
    with bindings():
        class Hop(Header, under=IPv4, when={"protocol": 253}):
            kind: U8 = 0
            count: U8 = must(field("count") <= field("IPv4.ttl"), 1)
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Flags(Hop, inside="data", when={"kind": 1}):
            flags: U8 = must(field("flags") & 0xF0 == 0)

        low = IPv4(ttl=5)
        assert not dissect(bytes(low / Hop(count=5)), IPv4).faults
        assert [fault.field for fault in dissect(bytes(low / Hop(count=6)), IPv4).faults] == ["count"]
        read = dissect(bytes(low / Flags(flags=0x81)), IPv4)
        assert read[Flags].flags == 0x81
        assert [(fault.field, fault.expected) for fault in read.faults] == [("data", "(flags & 240) == 0 for Flags.flags")]


def test_malformed_packets_break_the_rules_one_by_one() -> None:
    cases = [*malformed(Ether() / Ruled(more=1, unless=5, pieces=[Piece()], way=[Point()]) / b"xy")]
    assert {case.id for case in cases} >= {f"ruled.{name}.against-rule" for name in ("version", "reserved", "mode", "last")}
    for case in cases:
        assert not case.disagreements(), case


def test_it_goes_into_files_and_source() -> None:
    data: Any = described([Ruled])
    wire = bytes(Ruled(version=3, long=7, last=3))
    said = [str(fault) for fault in dissect(wire, Ruled).faults]
    assert len(said) == 3
    with bindings():
        made = {cls.__name__: cls for cls in declare_from(data)}["Ruled"]
        assert described([made]) == data and [str(fault) for fault in dissect(wire, made).faults] == said
    with undeclared():
        names: dict[str, Any] = {name: getattr(packetlab, name) for name in dir(packetlab)}
        names |= {"__name__": "pasted", "Annotated": Annotated, "IntEnum": IntEnum, "Fraction": Fraction}
        shared: dict[str, None] = {}
        bodies = [class_body(one, shared) for one in data]
        exec("\n\n".join([*shared, *bodies]), names)
        assert described([names["Ruled"]]) == data and [str(fault) for fault in dissect(wire, names["Ruled"]).faults] == said
    for wrong in (["field", "last"], ["size_of", "self"], "version", ["==", ["field", "nosuch"], 1]):
        bad = [dict(one) for one in data]
        bad[-1] = {**bad[-1], "fields": [{**f, "must": wrong} if f["name"] == "version" else f for f in bad[-1]["fields"]]}
        with bindings(), pytest.raises(DeclareError):
            declare_from(bad)


def test_a_derived_class_keeps_it_and_its_default_has_to_obey() -> None:
    class Second(Ruled):
        version = 2

    assert bytes(Second())[0] >> 4 == 2 and [fault.field for fault in dissect(bytes(Second(version=4)), Second).faults] == ["version"]
    with pytest.raises(DeclareError, match=r"Fourth\.version: expected a default for which version in \(1, 2\), got 4"):
        class Fourth(Ruled):
            version = 4


def test_wireshark_says_the_same(tmp_path: Path) -> None:
    need("tshark")
    packets = [Ether() / Ruled(**values) / b"xy" for values in BAD.values()] + [Ether() / Ruled(more=1, unless=5)]
    packets += [Ether() / Ruled(pieces=[Piece(kind=9), Piece()]), Ether() / Ruled(way=[Point(far=20)])]
    answers = Tshark(tmp_path, Ruled).ask(packets)
    for packet, layers in zip(packets, answers, strict=True):
        named = [layer for layer in layers if layer.get("name") == prefix(Ruled)]
        said = [text for layer in named for text in experts(layer, (".fault", ".cut"))]
        mine = [str(fault) for fault in dissect(bytes(packet)).faults]
        assert {*said} <= {*mine} and (said or not mine or "Piece" in mine[0]), (said, mine)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (lambda: must(field("a") == 1, 2), r"Made\.a: expected a default for which a == 1, got 2"),
        (lambda: must(field("b") == 1), r"Made\.a: expected must\(\.\.\.\) of the field itself, and of what stands around it, got b == 1"),
        (lambda: must(field("first") == 1), r"Made\.a: expected must\(\.\.\.\) of the field itself, and of what stands around it, got first == 1"),
        (lambda: must(size_of("self") == field("a")), r"Made\.a: expected numbers, field\(\.\.\.\) and has\(\.\.\.\)"),
        (lambda: must(field("nosuch") == 1), r"Made\.a: expected a field of Made, got nosuch"),
        (lambda: must(field("a") == 1, const(1)), r"Made\.a: expected a number for must\(\.\.\.\), which may have several values, got const"),
        (lambda: must(field("a") == 1, computed(field("first"))), r"Made\.a: expected a number for must\(\.\.\.\), .*, got a computed field"),
        (lambda: must(field("a") == 0, pad(4)), r"must\(\.\.\.\): expected a number, got pad\(\.\.\.\), which is bytes \(padding that has to be zero is a number as wide as it"),
        (lambda: must(True), r"must\(\.\.\.\): expected a condition"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(spec: Any, complaint: str) -> None:
    with bindings(), pytest.raises(DeclareError, match=complaint):
        class Made(Header):
            first: U8 = 1
            a: U8 = spec()
            b: U8 = 1


def test_only_numbers_have_rules() -> None:
    with bindings(), pytest.raises(DeclareError, match=r"Made\.a: expected a number for must\(\.\.\.\), .*bytes that are all zero are a number"):
        class Made(Header):
            a: Bytes = must(field("a") == 0, b"")
    with bindings(), pytest.raises(DeclareError, match=r"Made\.a: expected a number for must\(\.\.\.\), .*, got bytes \(a rule on the field that counts its bytes"):
        class Made(Header):
            size: U8 = auto(size_of("a"))
            a: Bytes = must(field("size") == 1, sized(field("size")))
