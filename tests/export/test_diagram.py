"""Diagrams: the figures of the RFCs come out of the declarations, in text, as a picture, as a table, and in help()."""

from __future__ import annotations

import inspect
import pydoc
import re
from datetime import timedelta
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, strategies as st

import packetlab as pl
from packetlab import (
    F32,
    IDP,
    MAC,
    TCP,
    U1,
    U4,
    U7,
    U8,
    U16,
    U32,
    UDP,
    UUID,
    BuildError,
    Bytes,
    DeclareError,
    Digits,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    IPv6,
    Named,
    NTPTime,
    Payload,
    Spelled,
    Text,
    VarInt,
    auto,
    bcd,
    bits,
    const,
    default,
    diagram,
    dissect,
    duration,
    ended,
    field,
    fixed_bytes,
    labels,
    many,
    raw,
    scaled,
    size_of,
    sized,
    when,
)
from packetlab.cli import main
from packetlab.codec.objects import declared_classes as declared
from packetlab.export.diagram import rows
from tests.view.cells import cell

# What the RFCs draw: for each row the widths of the fields in bits. RFC 768, RFC 791 3.1, RFC 8200 3, RFC 9293 3.1.
FIGURES = {
    UDP: [[16, 16], [16, 16]],
    IPv4: [[4, 4, 6, 2, 16], [16, 3, 13], [8, 8, 16], [32], [32]],
    IPv6: [[4, 8, 20], [16, 8, 8], *[[32]] * 8],
    TCP: [[16, 16], [32], [32], [4, 4, 8, 16], [16, 16]],
}


class Buoy(Header):
    """A made-up buoy."""

    version: U4 = 1
    urgency: U4 = 0
    flag_of_one_bit: U1 = 0
    rest: U7 = 0
    length: U16 = auto(size_of("self"))
    key: U32 = when(field("urgency") & 1)
    long: Annotated[bytes, fixed_bytes(64)] = bytes(64)
    name: Bytes = sized(field("version"), b"")


@pytest.mark.parametrize("header", FIGURES)
def test_rows_are_those_of_the_rfcs(header: type[Header]) -> None:
    drawn = [[piece.bits for piece in row] for row in rows(header._declaration) if row[0].cell.bits is not None]
    assert drawn == FIGURES[header]


def test_the_text_is_the_figure_of_rfc_768() -> None:
    assert str(diagram(UDP)).splitlines() == [
        " 0                   1                   2                   3",
        " 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1",
        "+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+",
        "|             sport             |             dport             |",
        "+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+",
        "|             length            |            checksum           |",
        "+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+",
    ]


def test_a_field_over_several_rows_is_one_box() -> None:
    lines = str(diagram(Ether)).splitlines()
    assert lines[3] == "|                              dst                              |"
    assert lines[4] == "+                               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+"
    assert lines[-1] == "+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+"


def test_what_varies_may_be_absent_or_finds_no_room_is_marked() -> None:
    text = str(diagram(Buoy))
    assert "/                            name ...                           /" in text and "key ?" in text
    assert "long (64 bytes)" in text and text.endswith("Cut short: flag_of_one_bit (bit 8).")
    assert len(text.splitlines()) < 22  # 64 bytes are folded


@pytest.mark.parametrize(
    "header", [one for one in declared() if one.__module__.startswith("packetlab.")], ids=lambda one: one.__name__
)
def test_every_header_can_be_drawn(header: type[Header]) -> None:
    made = diagram(header)
    lines = made.splitlines()
    boxes = [line for line in lines if line[0] in "|/+"]
    assert all(len(line) <= 65 and len(line) % 2 == 1 for line in boxes)
    assert made.markdown().count("\n") == len(header._fields) + 2
    picture = fromstring(made.svg())  # noqa: S314  our own
    shapes = [one for one in picture if one.tag.endswith("rect")]
    assert len(shapes) == sum(len(row) for row in rows(header._declaration))
    # Fixed fields take all of their bits, but for long ones that are folded.
    for number, f in enumerate(header._fields):
        width = sum(piece.bits for row in rows(header._declaration) for piece in row if piece.number == number)
        assert f.kind.bits is None or width == f.kind.bits or f.kind.bits > 160


def test_tables_say_where_fields_lie_and_what_they_follow_from() -> None:
    table = diagram(Buoy).markdown()
    assert "| bits 4 to 7 | `urgency` | number of 4 bits | `0 unless given` | always |" in table
    assert "| bytes 2 to 3 | `length` | number of 16 bits | `= size_of(self)` | always |" in table
    assert "| where `urgency & 1` |" in table and "`version bytes`" in table
    assert "`checksum xns(self, payload, pad)`" in diagram(IDP).markdown()


def test_help_shows_the_diagram_and_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    page = pydoc.plain(pydoc.render_doc(Buoy))
    assert "A made-up buoy." in page and "|version|urgency|" in page
    assert re.search(r"key +bytes 4 to 7: number of 32 bits, where urgency & 1", page)
    assert Buoy.__dict__["__doc__"] == "A made-up buoy." and Buoy().__doc__ == "A made-up buoy."
    assert pl.describe(Buoy)["doc"] == "A made-up buoy."
    Buoy.__doc__ = "Another text."
    try:
        assert str(Buoy.__doc__).startswith("Another text.\n\n 0 ")
    finally:
        Buoy.__doc__ = "A made-up buoy."
    pl.show(Buoy)
    assert capsys.readouterr().out == f"{diagram(Buoy)}\n"


def test_notebooks_show_a_picture_with_the_text_as_its_alternative() -> None:
    bundle = cell(diagram(UDP))
    assert bundle["text/plain"] == str(diagram(UDP)) and "<script" not in bundle["text/html"]
    assert bundle["text/html"].startswith('<img alt=" 0 ')


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,40}", fullmatch=True), st.integers(1, 8))
def test_any_name_and_width(name: str, width: int) -> None:
    made = type(Header)(
        "Any",
        (Header,),
        {"__annotations__": {"x" + name: pl.U8, "y": Annotated[bytes, fixed_bytes(width)]}, "y": bytes(width)},
    )
    lines = diagram(made).splitlines()  # type: ignore[arg-type]
    assert max(len(line) for line in lines if line[0] in "|+") == 2 * min(32, 8 + 8 * width) + 1
    fromstring(diagram(made).svg())  # type: ignore[arg-type]  # noqa: S314  our own


def test_the_command_writes_all_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "diagram", "UDP"]) == 0
    assert capsys.readouterr().out == f"UDP\n{diagram(UDP)}\n"
    for ending, text in ((".svg", diagram(IPv4).svg()), (".md", f"## IPv4\n\n{diagram(IPv4).markdown()}")):
        assert main(["export", "diagram", "ipv4", "-o", str(tmp_path / f"d{ending}")]) == 0
        assert (tmp_path / f"d{ending}").read_text() == text
    own = tmp_path / "mine.py"
    own.write_text("from packetlab import *\nclass Mine(Header):\n    a: U8 = 0\n")
    with pl.bindings():
        assert main(["export", "diagram", str(own)]) == 0
    assert "Mine\n" in capsys.readouterr().out
    assert main(["export", "diagram", "xns", "-o", str(tmp_path / "x.svg")]) == 2
    assert main(["export", "diagram", "nonesuch"]) == 2
    diagram(UDP).save(tmp_path / "u.txt")
    assert (tmp_path / "u.txt").read_text() == f"{diagram(UDP)}\n"


def test_only_headers_are_drawn() -> None:
    with pytest.raises(BuildError, match="a header class"):
        diagram(UDP())  # type: ignore[arg-type]


def test_the_signature_of_a_header_has_its_fields_with_types_and_defaults() -> None:
    assert (
        str(inspect.signature(UDP))
        == "(*, sport: int = 0, dport: int = auto, length: int = auto, checksum: int = auto)"
    )
    shown = str(inspect.signature(IPv4))
    assert "ttl: int = 64" in shown and "flags: IPv4Flags = 0" in shown and "src: IPv4Address = '0.0.0.0'" in shown
    assert shown.endswith("options: tuple[IPOption, ...] = ())")
    assert "flags: TCPFlags = TCPFlags.SYN," in str(inspect.signature(TCP))
    ether = inspect.signature(Ether)
    assert [one.annotation for one in ether.parameters.values()][2] is int and "dst: MAC = " in str(ether)


def test_a_field_that_may_be_absent_may_say_so_in_its_annotation() -> None:
    class Choice(Header):
        has: U8
        value: U16 | None = when(field("has") == 1)

    assert str(inspect.signature(Choice)) == "(*, has: int, value: int | None = absent)"
    assert dissect(b"\0", Choice)[Choice].value is None and dissect(b"\1\0\5", Choice)[Choice].value == 5
    with pytest.raises(DeclareError, match=r"Wrong.value: expected when\(...\) for a field that may be None"):

        class Wrong(Header):
            value: U8 | None = 3


class Op(IntEnum):
    READ = 1


class Method(StrEnum):
    GET = "GET"


class Inner(Header):
    kind: U8 = 0


class Usual(Header):
    """Fields whose raw value is another one than that which a user gives."""

    inner: Inner = Inner(kind=3)
    items: tuple[Inner, ...] = many(count=2, value=(Inner(), Inner(kind=1)))
    packed: Annotated[str, bcd(8)] = "12345678"
    card: MAC = default("00:00:00:00:00:01")
    title: Text = ended(b"\0", "q")
    name: Annotated[str, pl.text("ascii", size=4)] = "abcd"
    sent: NTPTime = default("2024-01-01T00:00:00.123456789Z")
    took: Annotated[timedelta, duration(16, unit="1/1000")] = timedelta(seconds=1)
    key: UUID = default("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    level: F32 = 1.5
    speed: Annotated[float, scaled(16, 0.1)] = raw(1023)
    op: Annotated[Named[Op], bits(8)] = default(Op.READ)
    other: Annotated[Named[Op], bits(8)] = default(7)
    method: Annotated[Named[Method], pl.text("ascii")] = ended(b" ", Method.GET)
    long: VarInt = Spelled(5, 3)
    host: Annotated[str, labels()] = "a.b"
    size: Digits = ended(b";", 12)
    hosts: tuple[IPv4Address, ...] = many(count=1, value=(IPv4Address("1.2.3.4"),))
    mark: Bytes = const(b"ABC")
    body: Payload = b""


def test_the_defaults_of_a_signature_can_be_given() -> None:
    said = {name: one.default for name, one in inspect.signature(Usual).parameters.items()}
    assert bytes(Usual(**said)) == bytes(Usual())
    for name, value in said.items():
        assert getattr(Usual(**{name: value}), name) == getattr(Usual(), name), name
    shown = [f"inner: {said['inner']!r}", said["title"], said["speed"], repr(said["op"]), said["key"], said["sent"]]
    assert shown == ["inner: Inner(kind=3)", "q", 102.3, "Op.READ", Usual().key, Usual().sent]
