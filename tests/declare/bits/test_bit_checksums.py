"""CRCs over numbers that share bytes with others, and in fields of some bits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    F32,
    MAC,
    U3,
    U4,
    U5,
    U7,
    U8,
    U9,
    U11,
    U16,
    Capture,
    DeclareError,
    Ether,
    Header,
    Payload,
    Verdict,
    Writer,
    auto,
    bcd,
    bindings,
    bits,
    choose,
    crc,
    declare_from,
    describe,
    dissect,
    field,
    has,
    malformed,
    many,
    span,
    spare_bits,
    sum8,
    when,
    zeroed,
)
from packetlab.declare.checksums.catalogue import named_crc
from packetlab.declare.expressions import Checksum
from tests.careful import careful
from tests.conftest import need
from tests.export.pdml import Tshark, compare
from tests.export.test_wireshark_places import damaged


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


def test_numbers_that_fill_whole_bytes_are_bytes_also_when_rewritten() -> None:
    """Beside floats and other sums too; in one arithmetic of bytes, as where no number is smaller than a byte."""
    modbus = named_crc("CRC-16/MODBUS", "").sum
    with bindings():
        class Headed(Header, under=Ether, when={"type": 0x7D32}):
            version: U4 = 1
            flags: U4 = 5
            sport: U16 = 80
            dport: U16 = 1000
            speed: F32 = 1.5
            own: U8 = auto(sum8("sport"))
            c: U16 = auto(crc("CRC-16/MODBUS", span("version", "own")))
            last: U4 = 3
            more: U4 = 0xC
            after: U16 = auto(crc("CRC-16/MODBUS", "last", "more", "dport", zeroed("dport")))

        wire = bytes(Ether() / Headed())
        head = wire[14:24]
        assert wire[14:] == head + modbus(head).to_bytes(2, "big") + b"\x3c" + modbus(b"\x3c\0\0").to_bytes(2, "big")
        assert careful(Headed, wire[14:])[0] == dissect(wire)[Headed]
        assert all(isinstance(Headed._by_name[name].rule, Checksum) for name in ("c", "after"))
        new = Capture.of([wire]).rewrite(ports={80: 8080})
        (frame,) = [one.packet() for one in new]
        assert frame[Headed].sport == 8080 and {*frame.verdicts().values()} == {Verdict.GOOD} and not new.left
        mended = Capture.of([bytes(Ether() / Headed(c=1, after=2))]).rewrite(fixcsum=True)
        assert [bytes(one.packet()) for one in mended] == [wire]


def test_rewriting_puts_them_right_where_they_were() -> None:
    with bindings():
        class BitItem(Header):
            sport: U16 = 80
            a: U3 = 1
            c: U5 = auto(crc("CRC-5/USB", "a"))

        class BitPorts(Header, under=Ether, when={"type": 0x7D34}):
            version: U4 = 1
            flags: U4 = 5
            sport: U16 = 80
            dport: U16 = 1000
            c: U16 = auto(crc("CRC-16/MODBUS", span("flags", "dport")))
            items: tuple[BitItem, ...] = many()

        capture = Capture.of([bytes(Ether() / BitPorts(items=[BitItem(), BitItem()]))])
        for options in ({"ports": {80: 8080}}, {"fixcsum": True}):
            rewritten = capture.rewrite(**options)
            (frame,) = rewritten
            assert frame.packet()[BitPorts].sport == (8080 if "ports" in options else 80)
            assert [*frame.packet().verdicts().values()] == [Verdict.GOOD] * 3 and not rewritten.left


def test_reflected_crcs_take_the_bits_of_each_byte_where_that_is_sure() -> None:
    with bindings():
        class Spared(Header):
            h: U3 = 1
            rest: int = spare_bits()
            a: U8 = 0x31
            c: U8 = auto(crc("CRC-8/MAXIM-DOW", "a"))

        class Straight(Header):
            h: U4 = auto(has("o"))
            o: U4 | None = when(field("h"))
            a: U8 = 0x31
            c: U8 = auto(crc("CRC-8/SMBUS", "a"))
            rest: int = spare_bits()

        class Inside(Header):
            h: U3 = 1
            a: U5 = 0x11
            c: U8 = auto(crc("CRC-8/MAXIM-DOW", "a"))

        class After(Header):
            c: U5 = auto(crc("CRC-5/USB", "a"))
            a: U11 = 0x15

        class Third(Header):
            whole: U16 = 0
            h: U7 = 0
            a: U9 = 0x115
            c: U5 = auto(crc("CRC-5/USB", "a"))
            rest: U3 = 0

        for header, read in ((Inside(), Inside), (After(), After), (Third(), Third)):
            assert dissect(bytes(header), read).verdict(read) is Verdict.GOOD
        assert bytes(After()).hex() == "5815" and bytes(Spared()).hex() == "2031" + f"{named_crc('CRC-8/MAXIM-DOW', '').sum(b'1'):02x}"
        assert bytes(Straight(o=1)).hex() == "1131" + f"{named_crc('CRC-8/SMBUS', '').sum(b'1'):02x}"
        for before in ("o: U4|None = when(field('h'))", "o: Annotated[int, bits(field('h'))] = 0", "o: tuple[U3, ...] = many(count=field('h'))"):
            source = f"""class Unsure(Header):
                h: U4 = 0
                {before}
                a: U8 = 0x31
                c: U8 = auto(crc("CRC-8/MAXIM-DOW", "a"))
                rest: int = spare_bits()"""
            with pytest.raises(DeclareError, match=r"Unsure.c: expected bits at a place of a byte that is always the same, got a, at bit 0 or "):
                exec(source, {**globals(), "many": many})


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


@pytest.mark.parametrize(("address", "endpoint"), [(0x15, 0xE), (0x3A, 0xA), (0x70, 0x4)])
def test_they_stand_after_a_payload_too(address: int, endpoint: int, tmp_path: Path) -> None:
    need("tshark")
    with bindings():
        class Ending(Header, under=Ether, when={"type": 0x7D32}, bit_order="low"):
            kind: U8 = 1
            body: Payload
            address: U7 = 0
            endpoint: U4 = 0
            crc: U5 = auto(crc("CRC-5/USB", "address", "endpoint"))

        packet = dissect(bytes(Ether() / Ending(address=address, endpoint=endpoint) / b"hello"))
        assert bytes(packet)[-2:] == bytes(token()(address=address, endpoint=endpoint))[1:]  # those of the white paper, see above
        wrong = dissect(bytes(packet)[:-1] + bytes([bytes(packet)[-1] ^ 8]))
        assert packet.verdict(Ending) is Verdict.GOOD and wrong.verdict(Ending) is Verdict.BAD and careful(Ending, bytes(packet)[14:])[0] == packet[Ending]
        assert {dissect(bytes(row)).verdict(Ending) for row in packet.vary(9, {"ending.endpoint": range(9)})} == {Verdict.GOOD}
        assert packet.replace(Ending, address=5).verdict(Ending) is Verdict.GOOD
        (again,) = declare_from(describe(Ending))
        assert bytes(again(address=address, endpoint=endpoint) / b"") == bytes(Ending(address=address, endpoint=endpoint) / b"")
        compare(Tshark(tmp_path, Ending), [packet, wrong, *damaged([packet], 8)])


def test_one_that_is_not_always_there_stands_in_bits_too(tmp_path: Path) -> None:
    need("tshark")
    with bindings():
        class Maybe(Header, under=Ether, when={"type": 0x7D33}):
            kind: U4 = 1
            number: U4 = 2
            c: U4 = auto(choose(field("kind") == 1, 9, crc("CRC-4/INTERLAKEN", "number")))
            rest: U4 = 0

        packets = [dissect(bytes(Ether() / maybe)) for maybe in (Maybe(), Maybe(c=1), Maybe(kind=2), Maybe(kind=2, c=1))]
        assert [packet[Maybe].c for packet in packets[::2]] == [9, crc_bit_by_bit("CRC-4/INTERLAKEN", [0, 0, 1, 0])]
        assert [packet.verdict(Maybe) for packet in packets] == [Verdict.NOT_PRESENT, Verdict.NOT_PRESENT, Verdict.GOOD, Verdict.BAD]
        (again,) = declare_from(describe(Maybe))
        assert bytes(again(kind=2)) == bytes(Maybe(kind=2))
        compare(Tshark(tmp_path, Maybe), packets)


def crc_bit_by_bit(name: str, bits: list[int]) -> int:
    width, poly, register, _, reflect_out, xor, _ = named_crc(name, "").parameters
    for bit in bits:
        register = (register << 1 & (1 << width) - 1) ^ (poly if register >> width - 1 ^ bit else 0)
    return (int(f"{register:0{width}b}"[::-1], 2) if reflect_out else register) ^ xor


def test_what_is_beside_bits_as_bytes_is_a_number_in_a_crc() -> None:
    with bindings():
        with pytest.raises(DeclareError, match=r"m as a number too, Annotated\[int, bits\(48\)\]"):
            class Addressed(Header):
                a: U4 = 1
                m: MAC = "02:00:00:00:00:01"  # type: ignore[assignment]
                c: U4 = auto(crc("CRC-4/INTERLAKEN", "a", "m"))
        with pytest.raises(DeclareError, match=r"n as a number too, Annotated\[int, bits\(16\)\]"):
            class Packed(Header):
                a: U4 = 1
                n: Annotated[int, bcd(4)] = 1
                c: U4 = auto(crc("CRC-4/INTERLAKEN", "a", "n"))
        with pytest.raises(DeclareError, match="all of them before the payload, or all after it"):
            class Around(Header):
                a: U4 = 1
                b: U4 = 1
                body: Payload
                d: U4 = 1
                c: U4 = auto(crc("CRC-4/INTERLAKEN", "b", "d"))

        class Numbered(Header):
            a: U4 = 1
            m: Annotated[int, bits(48)] = 0x020000000001
            c: U4 = auto(crc("CRC-4/INTERLAKEN", "a", "m"))

        assert Numbered().c == crc_bit_by_bit("CRC-4/INTERLAKEN", [int(one) for one in f"{0x1020000000001:052b}"])


def test_what_is_no_crc_of_numbers_is_refused_with_the_way_out() -> None:
    with pytest.raises(DeclareError, match="a CRC of numbers by name in a part of a byte too"), bindings():
        class Whole(Header):
            a: U11 = 0
            c: U5 = auto(crc("CRC-5/USB", "self"))
