"""IP fragments against the datagrams that scapy cut, and against tshark's own reassembly."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from packetlab import GRE, ICMP, TCP, UDP, Capture, Ether, Fragment, Frame, IPv4, IPv4Flags, IPv6, TCPFlags
from packetlab.capture.reassembly import Datagram, Fragments
from tests.conftest import CORPUS


def scapy_cut(packet, size: int, six: bool) -> list[bytes]:
    from scapy.layers.inet import fragment
    from scapy.layers.inet6 import fragment6
    from scapy.layers.l2 import Ether as ScapyEther

    whole = ScapyEther(bytes(packet))
    if not six:
        return [bytes(piece) for piece in fragment(whole, size)]
    from scapy.layers.inet6 import IPv6 as ScapyIPv6, IPv6ExtHdrFragment

    ip = whole[ScapyIPv6]
    upper = ip.payload
    ip.remove_payload()
    del ip.plen, ip.nh
    header = bytes(whole)[:14]
    pieces = fragment6(ip / IPv6ExtHdrFragment(id=7) / upper, size + 48)
    return [header + bytes(piece) for piece in pieces] if len(pieces) > 1 else [bytes(packet)]


def datagram(size: int, six: bool = False, seed: int = 1):
    ip = IPv6(src="2001:db8::1", dst="2001:db8::2") if six else IPv4(src="10.0.0.1", dst="10.0.0.2", id=99)
    return Ether() / ip / UDP(sport=1, dport=2) / random.Random(seed).randbytes(size)


def frames_of(pieces: list[bytes], step: int = 1_000_000) -> list[Frame]:
    return [Frame(piece, i * step, number=i) for i, piece in enumerate(pieces, 1)]


def put(frames: list[Frame], **limits) -> list[Datagram]:
    fragments = Fragments(**limits)
    return [made for frame in frames for made in fragments.receive(frame)] + fragments.end()


def four(offset: int, data: bytes, more: bool, id: int = 5) -> bytes:
    flags = IPv4Flags.MORE_FRAGMENTS if more else IPv4Flags(0)
    ip = IPv4(src="10.0.0.1", dst="10.0.0.2", id=id, protocol=17, flags=flags, fragment_offset=offset // 8)
    return bytes(Ether() / ip / data)


def six(offset: int, data: bytes, more: bool, id: int = 5) -> bytes:
    ip = IPv6(src="2001:db8::1", dst="2001:db8::2")
    return bytes(Ether() / ip / Fragment(next_header=17, offset=offset // 8, more=int(more), id=id) / data)


@pytest.mark.slow
@given(st.integers(1, 900), st.sampled_from([8, 64, 200]), st.booleans(), st.randoms())
def test_datagrams_that_scapy_cut_come_back_in_any_order(size, cut, ipv6, shuffle) -> None:
    whole = datagram(size, ipv6)
    pieces = scapy_cut(whole, cut, ipv6)
    doubled = [*pieces, *pieces[: len(pieces) // 2]] if len(pieces) > 1 else pieces
    shuffle.shuffle(doubled)
    made = [datagram for datagram in put(frames_of(doubled)) if datagram.whole]
    assert [datagram.data for datagram in made] == [bytes(whole)]
    packet = made[0].packet()
    assert packet.faults == () and not packet.truncated and packet.verdict(UDP).name == "GOOD"
    assert {number for datagram in put(frames_of(doubled)) for number in datagram.parts} == set(
        range(1, len(doubled) + 1)
    )


@pytest.mark.parametrize("name", ["fragmented-1.pcap", "ipv6-fragmented-dns.pcap"])
def test_the_corpus_agrees_with_tshark_reassembling(name: str, tshark) -> None:
    fields = (
        "udp.payload",
        "ip.fragment.count",
        "ipv6.fragment.count",
        "ip.reassembled.length",
        "ipv6.reassembled.length",
    )
    rows = tshark(CORPUS / name, "frame.number", *fields, options=("-o", "ip.defragment:TRUE"))
    reported = {int(number): [*rest, *[""] * 5][:5] for number, *rest in rows}
    seen = {number: [""] * len(fields) for number in reported}
    for made in Capture(CORPUS / name).datagrams():
        if not made.whole:
            continue
        packet = made.packet()
        # Where UDP's length leaves bytes of the datagram over, tshark takes them for its payload all the same.
        raw = packet.payload + packet.trailer
        # Of bytes that differ those that came first stay here, in tshark those of the fragment that begins first.
        theirs = bytes.fromhex(reported[made.number][0])
        differ = {
            i
            for event in made.events
            if event.kind == "conflict"
            for i in range(event.offset, event.offset + event.size)
        }
        assert all(mine == other or i in differ for i, (mine, other) in enumerate(zip(raw, theirs, strict=True), 8))
        row = seen[made.number] = [theirs.hex(), *[""] * 4]
        if len(made.parts) > 1:
            assert packet.faults == ()
            four = IPv4 in packet
            row[1 if four else 2], row[3 if four else 4] = str(len(made.parts)), str(8 + len(raw))
    assert seen == reported
    assert any(row[1] or row[2] for row in reported.values())


def test_frames_that_are_no_fragments_come_as_they_are() -> None:
    frames = list(Capture(CORPUS / "web.pcap"))
    made = list(Capture.of(frames).datagrams())
    assert made == frames and all(m.whole and m.parts == (f.number,) for m, f in zip(made, frames, strict=True))


def test_what_is_put_together_can_be_written_and_read(tmp_path: Path, tshark) -> None:
    path = tmp_path / "whole.pcap"
    Capture.of(Capture(CORPUS / "fragmented-1.pcap").datagrams()).write(path)
    # tshark needs no reassembly of its own any more, and likes the checksums.
    rows = tshark(path, "ip.checksum.status", "ip.flags.mf", "ip.frag_offset", "udp.length",
                  options=("-o", "ip.defragment:FALSE", "-o", "ip.check_checksum:TRUE"))  # fmt: skip
    assert [row[:3] for row in rows] == [["1", "0", "0"]] * len(rows) and any(row[3] for row in rows)


def test_a_tunnel_and_what_it_carries_may_both_be_cut() -> None:
    inner = datagram(600)
    parts = [IPv4(src="10.0.0.1", dst="10.0.0.2", id=99, protocol=17, fragment_offset=at // 8,
                  flags=IPv4Flags(int(more))) / data
             for at, data, more in ((0, bytes(inner)[34:434], True), (400, bytes(inner)[434:], False))]  # fmt: skip
    outer = [Ether() / IPv4(src="1.1.1.1", dst="2.2.2.2", id=i) / GRE() / part for i, part in enumerate(parts)]
    frames = frames_of([piece for packet in outer for piece in scapy_cut(packet, 200, False)])
    (made,) = put(frames)
    assert made.whole and len(made.parts) == len(frames) and made.packet()[IPv4, 1].length == 628
    assert made.packet().payload == inner.payload and made.packet().faults == ()


def test_the_tcp_segment_in_fragments_is_the_streams() -> None:
    packet = (
        Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2", id=3) / TCP(sport=9, dport=8, flags=TCPFlags.ACK) / bytes(500)
    )
    frames = frames_of(scapy_cut(packet, 100, False)[::-1])
    (stream,) = Capture.of(frames).streams()
    assert stream.client.data == bytes(500)
    assert {"out of order"} == {str(event.kind) for event in stream.events} - {"midstream"}


# What does not fit ---------------------------------------------------------------------------------------------


def said(made: Datagram) -> list[tuple[str, int, int]]:
    return [(str(event.kind), event.offset, event.size) for event in made.events]


def test_fragments_with_a_hole_come_out_as_they_are_with_the_hole_named() -> None:
    frames = frames_of([four(0, bytes(16), True), four(32, bytes(8), False)])
    made = put(frames)
    assert made == frames and not any(m.whole for m in made)
    assert ("hole", 16, 16) in said(made[0])


def test_without_the_last_fragment_that_is_said() -> None:
    (made,) = put(frames_of([four(0, bytes(16), True)]))
    assert "the last fragment is missing" in [event.detail for event in made.events]


def test_fragments_do_not_wait_for_ever() -> None:
    frames = frames_of([four(0, bytes(16), True), four(16, bytes(8), False)], step=61 * 10**9)
    made = put(frames)
    assert [m.whole for m in made] == [False, False] and "timeout" in dict.fromkeys(n.kind for n in made[0].events)
    assert [m.whole for m in put(frames, timeout=100)] == [True]


def test_of_ipv4_fragments_that_overlap_the_first_bytes_stay_and_are_named() -> None:
    (made,) = put(frames_of([four(0, b"a" * 24, True), four(16, b"b" * 16, True), four(32, b"c" * 8, False)]))
    assert made.whole and made.data[34:] == b"a" * 24 + b"b" * 8 + b"c" * 8
    assert said(made) == [("conflict", 16, 8), ("overlap", 16, 16)]
    assert made.events[0].detail == "the bytes of frame 1 stay"


def test_ipv6_datagrams_with_overlapping_fragments_are_given_up() -> None:
    frames = frames_of([six(0, b"a" * 24, True), six(16, b"a" * 16, True), six(32, b"c" * 8, False)])
    made = put(frames)
    assert made == frames and not any(m.whole for m in made)
    assert "RFC 5722" in [event.detail for event in made[0].events]
    assert [event.detail for event in made[2].events] == ["given up before"]
    # The very same fragment twice is no overlap.
    (made_twice,) = put(frames_of([six(0, b"a" * 24, True), six(0, b"a" * 24, True), six(24, b"c" * 8, False)]))
    assert made_twice.whole and said(made_twice) == [("retransmission", 0, 24)]


def test_a_fragment_that_comes_again_when_all_is_done_is_named() -> None:
    frames = frames_of([four(0, bytes(16), True), four(16, bytes(8), False), four(16, bytes(8), False)])
    whole, again = put(frames)
    assert whole.whole and again.data == frames[2].data and not again.whole
    assert [event.detail for event in again.events] == ["the datagram was whole with frame 2"]


def test_more_than_a_datagram_can_hold_is_refused() -> None:
    frames = frames_of([four(0, bytes(1480), True), four(65528, bytes(1000), False)])
    made = put(frames)
    assert made == frames and "too long" in [str(event.kind) for event in made[0].events]


def test_a_fragment_cut_by_the_capture_leaves_a_hole() -> None:
    first, last = frames_of([four(0, bytes(48), True), four(48, bytes(8), False)])
    short = Frame(first.data[:60], 0, wire_length=len(first.data), number=1)
    made = put([short, last])
    assert not any(m.whole for m in made) and {("cut", 26, 22), ("hole", 26, 22)} <= set(said(made[0]))


def test_fragments_that_icmp_quotes_are_not_waited_for() -> None:
    packet = Ether() / IPv4(src="10.0.0.9", dst="10.0.0.1") / ICMP(type=11) / four(0, bytes(24), True)[14:]
    (made,) = put(frames_of([bytes(packet)]))
    assert made.whole


def test_memory_has_a_bound_and_the_oldest_go_first() -> None:
    frames = frames_of([four(0, bytes(1400), True, id=i) for i in range(200)])
    fragments = Fragments(memory=100_000)
    early = [made for frame in frames for made in fragments.receive(frame)]
    assert [m.number for m in early] == list(range(1, len(early) + 1)) and 170 < len(early) < 190
    assert "limit" in [str(event.kind) for event in early[0].events]
    assert len(early) + len(fragments.end()) == 200


def test_the_smallest_fragments_of_the_largest_datagram_take_no_age() -> None:
    data = bytes(range(256)) * 255
    frames = frames_of([four(at, data[at : at + 8], at + 8 < len(data)) for at in range(0, len(data), 8)][::-1])
    begun = time.process_time()
    (made,) = put(frames)
    assert made.data[34:] == data and time.process_time() - begun < 5


@given(st.data())
def test_nothing_is_lost_whatever_the_bytes(data) -> None:
    frames = []
    for number, frame in enumerate(
        [*Capture(CORPUS / "ipv6-fragmented-dns.pcap"), *Capture(CORPUS / "fragmented-1.pcap")], 1
    ):
        raw = bytearray(frame.data)
        for _ in range(data.draw(st.integers(0, 2))):
            raw[data.draw(st.integers(0, min(70, len(raw) - 1)))] = data.draw(st.integers(0, 255))
        frames.append(Frame(bytes(raw), frame.time_ns, number=number))
    made = put(data.draw(st.permutations(frames)))
    assert sorted(number for m in made for number in m.parts) == [frame.number for frame in frames]
    assert all(str(event) for m in made for event in m.events)
