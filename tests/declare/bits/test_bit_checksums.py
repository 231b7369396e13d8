"""CRCs over numbers that share bytes with others, and in fields of some bits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    U3,
    U4,
    U5,
    U7,
    U8,
    U9,
    U11,
    DeclareError,
    Ether,
    Header,
    Verdict,
    Writer,
    auto,
    bindings,
    bits,
    crc,
    declare_from,
    describe,
    dissect,
    malformed,
    span,
    zeroed,
)
from packetlab.declare.checksums.catalogue import named_crc
from tests.careful import careful
from tests.conftest import need
from tests.export.pdml import Tshark


def token() -> Any:
    class Token(Header, bit_order="low"):
        pid: U8 = 0x2D
        address: U7 = 0
        endpoint: U4 = 0
        crc: U5 = auto(crc("CRC-5/USB", span("address", "endpoint")))

    return Token


@pytest.mark.parametrize(("address", "endpoint", "sent"), [(0x15, 0xE, "10111"), (0x3A, 0xA, "11100"), (0x70, 0x4, "01110")])
def test_tokens_of_usb_have_the_crcs_of_its_white_paper(address: int, endpoint: int, sent: str) -> None:
    """"Cyclic Redundancy Checks in USB", page 5: the bits in the order in which they are sent."""
    with bindings():
        made = token()
        wire = bytes(made(address=address, endpoint=endpoint))
        assert f"{wire[2] >> 3:05b}"[::-1] == sent
        read = dissect(wire, made)
        assert read.verdict(made) is Verdict.GOOD and read[made].crc == int(sent[::-1], 2)
        spoilt = dissect(wire[:2] + bytes([wire[2] ^ 8]), made)
        assert spoilt.verdict(made) is Verdict.BAD and spoilt.verdicts() == {"Token.crc": Verdict.BAD} and not spoilt.faults
        assert bytes(spoilt) != wire and "differs from the rule" in str(spoilt.why(made, "crc")) and "bad" in str(spoilt.show())
        assert dissect(bytes(read.replace(made, address=1)), made).verdict(made) is Verdict.GOOD


@given(
    st.sampled_from(["CRC-5/USB", "CRC-4/G-704", "CRC-7/MMC", "CRC-3/ROHC", "CRC-6/G-704", "CRC-16/MODBUS", "CRC-5/EPC-C1G2"]),
    st.lists(st.integers(1, 20), min_size=1, max_size=5), st.sampled_from(["high", "low"]), st.data(),
)  # fmt: skip
def test_numbers_that_fill_whole_bytes_have_the_crc_of_these_bytes(name: str, widths: list[int], order: str, data: st.DataObject) -> None:
    """However they share them: the algorithm over bytes is the oracle."""
    algorithm = named_crc(name, "")
    widths = [*widths, 8 + -sum(widths) % 8]
    values = {f"f{place}": data.draw(st.integers(0, (1 << width) - 1)) for place, width in enumerate(widths)}
    own = algorithm.bits + data.draw(st.integers(0, 3))
    with bindings():
        fields: dict[str, Any] = {f"f{place}": Annotated[int, bits(width)] for place, width in enumerate(widths)}
        fields |= {"before": Annotated[int, bits(8 - own % 8)], "crc": Annotated[int, bits(own)]}
        body = {**dict.fromkeys(fields, 0), "crc": auto(crc(name, span("f0", [*values][-1])))}
        made: Any = type(Header)("Shared", (Header,), {"__module__": __name__, "__annotations__": fields, **body}, bit_order=order)
        wire = bytes(made(**values))
        covered = wire[: sum(widths) // 8]
        read = dissect(wire, made)
        assert read[made].crc == algorithm.sum(covered) and read.verdict(made) is Verdict.GOOD
        assert careful(made, wire)[0] == read[made]
        description = describe(made)
    with bindings():
        (again,) = declare_from(description)
        assert bytes(again(**values)) == wire


def test_bits_that_count_as_zeros_count() -> None:
    with bindings():
        class Zeroed(Header):
            a: U3 = 5
            b: U9 = 0x1FF
            c: U4 = auto(crc("CRC-4/G-704", span("a", "b"), zeroed("b")))

        class Plain(Header):
            a: U3 = 5
            b: U9 = 0
            c: U4 = auto(crc("CRC-4/G-704", span("a", "b")))

        assert Zeroed().c == Plain().c != Plain(b=0x1FF).c and dissect(bytes(Zeroed()), Zeroed).verdict(Zeroed) is Verdict.GOOD


def test_wireshark_and_malformed_packets_have_them(tmp_path: Path) -> None:
    need("tshark")
    with bindings():
        class Nibbles(Header, under=Ether, when={"type": 0x7D31}):
            a: U3 = 1
            b: U9 = 2
            c: U4 = auto(crc("CRC-4/G-704", "a", "b"))

        packet = dissect(bytes(Ether() / Nibbles()))
        wrong = [one for one in malformed(packet) if str(one).startswith("nibbles.c.wrong")]
        assert len(wrong) == 1 and dissect(wrong[0].data).verdict(Nibbles) is Verdict.BAD
        with Writer(tmp_path / "a.pcap") as writer:
            writer.write(bytes(packet))
            writer.write(bytes(Ether() / Nibbles(c=1)))
        shown = Tshark(tmp_path, Nibbles).dissected(tmp_path / "a.pcap")
        status = [one.get("show") for layers in shown for one in layers[-1].iter("field") if (one.get("name") or "").endswith("c.status")]
        assert status == ["1", "0"]


def test_what_is_no_crc_of_numbers_is_refused_with_the_way_out() -> None:
    with pytest.raises(DeclareError, match="a CRC of numbers by name in a part of a byte too"), bindings():
        class Whole(Header):
            a: U11 = 0
            c: U5 = auto(crc("CRC-5/USB", "self"))
