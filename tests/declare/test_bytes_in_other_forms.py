"""Bytes up to a delimiter and bytes behind a transform are bytes for filters and columns, as those of a plain field are."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

import pytest

from packetlab import (
    U8,
    BuildError,
    Bytes,
    Capture,
    Ether,
    Header,
    Rest,
    base64,
    bcd,
    ended,
    field,
    many,
    raw,
    scaled,
    sized,
    through,
    xor,
    zlib,
)
from packetlab.pattern.filter import compile_filter


class Plainly(Header, under=Ether, when={"type": 0x7DA1}):
    plain: Rest = b"abc"


class Line(Header):
    text: Bytes = ended(b"\0", b"abc")


class Otherwise(Header, under=Ether, when={"type": 0x7DA2}):
    line: Bytes = ended(b"\r\n", b"abc")
    size: U8 = 3
    masked: Bytes = through(xor(5), sized(field("size"), b"abc"))
    letters: Bytes = through(base64(), sized(4, b"abc"))
    lines: tuple[Line, ...] = many(count=1)
    packed: Rest = through(zlib(), b"abc")


ASKED = [
    "== 61:62:63", "== 616263", '== "abc"', "!= 61:62:63", "== 61:62:64", "!= 61:62:64", "in {61:62:63, 01:02:03}", "in {62:62:62}",
    "contains 62:63", "contains 63:62", 'contains "bc"', "== 0x616263", "== abc", "== 61:6", "contains bc:",
]  # fmt: skip


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("name", ["line", "masked", "letters", "lines.text", "lines[0].text", "packed"])
def test_a_filter_takes_hexadecimal_digits_and_letters_as_it_does_of_plain_bytes(name: str, asked: str) -> None:
    packets = Ether() / Plainly(), Ether() / Otherwise(lines=[Line()])
    found: list[object] = []
    for packet, path in zip(packets, ("plainly.plain", f"otherwise.{name}"), strict=True):
        try:
            test = compile_filter(f"{path} {asked}")
            found.append(test(packet))
            assert Capture.of([bytes(packet)]).where(f"{path} {asked}").count() == found[-1]
        except BuildError as error:
            found += [str(error.got), error.hint]
    assert found[: len(found) // 2] == found[len(found) // 2 :]


class Tabled(Header, under=Ether, when={"type": 0x7DA3}):
    digits: Annotated[int, bcd(4)] = 12
    steps: Annotated[int, scaled(8, 4, offset=-20)] = -8
    long: Annotated[int, scaled(32, 1 << 20)] = 1 << 40
    wide: Annotated[int, scaled(64, 1000)] = 8000
    exact: Annotated[Fraction, scaled(8, 4)] = 8
    line: Bytes = ended(b"\0", b"\xfe'")
    size: U8 = 2
    masked: Bytes = through(xor(5), sized(field("size"), b"\xfd'"))
    packed: Rest = through(zlib(), b"\xff\0")


def test_arrow_has_bytes_as_bytes_and_whole_numbers_as_numbers() -> None:
    polars = pytest.importorskip("polars")
    packets = [Ether() / Tabled(), Ether() / Tabled(digits=raw(b"\xab\x12"), packed=raw(b"no stream")), Ether() / Plainly(), Ether() / Tabled(digits=9999, steps=1000)]
    names = ["digits", "steps", "long", "wide", "exact", "line", "masked", "packed"]
    capture = Capture.of([bytes(packet) for packet in packets])
    table = capture.table(*(f"tabled.{name}" for name in names))
    read, frame = table.read(), polars.DataFrame(table)
    kinds = {"digits": polars.UInt16, "steps": polars.Int16, "long": polars.UInt64, "line": polars.Binary, "masked": polars.Binary, "packed": polars.Binary}
    for name in names:
        values = [value if there else None for value, there in zip(read[f"tabled.{name}"].tolist(), read.valid(f"tabled.{name}").tolist(), strict=True)]
        assert values[:1] == [getattr(packets[0][Tabled], name)]
        assert frame[f"tabled.{name}"].dtype == kinds.get(name, polars.String)
        if name == "digits":
            assert values == [12, "ab12", None, 9999]
            values[1] = None  # no number
        assert frame[f"tabled.{name}"].to_list() == [value if name in kinds or value is None else str(value) for value in values]
