"""Spaces and tabs around text are no part of it: `text(space=b" ")`. What was read keeps them, what is built has the declared ones."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

import packetlab
from packetlab import (
    U8,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Header,
    auto,
    bindings,
    declare_from,
    digits,
    dissect,
    ended,
    field,
    many,
    raw,
    size_of,
    sized,
    strategies,
    text,
    when,
)
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.careful import careful
from tests.conftest import need
from tests.declare.every_output.undeclared import undeclared
from tests.export.pdml import Tshark, experts, prefix


class Known(Header, under=Ether, when={"type": 0x7ABE}):
    name: Annotated[str, text("ascii")] = ended(b":", "Station")
    value: Annotated[str, text(space=b" ")] = ended(b"\r\n", "")
    size: U8 = auto(size_of("sized"))
    sized: Annotated[str, text("ascii", space=b"")] = sized(field("size"), "")
    length: Annotated[int, digits(space=b" ")] = ended(b"\n", 0)
    more: U8 | None = when(field("value") == "x", 9)


class Lines(Header):
    lines: tuple[Known, ...] = many()


BLANK = st.text(" \t", max_size=3)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8).filter(lambda one: one == one.strip(" \t"))


@given(BLANK, TEXT, BLANK, TEXT)
def test_what_was_read_keeps_its_spaces_until_the_value_changes(before: str, value: str, after: str, other: str) -> None:
    wire = f"a:{before}{value}{after}\r\n".encode() + b"\0 7\n" + (b"\1" if value.lower() == "x" else b"")
    read = dissect(wire, Known)
    header = read[Known]
    assert (read.faults, bytes(read), str(header.value)) == ((), wire, value) and header.value == value
    more = {"more": 1} if value.lower() == "x" else {}
    plain = Known(name="a", value=value, length=7, **more)
    assert header == plain and hash(header) == hash(plain) and careful(Known, wire) == (header, [])
    assert bytes(plain) == f"a: {value}\r\n".encode() + b"\0 7\n" + bytes(more.values())
    assert bytes(read.replace(Known, name="b")) == b"b" + wire[1:] == bytes(read.replace(Known, name="b", value=value)) == bytes(read.replace(Known, name="b", value=header.value))
    if other != value:
        assert bytes(read.replace(Known, value=other, more=None if other.lower() != "x" else 1)).startswith(f"a: {other}\r\n".encode())
    assert bytes(pickle.loads(pickle.dumps(read))) == wire and bytes(Known(name="a", value=header.value, length=7, **more)) == wire


def test_it_is_given_as_it_is_written_and_found_by_its_text() -> None:
    assert bytes(Known(value=" y\t", sized="q"))[8:] == b": y\t\r\n\1q 0\n"[1:] and bytes(Known(value=raw(b"y")))[8:12] == b"y\r\n\0"
    frames = [bytes(Ether() / Known(name="a", value=raw(one), length=3)) for one in (b"  Pit 7", b"Pit 7", b" Pit 8")]
    capture = Capture.of(frames)
    assert capture.where('known.value == "Pit 7"').count() == 2 == capture.where(Known(value="Pit 7")).count() and capture.where('known.value contains "Pit"').count() == 3
    assert [str(one) for one in capture.table("known.value")["known.value"]] == ["Pit 7", "Pit 7", "Pit 8"]
    read = dissect(frames[0])
    assert 'Known.value = "Pit 7"  (captured)' in read.why(Known, "value") and "Pit 7" in str(read.show()) and not read.faults


def test_what_is_no_text_is_a_fault_and_items_go_on() -> None:
    wire = b"a: \xff \r\n\0 7\nb:c\r\n\0 8\n"
    read = dissect(wire, Lines)
    assert [fault.expected for fault in read.faults] == ["text, utf-8 for Known.value"] and [one.length for one in read[Lines].lines] == [7, 8]
    assert bytes(read) == wire


@given(st.binary(max_size=24), strategies.headers(Known))
def test_both_readers_agree_and_what_is_drawn_reads_back(data: bytes, drawn: Known) -> None:
    for wire in (data, data + b": \r\n\0 7\n", bytes(drawn)):
        read = dissect(wire, Known)
        header, faults = careful(Known, wire)
        assert bytes(read) == wire and [*read.faults] == faults and (Known not in read or read[Known] == header)
    assert read[Known] == drawn and not read.faults


def test_it_goes_into_files_and_source() -> None:
    data: Any = described([Known])
    with bindings():
        (made,) = declare_from(data)
        assert described([made]) == data and bytes(made(value="x")) == bytes(Known(value="x"))
    with undeclared():
        names: dict[str, Any] = {name: getattr(packetlab, name) for name in dir(packetlab)} | {"__name__": "pasted", "Annotated": Annotated}
        exec(class_body(data[0]), names)
        assert described([names["Known"]]) == data


def test_wireshark_says_the_same(tmp_path: Path) -> None:
    need("tshark")
    values = [raw(one) for one in (b" Pit", b"Pit", b"\t Pit \t", b"", b"  ", b" x", b"X", b" \xff")]
    packets = [Ether() / Known(value=one, **({"more": 1} if one in (raw(b" x"), raw(b"X")) else {})) for one in values]
    answers = Tshark(tmp_path, Known).ask(packets)
    for packet, layers in zip(packets, answers, strict=True):
        (layer,) = [one for one in layers if one.get("name") == prefix(Known)]
        shown = {one.get("name"): one.get("show") for one in layer.iter("field")}
        found = dissect(bytes(packet))[Known]
        assert experts(layer, (".fault", ".cut")) == [str(fault) for fault in dissect(bytes(packet)).faults]
        assert shown[f"{prefix(Known)}.value"] == str(found.value) or b"\xff" in bytes(packet)[14:]
        assert (f"{prefix(Known)}.more" in shown) == (found.more is not None)


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (lambda: text(space=b"x"), "up to 64 spaces and tabs"),
        (lambda: text("utf-16-le", space=b" "), "text in UTF-8, ASCII or Latin-1"),
        (lambda: text(size=4, space=b" "), "no size=, pad= or rest="),
        (lambda: digits(width=3, space=b" "), "before digits without a width"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: Any, complaint: str) -> None:
    with pytest.raises(DeclareError, match=complaint):
        kind()


def test_it_needs_an_end_and_is_not_taken_apart() -> None:
    with bindings(), pytest.raises(DeclareError, match=r"Endless\.value: expected a size: sized"):
        class Endless(Header):
            value: Annotated[str, text(space=b" ")] = ""
    with bindings(), pytest.raises(DeclareError, match="expected a field of delimited bytes"):
        class Line(Header):
            value: Annotated[str, text(space=b" ")] = ended(b"\n", "")

        class Inside(Line, inside="value", when=size_of("value") > 1):
            rest: Bytes = b""
