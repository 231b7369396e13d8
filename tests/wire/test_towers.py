"""Towers of many headers in one frame: what is done with a packet grows with their number and no faster."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from packetlab import (
    GRE,
    ICMP,
    PPP,
    U8,
    UDP,
    VXLAN,
    Capture,
    Ether,
    Frame,
    Header,
    IPv4,
    Packet,
    PPPoE,
    bind,
    bindings,
    dissect,
    from_dpkt,
)  # fmt: skip
from packetlab.view.packets import LAYERS, dump, packet_html, packet_rich
from tests.capture.test_corpus import NAMES, frames_of
from tests.growth import uncollected

INNER = bytes(IPv4(src="1.1.1.1", dst="2.2.2.2") / UDP(sport=1, dport=9) / b"x")


def stacked(count: int, *around: Any) -> Packet:
    data = INNER
    for _ in range(count):
        for header in reversed(around):
            data = bytes(header / data)
    return dissect(bytes(Ether(type=0x0800) / data))


TOWERS: dict[str, Callable[[int], Packet]] = {
    "IP in IP": lambda n: stacked(n, IPv4(protocol=4)),
    "VLAN": lambda n: dissect(bytes(Ether(type=0x8100)) + bytes.fromhex("00018100" * n + "00010800") + INNER),
    "GRE": lambda n: stacked(n, IPv4(protocol=47), GRE(protocol=0x0800)),
    "ICMP": lambda n: stacked(n, IPv4(protocol=1), ICMP(type=3)),
    "PPPoE": lambda n: stacked(
        n, IPv4(protocol=47), GRE(protocol=0x6558), Ether(type=0x8864), PPPoE(session=1), PPP(protocol=0x21)
    ),
}
TOWERS["VXLAN"] = lambda n: stacked(
    n, IPv4(protocol=17), UDP(sport=1, dport=4789), VXLAN(vni=1), Ether(type=0x0800)
)  # fmt: skip
DONE: dict[str, Callable[[Packet], Any]] = {
    "dissect": lambda packet: dissect(bytes(packet)),
    "show": lambda packet: str(packet.show()),
    "html": packet_html,
    "rich": packet_rich,
    "dump": dump,
    "replace": lambda packet: bytes(packet.replace(Ether, dst="00:00:00:00:00:01")),
    "why": lambda packet: packet.why(Ether, "type"),
    "verdicts": lambda packet: packet.verdicts(),
    "to_dpkt": lambda packet: bytes(packet.to_dpkt()),
    "summary": lambda packet: packet.summary() + str(packet.faults),
}


def steps(call: Callable[[], Any]) -> int:
    count = 0

    def step(*_: Any) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    with uncollected():
        sys.setprofile(step)
        try:
            call()
        finally:
            sys.setprofile(before)
    return count


@pytest.mark.slow
@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("done", DONE)
def test_work_grows_with_the_number_of_headers(tower: str, done: str) -> None:
    each = (len(TOWERS[tower](2).layers) - len(TOWERS[tower](1).layers)) or 1
    first, second, third = (TOWERS[tower](headers // each) for headers in (30, 60, 120))
    assert len(third.layers) > 120
    DONE[done](first)  # what is compiled and imported once
    one, two, four = (steps(lambda p=packet: DONE[done](p)) for packet in (first, second, third))
    assert four - two <= 2.2 * (two - one) + 200


@pytest.mark.parametrize("tower", TOWERS)
def test_towers_of_any_height_are_the_same_bytes_in_dpkt(tower: str) -> None:
    for count in (1, 5, 10, 40, 300):
        packet = TOWERS[tower](count)
        assert bytes(packet.to_dpkt()) == bytes(packet) == bytes(from_dpkt(packet.to_dpkt()))
    assert type(TOWERS["GRE"](5).to_dpkt()).__module__ == "dpkt.ethernet"


@pytest.mark.slow
def test_what_dpkt_fails_at_is_not_read_again_for_every_header_around_it() -> None:
    with bindings():

        class Between(Header, under=IPv4, when={"protocol": 253}):
            kind: U8 = 0

        bind(IPv4, under=Between, when={"kind": 0})

        def tower(count: int) -> Packet:
            data = b"x"
            for _ in range(count):
                # dpkt fills in a checksum of 0, and so its own class gives other bytes back
                data = bytes(IPv4(protocol=253, checksum=0, src="1.1.1.1") / Between() / data)
            return dissect(bytes(Ether(type=0x0800) / data))

        tower(2).to_dpkt()
        few, more, most = (steps(lambda p=tower(n): p.to_dpkt()) for n in (3, 6, 12))
        assert most < 6 * more < 36 * few
        assert bytes(tower(12).to_dpkt()) == bytes(tower(12))


def test_views_fold_what_is_too_deep() -> None:
    packet = TOWERS["IP in IP"](2000)
    html = packet_html(packet)
    assert f"... {len(packet.layers) - LAYERS} more layers: {len(packet.layers) - LAYERS} IPv4" in html
    assert html.count("<details") < LAYERS + 10 and len(html) < 2_000_000
    assert "more layers" not in packet_html(TOWERS["IP in IP"](20))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_layer_carries_is_what_is_packed_above_it(name: str) -> None:
    for frame in frames_of(name)[:100]:
        for packet in (frame.packet(), Packet(frame.packet()._rederived(), frame.packet().payload)):
            bodies, headers = packet._build()
            body, above = packet.payload, None
            for i in range(len(headers) - 1, -1, -1):
                assert bodies[i] == body and bodies.size(i) == len(body)
                body = type(headers[i])._encode(headers[i], body, headers, i, above) + packet._trailing_bytes.get(
                    i, b""
                )
                above = headers[i]._declaration
            assert body == bytes(packet)


def test_columns_of_a_tower_are_those_of_its_objects() -> None:
    packet = TOWERS["GRE"](90)
    table = Capture.of([Frame(bytes(packet))]).table("ip#90.src", "udp.dport", "gre#90.payload").read()
    assert table["udp.dport"].tolist() == [9] and len(table["gre#90.payload"][0]) == len(INNER)
