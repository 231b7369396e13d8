"""Filters decided from buffers: the same frames pass as when every packet is made and tested, and no others are made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from packetlab import (
    ARP,
    IDP,
    S16,
    SPP,
    TCP,
    U64,
    UDP,
    BuildError,
    Capture,
    Ether,
    Frame,
    Header,
    IPv4,
    IPv6,
    Rest,
    TCPOption,
    XNSAddress,
    any_value,
    between,
    compile_filter,
    masked,
    one_of,
    same_as,
)
from packetlab.capture.capture import as_test
from packetlab.capture.tables import engines as scan_engines
from packetlab.capture.tables.engines import FieldFilter
from packetlab.protocols.linktypes import FIRST
from tests.capture.test_table import plainly
from tests.conftest import CORPUS, amount

FILES = sorted(path.name for path in CORPUS.iterdir() if ".pcap" in path.name)
WORDS = [
    "ip", "not ip", "tcp.dport == 80", "tcp.dport != 80", "ip.src == 141.142.228.5", "ip.src > 100.0.0.0 and tcp",
    "tcp.flags & SYN", "tcp.flags == SYN or arp", "ip.ttl in {64, 128}", "ip.ttl < 65 and !(udp or arp)", "udp.checksum",
    "eth.dst == ff:ff:ff:ff:ff:ff", "eth.dst != ff:ff:ff:ff:ff:ff", "ipv6.src == fe80::1", "not ipv6.dst == ff02::16", "vlan.id == 100",
    "idp.dst.socket == 30", "idp.dst.net == 0x401", "idp.packet_type in {4, 5}", "spp.seq >= 3", "gre.key == 5", "arp.sender_ip == 192.168.1.1",
    "ip.src == 192.168.0.0/16 and tcp", "ip.dst != 10.0.0.0/8", "ip.src in {10.0.0.0/8, 127.0.0.1}", "ipv6.src == fe80::/10", "ipv6.dst != ff00::/8",
    "icmp.type == 3 and udp.dport == 53", "ip.fragment_offset > 0", "llc.control == 3", "mpls.label & 1 and tcp.window > 1000",
]  # fmt: skip
PROTOTYPES: list[Any] = [
    TCP, IPv4(ttl=64), TCP(dport=80, flags=16), UDP(dport=one_of(53, 67, 514)), IPv4(ttl=between(60, 64)), IPv6(dst="ff02::16"),
    Ether(dst="ff:ff:ff:ff:ff:ff"), IDP(packet_type=5), SPP(datastream=0), ARP(operation=1), IPv4(id=any_value, protocol=17),
    IPv4(src=masked("255.255.0.255", "192.168.0.1")), IPv4(ttl=masked(1, 1)), IPv6(src=masked("ffff::ff", "fe80::1")), Ether(dst=masked("01:00:00:00:00:00", "01:00:00:00:00:00")),
]  # fmt: skip


def by(engine: str, patch: pytest.MonkeyPatch) -> None:
    """Have filters answered by numpy, or by loops as Python runs them."""
    patch.setattr(scan_engines, "REMEMBERED", 1000)  # all that is queried here of all files, of each type of link
    patch.setattr(scan_engines.loops, "available", lambda: engine == "loops")
    if engine == "loops":
        patch.setattr(scan_engines.loops, "compiled", plainly)
        patch.setattr(scan_engines.loops, "kept", lambda source: True)
        patch.setattr(scan_engines.loops, "loaded", lambda: True)


class Every:
    """Many filters as one, so that one loop is written for all of them: what it says of a frame is what each says."""

    def __init__(self, tests: list[Any]) -> None:
        self.tests = tests

    def matches(self) -> list[Any]:
        return [match for test in self.tests for match in test.matches()]

    def combined(self, answers: Iterator[Any]) -> Any:
        return np.stack([test.combined(answers) for test in self.tests], axis=1)

    def __call__(self, packet: Any, frame: Frame) -> list[bool]:
        return [test(packet, frame) for test in self.tests]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_same_frames_pass(name: str) -> None:
    capture = Capture(CORPUS / name, strict=False)
    frames = list(capture)
    packets = [frame.packet() for frame in frames]
    tests = {pattern: as_test(pattern) for pattern in (*WORDS, *PROTOTYPES)}
    wanted = {}
    for pattern, test in tests.items():
        assert FieldFilter.able(test), pattern
        query = compile_filter(pattern) if isinstance(pattern, str) else None
        wanted[pattern] = [
            frame for frame, packet in zip(frames, packets, strict=True)
            if (query(packet) if query is not None else pattern in packet if isinstance(pattern, type) else pattern.matches(packet))
        ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        by("rows", patch)
        for pattern, some in wanted.items():
            assert list(capture.where(pattern)) == some, pattern
    with pytest.MonkeyPatch.context() as patch:
        by("loops", patch)
        every: Any = FieldFilter(Every([*tests.values()]), 1)  # type: ignore[arg-type]
        masks = [(batch, every.mask(batch)) for batch in capture.batches()]
        for column, (pattern, some) in enumerate(wanted.items()):
            passed = [batch.frame(row) for batch, mask in masks for row in np.flatnonzero(mask[:, column]).tolist()]
            assert passed == some, pattern


def test_frames_that_do_not_pass_are_never_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Frame(bytes(Ether() / IPv4() / UDP(dport=i))) for i in range(500)]
    path = tmp_path / "many.pcap"
    Capture.of(frames).write(path)
    made: list[int] = []
    packet = Frame.packet
    monkeypatch.setattr(Frame, "packet", lambda frame: made.append(frame.number) or packet(frame))
    chosen = Capture(path).where("udp.dport == 77")
    assert [frame.number for frame in chosen] == [78] and made == []
    assert chosen.where(IPv4).table("udp.dport")["udp.dport"].tolist() == [77] and made == []


def test_what_cannot_be_decided_from_buffers_is_decided_by_packets() -> None:
    capture = Capture(CORPUS / "web.pcap")
    for pattern in (
        "tcp.options contains 02",
        TCP(options=[]),
        "ether.src < 02:00:00:00:00:00",
    ):
        assert not FieldFilter.able(as_test(pattern))
        assert capture.where(pattern).count() == sum(1 for f in capture if _queried(pattern, f))


def test_what_bytes_rule_out_is_not_made_though_they_do_not_tell_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [Frame(bytes(Ether() / IPv4(ttl=i) / UDP(dport=7) / b"x")) for i in range(256)]
    frames.append(Frame(bytes(Ether() / IPv4(ttl=9) / TCP(options=[TCPOption(kind=2, data=b"12")]))))
    path = tmp_path / "many.pcap"
    Capture.of(frames).write(path)
    made: list[int] = []
    packet = Frame.packet
    monkeypatch.setattr(Frame, "packet", lambda frame: made.append(frame.number) or packet(frame))
    for pattern, found, query in (
        (IPv4(ttl=9) / UDP(dport=one_of(7, 8)), [10], [10]),
        (UDP() / IPv4(ttl=9), [], [10]),  # in this order they are nowhere
        (IPv4(ttl=same_as("ttl")) / TCP(options=[TCPOption(kind=2, data=b"12")]), [257], [257]),
        ("tcp.options contains 02 and ip.ttl == 9", [257], [257]),
        ("ip.ttl < 9 and not tcp.options contains 02", list(range(1, 10)), list(range(1, 10))),
    ):
        made.clear()
        assert [frame.number for frame in Capture(path).where(pattern)] == found, pattern
        assert made == query, pattern


def test_networks_in_words() -> None:
    frames = [Frame(bytes(Ether() / IPv4(src=src))) for src in ("10.0.0.1", "10.1.2.3", "11.0.0.1")]
    frames.append(Frame(bytes(Ether() / IPv6(src="fe80::5"))))

    def numbers(words: str) -> list[int]:
        test = compile_filter(words)
        return [number for number, frame in enumerate(frames, 1) if test(frame.packet())]

    assert numbers("ip.src == 10.0.0.0/8") == [1, 2] == numbers("ip.src == 10.9.9.9/8")
    assert numbers("ip.src != 10.0.0.0/8") == [3] and numbers("ip.src == 0.0.0.0/0") == [1, 2, 3]
    assert numbers("ip.src in {10.1.0.0/16, 11.0.0.1}") == [2, 3] and numbers("ipv6.src == fe80::/64") == [4]
    for wrong in ("ip.src == 10.0.0.0/33", "ip.src == fe80::/10", "ip.src < 10.0.0.0/8", "ether.src == 02::/8"):
        with pytest.raises(BuildError, match="expected a value for"):
            compile_filter(wrong)


def _queried(pattern: Any, frame: Frame) -> bool:
    return (
        compile_filter(pattern)(frame.packet()) if isinstance(pattern, str) else bool(pattern.matches(frame.packet()))
    )


USER = 147  # a link type that is nobody's


class Wide(Header):
    """Numbers at the edges of what arrays hold."""

    small: S16 = 0
    stamp: U64 = 0
    note: Rest = b""


@pytest.mark.slow
@settings(max_examples=amount(25, 1000))
@given(
    st.lists(st.tuples(st.integers(-(1 << 15), (1 << 15) - 1), st.integers(0, (1 << 64) - 1)), max_size=8), st.data()
)
def test_numbers_at_the_edges(values: list[tuple[int, int]], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FIRST, USER, Wide)  # alone: no other header is on the way, and none has to be compiled
        frames = [Frame(bytes(Wide(small=small, stamp=stamp)), linktype=USER) for small, stamp in values]
        small, stamp = data.draw(st.sampled_from([*values, (-1, 1 << 63)]))
        for pattern in (Wide(small=small), Wide(stamp=stamp), Wide(small=between(small, 5) if small <= 5 else small)):
            test = as_test(pattern)
            assert FieldFilter.able(test)
            (batch,) = Capture.of(frames).batches() if frames else (None,)
            if batch is not None:
                assert FieldFilter(test).mask(batch).tolist() == [bool(pattern.matches(f.packet())) for f in frames]


@pytest.mark.slow
def test_numba_knows_numbers_with_the_highest_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr(scan_engines.loops, "kept", lambda source: True)
    monkeypatch.setattr(scan_engines.loops, "loaded", lambda: True)
    monkeypatch.setattr(scan_engines.loops, "_ready", {})  # none is in use afterwards, in tests of small captures
    monkeypatch.setitem(FIRST, USER, Wide)
    stamps = [0, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
    frames = [Frame(bytes(Wide(stamp=stamp, small=-1)), linktype=USER) for stamp in stamps]
    (batch,) = Capture.of(frames).batches()
    assert FieldFilter(as_test(Wide(stamp=1 << 63))).mask(batch).tolist() == [False, False, True, False]
    assert FieldFilter(as_test(Wide(small=-1))).mask(batch).all()


def test_a_filter_in_words_is_data() -> None:
    test = compile_filter("ip.ttl in {1, 2} and not (udp or idp.dst.socket == 5)")
    assert [match.header for match in test.matches()] == [IPv4, UDP, IDP]
    answers: Iterator[bool] = iter([True, False, True])
    assert not test.combined(answers)
    assert test(Frame(bytes(Ether() / IPv4(ttl=2) / TCP())).packet())
    assert not test(Frame(bytes(Ether() / IDP(dst=XNSAddress(0, 0, 5)))).packet())


def test_counting_frames_makes_next_to_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / "some.pcap", tmp_path / "some.pcapng"]
    for path in paths:
        Capture.of([bytes(Ether() / IPv4() / UDP(dport=i % 3)) for i in range(3000)]).write(path)
    made: list[object] = []
    init = Frame.__init__
    monkeypatch.setattr(
        Frame, "__init__", lambda frame, *args, **more: made.append(frame) or init(frame, *args, **more)
    )
    for path in paths:
        assert Capture(path).count() == 3000 and Capture(path).where("udp.dport == 2").count() == 1000
    assert len(made) < 10  # the first of each stretch of pcapng
