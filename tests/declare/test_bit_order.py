"""`bit_order="low"`: the first field lies in the lowest bits of the first byte, as Bluetooth, 802.11 and USB count them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from enum import IntFlag
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings, strategies as st

import packetlab as pl
from packetlab import (
    U1,
    U2,
    U4,
    U8,
    U12,
    U16,
    Bytes,
    Capture,
    DeclareError,
    Ether,
    Frame,
    Header,
    Named,
    Rest,
    U16le,
    Writer,
    auto,
    bindings,
    bits,
    const,
    declare_from,
    describe,
    diagram,
    dissect,
    field,
    size_of,
    sized,
    strategies,
    when,
)
from packetlab.codec.faults import Dissection
from packetlab.codec.lenient import walk
from packetlab.packet.offsets import field_offsets
from packetlab.schema.source import class_body
from packetlab.view.packets import bit_text
from tests import answers
from tests.conftest import CORPUS, amount
from tests.declare.test_scans_of_coded import columns, scanned
from tests.export.test_wireshark_views import shown_fields


@pytest.fixture(autouse=True, scope="module")
def alone() -> Iterator[None]:
    """What is declared here stays here."""
    with bindings():
        yield


class Flags(IntFlag):
    MORE = 1
    RETRY = 2


def acl() -> Any:
    class ACL(Header, under=Ether, when={"type": 0x7A25}, bit_order="low"):
        handle: U12 = 0
        boundary: U2 = 0
        broadcast: U2 = 0
        length: U16le = auto(size_of("payload"))

    return ACL


def test_shared_bytes_are_one_number_lowest_byte_first() -> None:
    with bindings():
        header = acl()
        sent = bytes(header(handle=0x123, boundary=2, broadcast=1) / b"hello")
        assert sent == (0x123 | 2 << 12 | 1 << 14).to_bytes(2, "little") + b"\x05\x00hello"
        read = dissect(sent, header)
        assert (read[header].handle, read[header].boundary, read[header].broadcast, read.payload) == (0x123, 2, 1, b"hello")
        for cut in range(len(sent)):
            assert bytes(dissect(sent[:cut], header)) == sent[:cut]


def test_numbers_alone_in_their_bytes_keep_their_own_order() -> None:
    class Mixed(Header, bit_order="low"):
        a: U4 = 1
        b: U16 = 0x1234
        c: U4 = 2
        whole: U16 = 0x1234
        little: U16le = 0x1234
        data: Bytes = sized(field("c"), b"xy")

    assert bytes(Mixed())[:7].hex() == (1 | 0x1234 << 4 | 2 << 20).to_bytes(3, "little").hex() + "12343412"


def test_signed_derived_constant_and_named_fields() -> None:
    class Signed(Header, bit_order="low"):
        fixed: U2 = const(2)
        level: Annotated[int, bits(5, signed=True)] = -3
        flags: Annotated[Named[Flags], bits(2)] = Flags.RETRY
        size: Annotated[int, bits(7)] = auto(size_of("data"))
        data: Bytes = sized(field("size"), b"abc")

    sent = bytes(Signed())
    assert sent == (2 | (-3 & 31) << 2 | 2 << 7 | 3 << 9).to_bytes(2, "little") + b"abc"
    read = dissect(sent, Signed)
    assert (read[Signed].level, read[Signed].flags, read.faults) == (-3, Flags.RETRY, ())
    (fault,) = dissect(bytes([sent[0] & 0xFC]) + sent[1:], Signed).faults
    assert (fault.field, fault.expected, fault.got) == ("fixed", "2", "0")


@settings(max_examples=amount(60, 2000), deadline=None)
@given(st.data())
def test_readers_agree_and_what_is_built_is_read(data: st.DataObject) -> None:
    widths = data.draw(st.lists(st.integers(1, 24), min_size=1, max_size=8))
    total = sum(widths)
    widths += [8 - total % 8] if total % 8 else []
    signs = data.draw(st.lists(st.booleans(), min_size=len(widths), max_size=len(widths)))
    body: dict[str, Any] = {"__annotations__": {}, "__module__": __name__, "__qualname__": "Drawn"}
    for n, (width, signed) in enumerate(zip(widths, signs, strict=True)):
        body["__annotations__"][f"f{n}"] = Annotated[int, bits(width, signed=signed)]
        body[f"f{n}"] = 0
    drawn: Any = type(Header)("Drawn", (Header,), body, bit_order="low")
    header = data.draw(strategies.headers(drawn))
    sent = bytes(header)
    assert dissect(sent, drawn) == header / b""
    expected, number, at = b"", 0, 0
    for n, width in enumerate(widths):
        value = getattr(header, f"f{n}") & (1 << width) - 1
        alone = at == 0 and width % 8 == 0
        number, at = number | value << at, at + width
        if at % 8 == 0:
            expected, number, at = expected + number.to_bytes(at // 8, "big" if alone else "little"), 0, 0
    assert sent == expected
    noise = data.draw(st.binary(max_size=len(sent) + 2))
    assert bytes(dissect(noise, drawn)) == noise
    quick, careful = Dissection(), Dissection()
    assert drawn._decode(noise, 0, len(noise), quick) == walk(drawn._declaration, noise, 0, len(noise), careful)
    assert quick.faults == careful.faults


@pytest.mark.parametrize("way", ["rows", "loops"])
def test_scans_by_rows_and_in_a_loop_have_what_headers_have(way: str) -> None:
    with bindings():
        header = acl()

        class Under(Header, under=header, when=field("boundary") == 2, bit_order="low"):
            a: U1 = 1
            b: Annotated[int, bits(13, signed=True)] = -5
            c: Annotated[int, bits(10)] = 1000

        frames = [bytes(Ether() / header(handle=n, boundary=n % 4, broadcast=1) / Under(b=n - 9, c=n)) for n in range(20)]
        sound = [dissect(frame) for frame in frames]
        packets = sound + [dissect(frame[:cut]) for frame in frames[:4] for cut in (14, 15, 17, 19)]
        assert scanned((header, Under), sound, way)[0] == []
        unfit, values = scanned((header, Under), packets, way)
        for one in columns((header, Under)):
            for place, packet in enumerate(packets):
                if place not in unfit and packet.payload == b"" and Under in packet:
                    assert values[one.name][place] == (one.value(packet) or 0), (one.name, packet)
        capture = Capture.of(packets)
        assert capture.where("acl.boundary == 2").count() == sum(header in p and p[header].boundary == 2 for p in packets)
        assert capture.where(header(broadcast=1)).count() == sum(header in p and p[header].broadcast == 1 for p in packets)


def test_places_bits_diagrams_and_bridges() -> None:
    with bindings():
        header = acl()
        packet = Ether() / header(handle=0x123, boundary=2, broadcast=1) / b"hello"
        spans = {span.field.name: span for span in field_offsets(packet).spans if span.layer == 1}
        assert [spans[name].byte_range for name in ("handle", "boundary", "broadcast", "length")] == [(14, 16), (15, 16), (15, 16), (16, 18)]
        assert bit_text(bytes(packet), spans["handle"]) == "0010 0011 .... 0001"
        assert bit_text(bytes(packet), spans["broadcast"]) == "01.. ...."
        assert "lowest of each byte" in str(diagram(header)) and "bits 0 to 11 from the lowest" in diagram(header).markdown()
        assert bytes(packet.to_scapy()) == bytes(packet) == bytes(packet.to_dpkt())
        assert [case.id for case in pl.malformed(dissect(bytes(packet))) if case.disagreements()] == []


def test_variations_in_bulk_are_those_of_objects() -> None:
    with bindings():
        header = acl()
        packet = Ether() / header(boundary=3) / b"hello"
        varied = packet.vary(50, {"acl.handle": range(100, 150), "acl.broadcast": [1, 2]})
        rows = [bytes(row) for row in varied.batch()]
        assert rows == [bytes(varied[row]) for row in range(50)]
        assert [dissect(row)[header].handle for row in rows] == [*range(100, 150)]


def test_a_description_is_the_same_class_again_and_so_is_its_source() -> None:
    with bindings():
        described, wire = describe(acl()), bytes(acl()(handle=0x123, boundary=2))
    with bindings():
        (again,) = declare_from(described)
        assert bytes(again(handle=0x123, boundary=2)) == wire and describe(again) == described
    assert "bit_order='low'" in class_body(described)


def test_what_cannot_be_is_refused_at_the_class() -> None:
    with pytest.raises(DeclareError, match="Bad, bit_order"):

        class Bad(Header, bit_order="little"):
            a: U8 = 0

    with pytest.raises(DeclareError, match=r"little-endian number on a byte boundary.*a plain number of that width"):

        class Shared(Header, bit_order="low"):
            a: U4 = 0
            b: U16le = 0
            c: U4 = 0

    class Base(Header, bit_order="low"):
        a: U4 = 1
        b: U4 = 2

    class Derived(Base):
        c: U4 = 3
        d: U4 = 4

    assert bytes(Derived()).hex() == "2143"
    with pytest.raises(DeclareError, match=r'Other, bit_order: expected "low", as Base has it'):

        class Other(Base, bit_order="high"):
            c: U8 = 0


# Oracles -----------------------------------------------------------------------------------------------------------

tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark")


def seen(file: Path, names: list[str]) -> list[list[str]]:
    """Return what tshark shows of fields, a row for each frame."""
    done = answers.tshark("-n", "-r", file, "-T", "fields", *(word for name in names for word in ("-e", name)))
    return [line.split("\t") for line in done.stdout.removesuffix("\n").split("\n")]


@tshark
def test_tshark_reads_bluetooth_acl_as_it_was_built(tmp_path: Path) -> None:
    with bindings():
        header = acl()
        built = [header(handle=n * 331 % 4096, boundary=n % 4, broadcast=n // 2 % 3) / bytes(n) for n in range(12)]
        with Writer(tmp_path / "hci.pcap", linktype=201) as writer:
            for packet in built:
                writer.write(Frame(bytes(4) + b"\2" + bytes(packet), linktype=201))  # sent; H4: 2 is ACL data
        rows = seen(tmp_path / "hci.pcap", ["bthci_acl.chandle", "bthci_acl.pb_flag", "bthci_acl.bc_flag", "bthci_acl.length"])
        read = [dissect(bytes(packet), header)[header] for packet in built]
        assert [[int(cell, 0) for cell in row] for row in rows] == [[one.handle, one.boundary, one.broadcast, one.length] for one in read]


def frame_control() -> Any:
    class FrameControl(Header, bit_order="low"):
        """802.11, section 9.2.4.1."""

        version: U2 = 0
        kind: U2 = 0
        subtype: U4 = 0
        to_ds: U1 = 0
        from_ds: U1 = 0
        more_fragments: U1 = 0
        retry: U1 = 0
        power: U1 = 0
        more_data: U1 = 0
        protected: U1 = 0
        order: U1 = 0
        duration: U16le = 0
        addresses: Annotated[bytes, pl.fixed_bytes(18)] = bytes(18)
        fragment: U4 = 0
        sequence: U12 = 0
        rest: Rest = b""

    return FrameControl


def test_scapy_and_tshark_agree_about_80211() -> None:
    from scapy.layers.dot11 import Dot11

    header = frame_control()
    frames = [bytes(packet) for packet in Capture(CORPUS / "radiotap.pcap")]
    assert len(frames) == 3
    names = ["version", "type", "subtype", "tods", "fromds", "frag", "retry", "pwrmgt", "moredata", "protected", "order"]
    rows = seen(CORPUS / "radiotap.pcap", [f"wlan.fc.{name}" for name in names] + ["wlan.seq", "wlan.frag"]) if shutil.which("tshark") else []
    for place, data in enumerate(frames):
        body = data[int.from_bytes(data[2:4], "little") :]
        ours, theirs = dissect(body, header)[header], Dot11(body)
        assert (ours.version, ours.kind, ours.subtype, ours.duration) == (theirs.proto, theirs.type, theirs.subtype, theirs.ID)
        assert ours.sequence << 4 | ours.fragment == theirs.SC
        values = [getattr(ours, f.name) for f in header._fields[1:11]]
        if rows:
            cells = [{"False": 0, "True": 1}.get(cell) if cell in ("False", "True") else int(cell or "0", 0) for cell in rows[place]]
            assert [ours.version, *values, ours.sequence, ours.fragment] == cells


@tshark
def test_lua_reads_and_shows_them(tmp_path: Path) -> None:
    with bindings():

        class Low(Header, under=Ether, when={"type": 0x7A26}, bit_order="low"):
            handle: U12 = 0
            boundary: U2 = 0
            flags: Annotated[Named[Flags], bits(2)] = 0
            long: Annotated[int, bits(35)] = 0
            short: Annotated[int, bits(5, signed=True)] = -3
            more: U8 | None = when(field("boundary") == 2, 7)

        built = [Ether() / Low(handle=0x123 * n, boundary=n % 4, flags=n % 4, long=n << 31, short=-n) for n in range(8)]
        script, frames = str(pl.wireshark(Low)), [bytes(packet) for packet in built]
    rows = shown_fields(script, frames, tmp_path, ["low.handle", "low.boundary", "low.flags", "low.long", "low.short", "low.more", "_ws.expert.message"])
    for n, row in enumerate(rows):
        shown = [int(cell, 0) if cell else None for cell in [*row.values()][:6]]
        assert shown == [0x123 * n, n % 4, n % 4, n << 31, -n, 7 if n % 4 == 2 else None]
        assert row["_ws.expert.message"] == ""


def test_what_is_taken_apart_has_the_order_of_its_base_or_its_own() -> None:
    with bindings():

        class OrderedBase(Header):
            kind: U4 = 1
            size: U12 = auto(size_of("data"))
            data: Bytes = b""

        class OrderedLow(OrderedBase, inside="data", when={"kind": 2}, bit_order="low"):
            first: U4 = 1
            second: U12 = 0xABC

        class OrderedSame(OrderedBase, inside="data", when={"kind": 3}):
            first: U4 = 1
            second: U12 = 0xABC

        class LowBase(Header, bit_order="low"):
            kind: U4 = 1
            size: U12 = auto(size_of("data"))
            data: Bytes = b""

        class LowSame(LowBase, inside="data", when={"kind": 2}):
            first: U4 = 1
            second: U12 = 0xABC

        class LowHigh(LowBase, inside="data", when={"kind": 3}, bit_order="high"):
            first: U4 = 1
            second: U12 = 0xABC

        wanted = {OrderedLow: "2002c1ab", OrderedSame: "30021abc", LowSame: "2200c1ab", LowHigh: "23001abc"}
        assert {one: bytes(one()).hex() for one in wanted} == wanted
        data = [bytes(one()) for one in wanted]
        described = [describe(one) for one in (OrderedBase, LowBase, *wanted)]
    with bindings():
        first, second, *others = declare_from(described)
        assert [bytes(one()) for one in others] == data
        read = [dissect(one, base) for one, base in zip(data, (first, first, second, second), strict=True)]
        assert [type(one.layers[0]).__name__ for one in read] == [one.__name__ for one in wanted]
        assert [describe(one) for one in (first, second, *others)] == described
