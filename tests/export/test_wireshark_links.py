"""Frames that a link carries as other bytes, as tshark reads them with the dissector that is written."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from packetlab import (
    U8,
    U16,
    Frame,
    Header,
    Payload,
    Rest,
    U16le,
    auto,
    bindings,
    ble_whitened,
    cobs,
    crc,
    dissect,
    hdlc,
    link_type,
    size_of,
    slip,
    whitened,
    wireshark,
    xor,
    zlib,
)
from packetlab.protocols import linktypes
from tests.conftest import amount, need
from tests.export.pdml import Tshark, compare, experts

LINKS = range(147, 158)


@pytest.fixture(autouse=True)
def links_are_given_back() -> Iterator[None]:
    with bindings():
        yield
    for number in LINKS:
        linktypes.FIRST.pop(number, None)


def line(name: str, through: Any) -> type[Header]:
    """Declare a header on a link."""
    body = {"number": 1, "length": auto(size_of("payload")), "fcs": auto(crc("CRC-16/IBM-SDLC", "self", "payload"))}
    kinds = {"number": U8, "length": U16, "body": Payload, "fcs": U16le}
    return type(Header)(name, (Header,), {"__annotations__": kinds, "__module__": __name__, **body}, through=through)


@pytest.mark.slow
def test_frames_are_taken_out_of_what_the_link_makes_of_them(tmp_path: Path) -> None:
    need("tshark")
    sorts = [
        hdlc(), hdlc(flags=False), hdlc(accm=0x000A0003), slip(), slip(ends=False), cobs(), cobs(ends=False), ble_whitened(11),
        (hdlc(), xor(b"key")), whitened(), whitened(0x1_04C1_1DB7, 0xFEDCBA98),
    ]  # fmt: skip
    lines = [line(f"LinkLine{number}", through) for number, through in zip(LINKS, sorts, strict=True)]
    chance, frames = random.Random(8), list[Frame]()
    for number, header in zip(LINKS, lines, strict=True):
        link_type(number, header)
        body = {"__annotations__": {"kind": U8, "text": Rest}, "__module__": __name__, "kind": 0x7E, "text": b""}
        type(Header)(f"LinkReading{number}", (Header,), body, under=header, when={"number": 0x7D})  # type: ignore[call-arg]
        for first in (1, 0x7D):
            for data in (
                b"",
                b"abc",
                bytes([0x7E, 0x7D, 0xC0, 0xDB, 0, 1, 3]) * 3,
                bytes(range(256)),
                b"x" * 254 + b"\0" + b"y" * 300,
            ):
                sent = bytes(header(number=first) / data)
                frames += [Frame(sent, linktype=number), Frame(sent[:-1], linktype=number)]
                frames += [Frame(sent[:size], linktype=number, wire_length=len(sent)) for size in (1, 5, len(sent) - 3)]
                frames.append(Frame(sent[:4] + b"\xdb" + sent[5:], linktype=number))
        frames += [
            Frame(
                chance.choice((b"", b"\x7e", b"\xc0"))
                + chance.randbytes(chance.randrange(1, 20))
                + chance.choice((b"", b"\x7e", b"\xc0", b"\0")),
                linktype=number,
            )
            for _ in range(amount(20, 400))
        ]
        some = [
            b"~~",
            b"~}~",
            b"~}}^~",
            b"}",
            b"\xc0\xdb",
            b"\xc0\xdb\xdb\xdc\xc0",
            b"\xdb\xdd\xdb\xdc",
            b"a~b",
            b"a\xc0b",
            b"\0",
            b"\0\0",
            b"\2\0",
            b"\1\0",
            b"\5a\0",
        ]
        frames += [Frame(one, linktype=number) for one in some]
    tshark = Tshark(tmp_path, *lines)
    compare(tshark, frames)
    for frame, layers in zip(frames, tshark.ask(frames), strict=True):
        header = lines[frame.interface.linktype - LINKS[0]]
        packet = dissect(frame.data, header, wire_length=frame.wire_length)
        mine = {str(fault) for fault in packet.faults if fault.layer == header.__name__}
        said = {
            text for layer in layers for text in experts(layer, (".fault", ".cut")) if text.startswith(header.__name__)
        }
        assert said == mine, frame.data.hex()


def test_what_a_script_cannot_undo_is_shown_as_bytes(tmp_path: Path) -> None:
    need("tshark")
    packed = line("LinkPacked", zlib())
    link_type(LINKS[0], packed)
    sent = bytes(packed() / b"abc")
    assert 'hidden = "zlib"' in wireshark(packed)
    (layers,) = Tshark(tmp_path, packed).ask([Frame(sent, linktype=LINKS[0])])
    shown = {one.get("name"): one for layer in layers for one in layer.iter("field")}
    assert shown["data.data"].get("value") == sent.hex() and not [
        text for layer in layers for text in experts(layer, (".fault",))
    ]
