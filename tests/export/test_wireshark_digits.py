"""Digits that are none, and digits that are all of what holds them: tshark shows what packetlab says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from packetlab import U4, UDP, Bytes, Digits, Ether, Header, HexDigits, IPv4, bindings, digits, ended, size_of
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
