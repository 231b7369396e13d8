"""Xerox NS headers against packets of the real implementations, and checksum vectors worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    IDP,
    PEX,
    RIP,
    SPP,
    Capture,
    Control,
    Echo,
    Error,
    ErrorNumber,
    Ether,
    RIPEntry,
    Verdict,
    XNSAddress,
    dissect,
)
from packetlab.declare.checksums.algorithms import xns
from tests.conftest import CORPUS

A, B = "401H.1000AA000001.777H", "401H.1000AA000077.4001H"
CONNECT = bytes.fromhex("58c8002a0005000004011000aa0000010777000004011000aa0000774001c00012340000000000000004")


def test_a_connection_request_is_built_to_the_byte() -> None:
    packet = IDP(dst=A, src=B) / SPP(control=Control.SYSTEM | Control.SEND_ACK, source_id=0x1234, alloc=4)
    assert bytes(packet) == CONNECT


@pytest.mark.parametrize(("pad", "checksum"), [(b"\0", 0x39A5), (b"\x5a", 0x3A59)])
def test_an_odd_packet_gets_a_pad_byte_that_the_checksum_covers(pad: bytes, checksum: int) -> None:
    packet = IDP(dst="401H.1000AA000001.2", src=B, pad=pad) / Echo() / b"abc"
    assert packet[IDP].length == 35 and packet[IDP].checksum == checksum and bytes(packet)[-1:] == pad
    back = dissect(bytes(packet), IDP)
    assert back.payload == b"abc" and back[IDP].pad == pad and back.verdict(IDP) is Verdict.GOOD


def test_checksum_vectors() -> None:
    empty = IDP(length=0x20) / b"\0\0"
    assert empty[IDP].checksum == 0x0010
    assert (IDP(length=0x20) / b"\xff\xf7")[IDP].checksum == 0  # all ones is sent as zero
    assert dissect(CONNECT, IDP).replace(IDP, hops=1)[IDP].checksum == 0x60C8
    error = IDP(dst=B, src=A) / Error(number=ErrorNumber.NO_SOCKET) / CONNECT
    assert error[IDP].checksum == 0xB333 and bytes(error)[:6].hex() == "b333004c0003"


def test_all_ones_says_that_there_is_no_checksum() -> None:
    packet = dissect(bytes(IDP(checksum=0xFFFF) / b"x"), IDP)
    assert packet.verdict(IDP) is Verdict.NOT_PRESENT and packet.replace(IDP, hops=3)[IDP].checksum == 0xFFFF


@given(st.binary(max_size=600))
def test_the_checksum_is_add_and_rotate(data: bytes) -> None:
    total = 0
    for i in range(0, len(data), 2):
        total += int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
        total = (total << 1 | total >> 15) & 0xFFFF
    assert xns(data) == (0 if total == 0xFFFF else total)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2-272.AA001234H.01777", (0x8E0, 0xAA001234, 0x3FF)),
        ("401#1000aa000077#5", (401, 0x1000AA000077, 5)),
        ("401H.1000aa000077.5", (0x401, 0x1000AA000077, 5)),
        ("1025#10.0.aa.0.0.77#5", (0x401, 0x1000AA000077, 5)),
        ("8E1#0.0.AA.0.5E.E6#13", (0x8E1, 0xAA005EE6, 13)),
        ("2-273#2-852-151-014#5", (0x8E1, 0xAA005EE6, 5)),
    ],
)
def test_addresses_are_read_as_ns_addr_reads_them(text: str, parts: tuple[int, int, int]) -> None:
    assert tuple(XNSAddress.of(text)) == parts


@pytest.mark.parametrize(
    "text", ["401H.1000AA000077.4001H", "0.0.5H", "FFFFFFFF.FFFFFFFFFFFF.1H", "8E1.A0B0C0D", "1234H"]
)
def test_addresses_print_as_ns_ntoa_prints_them(text: str) -> None:
    assert str(XNSAddress.of(text)) == text


@given(st.builds(XNSAddress, st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1), st.integers(0, 2**16 - 1)))
def test_addresses_survive_text_and_bytes(address: XNSAddress) -> None:
    assert XNSAddress.of(str(address)) == address == XNSAddress.of(bytes(address))


@pytest.mark.parametrize("wrong", ["", "1.2.3.4", "zz", "1.2.10000H", b"short", (1, 2, 1 << 16), 1.5])
def test_what_is_no_address_is_refused(wrong) -> None:
    with pytest.raises(ValueError):
        XNSAddress.of(wrong)


def test_a_conversation_of_the_real_bsd_code() -> None:
    packets = [frame.packet() for frame in Capture(CORPUS / "bsd-bsd.pcap")]
    assert all(not p.faults and p.verdict(IDP) is Verdict.GOOD for p in packets)
    spp = [p[SPP] for p in packets if SPP in p and Error not in p]
    assert spp[0].control == Control.SYSTEM | Control.SEND_ACK and spp[0].destination_id == 0
    assert spp[1].destination_id == spp[0].source_id
    assert {254, 255} <= {header.datastream for header in spp}
    (error,) = [p for p in packets if Error in p]
    assert error[Error].number is ErrorNumber.NO_SOCKET and error[IDP, 1].packet_type == 5


def test_a_conversation_of_dodo_has_every_kind_of_packet() -> None:
    packets = list(Capture(CORPUS / "dodo_checksums.pcap").packets())
    assert all(p.verdict(IDP) is Verdict.GOOD and not p.faults for p in packets)
    for cls in (SPP, Echo, Error, PEX, RIP):
        assert any(cls in p for p in packets)
    table = next(p[RIP] for p in packets if RIP in p and p[RIP].operation == 2)
    assert table.entries[0] == RIPEntry(net=0x41A, hops=1)


def test_routing_tables_are_built_and_read() -> None:
    packet = Ether() / IDP() / RIP(operation=2, entries=(RIPEntry(net=1, hops=2), RIPEntry(net=3)))
    assert [tuple((e.net, e.hops)) for e in dissect(bytes(packet))[RIP].entries] == [(1, 2), (3, 16)]
