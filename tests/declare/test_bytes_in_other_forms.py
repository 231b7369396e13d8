"""Bytes up to a delimiter and bytes behind a transform are bytes for filters and columns, as those of a plain field are."""

from __future__ import annotations

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
    ended,
    field,
    many,
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
