"""``class ...(Header, through=hdlc())``: frames that a link carries as other bytes, and captures of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import packetlab as pl
from packetlab import (
    U8,
    U16,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    DissectError,
    Ether,
    Header,
    Payload,
    U16le,
    Writer,
    auto,
    bindings,
    ble_whitened,
    cobs,
    crc,
    declare_from,
    describe,
    dissect,
    field,
    hdlc,
    link_type,
    malformed,
    next_protocol,
    size_of,
    sized,
    slip,
    xor,
)  # fmt: skip
from packetlab.protocols import linktypes
from packetlab.schema.source import class_body
from tests.answers import tshark


class SerialLine(Header, through=hdlc()):
    address: U8 = 0xFF
    control: U8 = 3
    protocol: U16 = auto(next_protocol("serial line"))
    body: Payload
    fcs: U16le = auto(crc("CRC-16/IBM-SDLC", "self", "payload"))


class LineReading(Header, under=SerialLine, when={"protocol": 0x7E7D}):
    kind: U8 = 1
    n: U8 = auto(size_of("data"))
    data: Bytes = sized(field("n"), b"")


@pytest.fixture(autouse=True)
def user0() -> Iterator[None]:
    link_type(147, SerialLine)
    yield
    linktypes.FIRST.pop(147, None)


@pytest.mark.parametrize("packet", [SerialLine() / b"hi", SerialLine() / LineReading(data=b"\x7e\x7d"), SerialLine(fcs=0x7E7E) / b""])
def test_malformed_frames_are_stuffed_too(packet: Any) -> None:
    cases = malformed(packet)
    names = {case.id for case in cases}
    assert {"serialline.address.cut", "serialline.protocol.cut", "trailing-bytes"} <= names
    assert ("linereading.n.plus-one" in names) is (LineReading in packet)
    for case in cases:
        assert case.data[:1] == b"\x7e" == case.data[-1:] and b"\x7e" not in case.data[1:-1]
        assert not case.disagreements(), case.id
    assert any(case.faults for case in cases)


@given(st.binary(max_size=100), st.integers(0, 3), st.integers(0, 3))
def test_frames_are_stuffed_and_come_back(data: bytes, before: int, after: int) -> None:
    packet = SerialLine() / LineReading(data=data)
    sent = bytes(packet)
    assert sent[0] == sent[-1] == 0x7E not in sent[1:-1] and packet.encode() == sent
    captured = b"\x7e" * before + sent + b"\x7e" * after
    read = dissect(captured, SerialLine)
    assert bytes(read) == captured and read.encode() == sent and not read.faults
    assert read[LineReading] == packet[LineReading] and read.verdict(SerialLine).name == "GOOD"
    assert bytes(read.replace(LineReading, kind=1)) == sent


@given(st.binary(max_size=60))
def test_any_bytes_stay(data: bytes) -> None:
    for captured in (data, b"\x7e" + data + b"\x7e"):
        packet = dissect(captured, SerialLine)
        assert bytes(packet) == captured


def test_what_is_no_frame_is_a_fault_of_the_header() -> None:
    packet = dissect(b"\x7e\x01\x7d\x7e", SerialLine)
    assert [(one.layer, one.field) for one in packet.faults] == [("SerialLine", "")] and packet.payload == bytes(packet)
    with pytest.raises(DissectError, match="escape"):
        dissect(b"\x7e\x01\x7d\x7e", SerialLine, strict=True)


def test_often_is_as_once() -> None:
    sent = bytes(SerialLine() / LineReading(data=b"~}"))
    for _ in range(300):
        assert bytes(dissect(sent, SerialLine)) == bytes(SerialLine() / LineReading(data=b"~}")) == sent
        assert dissect(sent, SerialLine)[LineReading].data == b"~}"


def test_a_capture_of_user0(tmp_path: Path) -> None:
    with Writer(tmp_path / "serial.pcap") as out:
        for number in (1, 0x7E, 0x7D):
            out.write(SerialLine() / LineReading(kind=number, data=b"~"))
    capture = Capture(tmp_path / "serial.pcap")
    assert {frame.interface.linktype for frame in capture} == {147}
    assert [frame.packet().verdict(SerialLine).name for frame in capture] == ["GOOD"] * 3 and not any(frame.packet().faults for frame in capture)
    assert [*capture.table("linereading.kind")["linereading.kind"]] == [1, 0x7E, 0x7D]
    assert len([*capture.where("linereading.kind == 126")]) == 1


def test_variations_are_stuffed_each() -> None:
    packet = SerialLine() / LineReading(data=b"x")
    made = [dissect(bytes(one), SerialLine) for one in packet.vary(256, {"linereading.kind": range(256)})]
    assert [one[LineReading].kind for one in made] == [*range(256)] and not any(one.faults for one in made)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
def test_tshark_reads_the_frames_inside() -> None:
    """PPP in HDLC-like framing (RFC 1662): link type 50 has the frame without flags and escapes, text2pcap makes the file."""
    frame = hdlc().decode(bytes(SerialLine(protocol=0x0021) / bytes.fromhex("4500001400000000400166e90a0000010a000001")))
    text = "000000 " + frame.hex(" ") + "\n"
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "in.txt").write_text(text)
        made = subprocess.run(["text2pcap", "-q", "-l", "50", f"{folder}/in.txt", f"{folder}/out.pcap"], check=False, capture_output=True)
        if made.returncode:
            pytest.skip("text2pcap makes no such file")
        shown = tshark("-r", f"{folder}/out.pcap", "-T", "fields", "-e", "ppp.protocol")
    assert shown.stdout.strip() in ("0x0021", "33")


def test_descriptions_have_it() -> None:
    found = describe(SerialLine)
    assert found["through"] == [{"transform": "hdlc"}] and "through=hdlc()" in class_body(found)
    with bindings():
        (again,) = declare_from([{**found, "name": "SerialLineAgain"}])
        assert again._declaration.through == (hdlc(),)


@pytest.mark.parametrize("transform", [cobs(), slip(), ble_whitened(5), (hdlc(), xor(b"k"))])
def test_other_transforms(transform: Any) -> None:
    with bindings():

        class Framed(Header, through=transform):
            value: U16 = 0

        packet = Framed(value=0x7E00) / b"\0\xc0\xdb"
        assert dissect(bytes(packet), Framed)[Framed].value == 0x7E00 and dissect(bytes(packet), Framed).payload == b"\0\xc0\xdb"


def test_where_it_makes_no_sense_it_is_refused() -> None:
    with pytest.raises(DeclareError, match="frame of a link"):
        pl.bind(SerialLine, under=Ether, when={"type": 0x7A62})
    with pytest.raises(BuildError, match="first header"):
        bytes(Ether() / SerialLine())
    with bindings(), pytest.raises(DeclareError, match="as a field"):

        class Holds(Header):
            line: SerialLine

    for wrong in (5, xor(field("key"))):
        with bindings(), pytest.raises(DeclareError, match="whole frames"):

            class Wrong(Header, through=wrong):
                key: U8

    for number, first in ((1, SerialLine), (-1, SerialLine), (148, 5)):
        with pytest.raises(DeclareError):
            link_type(number, first)  # type: ignore[arg-type]


