"""Digits that are none, and digits that are all of what holds them: tshark shows what packetlab says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from packetlab import (
    U4,
    U8,
    U16,
    UDP,
    Bytes,
    Digits,
    Ether,
    Header,
    HexDigits,
    IPv4,
    auto,
    bindings,
    digits,
    ended,
    field,
    size_of,
    sized,
    when,
)
from tests.conftest import need
from tests.export.pdml import Tshark, compare


def test_digits_that_are_none_of_any_length_and_digits_up_to_the_end_of_what_holds_them(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class DigitsUpTo(Header, under=UDP, when={"dport": 7801}):
            n: Digits = ended(b"\r\n", 0)
            wide: Annotated[int, digits(width=40)] = 0

        class DigitsShared(Header, under=UDP, when={"dport": 7802}):
            a: U4 = 0
            wide: Annotated[int, digits(width=40)] = 0
            b: U4 = 0

        class DigitsHeld(Header, under=UDP, when={"dport": 7803}):
            line: Bytes = ended(b"\r\n", b"")

        class DigitsWithin(DigitsHeld, inside="line", when=size_of("line") > 2):
            number: HexDigits = 0

        below = Ether() / IPv4()
        lengths = (1, 31, 32, 33, 100)
        frames = [
            *(bytes(below / UDP(sport=1, dport=7801) / (b"x" * n + b"\r\n")) for n in lengths),
            bytes(below / UDP(sport=1, dport=7801) / (b"12\r\n" + b"y" * 40)),
            bytes(below / UDP(sport=1, dport=7802) / (b"y" * 41)),
            *(bytes(below / UDP(sport=1, dport=7803) / (b"y" * n + b"\r\n")) for n in lengths),
            *(bytes(below / UDP(sport=1, dport=7803) / (said + b"\r\n")) for said in (b"1", b"00fF", b" 1a ", b"f" * 16, b"f" * 17, b"")),
        ]
        compare(Tshark(tmp_path, DigitsUpTo, DigitsShared, DigitsHeld), frames)


def test_digits_of_a_size_that_a_field_or_a_rule_says(tmp_path: Path) -> None:
    need("tshark")
    with bindings():

        class DigitsSized(Header, under=UDP, when={"dport": 7804}):
            n: U8 = auto(size_of("number"))
            number: Digits = sized(field("n"), 12345)
            more: U16 | None = when(field("number") > 99, 7)

        class DigitsFive(Header, under=UDP, when={"dport": 7805}):
            number: HexDigits = sized(5, 0x12345)
            t: U8 = 7

        class DigitsLess(Header, under=UDP, when={"dport": 7806}):
            n: U8 = 0
            number: Digits = sized(field("n") - 2, 0)
            t: U8 = 7

        below = Ether() / IPv4()
        sized_as_said = (b"\x0512345ab", b"\x0512a45ab", b"\x0512", b"\0ab", b"\x03 12\x07", b"\x0312", b"\x02-7z", b"\x15" + b"9" * 21, b"\x03123ab", b"")
        frames = [
            *(bytes(below / UDP(sport=1, dport=7804) / said) for said in sized_as_said),
            *(bytes(below / UDP(sport=1, dport=7805) / said) for said in (b"12345\x07", b"12a45\x07", b"12x45\x07", b"12", b"12345")),
            *(bytes(below / UDP(sport=1, dport=7806) / said) for said in (b"\x0412\x07", b"\0\x07", b"\x0212\x07", b"\x0512")),
        ]
        compare(Tshark(tmp_path, DigitsSized, DigitsFive, DigitsLess), frames)
