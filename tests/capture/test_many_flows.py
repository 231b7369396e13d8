"""Captures of many hosts and conversations: pairing and splitting them costs as much a frame, and is bounded."""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import ICMP, TCP, UDP, Capture, CaptureError, Ether, IPv4, exchanges
from packetlab.capture.flows import exchanges as pairing, sides
from tests.growth import is_linear


def address(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def sweep(count: int) -> Capture:
    """Return pings of as many hosts, alike but for their destinations, and then the replies of all."""
    query = [Ether() / IPv4(src="10.0.0.1", dst=address(9 + i)) / ICMP(identifier=1, sequence=1) for i in range(count)]
    replies = [
        Ether() / IPv4(src=address(9 + i), dst="10.0.0.1") / ICMP(type=0, identifier=1, sequence=1)
        for i in range(count)
    ]
    return Capture.of(query + replies[::-1])


def pings_of_others(count: int) -> Capture:
    query = [Ether() / IPv4(src="10.0.0.1", dst=address(9 + i)) / ICMP(identifier=1, sequence=1) for i in range(count)]
    return Capture.of(
        query + [Ether() / IPv4(src="10.9.9.9", dst="10.0.0.1") / ICMP(type=0, identifier=1, sequence=1)] * count
    )


def burst(count: int) -> Capture:
    there = [
        Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=9, dport=7) / (b"%06d" % i) for i in range(count)
    ]
    back = [
        Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1") / UDP(sport=7, dport=9) / (b"%06d" % i) for i in range(count)
    ]
    return Capture.of(there + back)


def syns(count: int) -> Capture:
    return Capture.of(
        Ether() / IPv4(src=address(9 + i), dst="10.0.0.2") / TCP(sport=9, dport=80, flags=2, seq=i)
        for i in range(count)
    )


@pytest.mark.slow
@pytest.mark.parametrize("make", [sweep, pings_of_others, burst, syns])
def test_exchanges_cost_as_much_a_frame(make: Any) -> None:
    is_linear(exchanges, make, 60)


def test_each_of_many_alike_is_paired_with_its_own_reply() -> None:
    for found in (exchanges(sweep(100)), exchanges(burst(100))):
        assert len(found) == len(found.answered) == 100
    for one in exchanges(sweep(100)):
        assert one.reply is not None
        assert one.reply.packet()[IPv4].src == one.request.packet()[IPv4].dst


def test_who_asks_a_group_is_answered_by_anybody_the_oldest_first() -> None:
    ask = [
        Ether() / IPv4(src="10.0.0.1", dst=dst) / ICMP(identifier=1, sequence=1) for dst in ("224.0.0.1", "10.0.0.2")
    ]
    reply = Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1") / ICMP(type=0, identifier=1, sequence=1)
    for order in (ask, ask[::-1]):
        found = exchanges([*order, reply, reply])
        assert [one.reply and one.reply.number for one in found] == [3, 4]


def test_of_requests_that_nothing_tells_apart_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "OPEN", 8)
    query = [
        Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2") / ICMP(identifier=1, sequence=1) / (b"%d" % i) for i in range(20)
    ]
    reply = Ether() / IPv4(src="10.0.0.2", dst="10.0.0.1") / ICMP(type=0, identifier=1, sequence=1)
    assert [one.reply is not None for one in exchanges([*query, reply])] == [i == 12 for i in range(20)]


# Sides -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("by", ["first", "port", "mac"])
def test_sides_cost_as_much_a_frame(by: str) -> None:
    def split(capture: Capture) -> list[str]:
        return list(capture.sides(by, servers=["02:00:00:00:00:01"] if by == "mac" else None))

    is_linear(split, syns, 80)


def test_so_many_hosts_are_remembered_and_more_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(syns(3).sides()) == ["client"] * 3
    monkeypatch.setattr(sides, "MOST", 50)
    assert len(list(syns(40).sides())) == 40
    with pytest.raises(CaptureError, match="50 hosts and conversations at most"):
        list(syns(100).sides())
    assert len(list(syns(100).sides("cidr", ["10.0.0.2"]))) == 100
