"""`exact=True`: bytes left over after a header, or after the payload whose size it says, are a fault of it, and are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

import packetlab
from packetlab import (
    U8,
    U16,
    UDP,
    BuildError,
    Bytes,
    Capture,
    DeclareError,
    DissectError,
    Ether,
    Header,
    IPv4,
    Payload,
    auto,
    bindings,
    declare_from,
    dissect,
    field,
    malformed,
    many,
    size_of,
    sized,
    when,
)
from packetlab.schema.dump import described
from packetlab.schema.source import class_body
from tests.careful import careful
from tests.conftest import need
from tests.declare.every_output.undeclared import undeclared
from tests.export.pdml import Tshark, experts, prefix


class Body(Header, under=UDP, port=7741, exact=True):
    more: U8 = 0
    size: U8 = auto(size_of("data"))
    data: Bytes = sized(field("size"), b"")
    note: U8 | None = when(field("more") > 0, 9)


class Whole(Header, under=UDP, port=7742, exact=True):
    size: U16 = auto(size_of("self") + size_of("payload"))
    body: Payload
    check: U8 = 0


class Tail(Header, under=UDP, port=7743, exact=True, payload_size=field("size")):
    size: U8 = auto(size_of("payload"))


LOW = Ether() / IPv4() / UDP()


def surplus_of(packet: Header | packetlab.Packet, more: bytes) -> bytes:
    """Return a header over UDP with bytes after it."""
    port = {Body: 7741, Whole: 7742, Tail: 7743}[type((packet / b"").layers[0])]  # type: ignore[index]
    return bytes(Ether() / IPv4() / UDP(dport=port) / (bytes(packet) + more))


def test_bytes_left_over_are_a_fault_of_the_header_and_are_kept() -> None:
    for header, end in ((Body(data=b"ab"), 46), (Body(more=1), 45), (Whole() / b"abc", 48), (Tail() / b"", 43), (Tail() / b"abc", 46)):
        wire = bytes(LOW / header)
        name = type((LOW / header).layers[-1]).__name__
        assert dissect(wire).faults == () and dissect(wire + bytes(20)).faults == ()  # what fills the frame stands outside of UDP
        surplus = surplus_of(header, b"zz")
        for _ in range(20):  # the functions for stacks that keep coming, too
            read = dissect(surplus)
        (fault,) = read.faults
        assert (fault.layer, fault.field, fault.offset, fault.expected, fault.got) == (name, "", end, f"{name} to end here", "2 bytes more")
        assert read.trailer == b"zz" and bytes(read) == surplus and str(fault) in str(read.show())
        assert Capture.of([surplus]).where("faults > 0").count() == 1
        with pytest.raises(DissectError, match=f"{name} to end here"):
            dissect(surplus, strict=True)


@given(st.binary(max_size=12))
def test_both_readers_agree_and_a_fault_is_there_just_where_bytes_are_left(data: bytes) -> None:
    for cls in (Body, Whole, Tail):
        read = dissect(data, cls)
        header, faults = careful(cls, data)
        assert bytes(read) == data and [*read.faults] == faults
        if cls in read and not read.truncated:
            assert read[cls] == header
            over = [fault for fault in faults if fault.expected.endswith("to end here")]
            assert len(over) == bool(read.trailer) or [fault for fault in faults if fault not in over]


def test_a_shorter_capture_of_it_is_no_fault_of_the_sender() -> None:
    wire = bytes(LOW / Body(data=b"abcd"))
    frames = Capture.of([packetlab.Frame(wire[:44], wire_length=len(wire))])
    (packet,) = frames.packets()
    assert packet.truncated and all(fault.cut for fault in packet.faults)


def test_nothing_stands_above_it_and_where_it_says_nothing_is_refused() -> None:
    with bindings(), pytest.raises(DeclareError, match="expected a header that something follows"):
        class Above(Header, under=Body, when={"more": 0}):
            x: U8 = 0
    with pytest.raises(BuildError, match="expected no header above it"):
        bytes(Body() / Tail())
    with bindings(), pytest.raises(DeclareError, match="Wrong, exact=: expected True or False, got 5"):
        class Wrong(Header, exact=5):  # type: ignore[call-arg]
            x: U8 = 0
    with bindings(), pytest.raises(DeclareError, match="Stream, exact=: expected a header that is alone in its packet"):
        class Stream(Header, stream=True, exact=True):
            size: U8 = auto(size_of("data"))
            data: Bytes = sized(field("size"), b"")
    with bindings(), pytest.raises(DeclareError, match=r"List\.some: expected headers without exact=True in a field, got Body"):
        class List(Header):
            some: tuple[Body, ...] = many()


def test_it_goes_into_files_and_source_and_to_derived_classes() -> None:
    class Longer(Body):
        end: U8 = 3

    assert [fault.expected for fault in dissect(b"\0\0\3\4", Longer).faults] == ["Longer to end here"]
    data: Any = described([Body, Whole, Tail])
    assert [one["exact"] for one in data] == [1, 1, 1]
    with bindings():
        made = {cls.__name__: cls for cls in declare_from(data)}
        assert [len(dissect(b"\0\0\3", made["Body"]).faults), described([*made.values()])] == [1, data]
    with undeclared():
        names: dict[str, Any] = {name: getattr(packetlab, name) for name in dir(packetlab)} | {"__name__": "pasted", "Annotated": Annotated}
        exec("\n\n".join(class_body(one) for one in data), names)
        assert described([names["Body"], names["Whole"], names["Tail"]]) == data


def test_malformed_packets_say_what_is_wrong() -> None:
    for packet in (LOW / Body(data=b"ab"), LOW / Whole() / b"abc", LOW / Tail() / b"ab"):
        cases = malformed(packet)
        assert not [found for case in cases if (found := case.disagreements())]
        assert any(fault.expected.endswith("to end here") for case in cases for fault in case.packet().faults) or Body in packet


def test_wireshark_says_the_same(tmp_path: Path) -> None:
    need("tshark")
    for cls in (Body, Whole, Tail):
        some = [cls() / b"", cls() / b"abc"] if cls is not Body else [Body(), Body(data=b"ab", more=1)]
        packets = [dissect(surplus_of(one, more)) for one in some for more in (b"", b"z", b"zz\0")]
        answers = Tshark(tmp_path, cls).ask(packets)
        said = [[text for layer in layers if layer.get("name") == prefix(cls) for text in experts(layer, (".fault", ".cut"))] for layers in answers]
        mine = [[str(fault) for fault in dissect(bytes(packet)).faults] for packet in packets]
        assert said == mine and [len(one) for one in mine] == [0, 1, 1] * 2
