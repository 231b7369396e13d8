"""Checksums that are written as text: NMEA 0183's sentences, FIX's trailers."""

from __future__ import annotations

import shutil
import zlib
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    U8,
    U16,
    U32,
    UDP,
    Capture,
    DeclareError,
    Digits,
    Ether,
    Header,
    IPv4,
    Text,
    Verdict,
    auto,
    bind,
    bindings,
    but,
    const,
    crc32,
    declare_from,
    describe,
    digits,
    dissect,
    ended,
    field,
    fixed_bytes,
    size_of,
    sized,
    span,
    sum8,
    sum16,
    value_of,
    xor8,
    zeroed,
)
from packetlab.schema.source import class_body
from tests.careful import careful
from tests.conftest import amount
from tests.export.pdml import Tshark

with bindings():

    class Sentence(Header, under=UDP, port=10110, last=True):
        """A sentence of NMEA 0183."""

        start: Annotated[bytes, fixed_bytes(1)] = const(b"$")
        body: Text = ended(b"*", "")
        check: Annotated[int, digits(16, width=2, upper=True)] = auto(xor8(value_of("body")))
        end: Annotated[bytes, fixed_bytes(2)] = const(b"\r\n")

    class Fix(Header):
        """A message of FIX 4.2: BeginString, BodyLength, the body, CheckSum."""

        begin: Text = ended(b"\x019=", "8=FIX.4.2")
        length: Digits = ended(b"\1", auto(size_of("body")))
        body: Text = sized(field("length"), "")
        tag: Annotated[bytes, fixed_bytes(3)] = const(b"10=")
        check: Annotated[int, digits(width=3)] = auto(sum8(span("begin", "body")))
        end: U8 = const(1)


@pytest.mark.parametrize(
    "sentence",
    [
        b"$GPGLL,5300.97914,N,00259.98174,E,125926,A*28\r\n",
        b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n",
    ],
)
def test_published_sentences_are_good_and_built_so(sentence: bytes) -> None:
    packet = dissect(sentence, Sentence)
    assert packet.verdict(Sentence) is Verdict.GOOD and not packet.faults
    assert bytes(Sentence(body=packet[Sentence].body)) == sentence
    spoilt = sentence.replace(b",N", b",S", 1)
    assert dissect(spoilt, Sentence).verdict(Sentence) is Verdict.BAD
    assert " bad " in str(dissect(spoilt, Sentence).show()) + " "
    assert bytes(dissect(spoilt, Sentence)) == spoilt


def test_a_message_of_fix() -> None:
    """The example of the FIX Trading Community's pages, 8=FIX.4.2, 178 bytes in its body."""
    text = (
        "8=FIX.4.2|9=178|35=8|49=PHLX|56=PERS|52=20071123-05:30:00.000|11=ATOMNOCCC9990900|20=3|150=E|39=E|55=MSFT|167=CS|54=1|38=15|40=2|"
        "44=15|58=PHLX EQUITY TESTING|59=0|47=C|32=0|31=0|151=15|14=0|6=0|10=128|"
    )
    wire = text.replace("|", "\1").encode()
    packet = dissect(wire, Fix)
    assert not packet.faults and packet.verdict(Fix) is Verdict.GOOD
    assert bytes(Fix(body=packet[Fix].body)) == wire
    again = dissect(bytes(packet.replace(Fix, body="35=0\1")), Fix)
    assert again.verdict(Fix) is Verdict.GOOD and again[Fix].check == sum(bytes(again).rpartition(b"10=")[0]) % 256


@given(body=st.text(st.characters(codec="ascii", exclude_characters="*"), max_size=20), wrong=st.integers(0, 255))
@settings(max_examples=amount(40, 400))
def test_both_readers_and_builders_agree(body: str, wrong: int) -> None:
    right = reduce(xor, body.encode(), 0)
    wire = bytes(Sentence(body=body))
    assert wire == f"${body}*{right:02X}\r\n".encode()
    for data in (wire, wire[:-4] + f"{wrong:02x}\r\n".encode()):
        packet = dissect(data, Sentence)
        assert careful(Sentence, data)[0] == packet[Sentence] and bytes(packet) == data
        assert packet.verdict(Sentence) is (Verdict.GOOD if data is wire or wrong == right else Verdict.BAD)
        edited = dissect(bytes(packet.replace(Sentence, body=body + "x")), Sentence)
        assert edited.verdict(Sentence) is packet.verdict(Sentence) or (
            edited[Sentence].check == packet[Sentence].check
        )


def test_captures_edits_and_files() -> None:
    with bindings():
        bind(Sentence, under=UDP, port=10110)
        stack = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=10110)
        packet = stack / Sentence(body="GPGLL")
        rows = packet.vary(3, {"sentence.body": ["a", "bb", "ccc"]})
        assert [dissect(bytes(row))[UDP].length for row in rows] == [15, 16, 17]
        assert all(
            one.verdict(Sentence) is Verdict.GOOD for row in rows if (one := dissect(bytes(row), Ether)).layers[-1]
        )
        data = describe(Sentence)
        (again,) = declare_from({**data, "name": "Again", "under": []})
        assert bytes(again(body="GPGLL")) == bytes(Sentence(body="GPGLL"))
        assert 'xor8(value_of("body"))' in class_body(data) and "upper=True" in class_body(data)
        new = Capture.of([stack / Sentence(body="GPGLL")]).rewrite(ip={"10.0.0.1": "10.0.0.9"})
        assert [bytes(frame.packet())[-11:] for frame in new] == [bytes(packet)[-11:]]


def test_a_value_that_counts_as_zeros_has_no_delimiter_either() -> None:
    with bindings():

        class Blank(Header, under=UDP, port=10112, last=True):
            body: Text = ended(b"\r\n", "abc")
            check: U32 = auto(crc32(value_of("body"), zeroed("body")))

        for text in ("abc", "", "a longer one"):
            packet = dissect(bytes(Ether() / IPv4() / UDP(dport=10112) / Blank(body=text)))
            assert packet[Blank].check == zlib.crc32(bytes(len(text))) and packet.verdict(Blank) is Verdict.GOOD
            assert f"gives 0x{zlib.crc32(bytes(len(text))):08x}" in str(packet.why(Blank, "check"))
            new = Capture.of([packet]).rewrite(ip={"127.0.0.1": "10.0.0.9"})
            assert [frame.packet().verdict(Blank) for frame in new] == [Verdict.GOOD]
            varied = packet.vary(2, {"blank.body": ["x", "yy"]})
            assert [dissect(bytes(one)).verdict(Blank) for one in varied] == [Verdict.GOOD] * 2


def test_what_is_left_of_a_header_of_zeros_is_as_long_as_that() -> None:
    with bindings():

        class TwoParts(Header):
            first: U16 = 1
            last: U16 = 2

        class ZeroedParts(Header):
            parts: TwoParts = TwoParts()
            kind: U8 = 9
            check: U32 = auto(crc32("parts", "kind", zeroed("parts"), but("parts.first")))

        packet = dissect(bytes(ZeroedParts()), ZeroedParts)
        assert packet[ZeroedParts].check == zlib.crc32(b"\0\0\x09") and packet.verdict(ZeroedParts) is Verdict.GOOD


def test_what_does_not_hold_a_sum_is_refused() -> None:
    with pytest.raises(DeclareError, match=r"digits that hold 16 bits, got 2 digits, base 16"):

        class Short(Header):
            body: Text = ended(b"*", "")
            check: Annotated[int, digits(16, width=2)] = auto(sum16("body"))

    with pytest.raises(DeclareError, match=r"over other bytes than its own digits.*but\(\"check\"\) leaves them out"):

        class Own(Header):
            body: Text = ended(b"*", "")
            check: Annotated[int, digits(16, width=2)] = auto(xor8("self"))

    with pytest.raises(DeclareError, match=r"a field that is ended\(...\) in value_of"):

        class Plain(Header):
            body: U8 = 0
            check: U8 = auto(xor8(value_of("body")))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")
def test_wireshark_judges_them(tmp_path: Path) -> None:
    with bindings():

        class Line(Header, under=UDP, port=10111, last=True):
            body: Text = ended(b"*", "")
            check: Annotated[int, digits(16, width=2)] = auto(xor8(value_of("body")))
            all: Annotated[int, digits(width=3)] = auto(sum8("body"))

        tshark = Tshark(tmp_path, Line)
        stack = Ether() / IPv4() / UDP(dport=10111)
        packets = [stack / Line(body="GPGLL,1"), stack / Line(body="x", check=3), stack / Line(body="", all=7)]
        answers = tshark.ask([bytes(packet) for packet in packets])
        for packet, layers in zip(packets, answers, strict=True):
            theirs = {
                one.get("name"): one.get("show")
                for layer in layers
                for one in layer.iter("field")
                if one.get("name", "").startswith("line.")
            }
            for name in ("check", "all"):
                assert theirs[f"line.{name}.status"] == str(int(dissect(bytes(packet)).verdict(Line, name)))


def test_above_another_header_each_build_is_as_the_first() -> None:
    """After some of them all headers of a stack are built by one function, which asked for the sum before it was there."""
    with bindings():

        class DigitsAbove(Header, under=Ether, when={"type": 0x7C47}):
            body: Text = ended(b"*", "")
            check: Annotated[int, digits(16, width=2, upper=True)] = auto(xor8(value_of("body")))

        assert {bytes(Ether() / DigitsAbove(body="x"))[14:] for _ in range(64)} == {b"x*78"}
        assert {bytes(Ether() / DigitsAbove(body="x") / b"payload")[14:] for _ in range(64)} == {b"x*78payload"}
