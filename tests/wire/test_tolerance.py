"""Prototypes whose fields admit more than one value, and why a packet does not match one."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, strategies as st

from packetlab import (
    IDP,
    SPP,
    TCP,
    UDP,
    BuildError,
    Ether,
    IPv4,
    IPv6,
    NDOption,
    NeighborSolicitation,
    TCPFlags,
    TCPOption,
    any_value,
    between,
    dissect,
    explain_match,
    masked,
    one_of,
    same_as,
)  # fmt: skip

PACKET = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2", ttl=63) / TCP(sport=1024, dport=80, seq=0x12345678) / b"data"


@pytest.mark.parametrize(
    ("prototype", "fits"),
    [
        (IPv4(ttl=between(60, 64)), True),
        (IPv4(ttl=between(64, 65)), False),
        (IPv4(ttl=between(63, 63)), True),
        (IPv4(src=between("10.0.0.0", "10.0.0.9")), True),
        (IPv4(src=between("10.0.0.2", "10.0.0.9")), False),
        (TCP(dport=one_of(80, 443)), True),
        (TCP(dport=one_of(53, 443)), False),
        (IPv4(src=one_of("10.0.0.1", "10.0.0.2")), True),
        (TCP(flags=one_of("syn", TCPFlags.ACK)), True),
        (TCP(flags=masked(TCPFlags.SYN | TCPFlags.ACK, "SYN")), True),
        (TCP(flags=masked("SYN|ACK", "ACK")), False),
        (TCP(seq=masked(0xFFFF0000, 0x12340000)), True),
        (TCP(seq=masked(0xFFFF, 0x1234)), False),
        (IPv4(src=masked("255.0.0.0", "10.0.0.0")), True),
        (IPv4(src=masked("255.0.0.0", "11.0.0.0")), False),
        (Ether(dst=masked("01:00:00:00:00:00", "01:00:00:00:00:00")), True),
        (IPv4(id=any_value, checksum=any_value, options=any_value), True),
        (TCP(options=one_of((), (TCPOption(kind=1),))), True),
        (TCP(options=one_of((TCPOption(kind=1),))), False),
        (UDP(sport=any_value), False),
        (IPv4(ttl=between(60, 64)) / TCP(sport=between(1024, 65535)), True),
    ],
)
def test_a_field_of_a_prototype_may_admit_many_values(prototype: Any, fits: bool) -> None:
    for packet in (PACKET, dissect(bytes(PACKET))):
        assert bool(prototype.matches(packet)) is fits
        assert (prototype.why_not(packet) == "") is fits
        assert (explain_match(prototype, packet) is None) is fits


def test_derived_fields_are_matched_by_what_they_come_to() -> None:
    assert IPv4(length=between(44, 44)).matches(PACKET)
    assert UDP(length=one_of(8)).matches(UDP())


def test_a_name_stands_for_the_value_first_met() -> None:
    request = IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4000, dport=53)
    reply = IPv4(src="10.0.0.2", dst="10.0.0.1") / UDP(sport=53, dport=4000)
    known: dict[str, Any] = {}
    assert UDP(sport=same_as("client"), dport=same_as("server")).matches(request, known)
    assert known == {"client": 4000, "server": 53}
    assert UDP(dport=same_as("client")).matches(reply, known)
    answer = UDP(sport=same_as("client")).matches(reply, known)
    assert not answer
    assert repr(answer) == "no match: UDP.sport: expected same_as('client'), which is 4000, got 53"
    assert UDP(sport=same_as("client")).matches(reply)  # each call has names of its own unless they are given


def test_a_packet_that_does_not_match_binds_nothing() -> None:
    known: dict[str, Any] = {}
    assert not TCP(sport=same_as("a"), dport=81).matches(PACKET, known)
    assert not (IPv4(src=same_as("b")) / TCP(dport=81)).matches(PACKET, known)
    assert known == {}


def test_within_one_header_too_a_name_is_one_value() -> None:
    assert UDP(sport=same_as("p"), dport=same_as("p")).matches(UDP(sport=9, dport=9))
    assert not UDP(sport=same_as("p"), dport=same_as("p")).matches(UDP(sport=9, dport=8))
    assert (IPv4(src=same_as("x")) / IPv4(src=same_as("x"))).matches(IPv4(src="1.1.1.1") / IPv4(src="1.1.1.1"))


@pytest.mark.parametrize("stack", [lambda h: h, lambda h: Ether() / h, lambda h: Ether() / h / b"x"])
@pytest.mark.parametrize(
    ("header", "said"),
    [
        (IPv4(ttl=between(1, 2)), "IPv4.ttl: expected one value to build from, got between(1, 2)"),
        (IPv4(version=one_of(4, 5)), "IPv4.version"),
        (IPv4(src=any_value), "IPv4.src"),
        (IPv4(options=any_value), "IPv4.options"),
        (IPv4(checksum=any_value), "IPv4.checksum"),
        (TCP(seq=masked(0xFF000000, 0)), r"TCP.seq: expected one value to build from, got masked\(0xff000000, 0\)"),
        (SPP(control=same_as("c")), "SPP.control"),
        (IDP(pad=any_value), "IDP.pad"),
    ],
)
def test_such_a_header_has_no_bytes_and_says_so(stack: Any, header: Any, said: str) -> None:
    for _ in range(40):  # stacks built often are built by functions of their own
        bytes(stack(type(header)()))
    with pytest.raises(BuildError, match=said.replace("between(1, 2)", r"between\(1, 2\)")):
        bytes(stack(header))


def test_a_prototype_becomes_a_header_again_when_its_values_are_given() -> None:
    prototype = IPv4(ttl=between(1, 2), id=7)
    assert bytes(prototype.replace(ttl=2)) == bytes(IPv4(ttl=2, id=7))
    assert prototype.replace(id=8).ttl == between(1, 2)
    with pytest.raises(BuildError):
        bytes(IPv4(ttl=2).replace(ttl=one_of(3, 4)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: IPv4(ttl=between(1, 300)),
        lambda: IPv4(ttl=between(5, 1)),
        lambda: IPv4(ttl=one_of()),
        lambda: IPv4(ttl=masked(0x0F, 0x1F)),
        lambda: IPv4(src=between("10.0.0.1", "no address")),
        lambda: IPv4(options=masked((), ())),
        lambda: IPv4(options=between((), ())),
    ],
)
def test_a_tolerance_that_nothing_can_fit_is_refused(make: Any) -> None:
    with pytest.raises(BuildError, match=r"^IPv4\.(ttl|src|options): expected"):
        make()


def test_prototypes_print_compare_hash_and_pickle() -> None:
    prototype = IPv4(ttl=between(60, 64), src=one_of("10.0.0.1"), id=any_value, dst=same_as("x"))
    assert repr(prototype) == "IPv4(id=any_value, ttl=between(60, 64), src=one_of('10.0.0.1'), dst=same_as('x'))"
    assert pickle.loads(pickle.dumps(prototype)) == prototype and len({prototype, prototype.replace()}) == 1
    assert prototype != IPv4(ttl=between(60, 65)) and prototype != IPv4(ttl=60)
    assert prototype.given == {"id", "ttl", "src", "dst"} and prototype.captured == frozenset()


def test_an_absent_field_fits_any_value_only() -> None:
    absent = TCPOption(kind=1)
    assert TCPOption(length=any_value).matches(absent)
    assert not TCPOption(length=between(0, 255)).matches(absent)
    assert TCPOption(length=one_of(2)).why_not(absent) == "TCPOption.length: expected one_of(2), got absent"


def test_why_not_tells_every_field_that_differs() -> None:
    reasons = IPv4(ttl=64, src="10.0.0.9", dst="10.0.0.2").why_not(PACKET)
    assert reasons == "IPv4.ttl: expected 64, got 63\nIPv4.src: expected 10.0.0.9, got 10.0.0.1"
    assert UDP().why_not(PACKET) == "no UDP in Ether / IPv4 / TCP"
    assert (TCP() / IPv4()).why_not(PACKET) == "no IPv4 after the headers before it in Ether / IPv4 / TCP / 4 bytes"
    assert (TCP() / b"date").why_not(PACKET) == "payload: expected b'date', got b'data'"
    assert explain_match(IPv4(ttl=64, src="10.0.0.9"), PACKET) == [
        "no match: IPv4.ttl: expected 64, got 63 (and 1 more)",
        "IPv4.src: expected 10.0.0.9, got 10.0.0.1",
    ]


def test_where_a_header_comes_twice_the_nearer_one_is_reported() -> None:
    tunnel = IPv4(src="1.1.1.1", ttl=9) / IPv4(src="2.2.2.2", ttl=5) / UDP()
    assert IPv4(src="2.2.2.2", ttl=4).why_not(tunnel) == "IPv4.ttl: expected 4, got 5"


def test_many_packets_are_searched_for_the_nearest() -> None:
    packets = [PACKET.replace(IPv4, id=n) for n in range(5)]
    said = explain_match(IPv4(id=3, ttl=64), packets)
    assert said == ["no match among 5 packets; the nearest is number 4: IPv4.ttl: expected 64, got 63"]
    assert explain_match(IPv4(id=3), packets) is None
    assert explain_match(UDP, packets) == ["no match among 5 packets: no UDP in Ether / IPv4 / TCP / 4 bytes"]
    assert explain_match(UDP, PACKET) == ["no match: no UDP in Ether / IPv4 / TCP / 4 bytes"]
    assert explain_match(UDP, []) == ["no match: there is no packet"]
    assert explain_match(IPv4(ttl=64), bytes(PACKET[IPv4] / b"")) == ["no match: IPv4.ttl: expected 64, got 63"]
    assert explain_match(TCP, PACKET) is None and explain_match(3, PACKET) is None and explain_match(TCP, [1]) is None


def test_a_false_answer_is_equal_to_false() -> None:
    answer = IPv4(ttl=1).matches(PACKET)
    assert answer == False and answer != True and hash(answer) == hash(False)  # noqa: E712
    assert IPv4(ttl=63).matches(PACKET) is True


def test_items_not_yet_looked_at_are_compared_as_items() -> None:
    packet = dissect(bytes(Ether() / IPv6() / NeighborSolicitation(options=(NDOption(),))))
    assert NeighborSolicitation(options=one_of((NDOption(),))).matches(packet) or NeighborSolicitation not in packet


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 65535))
def test_each_tolerance_admits_just_what_its_words_say(a: int, b: int, value: int) -> None:
    packet = UDP(sport=value)
    low, high = min(a, b), max(a, b)
    assert bool(UDP(sport=between(low, high)).matches(packet)) == (low <= value <= high)
    assert bool(UDP(sport=one_of(a, b)).matches(packet)) == (value in (a, b))
    assert bool(UDP(sport=masked(a, a & b)).matches(packet)) == (value & a == a & b)
    assert UDP(sport=any_value).matches(packet)
