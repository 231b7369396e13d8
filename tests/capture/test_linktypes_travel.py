"""Link types of somebody's own travel with the declarations of a file: whoever declares these reads its frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from packetlab import (
    U8,
    U16,
    Capture,
    DeclareError,
    Frame,
    Header,
    Payload,
    Writer,
    auto,
    bindings,
    cobs,
    crc,
    declare_from,
    describe,
    hdlc,
    link_type,
)
from packetlab.protocols.linktypes import FIRST
from packetlab.schema.dump import described
from packetlab.schema.source import class_body


def written(path: Path) -> list[bytes]:
    """Write frames of two links, each with a declaration of its own, and return them."""
    with bindings():
        class WireSerial(Header, through=hdlc()):
            address: U8 = 0xFF
            body: Payload
            fcs: U16 = auto(crc("CRC-16/IBM-SDLC", "self", "payload"))

        class WireLevel(Header, under=WireSerial, when={"address": 5}):
            value: U8 = 0

        class WireBus(Header, through=cobs()):
            node: U8 = 0

        link_type(150, WireSerial)
        link_type(151, WireBus)
        frames = [bytes(WireSerial() / WireLevel(value=0x7E)), bytes(WireBus(node=3) / b"\0\1"), bytes(WireSerial() / WireLevel(value=1))]
        with Writer(path, declare=[WireBus, WireLevel]) as writer:
            for data, linktype in zip(frames, (150, 151, 150), strict=True):
                writer.write(Frame(data, time_ns=0, linktype=linktype))
    return frames


def test_each_interface_of_a_file_begins_with_the_header_that_its_declarations_say(tmp_path: Path) -> None:
    path = tmp_path / "links.pcapng"
    frames = written(path)
    assert 150 not in FIRST and 151 not in FIRST  # what was said inside `bindings()` ended with it
    capture = Capture(path)
    assert [frame.packet().faults[0].field for frame in capture] == ["linktype"] * 3
    with bindings():
        capture.declarations.declare()
        again = Capture(path)
        assert [frame.packet().summary() for frame in again] == ["WireSerial / WireLevel", "WireBus / 2 bytes", "WireSerial / WireLevel"]
        assert [bytes(frame.packet()) for frame in again] == frames and not any(frame.packet().faults for frame in again)
        assert again.table("wirelevel.value").read()["wirelevel.value"].tolist()[::2] == [0x7E, 1] and again.where("wirebus.node == 3").count() == 1
    assert 150 not in FIRST


def test_declarations_of_a_file_have_the_link_type_as_long_as_they_are_bound(tmp_path: Path) -> None:
    path = tmp_path / "links.pcapng"
    written(path)
    with bindings():
        class Other(Header):
            value: U8 = 0

        link_type(151, Other)
        with bindings():
            Capture(path).declarations.declare()
            assert FIRST[151].__name__ == "WireBus" and Capture(path)[1].packet().summary() == "WireBus / 2 bytes"
        assert FIRST[151] is Other and 150 not in FIRST


def test_source_and_data_say_the_link_type() -> None:
    with bindings():
        class WireRun(Header):
            value: U8 = 0

        link_type(152, WireRun)
        data = described([WireRun])
        assert describe(WireRun)["linktypes"] == [152] and class_body(data[0]).endswith("\n\n\nlink_type(152, WireRun)")
        assert declare_from(data)[0]._declaration is WireRun._declaration
    with bindings():
        (made,) = declare_from(data)
        assert FIRST[152] is made and Frame(b"\5", time_ns=0, linktype=152).packet()[made].value == 5
    with pytest.raises(DeclareError, match="a link type that is free"), bindings():
        declare_from([{**data[0], "linktypes": [1]}])
