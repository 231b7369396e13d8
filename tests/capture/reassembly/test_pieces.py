"""Packets cut into fragments and segments: put together again by us, by tshark and by the kernel; cut as scapy cuts."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    ARP,
    ICMP,
    TCP,
    UDP,
    VXLAN,
    BuildError,
    Capture,
    DestinationOptions,
    Ether,
    Fragment,
    Frame,
    HopByHop,
    IPOption,
    IPv4,
    IPv4Flags,
    IPv6,
    Lab,
    Packet,
    Routing,
    TCPFlags,
    Verdict,
    dissect,
)  # fmt: skip
from tests.capture.reassembly.test_fragments import datagram, frames_of, put, scapy_cut

COPIED, NOT_COPIED = IPOption(kind=148, data=b"\0\0"), IPOption(kind=7, data=bytes(5))  # router alert, record route
MORE = IPv4Flags.MORE_FRAGMENTS


def frames(pieces) -> list[Frame]:
    return frames_of([bytes(piece) for piece in pieces])


def shuffled(pieces, seed: int = 1):
    mixed = list(pieces)
    random.Random(seed).shuffle(mixed)
    return mixed


def sound(piece: Packet) -> bool:
    """Whether lengths and checksums are right."""
    again = dissect(bytes(piece), type(piece.layers[0]))
    return not again.faults and not {*again.verdicts().values()} - {Verdict.GOOD, Verdict.UNVERIFIED}


# Fragments ------------------------------------------------------------------------------------------------------


# With less room the overlaps of two would hold all of the one between, and the datagram be whole without it.
@given(st.integers(0, 3000), st.integers(80, 1500), st.integers(0, 3), st.booleans(), st.integers(0, 99))
def test_fragments_in_any_order_are_the_datagram_again(size, mtu, overlap, six, seed) -> None:
    whole = datagram(size, six)
    overlap *= 0 if six else 8  # RFC 5722: IPv6 gives overlapping ones up
    pieces = list(whole.fragments(mtu, overlap=overlap))
    assert all(len(piece) - 14 <= mtu and sound(piece) for piece in pieces)
    (made,) = put(frames(shuffled(pieces, seed)))
    assert made.data == bytes(whole) and made.whole and len(made.parts) == len(pieces)
    assert any(event.kind == "overlap" for event in made.events) <= (overlap > 0)


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("size", [1, 92, 333, 1000])
def test_they_are_the_bytes_that_scapy_cuts(six: bool, size: int) -> None:
    whole = datagram(size, six)
    assert [bytes(p) for p in whole.fragments(148 if six else 120, id=7 if six else None)] == scapy_cut(whole, 100, six)


@pytest.mark.parametrize("six", [False, True])
def test_tshark_puts_them_together(six: bool, tmp_path: Path, tshark) -> None:
    whole, other = datagram(700, six), datagram(500, six, seed=2).replace(UDP, sport=9)
    other = other if six else other.replace(IPv4, id=100)
    path = tmp_path / "pieces.pcap"
    Capture.of(frames([*whole.fragments(200), *other.fragments(200)])).write(path)
    count = "ipv6.fragment.count" if six else "ip.fragment.count"
    options = ("-o", "ip.defragment:TRUE", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-Y", "udp")
    rows = tshark(path, "udp.payload", count, "udp.checksum.status", options=options)
    assert [row[0] for row in rows] == [whole.payload.hex(), other.payload.hex()]
    assert [row[1:] for row in rows] == [["5" if six else "4", "1"], ["4" if six else "3", "1"]]


@pytest.mark.parametrize("overlap", [0, 16])
def test_tshark_says_where_they_overlap(overlap: int, tmp_path: Path, tshark) -> None:
    path = tmp_path / "pieces.pcap"
    whole = datagram(300)
    Capture.of(frames(whole.fragments(100, overlap=overlap))).write(path)
    rows = tshark(path, "ip.fragment.overlap", "ip.fragment.overlap.conflict", "udp.payload", options=("-Y", "udp"))
    assert rows[-1][-1] == whole.payload.hex()
    assert ("1" in rows[-1][0] or "True" in rows[-1][0]) is (overlap > 0) and rows[-1][1] == ""


def test_the_kernel_puts_them_together_in_any_order(lab: Lab) -> None:
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b)
    data = random.Random(3).randbytes(5000)
    whole = Ether(src=a.mac, dst=b.mac) / IPv4(src=a.address, dst=b.address, id=7) / UDP(sport=5, dport=4000) / data
    with b.kernel_socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((str(b.address), 4000))
        server.settimeout(5)
        for piece in shuffled(whole.fragments(600)):
            a.interface.send(piece)
        assert server.recvfrom(10_000)[0] == data


def test_only_options_that_say_so_are_copied() -> None:
    whole = IPv4(id=1, protocol=253, options=(NOT_COPIED, IPOption(kind=1), COPIED)) / bytes(range(200))
    first, *others = whole.fragments(68)
    assert first[IPv4].options == whole[IPv4].options and first[IPv4].ihl == 8
    assert {piece[IPv4].options for piece in others} == {(COPIED,)} and {piece[IPv4].ihl for piece in others} == {6}
    # The room that is won holds data.
    assert [len(piece.payload) for piece in (first, *others)] == [32, 40, 40, 40, 40, 8]
    (made,) = put(frames(Ether() / piece for piece in (first, *others)))
    assert made.data == bytes(Ether() / whole)


def test_fragments_of_fragments_end_where_the_datagram_does() -> None:
    for whole in (datagram(500), datagram(500, six=True)):
        pieces = [dissect(bytes(piece)) for piece in whole.fragments(200)]
        again = [smaller for piece in pieces for smaller in piece.fragments(80)]
        assert len(again) > len(pieces) and all(map(sound, again))
        (made,) = put(frames(again))
        assert made.data == bytes(whole)


def test_what_routers_look_at_is_in_every_ipv6_fragment() -> None:
    head = IPv6(src="2001:db8::1", dst="2001:db8::2") / HopByHop() / DestinationOptions() / Routing(data=bytes(20))
    whole = Ether() / head / DestinationOptions() / UDP(sport=1, dport=2) / bytes(300)
    pieces = list(whole.fragments(200))
    names = [type(layer) for layer in pieces[0].layers]
    assert names == [Ether, IPv6, HopByHop, DestinationOptions, Routing, Fragment]
    assert {piece[Fragment].next_header for piece in pieces} == {60} and {piece[Fragment].id for piece in pieces} != {0}
    assert {piece[Routing].next_header for piece in pieces} == {44} and all(map(sound, pieces))
    (made,) = put(frames(pieces))
    assert made.data == bytes(whole)
    (plain,) = {tuple(map(type, piece.layers)) for piece in (IPv6() / DestinationOptions() / bytes(99)).fragments(72)}
    assert plain == (IPv6, Fragment)


def test_a_tunnel_is_cut_outside_or_inside() -> None:
    inner = Ether() / IPv4(id=5, src="10.0.0.1", dst="10.0.0.2") / UDP(sport=3, dport=4) / bytes(range(200))
    whole = Ether() / IPv4(id=6, src="192.0.2.1", dst="192.0.2.2") / UDP(dport=4789) / VXLAN() / inner
    (made,) = put(frames(whole.fragments(100)))
    assert made.data == bytes(whole)
    pieces = list(whole.fragments(100, (IPv4, 1)))
    assert [len(piece) for piece in pieces] == [164, 164, 132] and all(map(sound, pieces))
    assert [piece[IPv4, 1].fragment_offset for piece in pieces] == [0, 10, 20]


def test_lengths_and_checksums_are_the_pieces_own_whatever_the_packets_were() -> None:
    wrong = Ether() / IPv4(length=0, ihl=5, checksum=1, id=3, protocol=253) / bytes(100)
    assert all(map(sound, wrong.fragments(60)))
    unsummed = IPv4() / UDP(dport=4789, checksum=0) / VXLAN() / Ether() / IPv4() / UDP() / bytes(99)
    assert {piece[UDP].checksum for piece in unsummed.fragments(60, (IPv4, 1))} == {0}


def test_a_captured_datagram_leaves_its_padding_where_it_is_cut() -> None:
    padded = dissect(bytes(Ether() / IPv4(id=1) / UDP() / b"0123456789") + bytes(6))
    assert list(padded.fragments(60)) == [padded]
    assert b"".join(piece.payload for piece in padded.fragments(28)) == bytes(padded)[34:52]


def test_what_may_not_be_fragmented_is_refused_unless_forced() -> None:
    whole = IPv4(flags=IPv4Flags.DONT_FRAGMENT) / UDP() / bytes(100)
    assert list(whole.fragments(128)) == [whole]
    with pytest.raises(BuildError, match=r"DONT_FRAGMENT.*replace\(IPv4, flags=0\).*force=True"):
        whole.fragments(127)
    forced = [piece[IPv4].flags for piece in whole.fragments(100, force=True)]
    assert forced == [MORE | IPv4Flags.DONT_FRAGMENT, IPv4Flags.DONT_FRAGMENT]


@pytest.mark.parametrize(
    ("cut", "says"),
    [
        (lambda: datagram(99).fragments(27), "mtu: expected at least 28, for headers and 8 bytes of data, got 27"),
        (lambda: datagram(99, six=True).fragments(55), "mtu: expected at least 56, for headers and 8 bytes"),
        (lambda: datagram(99).fragments(28, overlap=8), "mtu: expected at least 36, .*smaller overlap"),
        (lambda: datagram(99).fragments(60, overlap=3), "overlap: expected a multiple of 8, got 3 .*overlap=8"),
        (lambda: datagram(99).fragments(60, overlap=-8), "overlap: expected a number of bytes, 0 or more, got -8"),
        (lambda: datagram(99).fragments(60.0), "mtu: expected a number of bytes, 1 or more, got 60.0"),
        (lambda: datagram(99).fragments(60, UDP), "fragments: expected IPv4 or IPv6, got UDP"),
        (lambda: (Ether() / ARP()).fragments(60), "fragments: expected a packet with IPv4 or IPv6, got Ether / ARP"),
        (lambda: dissect(bytes(datagram(99))[:80]).fragments(60), "expected a packet with all its bytes"),
        (lambda: datagram(99).fragments(60, id=1 << 16), "IPv4.id"),
        (lambda: datagram(99).segments(10), "segments: expected a packet with TCP"),
        (lambda: segment(99).segments(0), "mss: expected a number of bytes, 1 or more, got 0"),
        (lambda: segment(99).segments(10, overlap=10), "overlap: expected less than mss, 10, got 10"),
        (lambda: segment(99).segments(10, IPv4), "segments: expected TCP, got IPv4"),
        (lambda: next(dissect(bytes(p)) for p in segment(99).fragments(60)).segments(10), "expected a whole packet"),
        (lambda: (IPv4() / ICMP(type=3) / segment(99)).segments(10), "expected a packet with TCP"),
    ],
)
def test_what_cannot_be_cut_says_so_at_once(cut, says: str) -> None:
    with pytest.raises(BuildError, match=says):
        cut()


# Segments -------------------------------------------------------------------------------------------------------


def segment(size: int, seq: int = 1000, flags: TCPFlags = TCPFlags.ACK, seed: int = 1) -> Packet:
    data = random.Random(seed).randbytes(size)
    ip = IPv4(src="10.0.0.1", dst="10.0.0.2", id=65_534)
    return Ether() / ip / TCP(sport=1, dport=2, seq=seq, flags=flags) / data


@given(st.integers(2, 3000), st.integers(2, 1460), st.integers(0, 40), st.integers(0, 2**32 - 1), st.integers(0, 99))
def test_segments_in_any_order_are_the_data_again(size, mss, overlap, seq, seed) -> None:
    whole = segment(size, (seq + 1) % 2**32)
    overlap = min(overlap, mss - 1, 40)
    mss = max(mss, size // 100 + overlap)
    pieces = list(whole.segments(mss, overlap=overlap))
    assert all(len(piece.payload) <= mss and sound(piece) for piece in pieces)
    syn = segment(0, seq, TCPFlags.SYN)
    (stream,) = Capture.of(frames([syn, *shuffled(pieces, seed)])).streams()
    assert stream.client.data == whole.payload and not stream.client.holes
    if len(pieces) > 1 and overlap:
        assert any(event.kind in ("overlap", "retransmission") for event in stream.events)
    assert not any(event.kind == "conflict" for event in stream.events)


def test_tshark_reads_the_segments_one_after_the_other(tmp_path: Path, tshark) -> None:
    path = tmp_path / "pieces.pcap"
    whole = segment(250, flags=TCPFlags.ACK | TCPFlags.FIN)
    Capture.of(frames(whole.segments(100))).write(path)
    options = (
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "ip.check_checksum:TRUE",
        "-o",
        "tcp.relative_sequence_numbers:FALSE",
    )
    rows = tshark(path, "tcp.seq", "tcp.len", "tcp.flags", "ip.id", "ip.checksum.status", "tcp.checksum.status",
                  "tcp.payload", options=options)  # fmt: skip
    assert [row[:-1] for row in rows] == [
        ["1000", "100", "0x0010", "0xfffe", "1", "1"],
        ["1100", "100", "0x0010", "0xffff", "1", "1"],
        ["1200", "50", "0x0019", "0x0000", "1", "1"],
    ]
    assert "".join(row[-1] for row in rows) == whole.payload.hex()


def test_what_stands_before_the_data_is_in_the_first_and_what_ends_it_in_the_last() -> None:
    flags = TCPFlags.SYN | TCPFlags.FIN | TCPFlags.ACK | TCPFlags.CWR | TCPFlags.PSH
    pieces = [piece[TCP] for piece in segment(30, 2**32 - 5, flags).segments(10)]
    assert [piece.seq for piece in pieces] == [2**32 - 5, 6, 16]
    middle, end = TCPFlags.ACK, TCPFlags.ACK | TCPFlags.FIN | TCPFlags.PSH
    assert [piece.flags for piece in pieces] == [TCPFlags.SYN | TCPFlags.ACK | TCPFlags.CWR, middle, end]


def test_urgent_data_stays_where_it_is() -> None:
    whole = segment(30, flags=TCPFlags.URG | TCPFlags.ACK).replace(TCP, urgent=15)
    pieces = [piece[TCP] for piece in whole.segments(10)]
    assert [(piece.urgent, TCPFlags.URG in piece.flags) for piece in pieces] == [(15, True), (5, True), (0, False)]


def test_a_packet_of_segmentation_offload_is_cut_as_the_card_does() -> None:
    raw = bytearray(bytes(segment(3000)))
    raw[16:18] = bytes(2)  # the length left out, the checksums not yet there
    pieces = list(dissect(bytes(raw)).segments(1460))
    assert [len(piece) for piece in pieces] == [1514, 1514, 134] and all(map(sound, pieces))


def test_segments_go_over_ipv6_and_into_fragments() -> None:
    whole = IPv6(src="::1", dst="::2") / TCP(flags="ACK", seq=1) / bytes(range(200))
    assert all(map(sound, whole.segments(50))) and len(list(whole.segments(50))) == 4
    assert list(whole.segments(200)) == [whole]
    both = [piece for one in segment(600).segments(300) for piece in one.fragments(200)]
    assert [made.packet().payload for made in put(frames(both))] == [p.payload for p in segment(600).segments(300)]


@pytest.mark.parametrize("lower", [IPv4(), IPv6()])
def test_data_that_no_packet_can_hold_is_refused_with_the_way_out(lower: Packet) -> None:
    data = bytes(range(256)) * 400
    with pytest.raises(BuildError, match=r"^segments: expected data that one packet can hold .*segments of each part of the data, of 60000 bytes or less"):
        (Ether() / lower / TCP(flags="ACK") / data).segments(20000)
    parts = [(Ether() / lower / TCP(flags="ACK", seq=at) / data[at : at + 60000]).segments(20000) for at in range(0, len(data), 60000)]
    segments = [segment for part in parts for segment in part]
    assert b"".join(segment.payload for segment in segments) == data
    assert [segment[TCP].seq for segment in segments] == [0, 20000, 40000, 60000, 80000, 100000]
